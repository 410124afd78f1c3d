"""What is built and looked through beside the work: on PostgreSQL nobody who writes waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import op
from sqlalchemy import text

_TIMEOUTS = ("statement_timeout", "lock_timeout")
_INVALID = text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")


def create_index(name: str, table: str, columns: list[str], **options: Any) -> None:
    """Add an index to a table that may be large; at the top of a migration, since what stands before it is committed.

    A process that is killed meanwhile leaves an index that does not count: the next one drops it and begins anew.

    Args:
        name: The index.
        table: Its table.
        columns: Its columns.
        options: As for ``op.create_index``.
    """
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, columns, **options)
        return
    with _unhurried():
        if op.get_bind().execute(_INVALID, {"name": f'"{name}"'}).first():
            op.execute(f'DROP INDEX CONCURRENTLY "{name}"')
        op.create_index(name, table, columns, if_not_exists=True, postgresql_concurrently=True, **options)


def check(name: str, table: str, condition: str) -> None:
    """Have PostgreSQL know what all rows of a large table fulfil, and new ones have to; before the rest, as above.

    Args:
        name: The constraint; one that is there already, of a process that was killed, is made anew.
        table: Its table.
        condition: In SQL.
    """
    change = f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '2s'; ALTER TABLE {table}"
    with op.get_context().autocommit_block():  # of several statements in one, each whole one is a transaction
        op.execute(f"{change} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
        op.execute(f"{change} VALIDATE CONSTRAINT {name}")  # looks at every row, and nobody waits for it


def by_ranges(table: str, key: str, rows: int, statement: str) -> None:
    """Change a large table of PostgreSQL's range by range, each a transaction; before the rest, as above.

    A process that is killed meanwhile leaves some ranges done: the statement has to leave those alone.

    Args:
        table: The table.
        key: Its numeric key.
        rows: How many keys a range has.
        statement: In SQL, with a place for the first and one for the last key.
    """
    bounds = op.get_bind().exec_driver_sql(f'SELECT min("{key}"), max("{key}") FROM "{table}"').one()  # noqa: S608
    if bounds[0] is None:
        return
    with _unhurried():
        for first in range(bounds[0], bounds[1] + 1, rows):
            op.execute(statement.format(first, first + rows - 1))


@contextmanager
def _unhurried() -> Iterator[None]:
    """Statements that are a transaction each, and wait for who is at work, as nobody does for them."""
    with op.get_context().autocommit_block():
        try:
            for setting in _TIMEOUTS:
                op.execute(f"SET {setting} = 0")
            yield
        finally:  # others get the connection next
            for setting in _TIMEOUTS:
                op.execute(f"RESET {setting}")
