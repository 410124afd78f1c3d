"""The queue that several machines share: procrastinate's tables, in a schema of their own on our PostgreSQL.

Here jobs are put, and looked at; `monitor.working` does them. A job and the note that it was put are one transaction,
so that a schedule that several processes keep fires once.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Engine, text
from sqlmodel import Session, col, select

from monitor import db, known
from monitor.clock import Clock
from monitor.core import Core
from monitor.jobs import Inside, Job, NotDone, NotDue
from monitor.models import Known

SCHEMA = "procrastinate"
ALIVE = 30.0
"""Seconds without a heartbeat after which a worker counts as dead."""
ANSWER = "answer:"
"""What the names of rows begin with in which workers leave what came of a job."""
_PUT = "put:"
_LOCK = 0x70_73_71_75  # any number, the same in every process
_AT_ONCE = 16  # jobs of one run that wait or are done at a time, so that those of others have their turn
_LOOK_EVERY = 0.3  # seconds between two looks for answers
_LONELY = 30.0  # seconds without an answer after which it is said that nobody works
_SLACK = timedelta(seconds=1)  # a wake-up is never exactly on time

log = structlog.get_logger()


class SharedQueue:
    """Puts jobs where workers take them.

    Args:
        engine: The store, on PostgreSQL; see `prepare`.
        clock: The time.
        inside: Does what needs this machine's files.
    """

    shared = True

    def __init__(self, engine: Engine, clock: Clock, inside: Inside) -> None:
        self._engine, self._clock, self._inside = engine, clock, inside

    async def put(self, job: Job, gap: timedelta | None = None) -> Any:
        """Queue a job, unless it waits already or was put within ``gap``."""
        if job.here:
            return await self._inside.put(job, gap)
        return await asyncio.to_thread(self._put, job, gap)

    def each(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """Queue jobs, some at a time, and wait for their answers."""
        run, waiting = secrets.token_hex(6), set[str]()
        for number, job in enumerate(jobs):
            name = f"{ANSWER}{run}:{number}"
            self._put(replace(job, name=name), None, name)
            waiting.add(name)
            if len(waiting) >= _AT_ONCE:
                yield from self._answers(waiting)
        while waiting:
            yield from self._answers(waiting)

    def _put(self, job: Job, gap: timedelta | None, answer: str = "") -> None:
        now = self._clock.now()
        with db.writing(self._engine) as session:
            if gap is not None:
                row = known.hold(session, _PUT + job.name, now)
                if row.value and abs(now - row.at) < gap - _SLACK:  # one from a wrong clock's future does not count
                    raise NotDue(row.at)
                row.at, row.value = now, {"put": True}
                session.add(row)
                session.flush()
            _defer(session, job, answer)

    def _answers(self, waiting: set[str]) -> Iterator[Any]:
        """At least one answer; it is no longer waited for."""
        since, said = time.monotonic(), False
        while True:
            with db.writing(self._engine) as session:
                rows = session.exec(select(Known).where(col(Known.name).in_(waiting))).all()
                for row in rows:
                    session.delete(row)
            if rows:
                break
            if not said and time.monotonic() - since > _LONELY and not look(self._engine).workers:
                said = bool(log.warning("no_worker", todo="没有 worker 在运行，请运行 pingshao worker")) or True
            time.sleep(_LOOK_EVERY)
        for row in rows:
            waiting.discard(row.name)
            if "error" in row.value:
                raise NotDone(row.value["error"])
            yield row.value["done"]


def _defer(session: Session, job: Job, answer: str) -> None:
    """Queue a job within the caller's transaction; one that waits already is enough."""
    from procrastinate import exceptions, jobs, manager
    from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

    made = jobs.Job(
        queue=job.queue,
        task_name=job.queue,
        lock=job.alone or None,
        queueing_lock=job.name,
        task_kwargs={"arguments": job.arguments, "answer": answer},
    )
    driver = session.connection().connection.driver_connection
    try:
        with session.begin_nested():
            session.execute(text(f"SET LOCAL search_path TO {SCHEMA}, public"))
            manager.JobManager(SyncPsycopgConnector()).defer_job(made, driver)
            session.execute(text("SET LOCAL search_path TO DEFAULT"))
    except exceptions.AlreadyEnqueued:
        log.info("still_waiting", job=job.name)


def prepare(engine: Engine) -> None:
    """Make procrastinate's tables where they are not there yet; processes that start at once do it one by one."""
    from procrastinate.schema import SchemaManager

    with engine.begin() as connection:
        if _there(connection):
            return
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _there(connection):
            return
        driver: Any = connection.connection.driver_connection
        driver.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}; SET LOCAL search_path TO {SCHEMA}, public")
        driver.execute(SchemaManager.get_schema())


def agreed(core: Core, *, leads: bool) -> bool:
    """Whether this process has the secret that `serve` has; with another one the same author would hash otherwise.

    Args:
        core: The common ground.
        leads: Whether it is `serve`, whose secret counts.
    """
    mine = {"is": hmac.new(core.secret, b"which secret", hashlib.sha256).hexdigest()[:16]}
    with db.writing(core.engine) as session:
        row = known.hold(session, "secret", core.clock.now())
        same = row.value in ({}, mine)
        if leads or not row.value:
            row.value = mine
            session.add(row)
    return same


@dataclass(frozen=True, slots=True)
class Backlog:
    """The queue at one moment.

    Attributes:
        waiting: Jobs that could be done, by queue.
        oldest: How long the first of them.
        workers: Those that are alive.
    """

    waiting: Mapping[str, int] = field(default_factory=dict)
    oldest: Mapping[str, timedelta] = field(default_factory=dict)
    workers: int = 0


_WAITING = text(f"""
    SELECT job.queue_name, count(*), extract(epoch FROM now() - min(coalesce(job.scheduled_at, put.at)))
    FROM {SCHEMA}.procrastinate_jobs job
    JOIN {SCHEMA}.procrastinate_events put ON put.job_id = job.id AND put.type = 'deferred'
    WHERE job.status = 'todo' AND coalesce(job.scheduled_at, now()) <= now()
    GROUP BY 1 ORDER BY 1
""")  # noqa: S608 — a constant
_WORKERS = text(f"""
    SELECT count(*) FROM {SCHEMA}.procrastinate_workers
    WHERE last_heartbeat > now() - make_interval(secs => :alive)
""")  # noqa: S608 — a constant


def look(engine: Engine) -> Backlog:
    """How much waits, and how many work; nothing where no queue was ever made."""
    with engine.connect() as connection:
        if engine.dialect.name != "postgresql" or not _there(connection):
            return Backlog()
        rows = connection.execute(_WAITING).all()
        workers = connection.execute(_WORKERS, {"alive": ALIVE}).scalar_one()
    oldest = {name: timedelta(seconds=float(age)) for name, _, age in rows}
    return Backlog({name: count for name, count, _ in rows}, oldest, workers)


def _there(connection: Any) -> bool:
    told = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = :name AND tablename = 'procrastinate_jobs'"
    return bool(connection.execute(text(told), {"name": SCHEMA}).scalar_one())
