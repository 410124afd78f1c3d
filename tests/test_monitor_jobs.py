"""Work by name: done inside the process, or put into a queue that several share, at most once in its time."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from queues import database, emptied, jobs, prepared
from sqlalchemy import Engine, text

from alerts.desk import exposition
from monitor import db, doctor, shared_queue
from monitor.checkup import examine
from monitor.clock import HandClock
from monitor.jobs import Inside, Job, NotDue, crawl_job, site
from monitor.settings import Source
from monitor.shared_queue import Backlog, SharedQueue

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def server(postgres: str) -> Iterator[Engine]:
    with prepared(postgres, "jobs") as engine:
        yield engine


@pytest.fixture
def pg(server: Engine) -> Engine:
    return emptied(server)


async def nothing(**_: Any) -> None:
    raise AssertionError("a queue leaves the work to workers")


def queue(engine: Engine, clock: HandClock | None = None) -> SharedQueue:
    inside = Inside({"crawl": nothing})  # type: ignore[dict-item]
    return SharedQueue(engine, clock or HandClock(NOW), inside)


def make_source(**values: Any) -> Source:
    return Source(name="a", kind="html", shop="demo", **values)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": ["https://Shop.example.com/a"]}, "shop.example.com"),
        ({"urls": ["http://user:secret@127.0.0.1:8101/feed"]}, "127.0.0.1:8101"),
        ({"sitemap": "https://shop.example.com/sitemap.xml"}, "shop.example.com"),
        ({"urls": [], "sitemap": "https://b.example.com/s.xml"}, "b.example.com"),
        ({"path": "exports/*.csv"}, ""),
        ({"app_key_env": "KEY"}, ""),
    ],
)
def test_the_site_of_a_source(options: dict[str, Any], expected: str) -> None:
    """A site is a host with its port; APIs and files have none, and credentials in an address stay out of it."""
    assert site(make_source(**options)) == expected


@pytest.mark.parametrize(
    ("options", "here"),
    [({"path": "exports/*.csv"}, True), ({"refresh_token_env": "T"}, True), ({"urls": ["http://a"]}, False)],
)
def test_what_needs_files_stays_on_its_machine(options: dict[str, Any], here: bool) -> None:
    """Files to read and tokens that are renewed are this machine's."""
    assert crawl_job(make_source(**options)).here is here


async def test_inside_jobs_of_one_site_are_done_one_after_another() -> None:
    """Two sources of one site are not read at once; those of two sites are."""
    running: list[str] = []
    most: dict[str, int] = {}

    async def crawl(at: str) -> str:
        running.append(at)
        most[at] = max(most.get(at, 0), running.count(at))
        most["all"] = max(most.get("all", 0), len(running))
        await asyncio.sleep(0.01)
        running.remove(at)
        return at

    inside = Inside({"crawl": crawl})  # type: ignore[dict-item]
    puts = [inside.put(Job("crawl", f"crawl:{n}", {"at": at}, alone=at)) for n, at in enumerate("aabbb")]
    assert await asyncio.gather(*puts) == list("aabbb")
    assert most == {"a": 1, "b": 1, "all": 2}


def test_inside_what_comes_of_jobs_is_given_in_their_order() -> None:
    """A command waits for all of them."""

    async def score(n: int) -> int:
        return n * n

    inside = Inside({"score": score})  # type: ignore[dict-item]
    assert list(inside.each(Job("score", f"{n}", {"n": n}) for n in range(4))) == [0, 1, 4, 9]


async def test_a_job_waits_once(pg: Engine) -> None:
    """Put again while it waits, it is one job; its site is its lock."""
    for _ in range(2):
        assert await queue(pg).put(Job("crawl", "crawl:a", {"source": "a"}, alone="shop.example.com")) is None
    assert jobs(pg) == [("todo", "crawl", "shop.example.com", 0)]


async def test_one_schedule_is_kept_by_all_who_keep_it(pg: Engine) -> None:
    """Three services put a crawl: once a period, also after it was taken, and whoever of them is left."""
    clock, three = HandClock(NOW), [queue(pg, HandClock(NOW)) for _ in range(3)]
    job, period = Job("crawl", "crawl:a", {"source": "a"}), timedelta(minutes=10)

    async def all_put(at: timedelta, *whose: SharedQueue) -> int:
        for one in whose:
            one._clock = HandClock(NOW + at)
        came = await asyncio.gather(*(one.put(job, period) for one in whose), return_exceptions=True)
        assert {type(one) for one in came} <= {NotDue, type(None)}, came
        with pg.begin() as connection:
            connection.execute(
                text("SET LOCAL search_path TO procrastinate; UPDATE procrastinate_jobs SET status = 'succeeded'")
            )
        return came.count(None)

    assert await all_put(timedelta(), *three) == 1
    assert await all_put(timedelta(minutes=9), *three) == 0
    assert await all_put(timedelta(minutes=10), *three[1:]) == 1
    assert await all_put(timedelta(minutes=20), three[2]) == 1
    assert [state for state, *_ in jobs(pg)] == 3 * ["succeeded"]
    with pytest.raises(NotDue) as told:
        await queue(pg, clock).put(job, timedelta(hours=1))
    assert told.value.last == NOW + timedelta(minutes=20)


