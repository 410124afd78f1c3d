"""Many rows at once through SQLAlchemy's Core: several times faster than the ORM's bulk methods."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, bindparam, insert, update
from sqlmodel import Session, SQLModel


def table(model: type[SQLModel]) -> Table:
    """The model's table."""
    found: Table = model.__table__  # type: ignore[attr-defined]
    return found


def insert_rows(session: Session, model: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; each dict names every column without a default of the database's own."""
    if rows:
        session.execute(insert(table(model)), list(rows))


def update_column(session: Session, model: type[SQLModel], column: str, values: dict[int, Any]) -> None:
    """Set one column by row id; rows held by the session are not refreshed."""
    if values:
        target = table(model)
        statement = update(target).where(target.c.id == bindparam("row_id")).values({column: bindparam("new_value")})
        session.execute(statement, [{"row_id": n, "new_value": value} for n, value in values.items()])
