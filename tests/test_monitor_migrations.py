"""Every migration on a store with data: rows stay as they are, and who reads or writes meanwhile is not kept waiting.

Rows are made for whatever tables a version has, so that a new migration is tested without a word here.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from asides import fresh_postgresql
from factories import NOW
from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    Date,
    DateTime,
    Engine,
    Float,
    Integer,
    MetaData,
    Table,
    text,
)
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.types import TypeEngine

from monitor import db, rows
from monitor.migrations import beside
from monitor.rows import Sum

ROOT = Path(db.__file__).parent.parent
MANY = 2000  # rows of each table
HANG = 5.0  # seconds: nobody who works meanwhile may have to wait for longer


@pytest.fixture
def postgresql(postgres: str) -> Iterator[Engine]:
    """An empty database, not even with tables."""
    with fresh_postgresql(postgres) as engine:
        yield engine


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The same on each database."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgresql")
        return
    engine = db.connect(f"sqlite:///{tmp_path / 'old.db'}")
    yield engine
    engine.dispose()


def versions() -> list[str]:
    return db.revisions()[::-1]


def values(kind: TypeEngine[Any]) -> list[Any]:
    """A column in the form of SQLite files."""
    if isinstance(kind, Boolean):
        return [n % 2 for n in range(MANY)]
    if isinstance(kind, JSON):
        return ["{}"] * MANY
    if isinstance(kind, Integer | Float):
        return [n + 1 for n in range(MANY)]
    if isinstance(kind, DateTime):
        return [f"{NOW + timedelta(minutes=n):%Y-%m-%d %H:%M:%S}.000000" for n in range(MANY)]
    if isinstance(kind, Date):
        return [f"{NOW + timedelta(days=n):%Y-%m-%d}" for n in range(MANY)]
    return [f"第 {n} 个" for n in range(MANY)]


def layout(engine: Engine) -> MetaData:
    """The tables as they are now, without what is made from others."""
    found = MetaData()
    made = ("alembic_version", "feedback_search", "event_")
    found.reflect(engine, only=lambda name, _: not name.startswith(made))
    return found


def fill(engine: Engine) -> None:
    """Rows for every table that has none."""
    for table in layout(engine).sorted_tables:
        with engine.execution_options(writing=True).begin() as connection:
            if connection.execute(table.select().limit(1)).first() is None:
                put(connection, table)


def put(connection: Connection, table: Table) -> None:
    names = sorted(column.name for column in table.columns)
    own = zip(*(values(table.columns[name].type) for name in names), strict=True)
    if connection.dialect.name == "sqlite":
        file: Any = connection.connection.driver_connection
        rows.write_sqlite(file, table.name, names, own)
        return
    rows.write_postgresql(connection, table.name, names, own)
    if "id" in names and isinstance(table.columns["id"].type, Integer):
        connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('\"{table.name}\"', 'id'), {MANY})")


def content(engine: Engine, known: dict[str, list[str]]) -> dict[str, Sum]:
    """What each table adds up to in the columns that are named."""
    with engine.connect() as connection:
        return {name: Sum.of(rows.read_postgresql(connection, name, names)) for name, names in known.items()}


class Worker:
    """Reads and writes, again and again, as a service does, until told; notes the longest that it had to wait."""

    def __init__(self, engine: Engine) -> None:
        self.longest, self.rounds, self.deadlocks = 0.0, 0, 0
        self._engine, self._end = engine, threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._end.is_set():
                began = time.monotonic()
                self._once()
                self.longest = max(self.longest, time.monotonic() - began)
                self.rounds += 1
                time.sleep(0.03)
        except Exception as error:  # noqa: BLE001 — the thread hands over whatever went wrong
            self.error = error

    def _once(self) -> None:
        try:
            self._work_on_several_tables()
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != "40P01":
                raise
            self.deadlocks += 1  # a service's round ends with it, and comes again

    def _work_on_several_tables(self) -> None:
        number = self.rounds % MANY + 1
        with self._engine.execution_options(writing=True).begin() as connection:
            for table, column in (("feedback", "reply"), ("case", "join_key"), ("outbox", "last_error")):
                again = f'UPDATE "{table}" SET {column} = {column} WHERE id = {number}'  # noqa: S608 — our names
                connection.exec_driver_sql(again)
        with self._engine.connect() as connection:
            for table in ("event", "score", "timer", "crisis_feedback"):
                connection.exec_driver_sql(f'SELECT * FROM "{table}" LIMIT 5').all()  # noqa: S608 — same


def test_every_migration_leaves_the_rows_as_they_were_and_lets_others_work(store: Engine) -> None:
    """From the first version to the newest, one after another, while somebody reads and writes."""
    first, *later = versions()
    db.migrate(store, first)
    known: dict[str, list[str]] = {}
    then = filled(store, known)
    with Worker(store) as worker:
        for version in later:
            db.migrate(store, version)
            then |= filled(store, known)
    assert worker.error is None
    assert worker.rounds > len(later) > worker.deadlocks
    assert worker.longest < HANG
    assert db.revision(store) == db.newest()
    left = known.keys() & layout(store).tables.keys() - {"day_change", "known"}  # which migrations themselves add to
    assert len(left) > 20
    now = content(store, {name: known[name] for name in left})
    assert {name for name in left if now[name] != then[name]} == set()
    assert {now[name].count for name in left} == {MANY}


def filled(engine: Engine, known: dict[str, list[str]]) -> dict[str, Sum]:
    """Fill tables that are new and note their columns; gives what they add up to."""
    fill(engine)
    tables = layout(engine).tables
    new = {name: [column.name for column in tables[name].columns] for name in tables.keys() - known.keys()}
    known |= new
    return content(engine, new)


@contextmanager
def in_use(engine: Engine, table: str) -> Iterator[None]:
    """Somebody read a table and leaves his transaction open."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f'TABLE "{table}" LIMIT 1')
        yield