async def test_a_clock_that_was_wrong_stops_no_schedule(pg: Engine) -> None:
    """What a clock far ahead put is no reason to wait until that time comes."""
    job, period = Job("crawl", "crawl:a", {"source": "a"}), timedelta(minutes=10)
    await queue(pg, HandClock(NOW + DAY)).put(job, period)
    await queue(pg, HandClock(NOW)).put(job, period)
    with pytest.raises(NotDue):
        await queue(pg, HandClock(NOW + timedelta(minutes=1))).put(job, period)


async def test_what_needs_this_machine_is_done_here(pg: Engine) -> None:
    """It never reaches the queue, and is woken by this process's own schedule."""

    async def crawl(**_: Any) -> str:
        return "done"

    mine = SharedQueue(pg, HandClock(NOW), Inside({"crawl": crawl}))  # type: ignore[dict-item]
    assert await mine.put(Job("crawl", "crawl:a", here=True), DAY) == "done"
    assert await mine.put(Job("crawl", "crawl:a", here=True), DAY) == "done"
    assert jobs(pg) == []


async def test_the_backlog_is_told(pg: Engine) -> None:
    """How many wait in each queue, how long the first of them, and how many work; what is scheduled does not wait."""
    assert shared_queue.look(pg) == Backlog()
    for n in range(3):
        await queue(pg).put(Job("crawl", f"crawl:{n}"))
    await queue(pg).put(Job("report", "report:weekly"))
    with pg.begin() as connection:
        connection.execute(text("UPDATE procrastinate.procrastinate_events SET at = now() - interval '1 hour'"))
        connection.execute(text("SET LOCAL search_path TO procrastinate"))
        later = "UPDATE procrastinate.procrastinate_jobs SET scheduled_at = now() + interval '1 hour' WHERE id = (:id)"
        first = connection.execute(text("SELECT min(id) FROM procrastinate.procrastinate_jobs")).scalar_one()
        connection.execute(text(later), {"id": first})
        connection.execute(text("INSERT INTO procrastinate.procrastinate_workers DEFAULT VALUES"))
    told = shared_queue.look(pg)
    assert (told.waiting, told.workers) == ({"crawl": 2, "report": 1}, 1)
    assert timedelta(minutes=59) < told.oldest["crawl"] < timedelta(minutes=61)


def test_a_store_without_a_queue_has_no_backlog(sqlite: Engine, postgres: str) -> None:
    """Neither SQLite nor a PostgreSQL where no queue was made is asked for tables that are not there."""
    plain = db.connect(postgres)
    assert shared_queue.look(sqlite) == shared_queue.look(plain) == Backlog()
    plain.dispose()


def test_all_machines_have_one_secret(pg: Engine) -> None:
    """The first worker's, until a service says which; a worker with another one is told."""
    mine, other = (make_core(pg, secret=secret) for secret in (b"one", b"another"))
    told = [(mine, False), (mine, False), (other, False), (other, True), (other, False), (mine, False)]
    said = [shared_queue.agreed(core, leads=leads) for core, leads in told]
    assert said == [True, True, False, False, True, False]


async def test_work_that_nobody_takes_is_trouble(pg: Engine, tmp_path: Path) -> None:
    """The engineer hears of it, the doctor and the figures say it; a worker alive is said too."""
    service = {"var_dir": tmp_path, "database_url": "postgresql+psycopg://x/y", "queue": "procrastinate"}
    core = make_core(pg, make_settings(tmp_path, service=service))
    core.meters.began -= 24 * 3600
    await queue(pg).put(Job("crawl", "crawl:a"))

    def seen() -> tuple[list[Any], str, str]:
        found = examine(core)
        text = exposition.expose(core, found, "")[0].decode()
        [told] = [one for one in doctor.examine(doctor.checks(core)) if one.name == "队列"]
        return [one for one in found.troubles if one.code == "queue"], text, f"{told.says}；{told.todo}"

    troubles, text_, told = seen()
    assert (troubles, "没有 worker" in told, "crawl 有 1 件在等" in told) == ([], True, True)
    assert 'pingshao_queue_jobs{queue="crawl"} 1.0' in text_
    with pg.begin() as connection:
        connection.execute(text("UPDATE procrastinate.procrastinate_events SET at = now() - interval '11 minutes'"))
        connection.execute(text("INSERT INTO procrastinate.procrastinate_workers DEFAULT VALUES"))
    [trouble], text_, told = seen()
    assert trouble.says == "1 件活排着没有做，1 个 worker 在运行：crawl 等了 11 分钟"
    assert 'pingshao_trouble{code="queue"} 1.0' in text_
    assert "pingshao_workers 1.0" in text_
    assert told == "1 个 worker 在运行，crawl 有 1 件在等；"


def test_tables_are_made_once_by_all_who_start_at_once(postgres: str, tmp_path: Path) -> None:
    """Five processes that start together find one schema, beside our tables, and our migrations do not see it."""
    from concurrent.futures import ThreadPoolExecutor

    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlmodel import SQLModel

    with database(postgres, "starting") as url:
        engines = [db.connect(url) for _ in range(5)]
        with ThreadPoolExecutor(5) as threads:
            list(threads.map(shared_queue.prepare, engines))
        with engines[0].connect() as connection:
            tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'procrastinate'"
            assert connection.execute(text(tables)).scalar_one() == 4
            differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
            assert "procrastinate" not in str(differences)
        for engine in engines:
            engine.dispose()


def test_a_queue_needs_postgresql(tmp_path: Path) -> None:
    """On SQLite the config is refused with what to write."""
    with pytest.raises(ValueError, match=r"postgresql\+psycopg"):
        make_settings(tmp_path, service={"queue": "procrastinate"})
