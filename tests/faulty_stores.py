"""Stores in trouble: locked by somebody else, full, or with connections that are cut; and a service on one.

Crawls open them by name.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

import scheduler
from monitor import db
from monitor.core import Core
from monitor.service import Service

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


class Rounds:
    """A service that crawls nothing; keeps by name which rounds ended well, and which the store refused."""

    def __init__(self, core: Core, **works: Callable[[], Any]) -> None:
        self.done: list[str] = []
        self.refused: list[str] = []
        sweep, deliver, summaries = (self._counted(name, works) for name in ("sweep", "deliver", "summaries"))
        self.service = Service(
            core,
            crawl=self._nothing,
            sweep=sweep,
            deliver={"ops": deliver},
            summaries=summaries,
            hand_over=dict,
            watch=dict,
        )

    def _counted(self, name: str, works: Mapping[str, Callable[[], Any]]) -> Callable[[], None]:
        def once() -> None:
            try:
                works.get(name, dict)()
            except OperationalError:
                self.refused.append(name)
                raise
            self.done.append(name)

        return once

    async def _nothing(self, _source: Any) -> None:
        """No source is crawled here."""


def open_locked(settings: dict[str, Any], now: str) -> Core:
    """The store of a crawl process, locked for longer than it waits once."""
    core = scheduler.open_core(settings, now)
    held = locked(core.engine)
    held.__enter__()
    core.engine.dispose()
    threading.Timer(1.0, held.__exit__, (None, None, None)).start()
    return Core(core.settings, impatient(core.engine), core.clock, core.secret, core.notify, core.view)
