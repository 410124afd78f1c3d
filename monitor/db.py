"""The database: engine, transactions that write or only read, migrations with a backup first."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from sqlalchemy import URL, Connection, Engine, QueuePool, event, make_url, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, create_engine

from monitor import refusals
from monitor.errors import WrongCall
from monitor.limits import LONG, LOOKUPS, Limits

if TYPE_CHECKING:
    from alembic.config import Config

_BUSY_MS = 30_000
_USUAL = Limits()
_KEPT_BACKUPS = 5
_LOCK = 0x70_73_64_62  # any number, the same in every process
_LOCK_WAIT = "500ms"  # who waits for a table keeps all behind it waiting; less than after what deadlocks are looked for
_IN_USE = ("55P03", "40P01")  # PostgreSQL: a lock was not to be had in time, or two waited for each other
_PAUSE = 0.5  # seconds in which the others go on
_PATIENCE = 600.0  # seconds


def connect(url: str, busy_ms: int = _BUSY_MS, limits: Limits = _USUAL) -> Engine:
    """An engine for ``sqlite:///file`` (WAL, made if absent) or ``postgresql+psycopg://…``.

    Args:
        url: The database.
        busy_ms: How long a SQLite writer waits for another before it fails with "database is locked".
        limits: How much of PostgreSQL is taken.
    """
    if not url.startswith("sqlite"):
        engine = create_engine(url, hide_parameters=True, **limits.engine(make_url(url)))
        event.listen(engine, "begin", _begin_postgresql)
        refusals.listen(engine)
        return engine
    if file := url.removeprefix("sqlite:///"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    return _sqlite(url, busy_ms)


def connect_file(file: Path) -> Engine:
    """An engine for a SQLite file of any name, in a folder that is there."""
    return _sqlite(URL.create("sqlite", database=str(file)), _BUSY_MS)


def _sqlite(url: str | URL, busy_ms: int) -> Engine:
    # the last used comes first, for each that is used keeps pages in memory
    engine = create_engine(url, hide_parameters=True, poolclass=QueuePool, pool_use_lifo=True)
    event.listen(engine, "connect", partial(_prepare_sqlite, busy_ms))
    event.listen(engine, "begin", _begin_sqlite)
    refusals.listen(engine)
    return engine


def _prepare_sqlite(busy_ms: int, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 must not begin transactions by itself: _begin_sqlite does
    for pragma in (
        f"busy_timeout = {busy_ms}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "recursive_triggers = ON",  # a row that is replaced is deleted, which the audit trail's triggers must see
        "cache_size = -32000",  # kB; the 2 MB of the default make a large store read its pages anew and anew
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    # A deferred transaction that reads and then writes fails at once when another wrote between, whatever the time-out.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _begin_postgresql(connection: Any) -> None:
    if connection.connection.driver_connection.autocommit:  # no transaction that anything could be local to
        return
    for name, value in connection.get_execution_options().get("local", {}).items():
        connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")


@contextmanager
def writing(engine: Engine, *, long: bool = False) -> Iterator[Session]:
    """One transaction that writes: committed at the end, rolled back on an exception; ``long`` as for `reading`."""
    options: Any = {"writing": True} | ({"local": LONG} if long else {})
    try:
        with Session(engine.execution_options(**options), expire_on_commit=False) as session, session.begin():
            yield session
    except OperationalError as error:
        # a full disk ends SQLite's transaction with all its savepoints; what it said first is what there is to tell
        first = error.__context__
        if "no such savepoint" in str(error.orig) and isinstance(first, OperationalError):
            raise first from None
        raise


@contextmanager
def reading(engine: Engine, *, long: bool = False, lookups: bool = False) -> Iterator[Session]:
    """One transaction that only reads: a consistent view, never blocking writers.

    Args:
        engine: The store.
        long: Whether its statements may take as long as they need, which is for work that nobody waits for at a page.
        lookups: Whether the newest of what an index finds are wanted. PostgreSQL cannot guess how many of them pass
            conditions on other tables, and would rather read these whole, in no order.
    """
    local = dict(LONG if long else {}) | dict(LOOKUPS if lookups else {})
    with Session(engine.execution_options(local=local) if local else engine, expire_on_commit=False) as session:
        yield session


def alone(session: Session, lock: int, part: str) -> None:
    """Wait until no other transaction has the same part of a lock; a writer of SQLite is alone anyway.

    Args:
        session: The transaction that has it from now to its end.
        lock: Any number below 2³¹, the same in every process.
        part: What need not wait for other parts: a shop's id.
    """
    if session.get_bind().dialect.name == "postgresql":
        number = crc32(part.encode()) - 2**31
        session.execute(text("SELECT pg_advisory_xact_lock(:lock, :part)"), {"lock": lock, "part": number})


def upgrade(engine: Engine, backup_dir: Path, now: datetime) -> Path | None:
    """Bring the schema to the newest version; a SQLite file with data is copied first.

    Returns:
        The backup that was made, None where nothing had to change or nothing was there.

    Raises:
        WrongCall: a newer version of the program was at work there.
    """
    current = revision(engine)
    if current == newest():
        return None
    if current and current not in revisions():
        raise WrongCall(
            f"数据库来自更新的评哨（表结构 {current}）：请用新版本，或换一个空库再 pingshao restore 旧的备份"
        )
    backup = _backup(engine, backup_dir, now) if current else None
    migrate(engine)
    return backup


def revision(engine: Engine) -> str | None:
    """The schema's version; None where nothing was set up yet."""
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The version of the schema that this program works with."""
    return revisions()[0]


def revisions() -> list[str]:
    """The versions of the schema that this program knows, the newest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()]


def migrate(engine: Engine, to: str = "head") -> None:
    """Bring the schema up to a version; of processes that do so at once each waits for the one before.

    On PostgreSQL each version is a transaction of its own and waits for a lock only a moment at a time, so that nobody
    has to queue behind a migration that itself waits. SQLite's is one transaction: readers go on, writers wait.

    Raises:
        OperationalError: what the migration needs was in use for too long; what was done by then stays done.
    """
    if engine.dialect.name == "postgresql":
        with _alone_here(engine):
            _patiently(lambda: _migrate(engine, to))
        return
    with engine.execution_options(writing=True).begin() as connection:
        _run(connection, to)


def _migrate(engine: Engine, to: str) -> None:
    with engine.execution_options(local={**LONG, "lock_timeout": _LOCK_WAIT}).connect() as connection:
        _run(connection, to)
        connection.commit()


def _run(connection: Connection, to: str) -> None:
    from alembic import command

    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _patiently(work: Callable[[], None]) -> None:
    latest = time.monotonic() + _PATIENCE
    while True:
        try:
            return work()
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") not in _IN_USE or time.monotonic() > latest:
                raise
        time.sleep(_PAUSE)


@contextmanager
def _alone_here(engine: Engine) -> Iterator[None]:
    # who waits asks again and again: a statement that waits would hold a snapshot, for whose end an index that is
    # built beside the work would wait in turn
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        while not connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar_one():
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


def _alembic() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _backup(engine: Engine, folder: Path, now: datetime) -> Path | None:
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{Path(file).stem}-{now:%Y%m%dT%H%M%SZ}.db"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    for old in sorted(folder.glob(f"{Path(file).stem}-*.db"))[:-_KEPT_BACKUPS]:
        old.unlink()
    return target
