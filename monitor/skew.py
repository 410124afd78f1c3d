"""Whether this host's clock is right: measured against the database's, and watched for jumps."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Engine, text

from monitor import audit, db, known
from monitor.clock import Clock
from monitor.core import Core
from monitor.notices import Notice

OFF = timedelta(seconds=5)
"""A clock that differs by more from the database's is wrong."""
LOOK_EVERY = 5.0
"""Seconds between two looks at the clock."""
_JUMP = timedelta(seconds=60)
_MEASURE_EVERY = 300.0  # seconds
_AGAIN = timedelta(hours=1)
_AT_ONCE = 1.0  # seconds within which both clocks must be read
_TIME = {
    "postgresql": "SELECT clock_timestamp()",
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
}
_log = structlog.get_logger()


def against_store(engine: Engine, clock: Clock) -> timedelta:
    """How far a clock runs before the database's; that of SQLite is this host's own."""
    with db.reading(engine) as session:
        connection = session.connection()  # made before time is taken
        began = clock.now()
        told: Any = connection.execute(text(_TIME[engine.dialect.name])).scalar_one()
        ended = clock.now()
    there = datetime.fromisoformat(told) if isinstance(told, str) else told
    return began + (ended - began) / 2 - there.astimezone(UTC)


class Watch:
    """Looks at the clock again and again, and reports what is wrong with it once an hour.

    Args:
        core: The common ground.
        wall: The clock that is watched.
        monotonic: Seconds that pass whatever the clock says.
        host: Name of this machine.
    """

    def __init__(self, core: Core, wall: Clock, monotonic: Callable[[], float], host: str) -> None:
        self._core, self._wall, self._monotonic, self._host = core, wall, monotonic, host
        self._anchor = self._both()
        self._measured: float | None = None

    def look(self) -> None:
        """Compare with the last look, and now and then with the database."""
        wall, passed = now = self._both()
        jump = wall - self._anchor[0] - timedelta(seconds=passed - self._anchor[1])
        if abs(jump) >= _JUMP:
            self._report("jump", jump)
        self._anchor = now  # after the report, which is made again where it could not be stored
        if self._measured is None or passed - self._measured >= _MEASURE_EVERY:
            self._measure()
            self._measured = passed

    def _measure(self) -> None:
        if self._core.engine.dialect.name == "postgresql":
            skew = against_store(self._core.engine, self._wall)
            if abs(skew) > OFF:
                self._report("skew", skew)

    def _both(self) -> tuple[datetime, float]:
        """Both clocks at one moment: a process that was stopped between the two readings reads again."""
        while True:
            began = self._monotonic()
            wall = self._wall.now()
            if self._monotonic() - began < _AT_ONCE:
                return wall, began

    def _report(self, how: str, size: timedelta) -> None:
        now, seconds = self._wall.now(), round(size.total_seconds())
        _log.warning("clock_wrong", how=how, seconds=seconds, host=self._host)
        with db.writing(self._core.engine) as session:
            last = known.hold(session, f"clock:{self._host}", now)
            worse = how == "jump" and last.value.get("how") == "skew"
            if last.value and abs(now - last.at) < _AGAIN and not worse:
                return
            facts = {"how": how, "seconds": seconds, "host": self._host}
            last.value, last.at = facts, now
            session.add(last)
            audit.note(session, now, "clock", 0, "clock.jumped", after=facts)
            key = f"clock:{self._host}:{how}:{now:%Y%m%dT%H%M%S}"
            self._core.notify(session, [Notice("clock.jumped", key, "clock", 0, None, facts)])
