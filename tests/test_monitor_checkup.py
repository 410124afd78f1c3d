"""What is wrong with the monitor itself: seen in time, told once to the engineer, kept from the dead man's switch."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from delivering import Blind, make_house, rows, run
from factories import NOW, make_core, make_settings
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine
from sqlmodel import select

from monitor import db, selfwatch
from monitor.checkup import Checkup, Trouble, examine, span
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Feedback, Outbox, Run, Score, Source, Timer
from monitor.selfwatch import Heartbeat, SelfWatch

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CHANNELS = [
    {"name": "ops", "kind": "slack", "target": "C1"},
    {"name": "pager", "kind": "webhook", "target": "http://127.0.0.1:9/"},
]
HOST = "node1"


def house(engine: Engine, clock: HandClock, folder: Path | str = "/nonexistent", **overrides: Any) -> Core:
    """A process that has been at work for a day."""
    routes = {"crisis": ["ops"], "case": ["ops"], "engineer": ["ops", "pager"]}
    values = {"channels": CHANNELS, "routes": routes, "service": {"var_dir": folder}}
    core = make_house(engine, clock, **(values | overrides))
    core.meters.began -= 24 * 3600
    return core


def codes(core: Core) -> list[str]:
    return [one.code for one in examine(core).troubles]


def source(name: str = "site", **values: Any) -> dict[str, Any]:
    return {"name": name, "kind": "feed", "shop": "demo", **values}


def add(core: Core, *made: Any) -> None:
    with db.writing(core.engine) as session:
        session.add_all(made)


def crawled(core: Core, name: str = "site", ago: timedelta = MINUTE, well: timedelta | None = MINUTE) -> None:
    """A source that was crawled, and when that went well last."""
    now = core.clock.now()
    with db.writing(core.engine) as session:
        row = session.exec(select(Source).where(Source.name == name)).one()
        row.status, row.last_success_at = "ok" if well else "failed", now - well if well else None
        session.add(row)
        assert row.id
        session.add(Run(source_id=row.id, status="ok", started_at=now - ago, lease_until=now, finished_at=now))


def message(channel: str = "ops", n: int = 0, age: timedelta = HOUR, **values: Any) -> Outbox:
    about = {"kind": "case.opened", "subject": "case", "subject_id": n, "dedupe_key": f"k{n}", "target": "C1"}
    times = {"created_at": NOW - age, "not_before": NOW - age}
    return Outbox(**(about | {"channel": channel} | times | values))


def test_all_is_well(engine: Engine, clock: HandClock, tmp_path: Path) -> None:
    """A house at rest, with what is normal in it, has no trouble."""
    core = house(engine, clock, tmp_path, sources=[source()])
    crawled(core)
    add(core, Timer(case_id=None, stage="respond", step="deadline", due_at=NOW + MINUTE))
    later = {"not_before": NOW + HOUR}
    add(core, message(n=1, age=MINUTE), message(n=2, state="dead"), message(n=3, **later), message(n=4, state="sent"))
    core.meters.round("sweep", 0.1)
    found = examine(core)
    assert found.troubles == ()
    assert found.vitals
    assert found.vitals.waiting == {("ops", "pending"): 2, ("ops", "dead"): 1}
    assert found.vitals.oldest == {"ops": MINUTE}
    assert list(found.vitals.disks)[:1] == [str(tmp_path)]


@pytest.mark.parametrize(
    ("every", "ago", "late"),
    [
        ({"every": "1h"}, timedelta(minutes=74), False),
        ({"every": "1h"}, timedelta(minutes=76), True),
        ({}, timedelta(minutes=24), False),
        ({}, timedelta(minutes=26), True),
        ({"cron": "0 13 * * *"}, timedelta(minutes=59), False),  # crawled at 13:01, now it is 14:00
        ({"cron": "0 13 * * *"}, timedelta(minutes=61), True),
        ({"cron": "0 0 30 2 *"}, timedelta(hours=3), False),  # a day that never comes
    ],
)
def test_a_schedule_that_stalls(
    sqlite: Engine, clock: HandClock, every: dict[str, str], ago: timedelta, late: bool
) -> None:
    """A source that is a quarter of an hour past its time, by its own rhythm."""
    core = house(sqlite, clock, sources=[source(**every), source("off", enabled=False), source("push", kind="webhook")])
    crawled(core, ago=ago)
    assert codes(core) == (["schedule"] if late else [])


def test_a_crawl_that_runs_is_not_late(sqlite: Engine, clock: HandClock) -> None:
    """Nor is one that was due while nothing ran, or one of a process that has just begun."""
    core = house(sqlite, clock, sources=[source()])
    assert codes(core) == ["schedule"], "never crawled in a day"
    crawled(core, ago=HOUR)
    with db.writing(core.engine) as session:
        session.add(Run(source_id=1, status="running", started_at=NOW - HOUR, lease_until=NOW + MINUTE))
    assert codes(core) == []
    clock.move(2 * MINUTE)
    assert codes(core) == ["schedule"], "its lease ran out"
    core.meters.began += 24 * 3600
    assert codes(core) == []


def test_a_report_that_is_not_made(sqlite: Engine, clock: HandClock) -> None:
    """The morning check of ten o'clock was not made by two."""
    core = house(sqlite, clock)
    add(core, Source(name="old", kind="feed"))
    add(core, Run(source_id=1, status="ok", started_at=NOW - 2 * 24 * HOUR, lease_until=NOW))
    (found,) = examine(core).troubles
    assert (found.code, "早间检查" in found.says) == ("schedule", True)


