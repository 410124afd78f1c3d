"""A worker: takes jobs from the shared queue and does them; what a dead worker left is put back by those alive."""

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import delete
from sqlmodel import col

from monitor import db, known, overrides
from monitor.core import Core
from monitor.jobs import Queue, Work
from monitor.logs import told
from monitor.models import Known
from monitor.shared_queue import ALIVE, ANSWER, SCHEMA

if TYPE_CHECKING:
    import procrastinate

HEARTBEAT = 10.0
"""Seconds between two signs of life."""
STALLED = ALIVE
"""Seconds without one after which a worker's jobs are put back."""
LOOK_EVERY = 10.0
"""Seconds between two looks for such jobs, and for what the desk changed of the config."""
AGAIN = 5
"""Seconds until a job that was put back is tried again where the dead worker's run still holds the source."""
_TRIES = 3  # of a job that breaks
_MOST = 50  # times that a job is put back; then it is what kills workers
_GRACE = 1.0  # seconds for what is being done when the worker has to end; then it is cut short and put back
_LAST_WORDS = 8.0  # seconds within which the worker ends
_AFTER_FAILURE = 2.0  # seconds until the store is asked again
_CLEAN_EVERY = 3600.0
_KEPT = timedelta(days=7)  # failed jobs, to be looked at
_LOCK = 0x70_73_71_72  # any number, the same in every process

log = structlog.get_logger()


class Busy(Exception):
    """The source is held by a run that may be a dead worker's."""


