"""Rows of a store in the one form in which SQLite files hold them, and sums by which two copies are compared.

A moment is ``2026-11-20 06:00:00.000000`` in UTC, a truth 0 or 1, JSON is text. Sums do not depend on the rows' order.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, text

from monitor import refusals

_CHUNK = 2000
_BYTES = 16
_DERIVED = ("sqlite_", "feedback_search", "alembic_version", "pingshao_backup")

Columns = Mapping[str, Sequence[str]]  # of each table, in the order of their names
Row = Sequence[Any]


@dataclass
class Sum:
    """What tells one table's rows from any others'.

    Attributes:
        count: How many.
        total: The sum of their digests.
    """

    count: int = 0
    total: int = 0

    def passing(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, each added to the sum as it goes by."""
        for row in rows:
            digest = blake2b(json.dumps(row).encode(), digest_size=_BYTES).digest()
            self.total = (self.total + int.from_bytes(digest)) % 2 ** (8 * _BYTES)
            self.count += 1
            yield row

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Sum":
        """The sum of rows that nobody else wants."""
        own = cls()
        for _ in own.passing(rows):
            pass
        return own


def counted(given: Iterable[Row], passed: Callable[[int], None]) -> Iterator[Row]:
    """The rows, and a word now and then about how many went by."""
    number = 0
    for number, row in enumerate(given, 1):
        if number % _CHUNK == 0:
            passed(_CHUNK)
        yield row
    passed(number % _CHUNK)


def columns(file: sqlite3.Connection) -> Columns:
    """The tables of a SQLite store and their columns, without what is made from others: the search index."""
    plain = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    names = [name for (name,) in file.execute(plain) if not name.startswith(_DERIVED)]
    return {name: sorted(row[1] for row in file.execute(f"PRAGMA table_info({_quoted(name)})")) for name in names}


def read_sqlite(file: sqlite3.Connection, table: str, names: Sequence[str]) -> Iterator[Row]:
    """A table's rows as they are."""
    return iter(file.execute(_select(table, names)))


def read_postgresql(connection: Connection, table: str, names: Sequence[str]) -> Iterator[Row]:
    """A table's rows in the form of SQLite files; some thousands are in memory at a time."""
    for row in connection.execute(text(_select(table, names)), execution_options={"yield_per": _CHUNK}):
        yield tuple(_told(value) for value in row)


def normal(json_at: Sequence[int], rows: Iterable[Row]) -> Iterator[Row]:
    """Rows of a SQLite file with JSON written the one way in which PostgreSQL's comes back."""
    for row in rows:
        cells = list(row)
        for place in json_at:
            if cells[place] is not None:
                cells[place] = json.dumps(json.loads(cells[place]))
        yield cells


def write_sqlite(file: sqlite3.Connection, table: str, names: Sequence[str], rows: Iterable[Row]) -> None:
    """Make a table hold these rows and no others; triggers are the caller's matter."""
    marks = ", ".join("?" * len(names))
    file.execute(f"DELETE FROM {_quoted(table)}")  # noqa: S608 — a name that is quoted
    file.executemany(f"INSERT INTO {_quoted(table)} ({_listed(names)}) VALUES ({marks})", rows)  # noqa: S608 — same


def write_postgresql(connection: Connection, table: str, names: Sequence[str], rows: Iterable[Row]) -> None:
    """Add rows in the form of SQLite files; the session's zone has to be UTC."""
    driver: Any = connection.connection.driver_connection
    with refusals.unworded(), driver.cursor().copy(f"COPY {_quoted(table)} ({_listed(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _told(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, dict | list) else value


def _select(table: str, names: Sequence[str]) -> str:
    return f"SELECT {_listed(names)} FROM {_quoted(table)}"  # noqa: S608 — names that are quoted


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
