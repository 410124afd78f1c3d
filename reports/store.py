"""The store's tables as columns, the conditions figures share, and what SQLite and PostgreSQL say differently."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, Table, and_, case, func, literal
from sqlalchemy import cast as sql_cast
from sqlmodel import Session, SQLModel

from monitor import counted, models
from monitor.states import CASE_OPEN


def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


feedback, score, cases = _table(models.Feedback), _table(models.Score), _table(models.Case)
crisis, timer, person = (_table(model) for model in (models.Crisis, models.Timer, models.Person))
run, event, crisis_feedback = (_table(model) for model in (models.Run, models.Event, models.CrisisFeedback))
F, S, C = feedback.c, score.c, cases.c

judged = feedback.outerjoin(score, S.feedback_id == F.id).outerjoin(cases, C.id == F.case_id)
"""Feedbacks with their score and case, where they have one."""
suspected, negative = counted.suspected(), counted.negative()
settled = C.state.in_(("resolved", "closed"))
still_open = C.state.in_(CASE_OPEN)


def within(column: ColumnElement[datetime], start: datetime, end: datetime) -> ColumnElement[bool]:
    """``start <= column < end``."""
    return and_(column >= start, column < end)


def tally(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows meet the condition; 0 where there are none."""
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def step(column: ColumnElement[Any], edges: Sequence[date], values: Sequence[Any]) -> ColumnElement[Any]:
    """``values[i]`` where ``edges[i] <= column < edges[i + 1]``, the ends unchecked; log2 comparisons."""
    if len(values) == 1:
        value = values[0]
        return literal(value, column.type if isinstance(value, datetime) else None)
    half = len(values) // 2
    low = step(column, edges[: half + 1], values[:half])
    return case((column < edges[half], low), else_=step(column, edges[half:], values[half:]))


def each(session: Session, column: ColumnElement[Any]) -> FromClause:
    """The members of a JSON list as rows of one column, ``value``."""
    unpack = func.json_each if _is_sqlite(session) else func.json_array_elements_text
    return unpack(column).table_valued("value", joins_implicitly=True)


def hour(session: Session, column: ColumnElement[datetime]) -> ColumnElement[str]:
    """The hour of a moment as ``YYYY-MM-DD HH``, UTC."""
    if _is_sqlite(session):
        return func.substr(sql_cast(column, String), 1, len("YYYY-MM-DD HH"))
    return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24")


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
