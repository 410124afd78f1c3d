"""Stores in trouble: locked by somebody else, full, or with connections that are cut; crawls open them by name."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, text

import scheduler
from monitor import db
from monitor.core import Core

BUSY_MS = 50


@contextmanager
def locked(engine: Engine) -> Iterator[None]:
    """Somebody else writes and does not come to an end."""
    other = sqlite3.connect(str(engine.url.database), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def impatient(engine: Engine) -> Engine:
    """The same SQLite store for one who does not wait long."""
    return db.connect(f"sqlite:///{engine.url.database}", busy_ms=BUSY_MS)


class Disk:
    """A disk that is full while ``full`` says so: the store's file does not grow."""

    def __init__(self, engine: Engine) -> None:
        self.full = False
        event.listen(engine, "checkout", self._limit)

    def _limit(self, connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {1 if self.full else 2**30}")


def cut(engine: Engine) -> None:
    """PostgreSQL ends every other connection, whatever it does."""
    with engine.connect() as admin:
        admin.execute(
            text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                 " AND backend_type = 'client backend'")
        )  # fmt: skip


def open_locked(settings: dict[str, Any], now: str) -> Core:
    """The store of a crawl process, locked for longer than it waits once."""
    core = scheduler.open_core(settings, now)
    held = locked(core.engine)
    held.__enter__()
    core.engine.dispose()
    threading.Timer(1.0, held.__exit__, (None, None, None)).start()
    return Core(core.settings, impatient(core.engine), core.clock, core.secret, core.notify, core.view)
