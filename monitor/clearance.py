"""Whether negative feedback was dealt with on the day it came (日清率), and whether those contacted wrote again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, exists, func, or_
from sqlalchemy import select as columns
from sqlmodel import Session

from monitor.bulk import table
from monitor.history import reached_at, value_at
from monitor.models import Case, Event, Feedback, Score

_DEALT: tuple[Literal["answered", "resolved"], ...] = ("answered", "resolved")
_CONTACT = ("contacted", "answered")
_WROTE_AGAIN = ("feedback.followup", "reopened")

F, S, C, E = (table(model).c for model in (Feedback, Score, Case, Event))
_JUDGED = table(Feedback).join(table(Score), S.feedback_id == F.id).outerjoin(table(Case), C.id == F.case_id)


@dataclass(frozen=True, slots=True)
class Share:
    """So many ``done`` ``of`` all."""

    done: int
    of: int


def cleared_on_the_day(session: Session, day: date, zone: ZoneInfo, shop: str | None = None) -> Share:
    """Negative feedback of a local day whose case was answered, resolved or found to be a false alarm on that day.

    Args:
        session: Reads.
        day: The day.
        zone: Where days begin and end.
        shop: One shop's only; of all when absent.
    """
    start, end = (datetime.combine(day + timedelta(n), time(), zone) for n in (0, 1))
    return cleared(session, start, end, shop)


def cleared(session: Session, start: datetime, end: datetime, shop: str | None = None) -> Share:
    """Negative feedback written between two moments, and how much of it was dealt with before the second."""
    found = (
        columns(func.coalesce(func.sum(case((dealt(end), 1), else_=0)), 0), func.count())
        .select_from(_JUDGED)
        .where(F.happened_at >= start, F.happened_at < end, or_(S.negative, C.state == "false_alarm"))
    )
    if shop is not None:
        found = found.where(F.shop_id == shop)
    done, of = session.execute(found).one()
    return Share(done, of)


def dealt(end: datetime | ColumnElement[datetime], seen: datetime | None = None) -> ColumnElement[bool]:
    """Whether ``case`` was answered, resolved or found to be a false alarm before a moment.

    Args:
        end: The moment; it may be told by columns of ``feedback``.
        seen: As things stood then; as they stand now when absent.
    """
    state: ColumnElement[str] = C.state if seen is None else value_at("state", seen)
    answered, resolved = (C[f"{what}_at"] if seen is None else reached_at(what, seen) for what in _DEALT)
    told = (E.subject == "case", E.subject_id == C.id, E.what == "false_alarm", E.at < end)
    judged_false = exists().where(*told).correlate(table(Case), table(Feedback))
    return or_(answered < end, resolved < end, and_(state == "false_alarm", judged_false))


def followed_up(session: Session, since: datetime, until: datetime, shop: str | None = None) -> Share:
    """Authors of bad reviews contacted in a span, and how many of them then wrote a follow-up review (追评)."""
    found = contacted(session, since, until, shop)
    return Share(sum(found.values()), len(found))


def contacted(
    session: Session, since: datetime, until: datetime, shop: str | None = None, seen: datetime | None = None
) -> dict[int, bool]:
    """The first case of each author about which he was contacted in a span, and whether he wrote again since.

    An author without a name of his own counts once a case.

    Args:
        session: Reads.
        since: The first moment.
        until: The first moment after it.
        shop: One shop's only; of all when absent.
        seen: As things stood then; as they stand now when absent.
    """
    known = (E.at >= since, E.at <= seen) if seen else (E.at >= since,)
    first: dict[str, tuple[int, datetime]] = {}
    for case_id, author, at, _ in _events(session, _CONTACT, (*known, E.at < until), shop):
        first.setdefault(author, (case_id, at))
    wrote: dict[str, datetime] = {}
    for _, author, at, after in _events(session, _WROTE_AGAIN, known, shop):
        if after.get("change") == "followup":
            wrote[author] = max(at, wrote.get(author, at))
    return {case_id: author in wrote and wrote[author] > at for author, (case_id, at) in first.items()}


def _events(
    session: Session, whats: Sequence[str], where: Sequence[ColumnElement[bool]], shop: str | None
) -> list[tuple[int, str, datetime, dict[str, object]]]:
    """Case, author, time and facts of such events of cases about reviews, in their order."""
    author = columns(func.min(F.author_hash)).where(F.case_id == C.id).scalar_subquery()
    found = (
        columns(C.id, author, E.at, E.after)
        .select_from(table(Event).join(table(Case), C.id == E.subject_id))
        .where(E.subject == "case", E.what.in_(whats), C.kind == "review", *where)
        .order_by(E.id)
    )
    if shop is not None:
        found = found.where(C.shop_id == shop)
    return [(n, name or f"case {n}", at, after) for n, name, at, after in session.execute(found)]
