"""The service: wakes what is due, survives what breaks, stops when told."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine

from monitor import service
from monitor.jobs import NotDue
from monitor.service import Service
from monitor.settings import Source


def make_source(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "kind": "feed", "shop": "demo", **values}


class World:
    """What a service is given, and a count of what it called."""

    def __init__(self, engine: Engine, folder: Path, *sources: dict[str, Any], **service: Any) -> None:
        settings = make_settings(folder, sources=list(sources), service={"var_dir": folder, **service})
        self.core = make_core(engine, settings)
        self.crawled: list[str] = []
        self.calls: dict[str, int] = {"sweep": 0, "deliver": 0, "summaries": 0, "watch": 0}
        self.broken: set[str] = set()

    async def crawl(self, source: Source) -> dict[str, Any]:
        self.crawled.append(source.name)
        if source.name in self.broken:
            raise RuntimeError("broken")
        if source.name == "slow":
            await asyncio.sleep(60)
        return {"name": source.name}

    def count(self, name: str) -> Any:
        def work() -> None:
            assert threading.current_thread() is not threading.main_thread()
            self.calls[name] += 1
            if name in self.broken:
                raise RuntimeError("broken")

        return work

    def service(self) -> Service:
        return Service(
            self.core,
            crawl=self.crawl,
            sweep=self.count("sweep"),
            deliver={"ops": self.count("deliver")},
            summaries=self.count("summaries"),
            watch=self.count("watch"),
            hand_over=self.count("hand_over"),
        )


async def seen(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 — what it waits for happens in threads
            await asyncio.sleep(0.05)


async def test_it_crawls_sweeps_delivers_and_stops(sqlite: Engine, tmp_path: Path) -> None:
    """Everything is woken at once after the start, and nothing is left running at the end."""
    world = World(sqlite, tmp_path, make_source("a"), make_source("b", every="1h"), make_source("off", enabled=False))
    await world.service().run(until=seen(lambda: len(world.crawled) == 2 and all(world.calls.values())))
    assert sorted(world.crawled) == ["a", "b"]
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


async def test_what_breaks_does_not_stop_the_rest(sqlite: Engine, tmp_path: Path) -> None:
    """A crawl, a sweep or a summary that raises is logged; the next round comes."""
    world = World(sqlite, tmp_path, make_source("bad"), make_source("good"))
    world.broken = {"bad", "sweep", "deliver", "summaries"}
    await world.service().run(until=seen(lambda: min(world.calls["sweep"], world.calls["deliver"]) >= 2))
    assert sorted(world.crawled) == ["bad", "good"]


async def test_a_crawl_in_progress_is_cancelled_at_the_end(sqlite: Engine, tmp_path: Path) -> None:
    """Stopping does not wait for a slow source."""
    world = World(sqlite, tmp_path, make_source("slow"))
    async with asyncio.timeout(40):
        await world.service().run(until=seen(lambda: world.crawled == ["slow"]))
    assert world.crawled == ["slow"]


async def test_what_cannot_end_is_not_waited_for(
    sqlite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that hangs at a provider is left behind, and that is said."""
    monkeypatch.setattr("monitor.service._LAST_WORDS", 0.2)
    answer = threading.Event()

    class Hanging(World):
        def count(self, name: str) -> Any:
            return answer.wait if name == "deliver" else super().count(name)

    try:
        async with asyncio.timeout(10):
            assert not await Hanging(sqlite, tmp_path).service().run(until=asyncio.sleep(0.1))
    finally:
        answer.set()
    assert await World(sqlite, tmp_path).service().run(until=asyncio.sleep(0.1)), "all of it ended"


async def test_cron_sources_wait_for_their_hour(sqlite: Engine, tmp_path: Path) -> None:
    """A source with cron is not crawled at the start."""
    world = World(sqlite, tmp_path, make_source("nightly", cron="0 3 1 1 *"))
    await world.service().run(until=asyncio.sleep(0.3))
    assert world.crawled == []


@pytest.mark.parametrize(("promotions", "expected"), [([], 1), (["2026-11-20..2026-11-21"], 2)])
async def test_a_promotion_has_its_own_rhythm(
    sqlite: Engine, tmp_path: Path, promotions: list[str], expected: int
) -> None:
    """Woken every two minutes, a source is read then only while a promotion runs."""
    world = World(sqlite, tmp_path, make_source("a", every="10m", promo_every="2m"), promotions=promotions)
    service = world.service()
    source = world.core.settings.sources[0]
    await service._crawl_when_due(source)
    world.core.clock.move(timedelta(minutes=2))
    await service._crawl_when_due(source)
    assert len(world.crawled) == expected
    world.core.clock.move(timedelta(minutes=8))
    await service._crawl_when_due(source)
    assert len(world.crawled) == expected + 1
    assert world.core.clock.now() == NOW + timedelta(minutes=10)


