"""Watches what is sent to a database, and asks the database how it would do it: which statements look at whole tables."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, text

LARGE = ("feedback", "score", "event", "outbox", "timer", "case", "feedback_version", "crisis_feedback")
"""Tables that grow with every day."""
_SCALE = 1000  # so many times larger PostgreSQL believes the tables to be
_EXPLAINED = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")
_FULL = re.compile(r'^SCAN "?(\w+?)(?:_\d+)?"?(?: USING (?:COVERING )?INDEX (\w+))?$')


def believe_large(engine: Engine) -> None:
    """Have PostgreSQL plan as for a thousand times the rows: a small table is rightly read whole, a large one is not.

    What it knows of the values stays what it has seen of them; the planner's own settings are not touched.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
        for name in LARGE:
            parts = "SELECT oid FROM pg_class WHERE relname = :name UNION SELECT inhrelid FROM pg_inherits"
            told = text(
                f"""SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', relname::text, 'relpages',
                relpages, 'reltuples', (reltuples * {_SCALE})::real) FROM pg_class
                WHERE oid IN ({parts} WHERE inhparent = to_regclass(:name)) AND relkind = 'r' AND reltuples > 0"""  # noqa: S608 — ours
            )
            connection.execute(told, {"name": f'"{name}"'.strip('"')})


class Watch:
    """What was sent, each statement once, with the arguments of its first time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.sent: dict[str, Any] = {}

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """From now to the end."""

        def note(_c: Any, _cursor: Any, statement: str, arguments: Any, _context: Any, _many: bool) -> None:
            if statement.lstrip(" (").upper().startswith(_EXPLAINED):
                self.sent.setdefault(statement, arguments[0] if isinstance(arguments, list) else arguments)

        event.listen(self._engine, "before_cursor_execute", note)
        try:
            yield self
        finally:
            event.remove(self._engine, "before_cursor_execute", note)

    def scans(self) -> list[tuple[str, str]]:
        """Which large tables would be looked at from end to end, and by which statement."""
        explain: Callable[[Connection, str, Any], Iterator[str]]
        explain = _of_sqlite if self._engine.dialect.name == "sqlite" else _of_postgresql
        with self._engine.connect() as connection:
            return [
                (table, " ".join(statement.split()))
                for statement, arguments in self.sent.items()
                for table in sorted(set(explain(connection, statement, arguments)))
            ]


def _of_postgresql(connection: Connection, statement: str, arguments: Any) -> Iterator[str]:
    ((told,),) = _asked(connection, f"EXPLAIN (FORMAT JSON) {statement}", arguments)
    yield from _walk(told[0]["Plan"], limited=False)


def _asked(connection: Connection, statement: str, arguments: Any) -> list[Any]:
    """The driver's own answer: the arguments are already as it wants them."""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(statement, arguments)
        return list(cursor.fetchall())


def _walk(plan: dict[str, Any], *, limited: bool) -> Iterator[str]:
    """A scan of a whole table, or of a whole index where nothing ends it early."""
    limited |= plan["Node Type"] == "Limit"
    table = re.sub(r"^event_(before|default|\d+_\d+)$", "event", plan.get("Relation Name", ""))
    if table in LARGE and plan["Plan Rows"] > _SCALE or table in LARGE and plan["Node Type"] == "Seq Scan":
        whole = plan["Node Type"] == "Seq Scan" and plan["Relation Name"] != "event_default"
        through = plan["Node Type"] in ("Index Scan", "Index Only Scan") and "Index Cond" not in plan and not limited
        if whole or through:
            yield f"{table}: {plan['Node Type']}"
    for part in plan.get("Plans", ()):
        yield from _walk(part, limited=limited and plan["Node Type"] not in ("Sort", "Aggregate", "Hash"))


def _of_sqlite(connection: Connection, statement: str, arguments: Any) -> Iterator[str]:
    steps = [str(step[-1]) for step in _asked(connection, f"EXPLAIN QUERY PLAN {statement}", arguments)]
    in_order = "LIMIT" in statement and not any("USE TEMP B-TREE" in step for step in steps)  # ends early
    for step in steps:
        found = _FULL.match(step)
        if found and found[1] in LARGE and not in_order:
            yield f"{found[1]}: {step}"
