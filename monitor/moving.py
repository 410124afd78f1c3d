"""``pingshao db move``: a store from SQLite to PostgreSQL, or the other way, while nobody uses either.

Rows go over in the form and by the sums of backups (`monitor.rows`). What arrives is read again and has to add up to
what left, table by table; only then is it seen by anybody. Killed at any point, the target is as empty as it was.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, SQLModel

from monitor import audit, db, rows
from monitor.backup import draft, from_postgresql, opened
from monitor.errors import WrongCall
from monitor.pouring import pour
from monitor.restoring import holds, into_sqlite, unindexed
from monitor.rows import Sum

NAME = "pingshao db move"
"""What PostgreSQL calls the process that moves."""
_TABLES = [table.name for table in SQLModel.metadata.sorted_tables]
_LOCK = 0x70_73_6D_76  # any number, the same in every process
_BUSY = 1.0  # seconds for others to let go of a SQLite file
_OTHERS = text("""SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name LIKE 'pingshao%' AND application_name <> :name GROUP BY 1 ORDER BY 1""")
_STOP = "停掉每个 serve、worker 和抓取，再搬"

Progress = Callable[[int, int], None]


def move(
    source: Engine, target: Engine, now: datetime, actor: str, progress: Progress = lambda *_: None
) -> dict[str, int]:
    """Make an empty store hold what another holds, which stays as it is.

    Args:
        source: The store; nobody may write to it meanwhile.
        target: An empty one on the other database; its schema is made where it is not there.
        now: The time of the event that says so.
        actor: Who does it.
        progress: Told how many rows went by, and of how many; each goes by twice.

    Returns:
        How many rows each table has.

    Raises:
        WrongCall: one of them cannot be used, or what arrived is not what left; the target is then as empty as it was.
    """
    _fit(source, target)
    try:
        work = _to_postgresql if source.dialect.name == "sqlite" else _to_sqlite
        return work(source, target, now, actor, progress)
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise WrongCall(f"没有搬，两边都是原样：{said}") from None


def _fit(source: Engine, target: Engine) -> None:
    """Whether the one can go to the other."""
    if source.dialect.name == target.dialect.name:
        raise WrongCall("两边是同一种数据库：用 pingshao backup 和 pingshao restore")
    file = source.url.database or ""
    if source.dialect.name == "sqlite" and not Path(file).is_file():
        raise WrongCall(f"{file}: 还没有库，没什么可搬的")
    try:
        version = db.revision(source)
        if version != db.newest():
            was = f"表结构是 {version}，这个版本的评哨要 {db.newest()}" if version else "是空的"
            raise WrongCall(f"现在的库{was}：先用这个版本启动一次 pingshao serve，停掉，再搬")
        if (there := db.revision(target)) and there not in db.revisions():
            raise WrongCall(f"新库来自更新的评哨（表结构 {there}）：请换一个空库")
        _empty(holds(target))
    except SQLAlchemyError as error:
        raise WrongCall(
            f"没有搬，打不开数据库：{' '.join(str(getattr(error, 'orig', None) or error).split())}"
        ) from None


def _empty(held: bool) -> None:
    if held:
        raise WrongCall(
            "新库里已经有东西：只往空库里搬；要换掉里面的，用 pingshao backup 和 pingshao restore --replace"
        )


def _to_postgresql(source: Engine, target: Engine, now: datetime, actor: str, progress: Progress) -> dict[str, int]:
    from psycopg import Error

    with _kept_sqlite(source) as file:
        db.migrate(target)
        try:
            with target.begin() as store:
                _alone(store)
                counts = _counts(file.execute, _TABLES)
                pour(file, store, _steps(progress, 2 * sum(counts.values())))
                with Session(store) as session:
                    _note(session, source, counts, now, actor)
        except Error as error:
            raise WrongCall(f"没有搬，新库还是空的：{' '.join(str(error).split())}") from None
    return counts


def _to_sqlite(source: Engine, target: Engine, now: datetime, actor: str, progress: Progress) -> dict[str, int]:
    with _kept_postgresql(source) as store, draft(Path(str(target.url.database)), "move") as copy:
        counts = _counts(store.exec_driver_sql, _TABLES)
        passed = _steps(progress, 2 * sum(counts.values()))
        _, sums = from_postgresql(source, copy, passed)
        with opened(copy) as file:
            for name, names in rows.columns(file).items():
                if Sum.of(rows.counted(rows.read_sqlite(file, name, names), passed)) != sums[name]:
                    raise WrongCall(f"没有搬，新库还是空的：写进去的表 {name} 读出来和原来不一样")
        put = db.connect_file(copy)
        with db.writing(put) as session:
            _note(session, source, counts, now, actor)
        put.dispose()
        into_sqlite(target, copy)
    return counts


@contextmanager
def _kept_sqlite(engine: Engine) -> Iterator[sqlite3.Connection]:
    """A SQLite store that nobody else has open, or can open, until this ends."""
    engine.dispose()
    with closing(sqlite3.connect(str(engine.url.database), timeout=_BUSY, isolation_level=None)) as file:
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise WrongCall(f"现在的库还有别的程序在用：{_STOP}") from None
        yield file


@contextmanager
def _kept_postgresql(engine: Engine) -> Iterator[Connection]:
    """A PostgreSQL store to which nobody writes until this ends."""
    with engine.begin() as store:
        _unused(store, "现在的库")
        tables = ", ".join(f'"{name}"' for name in _TABLES)
        store.execute(text("SET LOCAL lock_timeout = '2s'"))
        store.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        store.execute(text(f"LOCK TABLE {tables} IN SHARE MODE"))
        yield store


def _alone(store: Connection) -> None:
    """A target in which nobody else works, and which is as empty as it was when it was looked at."""
    if not store.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}).scalar_one():
        raise WrongCall("已经有一个 pingshao db move 在往这个库里搬")
    _unused(store, "新库")
    _empty(holds(store))


def _unused(store: Connection, which: str) -> None:
    if others := store.execute(_OTHERS, {"name": NAME}).all():
        told = "、".join(f"{name}（{count} 个连接）" for name, count in others)
        raise WrongCall(f"{which}还有 {told} 在用：{_STOP}")


def _counts(execute: Callable[[str], Any], tables: Iterable[str]) -> dict[str, int]:
    return {name: execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608 — our names


def _steps(progress: Progress, of: int) -> Callable[[int], None]:
    """Tells how many rows went by in all."""
    done = 0

    def passed(rows_: int) -> None:
        nonlocal done
        done += rows_
        progress(done, of)

    return passed


def _note(session: Session, source: Engine, counts: dict[str, int], now: datetime, actor: str) -> None:
    """Say in the audit where all this came from; the service makes the search index anew."""
    unindexed(session, now)
    told = {"from": source.dialect.name, "feedback": counts["feedback"]}
    audit.note(session, now, "store", 0, "moved", actor, "cli", after=told)
    session.flush()