async def test_promotions_are_days_of_the_shops_own_zone(sqlite: Engine, tmp_path: Path) -> None:
    """The promotion's rhythm begins at midnight in Shanghai, not in London, and ends with its last day."""
    world = World(
        sqlite, tmp_path, make_source("a", every="1h", promo_every="2m"), promotions=["2026-11-21..2026-11-22"]
    )
    service, (source,) = world.service(), world.core.settings.sources
    midnight = timedelta(hours=10)  # from NOW, 14:00 on the 20th
    crawls = {}
    for begin in (midnight - timedelta(minutes=10), midnight, midnight + timedelta(days=2)):
        world.core.clock.move(NOW + begin - world.core.clock.now())
        world.crawled.clear()
        for _ in range(5):
            await service._crawl_when_due(source)
            world.core.clock.move(timedelta(minutes=2))
        crawls[begin] = len(world.crawled)
    assert list(crawls.values()) == [1, 5, 1]


async def test_a_promotion_hurries_a_source_with_fixed_hours(sqlite: Engine, tmp_path: Path) -> None:
    """Beside its cron times it is read at the promotion's rhythm, and at no other day."""
    source = make_source("a", cron="0 3 1 1 *", promo_every="2m")
    quiet = World(sqlite, tmp_path, source)
    await quiet.service().run(until=asyncio.sleep(0.3))
    assert quiet.crawled == []
    busy = World(sqlite, tmp_path, source, promotions=["2026-11-20..2026-11-20"])
    await busy.service().run(until=seen(lambda: busy.crawled == ["a"]))


@pytest.mark.parametrize("every", ["5m", "30m"])
async def test_a_promotion_leaves_other_sources_alone(sqlite: Engine, tmp_path: Path, every: str) -> None:
    """A source without a promotion's rhythm keeps its own."""
    world = World(sqlite, tmp_path, make_source("a", every=every), promotions=["2026-11-20..2026-11-20"])
    service, (source,) = world.service(), world.core.settings.sources
    for _ in range(13):
        await service._crawl_when_due(source)
        world.core.clock.move(timedelta(minutes=5))
    assert len(world.crawled) == {"5m": 13, "30m": 3}[every]


async def test_what_a_sweep_fired_is_sent_at_once(
    sqlite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders do not wait for their own next look when there is something new; without it they do."""
    monkeypatch.setattr(service, "_DELIVER_EVERY", 60)
    monkeypatch.setattr(service, "_SWEEP_EVERY", 0.05)
    world = World(sqlite, tmp_path)
    waker = Service(
        world.core,
        crawl=world.crawl,
        sweep=lambda: world.count("sweep")() or int(world.calls["sweep"] in (5, 10)),
        deliver={"ops": world.count("deliver")},
        summaries=world.count("summaries"),
        watch=world.count("watch"),
        hand_over=world.count("hand_over"),
    )
    await waker.run(until=seen(lambda: world.calls["sweep"] >= 15))
    assert world.calls["deliver"] == 3


async def test_a_schedule_that_others_keep_too(sqlite: Engine, tmp_path: Path) -> None:
    """What another service saw to is not asked for before its time; what could not be put is, at the next look."""
    world = World(sqlite, tmp_path, make_source("a", every="10m"))
    mine = Service(
        world.core, crawl=world.crawl, sweep=dict, deliver={}, summaries=dict, watch=dict, hand_over=dict, shared=True
    )
    source, asked, last = world.core.settings.sources[0], list[timedelta](), NOW + timedelta(minutes=4)

    async def crawl(_: Source) -> None:
        asked.append(world.core.clock.now() - NOW)
        if len(asked) == 1:
            raise NotDue(last)
        if len(asked) == 2:
            raise OSError("the store is gone")

    mine._crawl = crawl
    for _ in range(50):
        await mine._crawl_when_due(source)
        world.core.clock.move(timedelta(seconds=30))
    assert [moment.total_seconds() / 60 for moment in asked] == [0, 14, 14.5, 24.5]


@pytest.mark.parametrize(("every", "woken"), [("10m", 30), ("45s", 22.5), ("20s", 20)])
def test_who_shares_a_schedule_looks_often(every: str, woken: float) -> None:
    """If another dies, its crawls are late by half a minute at most; nobody is woken off the source's own beat."""
    source = Source(**make_source("a", every=every))
    assert service._woken_every(source, True).total_seconds() == woken
    assert service._woken_every(source, False) == source.every
