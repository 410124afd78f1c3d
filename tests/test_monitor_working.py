"""A worker inside the test: what breaks is tried again, what was cut short goes back, what kills is given up."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from factories import NOW, make_core
from queues import emptied, jobs, prepared
from sqlalchemy import Engine, text
from sqlmodel import col, select

from monitor import db, shared_queue, working
from monitor.clock import HandClock
from monitor.jobs import Inside, Job, NotDone
from monitor.metrics import Meters
from monitor.models import Known
from monitor.shared_queue import SharedQueue
from monitor.working import Worker


@pytest.fixture(scope="module")
def server(postgres: str) -> Iterator[Engine]:
    with prepared(postgres, "working") as engine:
        yield engine


@pytest.fixture
def pg(server: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An empty queue, and workers that are quick to notice."""
    for name, value in {"LOOK_EVERY": 0.1, "HEARTBEAT": 0.2, "STALLED": 2.0, "AGAIN": 0, "_GRACE": 0.1}.items():
        monkeypatch.setattr(working, name, value)
    monkeypatch.setattr(working, "_AFTER_FAILURE", 0.1)
    return emptied(server)


def queue(engine: Engine) -> SharedQueue:
    return SharedQueue(engine, HandClock(NOW), Inside({}))


@contextmanager
def at_work(engine: Engine, score: Callable[..., Any], concurrency: int = 1) -> Iterator[Meters]:
    """A worker in a thread that scores by this function; gives what it counts. It has ended well at the end."""
    core = make_core(engine)
    began, ended, parts = threading.Event(), list[bool](), list[Any]()

    async def work() -> None:
        parts.extend([asyncio.get_running_loop(), asyncio.Event()])
        worker = Worker(core, {"score": score}, ["score"], concurrency)
        began.set()
        ended.append(await worker.run(parts[1]))

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert began.wait(10)
    try:
        yield core.meters
    finally:
        parts[0].call_soon_threadsafe(parts[1].set)
        thread.join(15)
    assert ended == [True]


def until(condition: Callable[[], Any]) -> None:
    latest = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < latest
        time.sleep(0.05)


def put(engine: Engine, name: str, alone: str = "", **arguments: Any) -> None:
    asyncio.run(queue(engine).put(Job("score", name, arguments, alone)))


def each(engine: Engine, *numbers: int) -> list[Any]:
    return list(queue(engine).each(Job("score", f"score:{n}", {"n": n}) for n in numbers))


def test_whoever_waits_gets_what_came_of_each(pg: Engine) -> None:
    """More jobs than may wait at a time, two workers' worth of them done at once, none twice."""
    seen: list[int] = []

    async def score(n: int) -> dict[str, int]:
        seen.append(n)
        return {"n": n}

    with at_work(pg, score, concurrency=2):
        came = each(pg, *range(40))
    assert sorted(one["n"] for one in came) == sorted(seen) == list(range(40))
    assert jobs(pg) == []
    with db.reading(pg) as session:
        assert session.exec(select(Known.name).where(col(Known.name).startswith("answer:"))).all() == []


def test_what_breaks_is_tried_again_and_then_told(pg: Engine) -> None:
    """A job that breaks once is done; one that always does is told to whoever waits, and kept to be looked at."""
    tries: dict[int, int] = {}

    async def score(n: int) -> int:
        tries[n] = tries.get(n, 0) + 1
        if n or tries[n] < 2:
            raise RuntimeError("坏了")
        return n

    with at_work(pg, score):
        assert each(pg, 0) == [0]
        with pytest.raises(NotDone, match="RuntimeError: 坏了"):
            each(pg, 7)
        until(lambda: jobs(pg, "failed"))
    assert tries == {0: 2, 7: 3}


def test_a_source_that_is_still_held_is_waited_for(pg: Engine) -> None:
    """A crawl that was put back finds the dead worker's run and comes again; a first one that is in the way is done."""
    held = [3]

    async def score(n: int) -> dict[str, Any]:
        held[0] -= n
        return {"busy": held[0] > 0}

    put(pg, "first", n=0)
    with at_work(pg, score):
        until(lambda: not jobs(pg))
    put(pg, "again", n=1)
    with pg.begin() as connection:
        connection.execute(text("UPDATE procrastinate.procrastinate_jobs SET attempts = 1"))
    with at_work(pg, score):
        until(lambda: not jobs(pg))
    assert held == [0]


