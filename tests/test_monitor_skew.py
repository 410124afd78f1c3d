"""The watch over the clock: jumps and skew are told once, with their size; nothing fires because of them alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from delivering import Blind, make_house, rows, run
from factories import NOW, Ahead, make_core
from sqlalchemy import Engine
from sqlmodel import col, select

from monitor import db, skew
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Event

JUMPS = [timedelta(hours=2), timedelta(hours=-2), timedelta(seconds=60), timedelta(minutes=-5)]


class Time:
    """A wall clock that can be set, and one that only passes."""

    def __init__(self, at: datetime = NOW) -> None:
        self.wall, self.passed = HandClock(at), 0.0

    def passes(self, seconds: float) -> None:
        self.wall.move(timedelta(seconds=seconds))
        self.passed += seconds

    def watch(self, core: Core, host: str = "alpha") -> skew.Watch:
        return skew.Watch(core, self.wall, lambda: self.passed, host)


def house(engine: Engine, time: Time) -> Core:
    return make_house(engine, time.wall)


def told(core: Core) -> list[dict[str, Any]]:
    with db.reading(core.engine) as session:
        found = session.exec(select(Event.after).where(Event.what == "clock.jumped").order_by(col(Event.id))).all()
    assert len(rows(core, "clock.jumped")) == len(found)
    return list(found)


@pytest.mark.parametrize("jump", JUMPS)
def test_fault_31_a_jump_is_reported_once_with_its_size(sqlite: Engine, jump: timedelta) -> None:
    """The clock is set forward or back: one event and one message to the system's route, from both processes."""
    time = Time()
    core = house(sqlite, time)
    watches = [time.watch(core), time.watch(core)]
    for _ in range(3):
        time.passes(skew.LOOK_EVERY)
        [watch.look() for watch in watches]
    assert told(core) == []
    time.wall.move(jump)
    for _ in range(3):
        time.passes(skew.LOOK_EVERY)
        [watch.look() for watch in watches]
    assert told(core) == [{"how": "jump", "seconds": jump.total_seconds(), "host": "alpha"}]
    [row] = rows(core, "clock.jumped")
    assert (row.channel, row.target, row.subject) == ("ops", "C1", "clock")


def test_small_steps_and_long_pauses_are_no_jumps(sqlite: Engine) -> None:
    """What time servers correct every day is not reported, nor a loop that did not run for hours."""
    time = Time()
    core = house(sqlite, time)
    watch = time.watch(core)
    for _ in range(50):
        time.passes(skew.LOOK_EVERY)
        time.wall.move(timedelta(seconds=59))
        watch.look()
    time.passes(8 * 3600)
    watch.look()
    assert told(core) == []


def test_a_process_stopped_between_two_readings_reports_nothing(sqlite: Engine) -> None:
    """SIGSTOP just between reading one clock and the other looks like no jump."""
    time = Time()
    core = house(sqlite, time)
    stops = iter([0.0, 7200.0])

    class Stopping:
        def now(self) -> datetime:
            seen = time.wall.now()
            time.passes(next(stops, 0.0))
            return seen

    watch = skew.Watch(core, Stopping(), lambda: time.passed, "alpha")
    watch.look()
    watch.look()
    assert told(core) == []


def test_the_next_jump_of_the_hour_is_not_told_but_the_next_hours_is(sqlite: Engine) -> None:
    """A clock that jumps all the time does not fill the channel."""
    time = Time()
    core = house(sqlite, time)
    watch = time.watch(core)
    for _ in range(6):
        time.wall.move(timedelta(minutes=2))
        watch.look()
    assert len(told(core)) == 1
    time.passes(3600)
    time.wall.move(timedelta(minutes=-2))
    watch.look()
    assert [one["seconds"] for one in told(core)] == [120, -120]


def test_there_and_back_again_are_two(sqlite: Engine) -> None:
    """Two hours ahead and a minute later two hours back: both are told."""
    time = Time()
    core = house(sqlite, time)
    watch = time.watch(core)
    for sign in (1, -1):
        time.wall.move(timedelta(hours=2) * sign)
        watch.look()
        time.passes(60)
    assert [one["seconds"] for one in told(core)] == [7200, -7200]