def test_timers_that_nobody_fires(engine: Engine, clock: HandClock) -> None:
    """Two minutes after a deadline that stays armed."""
    core = house(engine, clock)
    add(core, Timer(stage="respond", step="deadline", due_at=NOW - 2 * MINUTE))
    assert codes(core) == []
    clock.move(MINUTE)
    (found,) = examine(core).troubles
    assert (found.code, found.says) == ("timers", "1 个时限到点没有处理，最早的晚了 3 分钟")


def test_an_outbox_that_grows(engine: Engine, clock: HandClock) -> None:
    """By age of what could have gone, retried or not, or by number; it is told by other channels."""
    core = house(engine, clock, upkeep={"outbox_most": 3})
    add(core, message("ops", 1, attempts=3, not_before=NOW + HOUR, state="uncertain"))
    (found,) = examine(core).troubles
    assert (found.code, found.channels) == ("outbox", ("ops",))
    assert found.says == "1 条消息等着发：ops 等了 1.0 小时"
    with db.writing(core.engine) as session:
        session.get_one(Outbox, 1).state = "folded"
    add(core, *(message("pager", n, MINUTE) for n in range(2, 6)))
    (found,) = examine(core).troubles
    assert (found.says, found.channels) == ("4 条消息等着发", ("pager",))


def test_sources_that_are_silent(sqlite: Engine, clock: HandClock) -> None:
    """Crawled on time, but not read well for half a day; a start after a long stop gives them time."""
    core = house(sqlite, clock, sources=[source(f"s{n}") for n in range(7)])
    for n in range(6):
        crawled(core, f"s{n}", well=timedelta(hours=13 + n))
    crawled(core, "s6", well=timedelta(hours=12))
    (found,) = examine(core).troubles
    assert found.code == "sources"
    assert found.says.startswith("6 个来源读不到东西：s5 已有 17.8 小时、s4 ")
    assert found.says.endswith("等 6 个")
    assert examine(core).unready == []
    core.meters.began += 24 * 3600
    assert codes(core) == []


def test_what_a_long_stop_left_is_no_trouble_yet(sqlite: Engine, clock: HandClock) -> None:
    """A process that has just begun has minutes to fire and to send what waited for it."""
    core = house(sqlite, clock, sources=[source()])
    crawled(core, ago=30 * HOUR, well=30 * HOUR)
    add(core, Timer(stage="respond", step="deadline", due_at=NOW - 30 * HOUR), message(age=30 * HOUR))
    assert codes(core) == ["schedule", "timers", "outbox", "sources"]
    core.meters.began += 24 * 3600
    assert codes(core) == []


