"""The long-running service: APScheduler wakes crawls and summaries, one loop sweeps timers, another delivers.

Nothing here decides anything or remembers anything: each waking does what is due by the store, so a restart or a
second service changes nothing.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import OperationalError

from monitor import overrides, retention, search, skew
from monitor.core import Core
from monitor.durations import within
from monitor.jobs import NotDue
from monitor.settings import Settings, Source

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

_SWEEP_EVERY = 1.0  # seconds between two looks for due timers
_DELIVER_EVERY = 0.5  # seconds between two looks at the outbox
_HAND_OVER_EVERY = 60.0  # seconds between two looks at who is on duty
_SETTINGS_EVERY = 2.0  # seconds between two looks at what the desk changed of the config
_INDEX_EVERY = 5.0  # seconds between two rounds at the search index of a store that is older than it
_RETENTION_EVERY = 60.0  # seconds between two rounds at what was kept for long enough
_SUMMARIES_EVERY = 30  # seconds between two looks for summaries that are due
_EVERY = timedelta(minutes=10)  # between two crawls of a source that does not say
_LOOK = timedelta(seconds=30)  # between two looks at whether a source with two rhythms, or several watchers, is due
_MINUTE = timedelta(seconds=50)  # between two crawls by cron, whose times are minutes
_SLACK = timedelta(seconds=1)  # a wake-up is never exactly on time
_SPARE_THREADS = 4  # for summaries and what libraries hand to threads
_LAST_WORDS = 5.5  # seconds for what is being done when it has to end
_JOB = {"coalesce": True, "misfire_grace_time": None, "max_instances": 1}

log = structlog.get_logger()


class Service:
    """Wakes what is due, until stopped.

    Args:
        core: The common ground.
        crawl: Crawls one source, or has it crawled; runs in the event loop. Raises `NotDue` where another process saw
            to it already.
        sweep: Fires due timers and says how many; runs in a thread. What it fired is sent at once.
        deliver: Sends what the outbox holds, one sender a channel, each in a thread: a provider that hangs delays only
            its own messages.
        summaries: Builds and queues the summaries that are due; runs in a thread.
        watch: Looks whether the clock is right; runs in a thread.
        hand_over: Hands over what somebody whose duty ended holds; runs in a thread.
        more: Further loops: name, what is done in a thread, and seconds between two rounds.
        shared: Other processes keep the same schedule.
    """

    def __init__(
        self,
        core: Core,
        *,
        crawl: Callable[[Source], Awaitable[Any]],
        sweep: Callable[[], Any],
        deliver: Mapping[str, Callable[[], Any]],
        summaries: Callable[[], Any],
        watch: Callable[[], Any],
        hand_over: Callable[[], Any],
        more: Iterable[tuple[str, Callable[[], Any], float]] = (),
        shared: bool = False,
    ) -> None:
        self._core, self._crawl, self._shared = core, crawl, shared
        self._loops = [("sweep", sweep, _SWEEP_EVERY), ("watch", watch, skew.LOOK_EVERY)]
        self._loops += [("settings", partial(overrides.refresh, core), _SETTINGS_EVERY)]
        self._loops += [("hand over", hand_over, _HAND_OVER_EVERY)]
        self._loops += [("index", partial(search.keep_filling, core.engine, core.clock), _INDEX_EVERY)]
        self._loops += [("retention", partial(retention.keep, core), _RETENTION_EVERY)]
        self._loops += [(f"deliver {name}", send, _DELIVER_EVERY) for name, send in deliver.items()]
        self._loops += more
        self._bells = {name: asyncio.Event() for name, *_ in self._loops}
        self._summaries = summaries
        self._last: dict[str, datetime] = {}
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, until: Awaitable[Any]) -> bool:
        """Work until ``until`` is done; then stop crawls and let what is being written finish.

        Returns:
            Whether all of it did. A thread that waits for a provider cannot be stopped: its lease tells what became of
            it, and the process may end without it.
        """
        alarm = self._alarm_clock()
        stop = asyncio.Event()
        threads = ThreadPoolExecutor(max_workers=len(self._loops) + _SPARE_THREADS, thread_name_prefix="service")
        asyncio.get_running_loop().set_default_executor(threads)
        loops = [asyncio.create_task(self._repeat(*loop, stop)) for loop in self._loops]
        alarm.start()
        try:
            await until
        finally:
            alarm.shutdown(wait=False)
            stop.set()
            self._ring(self._bells)
            for crawl in self._running:
                crawl.cancel()
            latest = time.monotonic() + _LAST_WORDS
            await asyncio.wait([*loops, *self._running], timeout=_LAST_WORDS)
        ending = threading.Thread(target=threads.shutdown, daemon=True)
        ending.start()
        ending.join(max(0.1, latest - time.monotonic()))
        return not ending.is_alive()

    async def _repeat(self, name: str, work: Callable[[], Any], pause: float, stop: asyncio.Event) -> None:
        """Do the work again and again: after the pause, or as soon as the bell rings; an error is logged."""
        bell = self._bells[name]
        while not stop.is_set():
            bell.clear()
            began = time.monotonic()
            try:
                done = await asyncio.to_thread(work)
            except OperationalError as error:  # locked, full or gone: a traceback each second would say nothing more
                self._core.meters.round_failed(name)
                log.error("the store refused a round", loop=name, error=str(error.orig))  # noqa: TRY400 — same
            except Exception:
                self._core.meters.round_failed(name)
                log.exception("round broke", loop=name)
            else:
                self._core.meters.round(name, time.monotonic() - began)
                if name == "sweep" and done:
                    self._ring(other for other in self._bells if other.startswith("deliver "))
            with suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), pause)

    def _ring(self, names: Iterable[str]) -> None:
        for name in names:
            self._bells[name].set()

    def _alarm_clock(self) -> "AsyncIOScheduler":
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from apscheduler.triggers.cron import CronTrigger
        from apscheduler.triggers.interval import IntervalTrigger

        zone = self._core.settings.zone
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)  # it warns of each wake-up amid a long crawl
        alarm = AsyncIOScheduler(timezone=zone, job_defaults=_JOB)
        for source in self._core.settings.sources:
            if not source.enabled:
                continue
            if source.cron:
                alarm.add_job(self._crawl_once, CronTrigger.from_crontab(source.cron, zone), [source], name=source.name)
            if source.promo_every or not source.cron:
                alarm.add_job(
                    self._crawl_when_due,
                    IntervalTrigger(seconds=_woken_every(source, self._shared).total_seconds()),
                    [source],
                    name=source.name,
                    next_run_time=self._core.clock.now(),
                )
        alarm.add_job(
            self._summaries_once, IntervalTrigger(seconds=_SUMMARIES_EVERY), next_run_time=self._core.clock.now()
        )
        return alarm

    async def _crawl_when_due(self, source: Source) -> None:
        """A source with a promotion's rhythm keeps it on the promotion's days, and its own on all others."""
        now = self._core.clock.now()
        if source.cron and not _hurry(source, self._core.settings, now):
            return
        last = self._last.get(source.name)
        if last is None or now - last >= pause(source, self._core.settings, now) - _SLACK:
            await self._crawl_once(source)

    async def _crawl_once(self, source: Source) -> None:
        self._last[source.name] = self._core.clock.now()
        task = asyncio.ensure_future(self._crawl(source))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await task
        except NotDue as seen_to:
            self._last[source.name] = seen_to.last
        except asyncio.CancelledError:  # the service ends, which APScheduler would log as the job's error
            log.info("crawl cut short", source=source.name)
        except Exception:
            log.exception("crawl broke", source=source.name)
            if self._shared:  # it was not even put, and somebody else may
                self._last.pop(source.name, None)

    async def _summaries_once(self) -> None:
        try:
            await asyncio.to_thread(self._summaries)
        except OperationalError as error:
            log.error("the store refused a round", loop="summaries", error=str(error.orig))  # noqa: TRY400 — as above
        except Exception:
            log.exception("summary broke")


def usual_pause(source: Source) -> timedelta:
    """Between two crawls of a source without fixed hours, while no promotion runs."""
    return source.every or _EVERY


def pause(source: Source, settings: Settings, now: datetime) -> timedelta:
    """Between two crawls of a source, at this moment."""
    return _hurry(source, settings, now) or (_MINUTE if source.cron else usual_pause(source))


def _hurry(source: Source, settings: Settings, now: datetime) -> timedelta | None:
    """A promotion's rhythm, while one runs."""
    promotion = within(now.astimezone(settings.zone).date(), settings.service.promotions)
    return source.promo_every if promotion else None


def _woken_every(source: Source, shared: bool) -> timedelta:
    """How often a look is taken at whether a source is due.

    Of two rhythms neither's time must be missed; who shares a schedule takes over at once from one that died.
    """
    usual = usual_pause(source)
    if source.promo_every:
        return min(usual, source.promo_every, _LOOK)
    return usual / -(-usual // _LOOK) if shared else usual
