"""Watches what is sent to a database, and asks the database how it does it: which statements look at whole tables."""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, text

LARGE = ("feedback", "score", "event", "outbox", "timer", "case", "feedback_version", "crisis_feedback")
"""Tables that grow with every day."""
_SCALE = 100  # so many times larger PostgreSQL believes them to be; not so what is in a crisis
_SMALL = (
    "feedback_mentions",
    "timer_due",
)  # indexes of a small part of a table: to read them whole is what they are for
_EXPLAINED = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")
_PART = re.compile(r"event_(before|\d+_\d+)")
_SCAN = re.compile(r'SCAN "?([a-z_]+?)(_\d+)?"?( USING .*)?')
_LARGER = text(
    """SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', relname::text, 'relpages', relpages,
    'reltuples', (reltuples * :scale)::real) FROM pg_class
    WHERE oid = to_regclass(:name) OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(:name))
    AND reltuples > 0"""
)


def believe_large(engine: Engine) -> None:
    """Have PostgreSQL plan as for a hundred times the rows: a small table is rightly read whole, a large one is not.

    What it knows of the values stays what it has seen of them; the planner's own settings are not touched.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
        for name in LARGE[:-1]:
            connection.execute(_LARGER, {"name": f'"{name}"', "scale": _SCALE})


class Watch:
    """What was sent, each statement once, and which large tables it looks at from end to end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.scans: dict[str, list[str]] = {}

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """From now to the end."""
        event.listen(self._engine, "before_cursor_execute", self._note)
        try:
            yield self
        finally:
            event.remove(self._engine, "before_cursor_execute", self._note)

    @property
    def found(self) -> list[str]:
        """A line for each statement with a scan."""
        return [f"{', '.join(scans)} — {statement}" for statement, scans in self.scans.items() if scans]

    def _note(self, connection: Connection, _cursor: Any, sent: str, arguments: Any, *_: Any) -> None:
        statement = " ".join(sent.split())
        if statement in self.scans or not statement.lstrip("( ").upper().startswith(_EXPLAINED):
            return
        first = arguments[0] if isinstance(arguments, list) else arguments  # of many at once
        explain = _of_sqlite if connection.dialect.name == "sqlite" else _of_postgresql
        with closing(connection.connection.driver_connection.cursor()) as cursor:  # type: ignore[union-attr]
            self.scans[statement] = sorted(set(explain(cursor, sent, first)))


def _of_postgresql(cursor: Any, statement: str, arguments: Any) -> Iterator[str]:
    cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", arguments)
    told = cursor.fetchone()[0]
    yield from _walk((told if isinstance(told, list) else json.loads(told))[0]["Plan"], ends_early=False)


def _walk(plan: dict[str, Any], *, ends_early: bool) -> Iterator[str]:
    """A whole table, or a whole index where no limit ends it early."""
    kind = plan["Node Type"]
    table = _PART.sub("event", plan.get("Relation Name", ""))
    whole = kind == "Seq Scan" or (kind.startswith("Index") and "Index Cond" not in plan)
    if table in LARGE and whole and not ends_early and plan.get("Index Name") not in _SMALL:
        yield f"{table}: {kind}"
    ends_early = kind == "Limit" or (ends_early and kind not in ("Sort", "Aggregate", "Hash", "Materialize"))
    for part in plan.get("Plans", ()):
        yield from _walk(part, ends_early=ends_early)


def _of_sqlite(cursor: Any, statement: str, arguments: Any) -> Iterator[str]:
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", arguments)
    steps = [str(step[-1]) for step in cursor.fetchall()]
    if "LIMIT" in statement and not any("USE TEMP B-TREE" in step for step in steps):
        return  # in an order that is there already: it ends early
    if statement.startswith("INSERT") and "SELECT" not in statement:
        return  # the table's reference to itself, which is looked at only while one is broken
    for step in steps:
        found = _SCAN.fullmatch(step)
        if found and found[1] in LARGE:
            yield step
