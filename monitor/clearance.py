"""Whether negative feedback was dealt with on the day it came (日清率), and whether those contacted wrote again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, exists, func, or_
from sqlalchemy import select as columns
from sqlmodel import Session

from monitor.bulk import table
from monitor.models import Case, Event, Feedback, Score

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
    false_alarm = C.state == "false_alarm"
    dealt = or_(C.answered_at < end, C.resolved_at < end, and_(false_alarm, _judged_false(end)))
    found = (
        columns(func.coalesce(func.sum(case((dealt, 1), else_=0)), 0), func.count())
        .select_from(_JUDGED)
        .where(F.happened_at >= start, F.happened_at < end, or_(S.negative, false_alarm))
    )
    if shop is not None:
        found = found.where(F.shop_id == shop)
    done, of = session.execute(found).one()
    return Share(done, of)


def _judged_false(end: datetime) -> ColumnElement[bool]:
    mine = (E.subject == "case", E.subject_id == C.id, E.what == "false_alarm", E.at < end)
    return exists().where(*mine).correlate(table(Case))


def followed_up(session: Session, since: datetime, until: datetime, shop: str | None = None) -> Share:
    """Authors of bad reviews who were contacted in a span, and how many of them then added a follow-up review (追评).

    An author without a name of his own counts once a case.
    """
    contacts = _first(session, _CONTACT, (E.at >= since, E.at < until), shop)
    wrote: dict[str, datetime] = {}
    for author, at, after in _events(session, _WROTE_AGAIN, (E.at >= since,), shop):
        if after.get("change") == "followup":
            wrote[author] = max(at, wrote.get(author, at))
    done = sum(author in wrote and wrote[author] > at for author, at in contacts.items())
    return Share(done, len(contacts))


def _first(
    session: Session, whats: Sequence[str], where: Sequence[ColumnElement[bool]], shop: str | None
) -> dict[str, datetime]:
    first: dict[str, datetime] = {}
    for author, at, _ in _events(session, whats, where, shop):
        first.setdefault(author, at)
    return first


def _events(
    session: Session, whats: Sequence[str], where: Sequence[ColumnElement[bool]], shop: str | None
) -> list[tuple[str, datetime, dict[str, object]]]:
    """Author, time and facts of such events of cases about reviews, in their order."""
    author = columns(func.min(F.author_hash)).where(F.case_id == C.id).scalar_subquery()
    found = (
        columns(C.id, author, E.at, E.after)
        .select_from(table(Event).join(table(Case), C.id == E.subject_id))
        .where(E.subject == "case", E.what.in_(whats), C.kind == "review", *where)
        .order_by(E.id)
    )
    if shop is not None:
        found = found.where(C.shop_id == shop)
    return [(name or f"case {case_id}", at, after) for case_id, name, at, after in session.execute(found)]
