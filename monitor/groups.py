"""Feedbacks that may have one cause, and what the store knows of them: who belongs, how many came, what is usual."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, cast, extract
from sqlmodel import Session, col, func, select

from monitor.bursts import HISTORY, SPAN, Norm, norm, span_of
from monitor.core import Core
from monitor.fresh import Fresh
from monitor.models import Crisis, CrisisFeedback, Feedback, Score

_GROWN = 1.25  # times as many feedbacks before a past is counted again
_PASTS = 10_000  # counted pasts that are kept


@dataclass(frozen=True, slots=True)
class Group:
    """Feedbacks that may have one cause: of one shop, and one category or product."""

    shop_id: str | None
    category: str = ""
    product: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A negative feedback that no crisis has yet."""

    feedback_id: int
    severity: str | None
    happened_at: datetime


def of(item: Fresh) -> list[Group]:
    """The groups that a complaint belongs to: its shop's, those of its categories, its product's."""
    return named(item.shop_id, item.categories, item.product)


def named(shop_id: str | None, categories: Iterable[str], product: str) -> list[Group]:
    """The same by what it says."""
    mine = [Group(shop_id), *(Group(shop_id, code) for code in categories)]
    return [*mine, Group(shop_id, product=product)] if product else mine


def free(session: Session, group: Group, start: datetime, end: datetime) -> list[Member]:
    """The group's negatives after ``start`` and up to ``end`` that no crisis has yet, by id."""
    statement = (
        select(Feedback.id, Score.severity, Feedback.happened_at)
        .join(Score)
        .where(*_complaints(group, start, end), unclaimed())
        .order_by(col(Feedback.id))
    )
    return [Member(n, severity, at) for n, severity, at in session.exec(statement) if n is not None]


def unclaimed() -> Any:
    """The condition that no crisis has the feedback."""
    return ~select(CrisisFeedback.feedback_id).where(CrisisFeedback.feedback_id == Feedback.id).exists()


def totals(session: Session, group: Group, starts: Sequence[datetime], end: datetime) -> list[int]:
    """How many feedbacks of the group's shop came after each of ``starts`` and up to ``end``."""
    within: Any = [func.count().filter(col(Feedback.happened_at) > start) for start in starts]
    return list(session.execute(select(*within).where(*_feedbacks(group, min(starts), end))).one())


def taken(session: Session, crisis: Crisis, starts: Sequence[datetime], end: datetime) -> list[int]:
    """How many of a crisis's feedbacks came after each of ``starts`` and up to ``end``."""
    within: Any = [func.count().filter(col(Feedback.happened_at) > start) for start in starts]
    mine = (
        select(*within).join(CrisisFeedback).where(CrisisFeedback.crisis_id == crisis.id, Feedback.happened_at <= end)
    )
    return list(session.execute(mine).one())


def usual(core: Core, session: Session, group: Group, start: datetime) -> Norm:
    """What is usual for the group at a time, by the four weeks before."""
    here = span_of(start)
    until = datetime.fromtimestamp(here * SPAN, start.tzinfo)
    before = (until - HISTORY, until)
    complaints = _past(core, session, (group, here), *_complaints(group, *before))
    feedbacks = _past(core, session, (group.shop_id, here), *_feedbacks(group, *before))
    return norm(complaints, feedbacks, start, core.settings.zone, _broken_out(session, group, until))


def _broken_out(session: Session, group: Group, until: datetime) -> set[int]:
    """Spans in which a crisis of the shop broke out; a false alarm was usual."""
    opened = select(Crisis.opened_at).where(
        _shop(Crisis.shop_id, group), Crisis.opened_at > until - HISTORY, Crisis.state != "false_alarm"
    )
    return {span_of(at) + step for at in session.exec(opened) for step in (-1, 0, 1)}


def _past(core: Core, session: Session, key: Any, *where: Any) -> Mapping[int, int]:
    """How many by span, counted anew only when the store has grown by a quarter.

    Else a large import would count its own past for every batch.
    """
    newest = session.exec(select(func.max(Feedback.id))).one() or 0
    known = core.pasts.get(key)
    if known is None or newest > known[0] * _GROWN:
        if len(core.pasts) >= _PASTS:
            core.pasts.clear()
        span = part(SPAN)
        counted = select(span, func.count()).select_from(Feedback).join(Score).where(*where).group_by(span)
        known = core.pasts[key] = newest, {int(n): count for n, count in session.execute(counted)}
    return known[1]


def _shop(column: Any, group: Group) -> Any:
    return column == group.shop_id if group.shop_id is not None else column.is_(None)


def timely(start: datetime, end: datetime) -> tuple[Any, ...]:
    """The conditions that a feedback is timely and happened after ``start`` and up to ``end``."""
    return (col(Feedback.timely), *_within(Feedback.happened_at, start, end))


def timely_complaint(start: datetime, end: datetime) -> tuple[Any, ...]:
    """The same of a complaint."""
    by_index = _within(Score.happened_at, start, end)  # which holds complaints alone
    return (*timely(start, end), col(Score.negative), *by_index)


def part(seconds: int) -> Any:
    """In which part of time a feedback happened: parts last so many seconds and are counted from 1970."""
    return cast(extract("epoch", col(Feedback.happened_at)), BigInteger) // seconds


def _within(at: Any, start: datetime, end: datetime) -> tuple[Any, Any]:
    return at > start, at <= end


def _feedbacks(group: Group, start: datetime, end: datetime) -> tuple[Any, ...]:
    return (_shop(Feedback.shop_id, group), *timely(start, end))


def _complaints(group: Group, start: datetime, end: datetime) -> tuple[Any, ...]:
    where = [_shop(Feedback.shop_id, group), *timely_complaint(start, end)]
    if group.category:  # codes are fixed words, so the JSON list can be searched as text on every database
        where.append(cast(col(Score.categories), String).contains(f'"{group.category}"'))
    if group.product:
        where.append(Feedback.product == group.product)
    return tuple(where)


def commonest(codes: Iterable[str]) -> str:
    """The most frequent of several codes, the earlier one of two."""
    return next((code for code, _ in Counter(codes).most_common(1)), "")
