"""What time it is, as an argument."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time; the wall clock lives in ``scheduler.py``."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...


class HandClock:
    """A clock that stands still until it is moved: tests and the demo's fast day."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """The time it was last set to."""
        return self._at

    def move(self, by: timedelta) -> None:
        """Go forward (or, for tests of skew, back) by a span."""
        self._at += by
