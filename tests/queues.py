"""A PostgreSQL database with a queue of its own for a test, workers as processes, and a site that keeps a log."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from factories import NOW
from processes import Process
from serving import Asked, Told, answering
from sqlalchemy import Engine, text

from monitor import db, shared_queue
from monitor.clock import HandClock
from monitor.jobs import Inside, crawl_job
from monitor.settings import Source
from monitor.shared_queue import SharedQueue

QUICK = """
from datetime import timedelta
from monitor import runs, shared_queue, working
runs.LEASE = timedelta(seconds=4)
shared_queue.ALIVE = working.STALLED = 6.0
working.HEARTBEAT, working.LOOK_EVERY, working.AGAIN = 1.0, 0.5, 1
"""
"""What makes processes notice within seconds that one of them died."""
CONFIG = """
[service]
database_url = "{url}"
queue = "procrastinate"
allow_private_hosts = ["127.0.0.1"]
[[shops]]
id = "demo"
name = "示例旗舰店"
"""
SOURCE = """
[[sources]]
name = "{name}"
kind = "json"
shop = "demo"
every = "{every}"
delay = "0s"
obey_robots = false
urls = ["{url}"]
items = "comments"
fields = {{ text = "content", id = "id" }}
page = {{ param = "page", first = 1 }}
"""


@contextmanager
def database(postgres: str, name: str) -> Iterator[str]:
    """An empty, migrated database on the server; gives its URL."""
    _admin(postgres, f'CREATE DATABASE "{name}"')
    url = postgres.replace("/postgres?", f"/{name}?")
    try:
        engine = db.connect(url)
        db.migrate(engine)
        engine.dispose()
        yield url
    finally:
        _admin(postgres, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def prepared(postgres: str, name: str) -> Iterator[Engine]:
    """Such a database with the tables of a queue."""
    with database(postgres, name) as url:
        engine = db.connect(url)
        shared_queue.prepare(engine)
        yield engine
        engine.dispose()


def emptied(engine: Engine) -> Engine:
    """The same: no job, no worker, nothing remembered of either."""
    tables = "procrastinate.procrastinate_jobs, procrastinate.procrastinate_workers, known"
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} CASCADE"))
    return engine


def _admin(url: str, statement: str) -> None:
    engine = db.connect(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()


class WorkerProcess(Process):
    """A real ``pingshao worker``."""

    def __init__(self, folder: Path, name: str, *options: str, patch: str = QUICK) -> None:
        super().__init__(folder, name, {"PINGSHAO_CONFIG": ""}, patch, ("worker", *options))


@contextmanager
def workers(*started: WorkerProcess) -> Iterator[None]:
    """Workers that run, killed at the end where they still do."""
    try:
        for worker in started:
            worker.start()
        yield
    finally:
        for worker in started:
            worker.kill()


def wait_until(condition: Any, *running: Process, seconds: float = 60) -> None:
    until = monotonic() + seconds
    while not condition():
        for one in running:
            assert one.alive(), one.log()
        assert monotonic() < until, "".join(one.log() for one in running)
        sleep(0.1)


def jobs(engine: Engine, status: str = "") -> list[Any]:
    """(status, queue, lock, attempts) of the queue's jobs."""
    told = "SELECT status, queue_name, lock, attempts FROM procrastinate.procrastinate_jobs ORDER BY id"
    with engine.connect() as connection:
        rows = connection.execute(text(told)).all()
    return [tuple(row) for row in rows if not status or row[0] == status]


async def put_crawls(engine: Engine, *urls: str) -> None:
    """Queue a crawl of each, as `pingshao serve` does."""
    queue = SharedQueue(engine, HandClock(NOW), Inside({}))
    for url in urls:
        await queue.put(crawl_job(Source(name=url.rpartition("/")[2], kind="json", shop="demo", urls=[url])))


@dataclass
class Site:
    """Pages of reviews, ``pages`` of ten each, that take ``slow`` seconds; keeps when it was asked for what.

    Attributes:
        log: Path and seconds of each request, in order.
        hold: While it is not set, nobody gets an answer.
    """

    pages: int = 3
    slow: float = 0.05
    log: list[tuple[str, float]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def __post_init__(self) -> None:
        self.hold.set()

    def handle(self, asked: Asked) -> Told:
        self.log.append((asked.path, monotonic()))
        self.hold.wait(30)
        sleep(self.slow)
        page = int(asked.query.get("page", "1"))
        rows = range(10) if page <= self.pages else range(0)
        comments = [{"id": f"{asked.path}-{page}-{n}", "content": f"第{page}{n}单，很好用"} for n in rows]
        return Told({"comments": comments})

    def asked(self, name: str) -> list[float]:
        return [at for path, at in self.log if path == f"/{name}"]


@contextmanager
def site(**values: Any) -> Iterator[Site]:
    served = Site(**values)
    with answering(served.handle) as served.url:
        yield served
    served.hold.set()
