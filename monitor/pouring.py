"""A SQLite store's rows into PostgreSQL's tables, in the caller's one transaction, and every table compared."""

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, Connection, Integer, text
from sqlmodel import SQLModel

from monitor import months, rows
from monitor.errors import WrongCall
from monitor.limits import LONG
from monitor.rows import Columns, Sum

_REFERENCES = text(
    """SELECT conrelid::regclass::text AS at, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS says
    FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = current_schema()::regnamespace"""
)


def pour(source: sqlite3.Connection, store: Connection, passed: Callable[[int], None] = lambda _: None) -> Columns:
    """Make the tables hold what a SQLite store of the same version holds, and nothing else.

    Nobody sees anything of it before the transaction ends. References are looked at once all rows are there.

    Args:
        source: The SQLite store.
        store: A transaction on PostgreSQL, whose schema is there.
        passed: Told now and then how many rows went by; each does twice: there, and when it is read again.

    Returns:
        The tables and their columns.

    Raises:
        WrongCall: what PostgreSQL holds then is not what was given.
    """
    tables = [table.name for table in SQLModel.metadata.sorted_tables]
    found = rows.columns(source)
    for setting in ("TIME ZONE 'UTC'", *(f"{name} = 0" for name in LONG)):
        store.execute(text(f"SET LOCAL {setting}"))
    watched = [*tables, *(part.name for part in months.parts(store))]
    _for_each(store, watched, 'ALTER TABLE "{}" DISABLE TRIGGER USER')
    every = ", ".join(f'"{name}"' for name in (*tables, "feedback_search"))
    store.execute(text(f"TRUNCATE {every} RESTART IDENTITY"))
    references = store.execute(_REFERENCES).all()
    for one in references:
        store.execute(text(f"ALTER TABLE {one.at} DROP CONSTRAINT {one.name}"))
    sums = {name: _copied(source, store, name, found[name], passed) for name in tables}
    for name in tables:
        if Sum.of(rows.counted(rows.read_postgresql(store, name, found[name]), passed)) != sums[name]:
            raise WrongCall(f"写进去的表 {name} 读出来和原来不一样")
    for one in references:
        store.execute(text(f"ALTER TABLE {one.at} ADD CONSTRAINT {one.name} {one.says}"))
    _count_on(store, tables)
    _for_each(store, watched, 'ALTER TABLE "{}" ENABLE TRIGGER USER')
    return found


def _copied(source: sqlite3.Connection, store: Connection, name: str, names: Any, passed: Callable[[int], None]) -> Sum:
    """Copy a table; gives the sum of what PostgreSQL has to hold then."""
    kinds = SQLModel.metadata.tables[name].columns
    json_at = [place for place, column in enumerate(names) if isinstance(kinds[column].type, JSON)]
    total = Sum()
    given = rows.normal(json_at, rows.read_sqlite(source, name, names))
    rows.write_postgresql(store, name, names, total.passing(rows.counted(given, passed)))
    return total


def _for_each(store: Connection, tables: list[str], statement: str) -> None:
    for name in tables:
        store.execute(text(statement.format(name)))


def _count_on(store: Connection, tables: list[str]) -> None:
    """Have PostgreSQL number new rows after those that are there."""
    for name in tables:
        number = SQLModel.metadata.tables[name].columns.get("id")
        if number is not None and isinstance(number.type, Integer):
            place = f"pg_get_serial_sequence('\"{name}\"', 'id')"
            store.execute(text(f'SELECT setval({place}, max(id)) FROM "{name}"'))  # noqa: S608 — our names
