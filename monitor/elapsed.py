"""How long something took, which SQLite and PostgreSQL say differently."""

from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, func
from sqlmodel import Session


def seconds(session: Session, start: ColumnElement[datetime], end: ColumnElement[datetime]) -> ColumnElement[float]:
    """How many seconds lie between two moments."""
    if session.get_bind().dialect.name == "sqlite":
        return (func.julianday(end) - func.julianday(start)) * 86400.0
    return cast("ColumnElement[float]", func.extract("epoch", end - start))
