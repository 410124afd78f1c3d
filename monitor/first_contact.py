"""Cases settled in a span, and which of them took one contact only (一次解决率); conditions on columns of ``case``.

Everything is judged as it stood at the span's end, so that a span's figure stays what it was: a buyer who comes back
later is counted when his case is settled again.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select

from monitor.bulk import table
from monitor.models import Case, Event

EARLIER = timedelta(days=28)
"""Whoever complained of the same before a span, and had it settled since then, has come back."""
_REOPENED = ("reopen", "reopened")
_WROTE = ("feedback.added", "feedback.changed", "feedback.followup")
_NOT_BEGUN = ("received", "assigned")

_CASE = table(Case)
C = _CASE.c


def settled(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Cases that were resolved in a span and still were at its end; an old backlog and false alarms are none."""
    done, undone = _events("done"), _events("undone")
    again = exists().where(
        _of(undone, done.c.subject_id), undone.c.what.in_(_REOPENED), undone.c.at < end, undone.c.id > done.c.id
    )
    ids = select(done.c.subject_id).where(
        done.c.subject == "case", done.c.what == "resolved", done.c.at >= start, done.c.at < end, ~again
    )
    return and_(C.id.in_(ids), ~C.backlog, C.state != "false_alarm")


def once(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Of the settled cases of a span: nothing followed the first contact, and the buyer had not been here before.

    The first contact is 已联系, 已回复, the shop's public reply or, where there was none of them, 已解决. What must not
    follow: that the case was opened again, that the buyer wrote again and was not content, that a case which had gone
    back to its beginning was answered once more.
    """
    first, then = _events("first"), _events("then")
    began = or_(first.c.what == "resolved", _contact(first))
    begun = select(func.min(first.c.id)).where(_of(first, C.id), began).correlate(_CASE)
    wrote = and_(then.c.what.in_(_WROTE), then.c.after["negative"].as_boolean())
    more = and_(_contact(then), then.c.before["state"].as_string().in_(_NOT_BEGUN))
    followed = exists().where(
        _of(then, C.id),
        then.c.at < end,
        then.c.id > begun.scalar_subquery(),
        or_(then.c.what.in_(_REOPENED), wrote, more),
    )
    return and_(not_(followed.correlate(_CASE)), not_(_been_here(start)))


def _been_here(start: datetime) -> ColumnElement[bool]:
    """Whether a case of the same buyer and order, or product, had been settled before this one was opened."""
    old, done = _CASE.alias("old"), _events("old_done")
    was_settled = exists().where(_of(done, old.c.id), done.c.what == "resolved", done.c.at <= C.opened_at)
    same = and_(old.c.join_key == C.join_key, C.join_key != "", old.c.id < C.id)
    mine = exists().where(same, old.c.opened_at >= start - EARLIER, was_settled.correlate(_CASE, old))
    return mine.correlate(_CASE)


def _events(name: str) -> Any:
    return table(Event).alias(name)


def _of(events: Any, case_id: ColumnElement[int]) -> ColumnElement[bool]:
    return and_(events.c.subject == "case", events.c.subject_id == case_id)


def _contact(events: Any) -> ColumnElement[bool]:
    """Somebody spoke to the buyer; a public answer that the case was opened with, or that changed nothing, is none."""
    answered = events.c.after["state"].as_string() == "answered"
    seen = and_(events.c.what.in_(("opened", "feedback.replied")), answered)
    unlike = or_(events.c.what == "opened", events.c.before["state"].as_string().in_((*_NOT_BEGUN, "contacted")))
    return or_(events.c.what.in_(("contacted", "answered")), and_(seen, unlike))
