"""The crises a report tells of: stage, size, next deadline, what happened when."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlmodel import Session

from monitor.states import CRISIS_OPEN
from reports.spread import Spread, spread
from reports.store import F, crisis, crisis_feedback, event, feedback, person, tally, timer

K, T, E = crisis.c, timer.c, event.c
_QUIET = ("feedback.added", "timer.fired", "note", "sent", "refused")  # many, and nothing a reader must act on
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
        categories: What it is about, the main category first; none where it is about the whole shop or a product.
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
        kind: ``review`` or ``mention``.
        spread: How far it went.
    """

    id: int
    shop_id: str | None
    state: str
    severity: str
    cause: str
    categories: list[str]
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
    kind: str = "review"
    spread: Spread = field(default_factory=Spread)

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
    """Crises opened or resolved from ``start`` on, and all that run; merged ones and false alarms do not count."""
    real = and_(K.state.not_in(("merged", "false_alarm")), K.opened_at < until)
    running = K.state.in_(CRISIS_OPEN)
    told = or_(running, K.opened_at >= start, K.resolved_at >= start)
    counts = select(tally(K.opened_at >= start), tally(running)).where(real)
    rows = (
        select(crisis, func.coalesce(person.c.name, "").label("who"))
        .select_from(crisis.outerjoin(person, person.c.id == K.assignee_id))
        .where(real, told)
        .order_by(~running, K.opened_at.desc())
        .limit(_MOST)
    )
    opened, still = session.execute(counts).one()
    return Crises(opened, still, [_line(session, row) for row in session.execute(rows).all()])


def _line(session: Session, row: Any) -> CrisisLine:
    # as the card counts them: by account, else by order, else by the name as the platform masked it, else one each
    masked = case((F.author.contains("匿名"), None), else_=func.nullif(F.author, ""))
    writer = func.coalesce(func.nullif(F.author_hash, ""), func.nullif(F.order_ref, ""), masked)
    size = (
        select(func.count(), func.count(writer.distinct()) + func.count() - func.count(writer))
        .select_from(crisis_feedback.join(feedback, F.id == crisis_feedback.c.feedback_id))
        .where(crisis_feedback.c.crisis_id == row.id)
    )
    deadlines = (
        select(T.stage, T.state, T.due_at)
        .where(T.crisis_id == row.id, T.step == "deadline", T.met_at.is_(None))
        .order_by(T.due_at)
    )
    feedbacks, buyers = session.execute(size).one()
    clocks = session.execute(deadlines).all()
    stage, due = next(((stage, due) for stage, state, due in clocks if state == "armed"), ("", None))
    return CrisisLine(
        id=row.id,
        shop_id=row.shop_id,
        state=row.state,
        severity=row.severity,
        cause=row.cause,
        categories=[code for code in (row.category, *row.also) if code],
        product=row.product,
        who=row.who,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        feedbacks=feedbacks,
        buyers=buyers,
        next_stage=stage,
        next_due=due,
        breached=[stage for stage, state, _ in clocks if state == "breached"],
        timeline=_timeline(session, row.id),
        kind=row.kind,
        spread=spread(session, row.id, row.scope or {}),
    )


def _timeline(session: Session, crisis_id: int) -> list[Happening]:
    found = (
        select(E.at, E.actor, E.what, E.after)
        .where(E.subject == "crisis", E.subject_id == crisis_id, E.what.not_in(_QUIET))
        .order_by(E.at, E.id)
        .limit(_HAPPENINGS)
    )
    return [Happening(at, actor, what, _stage(after)) for at, actor, what, after in session.execute(found)]


def _stage(after: dict[str, Any]) -> str:
    return str(after.get("stage", ""))
