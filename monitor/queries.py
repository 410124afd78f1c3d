"""What cards, pages and reports read: frozen views of a case or a crisis, and the lists of the status page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case as sql_case
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from monitor.models import Case, Crisis, CrisisFeedback, Event, Feedback, Outbox, Person, Score, Source, Spread, Timer
from monitor.states import CRISIS_OPEN, SEVERITIES, UNSENT


@dataclass(frozen=True, slots=True)
class Item:
    """A feedback and what was judged of it."""

    feedback: Feedback
    score: Score | None


@dataclass(frozen=True, slots=True)
class CrisisView:
    """A crisis as its card and its page show it.

    Attributes:
        crisis: The row.
        assignee: Who holds it.
        count: How many feedbacks it is about.
        worst: The most severe of them.
        items: The newest of them, newest first.
        clocks: The deadline of each stage, of its newest generation.
        events: What happened to it last, newest first.
    """

    crisis: Crisis
    assignee: Person | None
    count: int
    worst: Item | None
    items: tuple[Item, ...]
    clocks: dict[str, Timer]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as its card and its page show it.

    Attributes:
        case: The row.
        assignee: Who holds it.
        items: Its feedbacks, newest first.
        clocks: The deadline of each stage, of its newest generation.
        earlier: How many feedbacks its author wrote before those of this case.
        earlier_negative: How many of those were negative.
        events: What happened to it last, newest first.
    """

    case: Case
    assignee: Person | None
    items: tuple[Item, ...]
    clocks: dict[str, Timer]
    earlier: int
    earlier_negative: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class CrisisLine:
    """An open crisis on the status page."""

    crisis: Crisis
    assignee: Person | None
    clocks: dict[str, Timer]


def crisis_view(session: Session, crisis_id: int, limit: int = 20, events: int = 10) -> CrisisView | None:
    """Everything a crisis's card and page need; None when there is no such crisis."""
    crisis = session.get(Crisis, crisis_id)
    if crisis is None:
        return None
    mine = (CrisisFeedback.crisis_id == crisis_id, CrisisFeedback.feedback_id == Feedback.id)
    count = session.exec(
        select(func.count()).select_from(CrisisFeedback).where(CrisisFeedback.crisis_id == crisis_id)
    ).one()
    rank = sql_case(*((col(Score.severity) == name, n) for n, name in enumerate(SEVERITIES)), else_=-1)
    return CrisisView(
        crisis,
        _person(session, crisis.assignee_id),
        count,
        next(iter(_items(session, mine, 1, rank.desc(), col(Score.p_negative).desc(), col(Feedback.id))), None),
        _items(session, mine, limit, *_NEWEST),
        _clocks(session, Timer.crisis_id, [crisis_id]).get(crisis_id, {}),
        _events(session, "crisis", crisis_id, events),
    )


def case_view(session: Session, case_id: int, limit: int = 20, events: int = 10) -> CaseView | None:
    """Everything a case's card and page need; None when there is no such case."""
    case = session.get(Case, case_id)
    if case is None:
        return None
    items = _items(session, (Feedback.case_id == case_id,), limit, *_NEWEST)
    earlier = earlier_negative = 0
    if author := next((item.feedback.author_hash for item in items if item.feedback.author_hash), ""):
        before = min(item.feedback.happened_at for item in items)
        other = col(Feedback.case_id).is_(None) | (Feedback.case_id != case_id)
        counted = select(func.count(), func.sum(sql_case((col(Score.negative), 1), else_=0))).select_from(Feedback)
        total, negative = session.exec(
            counted.join(Score, isouter=True).where(
                Feedback.author_hash == author, Feedback.happened_at < before, other
            )
        ).one()
        earlier, earlier_negative = total, negative or 0
    return CaseView(
        case,
        _person(session, case.assignee_id),
        items,
        _clocks(session, Timer.case_id, [case_id]).get(case_id, {}),
        earlier,
        earlier_negative,
        _events(session, "case", case_id, events),
    )


def case_views(session: Session, case_ids: list[int]) -> list[CaseView]:
    """The views of several cases in the order asked for, one feedback and no events each; unknown ids are left out."""
    found = (case_view(session, case_id, limit=1, events=0) for case_id in case_ids)
    return [view for view in found if view is not None]


def case_counts(session: Session, case_ids: list[int]) -> dict[str, int]:
    """How many of these cases there are by their most important category."""
    counts: Counter[str] = Counter()
    for start in range(0, len(case_ids), 500):
        chunk = case_ids[start : start + 500]
        categories = session.exec(select(Case.categories).where(col(Case.id).in_(chunk)))
        counts.update(next(iter(codes), "other") for codes in categories)
    return dict(counts)


