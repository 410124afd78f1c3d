"""``pingshao backup``: the whole store in one file, as it was at one moment, while everything goes on.

The file is a SQLite store of the same version, whatever database the store is on, with one table more: what it is, the
config, and the model's weights where they are one's own. There is no archive to unpack, and no path in it. A backup
counts only once it was restored into a store of its own and every table compared.
"""

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from monitor import db, rows
from monitor.errors import WrongCall
from monitor.limits import LONG
from monitor.rows import Sum
from monitor.settings import Settings

FORMAT = 1
_LOGIN = re.compile(r"(://[^/@:\s]*:)[^/@\s]+@")


@dataclass(frozen=True)
class Written:
    """A backup that was made and checked.

    Attributes:
        file: Where it lies.
        size: In bytes.
        tables: How many rows each table has.
        apart: Secrets that are not in it and have to be kept apart.
    """

    file: Path
    size: int
    tables: dict[str, int]
    apart: tuple[str, ...]


def back_up(engine: Engine, settings: Settings, config: Path, file: Path, now: datetime) -> Written:
    """Write a backup, restore it into a store of its own, compare, and only then give it its name.

    Args:
        engine: The store; of any version that this program knows.
        settings: The config.
        config: Its file.
        file: Where the backup goes; what is there is replaced once the new one is checked.
        now: The time it bears.

    Raises:
        WrongCall: there is nothing to back up, or it cannot be written there.
    """
    from monitor.restoring import checked

    database = Path(engine.url.database or "")
    if engine.dialect.name == "sqlite" and not database.exists():
        raise WrongCall(f"{database}: 还没有库，没什么可备份的")
    if file.exists() and database.exists() and file.samefile(database):
        raise WrongCall(f"{file}: 这就是正在用的库，请换一个文件")
    try:
        with draft(file, "part") as part:
            snapshot = _from_sqlite if engine.dialect.name == "sqlite" else from_postgresql
            revision, sums = snapshot(engine, part)
            about = {"format": FORMAT, "made_at": now.isoformat(), "revision": revision, "origin": engine.dialect.name}
            _describe(part, about | {"tables": {name: _shown(one) for name, one in sums.items()}}, settings, config)
            with draft(file, "check") as scratch, checked(part, scratch):
                size = part.stat().st_size
                _keep(part)
                part.replace(file)
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise WrongCall(f"{file}: 备份没有写成：{said}") from None
    return Written(file, size, {name: one.count for name, one in sums.items()}, tuple(apart(settings)))


@contextmanager
def draft(file: Path, what: str) -> Iterator[Path]:
    """A file beside another, for the owner's eyes only, gone afterwards; so are those of processes that were killed."""
    for old in file.parent.glob(f"{file.name}.{what}-*"):
        owner = re.search(r"-(\d+)(?:-\w+)?$", old.name)
        if owner is not None and not _alive(int(owner[1])):
            old.unlink(missing_ok=True)
    path = file.with_name(f"{file.name}.{what}-{os.getpid()}")
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield path
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)


def _keep(file: Path) -> None:
    """Have it on the disk, whatever happens to the power."""
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()


def apart(settings: Settings) -> Iterator[str]:
    """What is needed to run and is never in a backup: files with secrets, and variables of the environment."""
    service = settings.service
    if not os.environ.get(service.secret_env):
        yield f"{service.var_dir / 'secret'}（链接的签名、买家代号的盐、平台令牌的钥匙）"
    if (service.var_dir / "salts").exists():
        yield f"{service.var_dir / 'salts'}（换过的盐）"
    if (service.var_dir / "tokens").exists():
        yield f"{service.var_dir / 'tokens'}（平台续期得来的令牌，已加密）"
    for name in dict.fromkeys(_variables(settings.model_dump(mode="json"))):
        if os.environ.get(name):
            yield f"环境变量 {name}"
    if _LOGIN.search(service.database_url):
        yield "service.database_url 里的密码"


