"""``pingshao restore``: a backup into a store, by way of a store of this program's own making.

Nothing of the file's own schema is used, and nothing in it runs: its rows are read, table by table, into tables that
the migrations lay out as they were at the backup's version; every table must add up to what the backup says; only then
is the copy brought to the newest version and put into place, in one transaction.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select

from monitor import audit, db, known, rows, search
from monitor.backup import FORMAT, draft, lay_out, opened, seal, untriggered
from monitor.errors import WrongCall
from monitor.models import Feedback, Outbox
from monitor.pouring import pour
from monitor.rows import Sum

_LONGEST = 64_000_000  # bytes of what stands beside the tables
_WORK = (
    "feedback",
    "case",
    "crisis",
    "run",
    "outbox",
    "account",
    "api_token",
    "indicator",
    "improvement",
    "report_copy",
)
_BUSY = 30  # seconds for another writer to end


class Damaged(WrongCall):
    """The file is no backup, or not as it was written."""


@dataclass(frozen=True)
class About:
    """What a backup says of itself.

    Attributes:
        made_at: When it was made.
        revision: The version of its tables.
        tables: How many rows each has, and what they add up to.
        files: What else is in it: ``config``, ``weights``.
    """

    made_at: datetime
    revision: str
    tables: dict[str, tuple[int, str]]
    files: dict[str, bytes]


@contextmanager
def _readable(file: Path) -> Iterator[sqlite3.Connection]:
    """A file that may be anything, opened so that neither it nor what lies beside it is touched."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            yield connection
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):  # of the copy's disk
            raise
        raise Damaged(f"{file}: 不是完好的评哨备份：{error}") from None
    except (
        sqlite3.Error,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise Damaged(f"{file}: 不是完好的评哨备份：{error}") from None


def read(file: Path) -> About:
    """What a backup says of itself, checked.

    Raises:
        Damaged: it is none, or not whole.
        WrongCall: it cannot be read, or is of a program that is newer than this one.
    """
    if not os.access(file, os.R_OK) or not file.is_file():
        raise WrongCall(f"{file}: 读不到这个文件")
    with _readable(file) as connection:
        return _about(file, connection)


def _about(file: Path, connection: sqlite3.Connection) -> About:
    kind = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'pingshao_backup'"
    found = connection.execute(kind).fetchone()
    if found is None or not str(found[0]).upper().startswith("CREATE TABLE"):
        raise Damaged(f"{file}: 不是评哨的备份")
    stored = connection.execute("SELECT name, content FROM pingshao_backup WHERE length(content) < ?", (_LONGEST,))
    contents: dict[str, bytes] = dict(stored.fetchall())
    if seal(contents["about"]).encode() != contents["seal"]:
        raise Damaged(f"{file}: 备份的说明被改过或坏了")
    told: dict[str, Any] = json.loads(contents["about"])
    if told["format"] != FORMAT or told["revision"] not in db.revisions():
        raise WrongCall(f"{file}: 来自更新的评哨（表结构 {told['revision']}），请先升级再恢复")
    files = {name: contents[name] for name in told["files"]}
    if any(seal(content) != told["files"][name] for name, content in files.items()):
        raise Damaged(f"{file}: 里面的配置或权重坏了")
    tables = {name: (int(count), str(total)) for name, (count, total) in told["tables"].items()}
    return About(datetime.fromisoformat(told["made_at"]), told["revision"], tables, files)


@contextmanager
def checked(file: Path, scratch: Path) -> Iterator[About]:
    """Put a backup into an empty file as a store of the newest version, every table compared on the way.

    Raises:
        Damaged: it is none, or its rows are not those that were written.
        WrongCall: it is of a program that is newer than this one.
    """
    about = read(file)
    lay_out(scratch, about.revision)
    with _readable(file) as source, opened(scratch) as copy:
        ours, theirs = rows.columns(copy), rows.columns(source)
        if ours != theirs or set(about.tables) != set(ours):
            raise Damaged(f"{file}: 表和这个版本的评哨对不上")
        with untriggered(copy):
            for name, names in ours.items():
                total = Sum()
                rows.write_sqlite(copy, name, names, total.passing(rows.read_sqlite(source, name, names)))
                if (total.count, f"{total.total:032x}") != about.tables[name]:
                    raise Damaged(f"{file}: 表 {name} 的内容和备份时不一样")
    store = db.connect_file(scratch)
    try:
        db.migrate(store)
    finally:
        store.dispose()
    yield about


def holds(store: Engine | Connection) -> bool:
    """Whether there is anything in a store that a restore would take away."""
    if isinstance(store, Engine):
        with store.connect() as connection:
            return holds(connection)
    there = set(inspect(store).get_table_names())
    wanted = (name for name in _WORK if name in there)
    return any(store.execute(text(f'SELECT 1 FROM "{name}" LIMIT 1')).first() for name in wanted)  # noqa: S608 — our names


def restore(engine: Engine, file: Path, scratch: Path, now: datetime, actor: str) -> About:
    """Make a store hold what a backup holds, and nothing else.

    What waited to be sent may have been sent since the backup was made: it counts as uncertain, so that it is looked up
    first or marked as possibly sent twice.

    Args:
        engine: The store; whatever it holds is replaced.
        file: The backup.
        scratch: Where a copy may be put together; gone afterwards.
        now: The time of the event that says so.
        actor: Who does it.

    Raises:
        Damaged: the backup is not whole; the store is as it was.
        WrongCall: the backup cannot be used here, or the store refused it; the store is as it was.
    """
    try:
        with draft(scratch, "check") as copy, checked(file, copy) as about:
            _settle(copy, about, now, actor)
            (into_sqlite if engine.dialect.name == "sqlite" else _into_postgresql)(engine, copy)
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise WrongCall(f"没有恢复，库还是原样：{said}") from None
    return about


def _settle(copy: Path, about: About, now: datetime, actor: str) -> None:
    """What has to be different from the moment of the backup."""
    store = db.connect_file(copy)
    with db.writing(store) as session:
        unindexed(session, now)
        waiting = col(Outbox.state).in_(("pending", "sending"))
        session.execute(update(Outbox).where(waiting).values(state="uncertain", lease_owner="", lease_until=None))
        told = {"made_at": about.made_at.isoformat(), "feedback": about.tables["feedback"][0]}
        audit.note(session, now, "store", 0, "restored", actor, "cli", after=told)
    store.dispose()


def unindexed(session: Session, now: datetime) -> None:
    """Have the service make the search index anew."""
    if last := session.exec(select(func.max(Feedback.id))).one():
        mark = known.hold(session, search.FILLED, now)
        mark.value = {"below": last + 1}
        session.add(mark)


def into_sqlite(engine: Engine, copy: Path) -> None:
    """Put a checked copy in the place of a store, whole or not at all."""
    target = Path(str(engine.url.database))
    target.parent.mkdir(parents=True, exist_ok=True)
    engine.dispose()
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(target, timeout=_BUSY)) as store:
        source.backup(store)
        if store.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
            raise WrongCall(f"{target}: 写进去以后检查不过，磁盘可能有问题；换一个位置再恢复")


def _into_postgresql(engine: Engine, copy: Path) -> None:
    """All in one transaction: seen whole by others, or not at all."""
    from psycopg import Error

    db.migrate(engine)
    try:
        with closing(sqlite3.connect(copy)) as source, engine.begin() as store:
            pour(source, store)
    except WrongCall as error:
        raise WrongCall(f"没有恢复，库还是原样：{error}") from None
    except Error as error:
        raise WrongCall(f"没有恢复，库还是原样：{' '.join(str(error).split())}") from None