def test_a_disk_that_fills(sqlite: Engine, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less room than the config wants."""
    core = house(sqlite, clock, tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("monitor.vitals.shutil.disk_usage", lambda _: usage._replace(free=100 * 2**20))
    (found,) = examine(core).troubles
    assert (found.code, found.says) == ("disk", f"{tmp_path} 所在的盘只剩 100 MB")
    assert examine(core).unready == []


def test_a_loop_that_hangs(sqlite: Engine, clock: HandClock) -> None:
    """A sweep whose last good round ended minutes ago; senders may take long."""
    core = house(sqlite, clock)
    core.meters.round("sweep", 0.1)
    core.meters.round("deliver ops", 0.1)
    core.meters.rounds["deliver ops"] -= 3600
    assert codes(core) == []
    core.meters.rounds["sweep"] -= 121
    assert codes(core) == ["loops"]


def test_a_store_that_is_gone(tmp_path: Path, clock: HandClock) -> None:
    """It is a finding, in one line."""
    (tmp_path / "gone.db").mkdir()
    core = make_core(db.connect(f"sqlite:///{tmp_path}/gone.db"), make_settings(tmp_path), clock)
    found = examine(core)
    assert ([one.code for one in found.troubles], found.vitals) == (["database"], None)
    assert "unable to open database file" in found.troubles[0].says


def test_what_scored_the_newest(engine: Engine, clock: HandClock) -> None:
    """Feedback of the last hour by its scorer, and how long after it was written it was stored."""
    core = house(engine, clock)
    add(core, Source(name="site", kind="feed"))
    for n, (seen, written) in enumerate([(1, 5), (2, 10), (3, 63), (120, 121), (1, None)]):
        at = NOW - seen * MINUTE
        add(
            core,
            Feedback(
                source_id=1, external_id=str(n), happened_at=at, first_seen_at=at, updated_at=at, content_hash="",
                created_at=None if written is None else NOW - written * MINUTE, timely=n != 2,
            ),
        )  # fmt: skip
        if n:
            add(core, Score(feedback_id=n + 1, happened_at=at, model="m", negative=False, p_negative=0.1, scored_at=at))
    found = examine(core).vitals
    assert found
    assert found.recent == {"m": 3, "": 1}
    assert found.delay == 8 * MINUTE


class World:
    """A self-watch whose findings are given, and what it queued."""

    def __init__(self, core: Core) -> None:
        self.core, self.troubles = core, list[Trouble]()
        self.watch = SelfWatch(core, self.found, HOST)

    def found(self) -> Checkup:
        return Checkup(tuple(self.troubles), examine(self.core).vitals)

    def look(self, times: int = 1, watch: SelfWatch | None = None) -> list[tuple[str, str, str]]:
        for _ in range(times):
            (watch or self.watch).look()
        return [(row.kind, row.channel, row.payload["says"]) for row in rows(self.core) if row.subject == "upkeep"]


@pytest.fixture
def world(engine: Engine, clock: HandClock) -> World:
    return World(house(engine, clock))


def test_trouble_is_told_once_and_its_end_too(world: World, clock: HandClock) -> None:
    """Once while it lasts, again after a day; over only when it stays away; by two processes as by one."""
    world.troubles = [Trouble("timers", "晚了", "看看")]
    other = SelfWatch(world.core, world.found, "node2")
    told = world.look(3)
    assert told == [("upkeep.trouble", "ops", "晚了"), ("upkeep.trouble", "pager", "晚了")]
    assert world.look(3, other) == told
    clock.move(24 * HOUR)
    assert len(world.look(2)) == 4
    world.troubles = []
    assert len(world.look(9)) == 4
    world.troubles = [Trouble("timers", "又晚了", "看看")]
    assert len(world.look()) == 4, "it never went away"
    world.troubles = []
    assert [row[0] for row in world.look(11)[4:]] == ["upkeep.recovered"] * 2
    assert rows(world.core)[-1].payload["lasted"] == "24.0 小时"
    assert len(world.look(20, other)) == 6


def test_a_machine_tells_of_its_own(world: World) -> None:
    """That another machine has room does not mean that this one has."""
    world.troubles = [Trouble("disk", "满了", "清理", host=HOST)]
    world.look()
    world.troubles = []
    assert len(world.look(20, SelfWatch(world.core, world.found, "node2"))) == 2
    assert len(world.look(10)) == 4


def test_it_is_told_by_another_channel(world: World) -> None:
    """Not by those that it is about."""
    world.troubles = [Trouble("outbox", "积压", "看看", channels=("ops",))]
    assert world.look() == [("upkeep.trouble", "pager", "积压")]


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ({"crisis": ["ops"], "system": ["pager"], "engineer": ["ops"]}, [("ops", "C1")]),
        ({"crisis": ["ops"], "system": ["pager"]}, [("pager", "http://127.0.0.1:9/")]),
        ({"crisis": ["ops"]}, [("ops", "C1")]),
    ],
)
def test_the_engineers_route(sqlite: Engine, clock: HandClock, routes: Any, expected: Any) -> None:
    """Its own, else that of trouble with sources, else that of crises."""
    world = World(house(sqlite, clock, routes=routes))
    world.troubles = [Trouble("timers", "晚了", "看看")]
    world.look()
    assert [(row.channel, row.target) for row in rows(world.core)] == expected


def test_with_one_channel_only_it_is_told_there(sqlite: Engine, clock: HandClock) -> None:
    """Late is better than never."""
    world = World(house(sqlite, clock, channels=CHANNELS[:1], routes={"crisis": ["ops"]}))
    world.troubles = [Trouble("outbox", "积压", "看看", channels=("ops",))]
    assert world.look() == [("upkeep.trouble", "ops", "积压")]


def test_the_engineers_card(world: World, clock: HandClock) -> None:
    """What, what to do, since when; then that it is over, and how long it took."""
    world.troubles = [Trouble("disk", "/data 所在的盘只剩 100 MB", "请清理或换盘", host=HOST)]
    world.look()
    ops = Blind()
    run(world.core, {"ops": ops})
    clock.move(90 * MINUTE)
    world.troubles = []
    world.look(10)
    run(world.core, {"ops": ops})
    trouble, over = (letter.card for letter in ops.letters)
    assert trouble.title == "【评哨自身有问题】（node1）/data 所在的盘只剩 100 MB"
    assert [line.text for line in trouble.lines] == ["请清理或换盘。", "从今天 14:00 开始。"]
    assert over.title == "【评哨恢复正常】（node1）/data 所在的盘只剩 100 MB"
    assert [line.text for line in over.lines] == ["已经好了。", "持续了 1.5 小时。"]


def test_what_cannot_be_stored_is_logged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a store nothing is queued, and nothing breaks."""
    world.watch = SelfWatch(world.core, lambda: Checkup((Trouble("database", "没了", "看看"),)), HOST)
    assert world.look(2) == []
    assert "没了" in capsys.readouterr().out


@pytest.fixture
def switch(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/ping/secret-uuid").respond_with_data("OK")
    httpserver.expect_request("/ping/gone").respond_with_data("no", status=404)
    return httpserver


def test_the_heartbeat_beats_while_all_is_well(switch: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Silent sources do not stop it, late timers do; its address stays out of the log."""
    found = Checkup((Trouble("sources", "哑了", "看看"),))
    assert Heartbeat(switch.url_for("/ping/secret-uuid"), lambda: found).beat()
    late = Checkup((Trouble("timers", "晚了", "看看"),))
    assert not Heartbeat(switch.url_for("/ping/secret-uuid"), lambda: late).beat()
    assert len(switch.log) == 1
    for bad in (switch.url_for("/ping/gone"), "http://127.0.0.1:9/secret-uuid", "http://127.0.0.1:x y/secret-uuid"):
        assert not Heartbeat(bad, lambda: found).beat()
    said = capsys.readouterr().out
    assert said.count("heartbeat_not_heard") == 3
    assert "status=404" in said
    assert "secret-uuid" not in said
    assert "/ping" not in said


@pytest.mark.parametrize(
    ("variable", "address", "loops"),
    [("", "", 1), ("BEAT", "https://hc.example/uuid", 2), ("BEAT", "", 1), ("BEAT", "file:///etc/passwd", 1)],
)
def test_the_heartbeat_is_the_configs_choice(
    sqlite: Engine, clock: HandClock, monkeypatch: pytest.MonkeyPatch, variable: str, address: str, loops: int
) -> None:
    """With an address of the web; a variable that holds none is logged."""
    monkeypatch.setenv("BEAT", address)
    core = house(sqlite, clock, upkeep={"heartbeat_env": variable})
    assert len(selfwatch.rounds(core, lambda: examine(core), HOST)) == loops


def test_spans_in_words() -> None:
    """As people say them."""
    assert [span(timedelta(seconds=s)) for s in (0, 59, 60, 3599, 3600, 100_000)] == [
        "0 秒", "59 秒", "1 分钟", "59 分钟", "1.0 小时", "27.8 小时",
    ]  # fmt: skip