def test_a_migration_that_waits_for_a_table_does_not_keep_others_waiting(
    postgresql: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives up after a moment, lets those through who came after it, and comes again until the table is free."""
    monkeypatch.setattr(db, "_LOCK_WAIT", "100ms")
    monkeypatch.setattr(db, "_PAUSE", 0.2)
    db.migrate(postgresql, "0010")
    waits = []
    with ThreadPoolExecutor(1) as pool:
        with in_use(postgresql, "feedback"):
            migration = pool.submit(db.migrate, postgresql)
            free = time.monotonic() + 2.5
            while time.monotonic() < free:
                began = time.monotonic()
                with postgresql.begin() as connection:
                    connection.execute(text("UPDATE feedback SET reply = reply WHERE id = 1"))
                waits.append(time.monotonic() - began)
                assert db.revision(postgresql) == "0010"
                time.sleep(0.01)
        migration.result(30)
    assert max(waits) < 2.0
    assert db.revision(postgresql) == db.newest()


def test_a_table_that_is_never_free_ends_a_migration_with_an_error(
    postgresql: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done by then stays done, and what was begun is not there."""
    for name, value in {"_LOCK_WAIT": "50ms", "_PAUSE": 0.05, "_PATIENCE": 0.3}.items():
        monkeypatch.setattr(db, name, value)
    db.migrate(postgresql, "0009")
    with in_use(postgresql, "feedback"), pytest.raises(OperationalError, match="lock timeout"):
        db.migrate(postgresql)
    assert db.revision(postgresql) == "0010"
    assert "cleared" not in layout(postgresql).tables["feedback"].columns


def test_scores_learn_when_their_feedback_was_written(store: Engine) -> None:
    """All of them, and no day is counted anew for it."""
    db.migrate(store, "0012")
    fill(store)
    with store.execution_options(writing=True).begin() as connection:
        connection.exec_driver_sql("DELETE FROM day_change")
    db.migrate(store)
    with store.connect() as connection:
        pairs = connection.exec_driver_sql(
            "SELECT s.happened_at, f.happened_at FROM score s JOIN feedback f ON f.id = s.feedback_id"
        ).all()
        assert connection.exec_driver_sql("SELECT count(*) FROM day_change").scalar_one() == 0
    assert len(pairs) == MANY == len({mine for mine, _ in pairs})
    assert all(mine == known for mine, known in pairs)
    triggers = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'score'"
    if store.dialect.name == "postgresql":
        triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'score'::regclass AND tgname LIKE 'day_count%'"
    with store.connect() as connection:
        assert connection.execute(text(triggers)).scalar_one() == 3


def test_a_migration_killed_between_ranges_fills_in_the_rest(
    postgresql: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was filled in stays, and is not done again."""
    db.migrate(postgresql, "0012")
    fill(postgresql)

    def killed(name: str, *_: object, **__: object) -> None:
        raise KeyboardInterrupt(name)

    with monkeypatch.context() as patched:
        patched.setattr(beside, "create_index", killed)
        with pytest.raises(KeyboardInterrupt):
            db.migrate(postgresql)
    with postgresql.begin() as connection:
        early = "SELECT count(*) FROM score WHERE happened_at < '2000-01-01'"
        assert connection.exec_driver_sql(early).scalar_one() == 0
        connection.exec_driver_sql("UPDATE score SET happened_at = '1970-01-01 00:00+00' WHERE feedback_id > 1000")
    assert db.revision(postgresql) == "0012"
    db.migrate(postgresql)
    with postgresql.connect() as connection:
        assert connection.exec_driver_sql(early).scalar_one() == 0


def valid(connection: Connection, index: str) -> bool | None:
    found = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:index)")
    return connection.execute(found, {"index": index}).scalar_one_or_none()


def test_an_index_that_was_half_built_is_built_anew(postgresql: Engine) -> None:
    """Whoever built it was killed: it is there, does not count, and goes."""
    db.migrate(postgresql, "0011")
    with postgresql.begin() as connection:
        connection.execute(text("CREATE INDEX event_at ON event (at)"))
        connection.execute(text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'event_at'::regclass"))
    db.migrate(postgresql)
    with postgresql.connect() as connection:
        assert valid(connection, "event_at")


def test_an_index_that_fails_leaves_the_time_outs_as_they_were(postgresql: Engine) -> None:
    """Whoever gets the connection next waits no longer than before."""
    with postgresql.connect() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context), context.begin_transaction():
            with pytest.raises(ProgrammingError, match="nowhere"):
                beside.create_index("x", "nowhere", ["a"])
            for setting in ("statement_timeout", "lock_timeout"):
                assert connection.execute(text(f"SHOW {setting}")).scalar_one() == "30s"


def test_a_migration_killed_while_it_builds_an_index_is_taken_up_again(postgresql: Engine) -> None:
    """Somebody's old snapshot keeps the index from being ready when the process is killed; the next one makes it."""
    db.migrate(postgresql, "0011")
    url = postgresql.url.render_as_string(hide_password=False)
    code = f"from monitor import db; db.migrate(db.connect({url!r}))"
    with postgresql.connect().execution_options(isolation_level="REPEATABLE READ") as old:
        old.execute(text("SELECT * FROM event LIMIT 1"))
        child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
        with postgresql.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            until = time.monotonic() + 30
            while valid(connection, "event_at") is None:
                assert child.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
            assert not valid(connection, "event_at")
            child.send_signal(signal.SIGKILL)
            child.wait()
            old.rollback()
    db.migrate(postgresql)
    with postgresql.connect() as connection:
        assert valid(connection, "event_at")
    assert db.revision(postgresql) == db.newest()


def test_several_processes_that_migrate_at_once_do_it_once(store: Engine) -> None:
    """Each waits for the one before, also while an index is built beside the work, and finds nothing left to do."""
    db.migrate(store, "0011")
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(db.migrate, store) for _ in range(4)]:
            done.result(60)
    assert db.revision(store) == db.newest()