def test_a_report_that_could_not_be_stored_is_made_at_the_next_look(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store was locked just then."""
    time = Time()
    core = house(sqlite, time)
    watch = time.watch(core)
    time.wall.move(timedelta(hours=2))
    with monkeypatch.context() as patch:
        patch.setattr(db, "writing", lambda _engine: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            watch.look()
    time.passes(skew.LOOK_EVERY)
    watch.look()
    assert [one["seconds"] for one in told(core)] == [7200]


def at(offset: float) -> Time:
    """Real time and some seconds, beside one that passes only when told."""
    time = Time()
    time.wall = Ahead(offset)  # type: ignore[assignment]
    return time


def test_skew_is_measured_with_its_sign(engine: Engine) -> None:
    """Seconds that a clock runs before the database's, or behind."""
    for offset in (0, 8, -8):
        found = skew.against_store(engine, at(offset).wall).total_seconds()
        assert found == pytest.approx(offset, abs=2)


@pytest.mark.parametrize("offset", [30, -30])
def test_skew_against_postgresql_is_told_at_start_and_once_an_hour(engine: Engine, offset: float) -> None:
    """More than five seconds off; SQLite's clock is the host's own and is not asked."""
    time = at(offset)
    core = house(engine, time)
    watch = time.watch(core)
    watch.look()
    if engine.dialect.name == "sqlite":
        assert told(core) == []
        return
    [first] = told(core)
    assert (first["how"], first["host"]) == ("skew", "alpha")
    assert first["seconds"] == pytest.approx(offset, abs=2)
    time.passes(299)
    watch.look()
    time.watch(core).look()
    assert len(told(core)) == 1
    time.watch(core, "beta").look()
    assert [one["host"] for one in told(core)] == ["alpha", "beta"]


def test_a_jump_is_told_even_while_the_clock_is_known_to_be_off(engine: Engine) -> None:
    """But the skew that a jump leaves is not told again in the same hour."""
    if engine.dialect.name == "sqlite":
        return
    time = at(30)
    core = house(engine, time)
    watch = time.watch(core)
    watch.look()
    time.wall.move(timedelta(minutes=20))
    time.passed += 300
    watch.look()
    assert [one["how"] for one in told(core)] == ["skew", "jump"]


def test_a_right_clock_is_silent(engine: Engine) -> None:
    """Nothing is told at the start of a service whose clock agrees with the database's."""
    time = at(0)
    core = house(engine, time)
    time.watch(core).look()
    assert told(core) == []


@pytest.mark.parametrize(
    ("how", "seconds", "title", "said"),
    [
        ("jump", 7200, "【时钟跳变】alpha 的时间突然快进了 2 小时", "核对刚才的超时提醒"),
        ("jump", -5430, "【时钟跳变】alpha 的时间突然倒退了 1 小时 30 分钟", "看一眼进行中的危机"),
        ("skew", 8, "【时钟不准】alpha 比数据库快 8 秒", "提前到点"),
        ("skew", -61, "【时钟不准】alpha 比数据库慢 1 分钟", "推迟到点"),
    ],
)
def test_what_people_read(sqlite: Engine, how: str, seconds: float, title: str, said: str) -> None:
    """The card names the machine, the direction and the size, and says what to do."""
    time = Time()
    core = house(sqlite, time)
    time.watch(core)._report(how, timedelta(seconds=seconds))
    channel = Blind()
    run(core, {"ops": channel})
    [letter] = channel.letters
    assert letter.card.title == title
    assert said in "".join(line.text for line in letter.card.lines)


def test_without_channels_the_event_is_kept_all_the_same(sqlite: Engine) -> None:
    """Nobody to tell is no reason to forget it."""
    time = Time()
    core = make_core(sqlite, clock=time.wall)
    watch = time.watch(core)
    time.wall.move(timedelta(days=1))
    watch.look()
    with db.reading(sqlite) as session:
        assert session.exec(select(Event.what)).all() == ["clock.jumped"]
