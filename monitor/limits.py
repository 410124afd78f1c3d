"""How much of PostgreSQL one process takes, and for how long it waits there. SQLite knows nothing of all this.

A service has more loops and threads than connections: who finds none waits for one. A statement that takes too long, or
waits too long for somebody's lock, is ended, which is an error of that round alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import URL, PoolProxiedConnection, QueuePool
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree

LONG: Mapping[str, str] = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
"""Settings of a transaction that may take as long as it needs; see ``monitor.db``."""
LOOKUPS: Mapping[str, str] = dict.fromkeys(("enable_hashjoin", "enable_mergejoin", "enable_seqscan"), "off")
"""Settings of a transaction that looks up row by row what an index found, in the index's order; see ``monitor.db``."""
_FORGOTTEN = timedelta(minutes=5)  # a transaction in which nothing happens for so long is nobody's any more
_RENEWED = 1800  # seconds after which a connection that lies idle is made anew
# Rows of one time lie side by side in every table, on disks without arms: without this a week's scores are looked for
# by reading those of all years.
_NEAR = "-c random_page_cost=1.1"
_FOUND = "-c work_mem=16MB"  # what a search finds of a hundred thousand is remembered row by row
# A server or a network that is gone without a word is noticed within a minute.
_STEADY = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


@dataclass(frozen=True)
class Limits:
    """What a process asks of PostgreSQL, where the database's address does not say otherwise.

    Attributes:
        name: What ``pg_stat_activity`` calls it.
        pool: Most connections at a time.
        timeout: Longest statement, longest wait for a lock, and longest wait for a connection of one's own.
    """

    name: str = "pingshao"
    pool: int = 10
    timeout: timedelta = timedelta(seconds=30)

    def engine(self, url: URL) -> dict[str, Any]:
        """What `create_engine` is told besides the address."""
        return {
            "poolclass": _Pool,
            "pool_size": self.pool,
            "max_overflow": 0,
            "pool_timeout": self.timeout.total_seconds(),
            "pool_pre_ping": True,
            "pool_use_lifo": True,  # what is not needed for long is then really idle
            "pool_recycle": _RENEWED,
            "connect_args": self._arguments(url),
        }

    def _arguments(self, url: URL) -> dict[str, str]:
        spans = {
            "statement_timeout": self.timeout,
            "lock_timeout": self.timeout,  # counts where a statement may take as long as it needs
            "idle_in_transaction_session_timeout": _FORGOTTEN,
        }
        ours = [f"-c {name}={int(span.total_seconds() * 1000)}" for name, span in spans.items()] + [_NEAR, _FOUND]
        told = url.query.get("options", "")
        options = " ".join(
            [*ours, *([told] if isinstance(told, str) else told)]
        ).strip()  # the last word is the address's
        given = {"fallback_application_name": self.name, **_STEADY}
        return {name: value for name, value in given.items() if name not in url.query} | {"options": options}


class _Pool(QueuePool):
    """Connections; that none is free is the store's trouble, like any other: to be tried again."""

    def connect(self) -> PoolProxiedConnection:
        try:
            return super().connect()
        except NoneFree:
            said = f"本进程的 {self.size()} 个数据库连接都在用，等了 {self._timeout:g} 秒也没有空出来"
            raise OperationalError(None, None, RuntimeError(said)) from None
