"""Fake time for a whole service: it passes as real time does while anything is done, and jumps when nothing is.

The event loop waits for its next waking; where no thread works, no crawl runs and nothing comes in, the wait is skipped
and the clock set forward by it. So a week passes in minutes, and nothing comes late that would not have been late in
real time: a slow machine makes the run longer. The moment is shared with other processes through a file.
"""

import asyncio
import mmap
import selectors
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_MOMENT = struct.Struct("<d")


class SharedMoment:
    """One moment in a file: written by the service, read by the world around it."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(_MOMENT.pack(0.0))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), _MOMENT.size)

    def get(self) -> datetime:
        return datetime.fromtimestamp(_MOMENT.unpack_from(self._map)[0], UTC)

    def set(self, moment: datetime) -> None:
        _MOMENT.pack_into(self._map, 0, moment.timestamp())

    def close(self) -> None:
        self._map.close()


class FakeTime:
    """The time of one process.

    Args:
        start: When it begins.
        shared: Where the moment is told.
        pace: Fake seconds in a second while something is done: less than one where others want the processor as well.
    """

    def __init__(self, start: datetime, shared: SharedMoment, pace: float) -> None:
        self._start, self._shared, self._pace = start, shared, pace
        self._began, self._jumped, self._busy = time.monotonic(), 0.0, 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.seconds())

    def seconds(self) -> float:
        """Since the start."""
        return (time.monotonic() - self._began) * self._pace + self._jumped

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While something is done that must not be jumped over."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        with self._lock:
            self._busy += 1

    def end(self, *_: Any) -> None:
        with self._lock:
            self._busy -= 1

    def wait(self, seconds: float) -> float:
        """Jump over fake seconds where nothing is done; gives the real ones that are left to wait."""
        with self._lock:
            if not self._busy:
                self._jumped += seconds
                seconds = 0.0
        self._shared.set(self.now())
        return seconds / self._pace


class _Selector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    """Waits in fake time."""

    def __init__(self, fake: FakeTime) -> None:
        super().__init__()
        self._fake = fake

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if found or timeout is None or timeout <= 0:
            return found if found or timeout is not None else super().select(None)
        return super().select(left) if (left := self._fake.wait(timeout)) else found


class FakeLoop(asyncio.SelectorEventLoop):
    """An event loop in fake time, which stands still for nobody's thread."""

    def __init__(self, fake: FakeTime) -> None:
        self._fake = fake
        super().__init__(_Selector(fake))

    def time(self) -> float:
        return self._fake.seconds()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        self._fake.begin()
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._fake.end)
        return future


class FakeLoops(asyncio.DefaultEventLoopPolicy):
    """Every loop of the process is in fake time."""

    def __init__(self, fake: FakeTime) -> None:
        super().__init__()
        self._fake = fake

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return FakeLoop(self._fake)