def test_what_is_cut_short_goes_back(pg: Engine) -> None:
    """A worker that has to end leaves its job waiting, and the next one does it."""
    begun = threading.Event()

    async def endless(n: int) -> int:
        begun.set()
        await asyncio.sleep(60)
        return n

    async def score(n: int) -> int:
        return n

    put(pg, "one", n=1)
    with at_work(pg, endless):
        assert begun.wait(30)
    assert [state for state, *_ in jobs(pg)] == ["todo"]
    with at_work(pg, score):
        until(lambda: not jobs(pg))


def test_what_came_of_jobs_is_counted(pg: Engine) -> None:
    """Done, failed and put back, by queue, and when the last was done."""

    async def score(n: int) -> int:
        if n > 1:
            await asyncio.sleep(60)
        return 1 // n

    def told(name: str, **labels: str) -> float | None:
        return meters.registry.get_sample_value(f"pingshao_job_{name}", {"queue": "score", **labels})

    with at_work(pg, score) as meters:
        put(pg, "good", n=1)
        until(lambda: told("seconds_count", outcome="done"))
        put(pg, "bad", n=0)
        until(lambda: told("seconds_count", outcome="failed") == 3)
        put(pg, "long", n=2)
        until(lambda: jobs(pg, "doing"))
    assert told("seconds_count", outcome="put_back") == 1
    assert time.time() - (told("last_success_timestamp_seconds") or 0) < 60


def leave_behind(engine: Engine, attempts: int = 0) -> None:
    """A job that a worker took who has been silent for an hour."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL search_path TO procrastinate, public"))
        silent = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
        dead = connection.execute(text(silent)).scalar_one()
        taken = "UPDATE procrastinate_jobs SET status = 'doing', worker_id = :dead, attempts = :n WHERE status = 'todo'"
        connection.execute(text(taken), {"dead": dead, "n": attempts})


def test_a_dead_workers_job_is_put_back_once(pg: Engine) -> None:
    """Three workers look for it: it is done once, and the dead one is forgotten."""
    seen: list[int] = []

    async def score(n: int) -> int:
        seen.append(n)
        return n

    put(pg, "one", alone="site", n=1)
    leave_behind(pg)
    with at_work(pg, score), at_work(pg, score), at_work(pg, score):
        until(lambda: not jobs(pg))
    assert seen == [1]
    assert shared_queue.look(pg).workers == 0


@pytest.mark.parametrize("attempts", [0, 50])
def test_what_has_a_successor_or_kills_is_given_up(pg: Engine, attempts: int) -> None:
    """The same job waits already, or it was put back fifty times: it is kept as failed, and its site is free."""
    seen: list[int] = []

    async def score(n: int) -> int:
        seen.append(n)
        return n

    put(pg, "one", alone="site", n=1)
    leave_behind(pg, attempts)
    put(pg, "one" if not attempts else "other", alone="site", n=2)
    with at_work(pg, score):
        until(lambda: seen and jobs(pg, "failed") and len(jobs(pg)) == 1)
    assert seen == [2]


def test_a_store_that_goes_away_is_waited_for(pg: Engine) -> None:
    """Every connection is cut: the worker comes back by itself and goes on."""
    seen: list[int] = []

    async def score(n: int) -> int:
        seen.append(n)
        return n

    with at_work(pg, score):
        assert each(pg, 1) == [1]
        with pg.connect() as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            connection.execute(text(f"{others} AND pid <> pg_backend_pid()"))
        assert each(pg, 2, 3) == [2, 3]


def test_what_nobody_asks_for_any_more_is_forgotten(pg: Engine) -> None:
    """Answers of a command that was stopped go after a week."""

    async def score(n: int) -> int:
        return n

    with db.writing(pg) as session:
        for name, age in (("answer:a:1", 8), ("answer:a:2", 6), ("put:crawl:a", 8)):
            session.add(Known(name=name, value={}, at=NOW - timedelta(days=age)))

    def names() -> set[str]:
        with db.reading(pg) as session:
            return set(session.exec(select(Known.name)).all())

    with at_work(pg, score):
        until(lambda: names() == {"answer:a:2", "put:crawl:a"})
