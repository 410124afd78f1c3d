"""What a case was, and what was thought of its feedbacks, at an earlier moment; expressions for queries that join them.

Whoever changes a case's state or holder leaves an event that says what it was before, and staff's corrections keep the
score that they were put over: so the value at a moment is what the first of them afterwards found. Only cases that were
touched since are looked up, by ``updated_at``. A verdict on words that were changed, or judged anew by another model,
leaves no such trace: there the present one stands for the earlier.
"""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Integer, String, Table, case, cast, exists, false, func, not_, null, or_, select

from monitor.bulk import table
from monitor.models import Case, Correction, Crisis, Event, Score

_REOPENED = ("reopen", "reopened")

_CASE, _SCORE = table(Case), table(Score)
C, S = _CASE.c, _SCORE.c


def value_at(
    name: Literal["state", "assignee_id"], moment: datetime, of: type[Case | Crisis] = Case
) -> ColumnElement[Any]:
    """A column of ``case``, or of ``crisis``, as it was at a moment; null where the row was opened later."""
    mine, event = table(of), table(Event).alias("later")
    told: Any = event.c.before[name]
    said = told.as_integer() if isinstance(mine.c[name].type, Integer) else told.as_string()
    names = cast(event.c.before, String).contains(f'"{name}":')  # a null that is told is not one that is missing
    later = (event.c.subject == mine.name, event.c.subject_id == mine.c.id, event.c.at > moment, names)
    first = select(said).where(*later).order_by(event.c.id).limit(1)
    return case(
        (_untouched(mine, moment), mine.c[name]),
        (mine.c.opened_at > moment, null()),
        (exists().where(*later).correlate(mine), first.correlate(mine).scalar_subquery()),
        else_=mine.c[name],
    )


def reached_at(state: Literal["answered", "resolved"], moment: datetime) -> ColumnElement[Any]:
    """``answered_at`` or ``resolved_at`` of ``case`` as it was at a moment: opening a case again empties both."""
    event, undone = table(Event).alias("reached"), table(Event).alias("undone")
    again = exists().where(
        undone.c.subject == "case",
        undone.c.subject_id == event.c.subject_id,
        undone.c.what.in_(_REOPENED),
        undone.c.id > event.c.id,
        undone.c.at <= moment,
    )
    last = select(func.max(event.c.at)).where(
        event.c.subject == "case",
        event.c.subject_id == C.id,
        event.c.at.between(C.opened_at, moment),
        event.c.after["state"].as_string() == state,
        func.coalesce(event.c.before["state"].as_string(), "") != state,
        not_(again.correlate(event)),
    )
    return case((_untouched(_CASE, moment), C[f"{state}_at"]), else_=last.correlate(_CASE).scalar_subquery())


def verdict_at(name: Literal["negative", "categories"], moment: datetime) -> ColumnElement[Any]:
    """A column of ``score`` as it was at a moment, categories as text; joins ``case``, too.

    What opened a case later was no complaint then.
    """
    said, old = table(Correction).alias("said"), table(Correction).alias("said_of_old")
    renewed = exists().where(  # since something else than the words changed
        old.c.feedback_id == said.c.feedback_id,
        old.c.id < said.c.id,
        old.c.at <= moment,
        old.c.actor == said.c.actor,
        *(cast(old.c[part], String) == cast(said.c[part], String) for part in ("before", "after")),
    )
    later = (said.c.feedback_id == S.feedback_id, said.c.at > moment, not_(renewed.correlate(said)))
    told: Any = said.c.before[name]
    listed = name == "categories"
    first = select(cast(told, String) if listed else told.as_boolean()).where(*later).order_by(said.c.id).limit(1)
    now = cast(S[name], String) if listed else S[name]
    return case(
        (_untouched(_CASE, moment), now),
        (C.opened_at > moment, null() if listed else false()),
        (exists().where(*later).correlate(_SCORE), first.correlate(_SCORE).scalar_subquery()),
        else_=now,
    )


def _untouched(mine: Table, moment: datetime) -> ColumnElement[bool]:
    """Whether there is no row, or none that was touched since: nothing is looked up."""
    return or_(mine.c.id.is_(None), mine.c.updated_at <= moment)