def _variables(part: Any) -> Iterator[str]:
    """Names of variables, wherever in the config they stand."""
    inner = part.items() if isinstance(part, Mapping) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inner:
        if str(key).endswith("_env") and isinstance(value, str) and value:
            yield value
        yield from _variables(value)


def _shown(one: Sum) -> list[Any]:
    return [one.count, f"{one.total:032x}"]


def _from_sqlite(engine: Engine, part: Path) -> tuple[str, dict[str, Sum]]:
    """Copy a SQLite store page by page; sums and copy are of one read transaction, which hinders no writer."""
    with closing(sqlite3.connect(str(engine.url.database))) as store, closing(sqlite3.connect(part)) as copy:
        store.isolation_level = None
        store.execute("BEGIN")
        sums = {name: Sum.of(rows.read_sqlite(store, name, names)) for name, names in rows.columns(store).items()}
        versions = store.execute("SELECT version_num FROM alembic_version").fetchall() if sums else []
        if not versions:
            raise WrongCall(f"{engine.url.database}: 库里什么也没有，没什么可备份的")
        store.backup(copy)
        store.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    return str(versions[0][0]), sums


def from_postgresql(
    engine: Engine, part: Path, passed: Callable[[int], None] = lambda _: None
) -> tuple[str, dict[str, Sum]]:
    """Copy a PostgreSQL store row by row into a SQLite store of the same version; all reads see one moment.

    Args:
        engine: The store.
        part: The file.
        passed: Told now and then how many rows went by.
    """
    revision = db.revision(engine)
    if revision is None:
        raise WrongCall("库里什么也没有，没什么可备份的")
    lay_out(part, revision)
    sums: dict[str, Sum] = {}
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as store, opened(part) as copy:
        store.execute(text("SET TRANSACTION READ ONLY"))
        for setting in LONG:
            store.execute(text(f"SET LOCAL {setting} = 0"))
        with untriggered(copy):
            for name, names in rows.columns(copy).items():
                sums[name] = Sum()
                found = rows.counted(rows.read_postgresql(store, name, names), passed)
                rows.write_sqlite(copy, name, names, sums[name].passing(found))
        seen = store.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        if seen != revision:
            raise WrongCall("正在升级表结构，过一会儿再备份")
    return revision, sums


def lay_out(file: Path, revision: str) -> None:
    """Make a file an empty SQLite store of a version."""
    empty = db.connect_file(file)
    try:
        db.migrate(empty, revision)
        with empty.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA journal_mode = DELETE")  # type: ignore[union-attr]
    finally:
        empty.dispose()


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A file that nobody else uses, written fast: what is half written when the power fails is thrown away."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        yield connection
        connection.commit()


@contextmanager
def untriggered(file: sqlite3.Connection) -> Iterator[None]:
    """No trigger fires: rows come with what triggers once made of them."""
    found = file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in found:
        file.execute(f'DROP TRIGGER "{name}"')
    yield
    for _, sql in found:
        file.execute(sql)


def _describe(part: Path, about: dict[str, Any], settings: Settings, config: Path) -> None:
    """Write what the backup is, the config without its logins, and weights of one's own."""
    contents = {"config": _LOGIN.sub(r"\1***@", config.read_text(encoding="utf-8-sig")).encode()}
    if settings.scoring.weights:
        contents["weights"] = settings.scoring.weights.read_bytes()
    told = json.dumps(about | {"files": {name: seal(content) for name, content in contents.items()}}).encode()
    with opened(part) as copy:
        copy.execute("CREATE TABLE pingshao_backup (name TEXT PRIMARY KEY, content BLOB NOT NULL)")
        entries = contents | {"about": told, "seal": seal(told).encode()}
        copy.executemany("INSERT INTO pingshao_backup VALUES (?, ?)", entries.items())


def seal(content: bytes) -> str:
    """By what a content is known to be whole."""
    return hashlib.sha256(content).hexdigest()
