"""The audit by months: on PostgreSQL each is a part of ``event`` of its own, made ahead, and taken away whole.

What has no month yet goes to ``event_default``, so that nothing is ever refused, and from there to its month as soon as
that is made; what is older than months are is in ``event_before``. Months are UTC's. SQLite keeps one table, and
nothing here does anything to it.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from monitor import db, known

_DEFAULT = "event_default"
_AHEAD = 3  # months after this one
_MOVED = 100_000  # events: nobody reads the audit while they are moved
_LOCK = 0x70_73_65_76  # any number, the same in every process
_NOT_EMPTIED, _KEPT = "event_is_not_emptied", "event_is_kept"  # a part has a trigger of its own against TRUNCATE
_HERE = "at >= :start AND at < :until"
_ASTRAY = text(f"SELECT count(*) FROM {_DEFAULT} WHERE {_HERE}")  # noqa: S608 — a constant
RETIRE = "events.retire"
"""The row of `known` that lets events go which are older than its time, see migration 0005."""
_MOMENT = text("SET LOCAL lock_timeout = '2s'")  # who waits for the table keeps everybody behind waiting
_PARTS = text(
    """SELECT relname AS name, substring(span FROM 'FROM \\(''([^'']+)''\\)')::timestamptz AS start,
    substring(span FROM 'TO \\(''([^'']+)''\\)')::timestamptz AS until
    FROM (SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS span FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'event'::regclass) parts ORDER BY until NULLS LAST"""
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the audit.

    Attributes:
        name: Its table.
        start: Its first moment; None for what has no beginning.
        until: Its end, which is no longer in it; None for the part without bounds.
    """

    name: str
    start: datetime | None
    until: datetime | None

    def covers(self, month: datetime) -> bool:
        """Whether a month that begins then is in it."""
        return self.until is not None and (self.start is None or self.start <= month) and month < self.until


def first(at: datetime, later: int = 0) -> datetime:
    """The moment at which the month of a time begins, or a later one."""
    year, month = divmod(at.astimezone(UTC).year * 12 + at.astimezone(UTC).month - 1 + later, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def parts(connection: Connection) -> list[Part]:
    """What the audit consists of, the oldest first and the one without bounds last; nothing on SQLite."""
    if connection.dialect.name != "postgresql":
        return []
    return [Part(row.name, row.start, row.until) for row in connection.execute(_PARTS)]


def ahead(engine: Engine, now: datetime) -> list[str]:
    """Make the months that are missing from now on; gives their names.

    A month stays unmade while the table is in use for longer than a moment, or while more of its events are in the
    default part than can be moved in one.
    """
    if engine.dialect.name != "postgresql":
        return []
    with engine.connect() as connection:
        if not list(_missing(connection, now)):
            return []
    with suppress(OperationalError), db.writing(engine) as session:
        db.alone(session, _LOCK, "months")
        session.execute(_MOMENT)
        return [name for start in _missing(session.connection(), now) if (name := _make(session, start))]
    return []


def standing(connection: Connection) -> tuple[datetime, int] | None:
    """Until when there are months, and how many events have none; None on SQLite."""
    ends = [part.until for part in parts(connection) if part.until is not None]
    astray = connection.execute(text(f"SELECT count(*) FROM {_DEFAULT}")).scalar_one() if ends else 0  # noqa: S608 — ours
    return (max(ends), astray) if ends else None


def drop(session: Session, before: datetime) -> int:
    """Take away the months that ended by a time; gives how many events were in them.

    None goes while the table is in use for longer than a moment.
    """
    count = 0
    with suppress(OperationalError), session.begin_nested():
        for part in parts(session.connection()):
            if part.until is not None and part.until <= before:
                session.execute(_MOMENT)
                count += session.execute(text(f'SELECT count(*) FROM "{part.name}"')).scalar_one()  # noqa: S608 — ours
                session.execute(text(f'DROP TABLE "{part.name}"'))
        return count
    return 0


def _missing(connection: Connection, now: datetime) -> Iterator[datetime]:
    there = parts(connection)
    for month in (first(now, later) for later in range(_AHEAD + 1)):
        if not any(part.covers(month) for part in there):
            yield month


def _make(session: Session, start: datetime) -> str:
    name, span = f"event_{start:%Y_%m}", {"start": start, "until": first(start, 1)}
    # who writes waits at the door: one who had been let in would be refused at the default part, where his month was
    session.execute(text("LOCK TABLE event IN SHARE ROW EXCLUSIVE MODE"))
    astray = session.execute(_ASTRAY, span).scalar_one()
    if astray > _MOVED:
        return ""
    for statement in (
        f"CREATE TABLE {name} (LIKE event INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id))",
        f"CREATE TRIGGER {_NOT_EMPTIED} BEFORE TRUNCATE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION {_KEPT}()",
    ):
        session.execute(text(statement))
    if astray:
        _fetch(session, name, span)
    bounds = f"FROM ('{span['start']}') TO ('{span['until']}')"
    session.execute(text(f"ALTER TABLE event ATTACH PARTITION {name} FOR VALUES {bounds}"))
    return name


def _fetch(session: Session, name: str, span: dict[str, datetime]) -> None:
    """Move a month's events out of the default part; the door for it opens and closes within the transaction."""
    session.execute(text(f"LOCK TABLE {_DEFAULT} IN ACCESS EXCLUSIVE MODE"))
    door = known.hold(session, RETIRE, span["until"])
    door.at = span["until"]
    session.add(door)
    session.flush()
    session.execute(text(f"INSERT INTO {name} SELECT * FROM {_DEFAULT} WHERE {_HERE}"), span)  # noqa: S608 — ours
    session.execute(text(f"DELETE FROM {_DEFAULT} WHERE {_HERE}"), span)  # noqa: S608 — same
    session.delete(door)
    session.flush()
