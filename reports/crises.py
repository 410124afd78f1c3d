"""The crises a report tells of: stage, size, next deadline, what happened when."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlmodel import Session, col

from monitor.models import Crisis, CrisisFeedback, Event, Feedback, Person, Timer
from monitor.states import CRISIS_OPEN

_QUIET = ("feedback.added", "timer.fired", "note")  # many, and nothing a reader must act on
_MOST = 12
_HAPPENINGS = 10


@dataclass(frozen=True)
class Happening:
    """One event of a crisis; ``stage`` only where a deadline is concerned."""

    at: datetime
    actor: str
    what: str
    stage: str = ""


@dataclass(frozen=True)
class CrisisLine:
    """A crisis as a report shows it.

    Attributes:
        id: Its id.
        shop_id: Its shop.
        state: Its state.
        severity: Its severity.
        cause: critical, burst or person.
        category: What it is about.
        product: The product, if one.
        who: The assignee; "" for nobody.
        opened_at: When it was opened.
        resolved_at: When it was resolved.
        feedbacks: How many feedbacks it is about.
        buyers: From how many authors.
        next_stage: The stage that falls due next.
        next_due: When.
        breached: Stages whose deadline passed unmet.
        timeline: What happened, oldest first.
    """

    id: int
    shop_id: str | None
    state: str
    severity: str
    cause: str
    category: str
    product: str
    who: str
    opened_at: datetime
    resolved_at: datetime | None
    feedbacks: int
    buyers: int
    next_stage: str = ""
    next_due: datetime | None = None
    breached: list[str] = field(default_factory=list)
    timeline: list[Happening] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether it still runs."""
        return self.state in CRISIS_OPEN


@dataclass(frozen=True)
class Crises:
    """All crises of a span by number, the most recent in detail.

    Attributes:
        opened: How many were opened in the span.
        open: How many of these and of the earlier ones still run.
        lines: The running ones first, then the newest; at most a dozen.
    """

    opened: int
    open: int
    lines: list[CrisisLine]


def crises(session: Session, start: datetime, until: datetime) -> Crises:
    """Crises opened or resolved from ``start`` on, and all that still run; merged ones and false alarms do not count."""
    real = (col(Crisis.state).not_in(("merged", "false_alarm")), Crisis.opened_at < until)
    running = col(Crisis.state).in_(CRISIS_OPEN)
    told = or_(running, col(Crisis.opened_at) >= start, col(Crisis.resolved_at) >= start)
    opened = select(func.count()).where(*real, Crisis.opened_at >= start)
    rows = session.execute(
        select(Crisis, func.coalesce(Person.name, ""))
        .outerjoin(Person, col(Person.id) == Crisis.assignee_id)
        .where(*real, told)
        .order_by(~running, col(Crisis.opened_at).desc())
        .limit(_MOST)
    ).all()
    return Crises(
        session.execute(opened).scalar_one(),
        session.execute(select(func.count()).where(*real, running)).scalar_one(),
        [_line(session, row, who) for row, who in rows],
    )


def _line(session: Session, row: Crisis, who: str) -> CrisisLine:
    assert row.id is not None
    feedbacks, buyers = session.execute(
        select(func.count(), func.count(func.distinct(Feedback.author_hash)))
        .join(CrisisFeedback, col(CrisisFeedback.feedback_id) == Feedback.id)
        .where(CrisisFeedback.crisis_id == row.id)
    ).one()
    deadlines = session.execute(
        select(Timer.stage, Timer.state, Timer.due_at)
        .where(Timer.crisis_id == row.id, Timer.step == "deadline", col(Timer.met_at).is_(None))
        .order_by(col(Timer.due_at))
    ).all()
    armed = [(stage, due) for stage, state, due in deadlines if state == "armed"]
    return CrisisLine(
        row.id,
        row.shop_id,
        row.state,
        row.severity,
        row.cause,
        row.category,
        row.product,
        who,
        row.opened_at,
        row.resolved_at,
        feedbacks,
        buyers,
        *(armed[0] if armed else ("", None)),
        [stage for stage, state, _ in deadlines if state == "breached"],
        _timeline(session, row.id),
    )


def _timeline(session: Session, crisis_id: int) -> list[Happening]:
    events = session.execute(
        select(Event.at, Event.actor, Event.what, Event.after)
        .where(
            Event.subject == "crisis",
            Event.subject_id == crisis_id,
            col(Event.what).not_in(_QUIET),
        )
        .order_by(col(Event.at), col(Event.id))
        .limit(_HAPPENINGS)
    )
    return [Happening(at, actor, what, _stage(after)) for at, actor, what, after in events]


def _stage(after: dict[str, Any]) -> str:
    return str(after.get("stage", ""))
