"""What the house remembers about itself, by name."""

from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from monitor.models import Known


def hold(session: Session, name: str, at: datetime) -> Known:
    """The row of that name, kept from every other writer until the transaction ends.

    Its ``value`` is empty where nothing was remembered yet; ``at`` is then the time given.
    """
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(Known).on_conflict_do_nothing(), {"name": name, "value": {}, "at": at})
    again = {"populate_existing": True}  # what this session read before the row was held may be old
    return session.exec(select(Known).where(Known.name == name).with_for_update(), execution_options=again).one()