def open_crises(session: Session) -> list[CrisisLine]:
    """Crises still running, oldest first, with their clocks."""
    statement = select(Crisis).where(col(Crisis.state).in_(CRISIS_OPEN)).order_by(col(Crisis.opened_at), col(Crisis.id))
    crises = session.exec(statement).all()
    clocks = _clocks(session, Timer.crisis_id, [crisis.id for crisis in crises if crisis.id is not None])
    return [
        CrisisLine(crisis, _person(session, crisis.assignee_id), clocks.get(crisis.id or 0, {})) for crisis in crises
    ]


def clocks_of_crises(session: Session, ids: list[int]) -> dict[int, dict[str, Timer]]:
    """Crisis id → stage → the deadline of its newest generation."""
    return _clocks(session, Timer.crisis_id, ids)


def unsent_counts(session: Session) -> dict[str, int]:
    """How many messages are in each state in which they are not sent; all that ever were is for nobody to count."""
    counted = select(Outbox.state, func.count()).where(col(Outbox.state).in_(UNSENT)).group_by(Outbox.state)
    return dict.fromkeys(UNSENT, 0) | dict(session.exec(counted).all())


@dataclass(frozen=True, slots=True)
class Copy:
    """The same text elsewhere."""

    feedback_id: int
    source: str
    platform: str
    url: str
    happened_at: datetime


def also_on(session: Session, rows: Sequence[Feedback], limit: int = 20) -> dict[int, list[Copy]]:
    """Where else the texts of these feedbacks stand, by feedback id: in other sources, the earliest first."""
    places = {(row.text_key, row.source_id): row.id for row in rows if row.text_key}
    other = aliased(Feedback)
    same = (other.text_key == Feedback.text_key, other.source_id != Feedback.source_id)
    copied = session.exec(
        select(Feedback).where(col(Feedback.id).in_(places.values()), select(other.id).where(*same).exists())
    ).all()
    found = {(row.text_key, row.source_id): _copies(session, row, limit) for row in copied}
    elsewhere = ((row.id, found.get((row.text_key, row.source_id))) for row in rows)
    return {row_id: copies for row_id, copies in elsewhere if row_id is not None and copies}


def _copies(session: Session, row: Feedback, limit: int) -> list[Copy]:
    others = (
        select(Feedback.id, Source.name, Feedback.platform, Feedback.url, Feedback.happened_at)  # type: ignore[call-overload]
        .join(Source, col(Source.id) == Feedback.source_id)
        .where(Feedback.text_key == row.text_key, Feedback.source_id != row.source_id)
        .order_by(col(Feedback.happened_at), col(Feedback.id))
        .limit(limit)
    )
    return [Copy(*other) for other in session.exec(others)]


def spreads(session: Session, rows: Sequence[Feedback]) -> dict[int, list[Spread]]:
    """How the likes, reposts and comments of these feedbacks grew, by feedback id: known counts only, oldest first."""
    ids = [row.id for row in rows if row.id is not None]
    points = session.exec(select(Spread).where(col(Spread.feedback_id).in_(ids)).order_by(col(Spread.step)))
    grown: dict[int, list[Spread]] = {}
    for point in points:
        if (point.likes, point.reposts, point.comments) != (None, None, None):
            grown.setdefault(point.feedback_id, []).append(point)
    return grown


_NEWEST = (col(Feedback.happened_at).desc(), col(Feedback.id).desc())


def _items(session: Session, where: tuple[Any, ...], limit: int, *order: Any) -> tuple[Item, ...]:
    statement = select(Feedback, Score).join(Score, isouter=True).where(*where).order_by(*order).limit(limit)
    return tuple(Item(feedback, score) for feedback, score in session.exec(statement))


def _person(session: Session, person_id: int | None) -> Person | None:
    return session.get(Person, person_id) if person_id is not None else None


def _clocks(session: Session, owner: Any, ids: list[int]) -> dict[int, dict[str, Timer]]:
    """Owner id → stage → the deadline of its newest generation."""
    statement = (
        select(owner, Timer)
        .where(col(owner).in_(ids), Timer.step == "deadline")
        .order_by(col(Timer.generation), col(Timer.id))
    )
    clocks: dict[int, dict[str, Timer]] = {}
    for owner_id, timer in session.exec(statement):
        clocks.setdefault(owner_id, {})[timer.stage] = timer
    return clocks


def _events(session: Session, subject: str, subject_id: int, limit: int) -> tuple[Event, ...]:
    statement = (
        select(Event)
        .where(Event.subject == subject, Event.subject_id == subject_id, Event.what != "sent")  # every edit of the card
        .order_by(col(Event.id).desc())
        .limit(limit)
    )
    return tuple(session.exec(statement))