class Worker:
    """Takes jobs and does them, until stopped.

    Args:
        core: The common ground, on PostgreSQL with a queue.
        work: Does the jobs of each queue.
        queues: Which queues.
        concurrency: Jobs at a time.
    """

    def __init__(self, core: Core, work: Work, queues: Sequence[Queue], concurrency: int = 1) -> None:
        self._core, self._work, self._queues, self._concurrency = core, work, list(queues), concurrency
        self._cleaned = -math.inf  # not 0, the time at which the machine was started

    async def run(self, stop: asyncio.Event) -> bool:
        """Work until ``stop``; a store that is gone for a while is waited for.

        Returns:
            Whether everything ended; a thread may still be at something, which the store takes back.
        """
        threads = ThreadPoolExecutor(max_workers=self._concurrency + 2, thread_name_prefix="worker")
        asyncio.get_running_loop().set_default_executor(threads)
        until = asyncio.create_task(stop.wait())
        while not stop.is_set():
            working = asyncio.create_task(self._work_on())
            await asyncio.wait((working, until), return_when=asyncio.FIRST_COMPLETED)
            began = time.monotonic()
            working.cancel()
            _, late = await asyncio.wait((working,), timeout=_LAST_WORDS)
            if late:
                return False
            if not working.cancelled() and (error := working.exception()):
                log.error("worker_interrupted", error=told(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _AFTER_FAILURE)
        ending = threading.Thread(target=threads.shutdown, daemon=True)
        ending.start()
        ending.join(max(0.1, _LAST_WORDS - (time.monotonic() - began)))
        return not ending.is_alive()

    async def _work_on(self) -> None:
        app = self._app()
        async with app.open_async():
            looking = asyncio.create_task(self._look_after(app))
            try:
                await app.run_worker_async(
                    queues=self._queues,
                    concurrency=self._concurrency,
                    install_signal_handlers=False,
                    fetch_job_polling_interval=max(0.5, AGAIN),  # nobody is told of a job that is put back
                    shutdown_graceful_timeout=_GRACE,
                    delete_jobs="successful",
                    update_heartbeat_interval=HEARTBEAT,
                    stalled_worker_timeout=STALLED,
                )
            finally:
                looking.cancel()

    def _app(self) -> "procrastinate.App":
        import procrastinate

        url = self._core.engine.url.set(drivername="postgresql")
        pool: dict[str, Any] = {"min_size": 1, "max_size": self._concurrency + 3, "timeout": 10.0}
        connector = procrastinate.PsycopgConnector(
            conninfo=url.render_as_string(hide_password=False),
            kwargs={"options": f"-c search_path={SCHEMA},public", "application_name": "pingshao worker"},
            **pool,
        )
        app = procrastinate.App(connector=connector)
        for queue, work in self._work.items():
            task = partial(self._do, work)
            app.task(name=queue, queue=queue, pass_context=True, retry=_strategy())(task)
        return app

    async def _do(
        self,
        work: Callable[..., Awaitable[Any]],
        context: "procrastinate.JobContext",
        arguments: dict[str, Any],
        answer: str = "",
    ) -> None:
        """Do a job and count it; where somebody waits for what comes of it, leave that in the store."""
        began, outcome = time.monotonic(), "put_back"
        try:
            await self._try(work, context, arguments, answer)
            outcome = "done"
        except Exception as error:
            outcome = outcome if isinstance(error, Busy) else "failed"
            raise
        finally:
            self._core.meters.job(str(context.job.queue), outcome, time.monotonic() - began)

    async def _try(
        self,
        work: Callable[..., Awaitable[Any]],
        context: "procrastinate.JobContext",
        arguments: dict[str, Any],
        answer: str,
    ) -> None:
        answered = await asyncio.to_thread(self._answered, answer) if answer else False
        if answered:
            return
        try:
            done = await work(**arguments)
        except Exception as error:
            last = context.job.attempts + 1 >= _TRIES
            log.exception("job broke", queue=context.job.queue, job=context.job.id, tries=context.job.attempts + 1)
            if answer and last:
                await asyncio.to_thread(self._leave, answer, {"error": told(error)})
            raise
        if isinstance(done, dict) and done.get("busy") and context.job.attempts:
            raise Busy
        if answer:
            await asyncio.to_thread(self._leave, answer, {"done": done})

    def _answered(self, name: str) -> bool:
        with db.reading(self._core.engine) as session:
            return session.get(Known, name) is not None

    def _leave(self, name: str, came: dict[str, Any]) -> None:
        with db.writing(self._core.engine) as session:
            row = known.hold(session, name, self._core.clock.now())
            row.value = row.value or came
            session.add(row)

    async def _look_after(self, app: "procrastinate.App") -> None:
        while True:
            try:
                await put_back(app)
                await asyncio.to_thread(overrides.refresh, self._core)
                if time.monotonic() - self._cleaned > _CLEAN_EVERY:
                    await self._clean(app)
            except Exception as error:  # noqa: BLE001 — the next look comes
                log.error("worker_look_failed", error=told(error))  # noqa: TRY400 — same
            await asyncio.sleep(LOOK_EVERY)

    async def _clean(self, app: "procrastinate.App") -> None:
        hours = int(_KEPT / timedelta(hours=1))
        await app.job_manager.delete_old_jobs(
            nb_hours=hours, include_failed=True, include_cancelled=True, include_aborted=True
        )
        await asyncio.to_thread(self._forget)
        self._cleaned = time.monotonic()

    def _forget(self) -> None:
        """Answers that nobody fetched."""
        old = col(Known.at) < self._core.clock.now() - _KEPT
        with db.writing(self._core.engine) as session:
            session.execute(delete(Known).where(col(Known.name).startswith(ANSWER), old))


async def put_back(app: "procrastinate.App") -> None:
    """Put the jobs of dead workers back into their queues; one process at a time does so."""
    from procrastinate import exceptions
    from procrastinate.jobs import Status

    connector: Any = app.connector
    async with connector.pool.connection() as connection:
        taken = await connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK,))
        if not (await taken.fetchone())[0]:
            return
        manager = app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED):
            try:
                if job.attempts < _MOST:
                    await manager.retry_job(job)
                    log.warning("job_put_back", queue=job.queue, job=job.id)
                    continue
                log.error("job_given_up", queue=job.queue, job=job.id, tries=job.attempts)
            except exceptions.ConnectorException:  # the same waits already, or it was not dead and has just done it
                log.info("job_not_put_back", queue=job.queue, job=job.id)
            with suppress(exceptions.ConnectorException):
                await manager.finish_job(job, Status.FAILED, delete_job=False)
        await manager.prune_stalled_workers(STALLED)


def _strategy() -> "procrastinate.BaseRetryStrategy":
    """What was cut short goes back at once; what broke is tried again a few times."""
    import procrastinate
    from procrastinate.jobs import Job

    class Again(procrastinate.BaseRetryStrategy):
        def get_retry_decision(self, *, exception: BaseException, job: Job) -> "procrastinate.RetryDecision | None":
            if isinstance(exception, Busy):
                return procrastinate.RetryDecision(retry_in={"seconds": AGAIN}) if job.attempts < _MOST else None
            if not isinstance(exception, Exception):
                return procrastinate.RetryDecision(retry_in={"seconds": 0})
            if job.attempts + 1 >= _TRIES:
                return None
            return procrastinate.RetryDecision(retry_in={"seconds": AGAIN * (job.attempts + 1)})

    return Again()
