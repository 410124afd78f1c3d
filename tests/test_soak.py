"""A simulated half day of one real service: in short what ``make soak`` does for a week."""

import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import soak
from soak_time import FakeLoops, FakeTime, SharedMoment
from soak_verdict import plot
from soak_world import Plan, Restart

_START = datetime(2026, 11, 12, tzinfo=UTC)


@pytest.mark.slow
def test_nothing_grows_comes_late_or_is_lost(tmp_path: Path) -> None:
    """Ended, killed, moved to another zone, its providers out: all is stored, told once, in time, within its memory."""
    plan = Plan(
        tmp_path,
        hours=3,
        later=8,
        feedbacks=900,
        bad=0.05,
        crawled=2,
        pushed=4,
        crawl_hours=2,
        sample=5,
        growth=1.6,  # a young process still loads what it needs
        restarts=(Restart(0.1, "end"), Restart(0.2, "kill", "America/Los_Angeles")),
        outages=(("slack", 0.3, 0.4), ("mail", 0.6, 0.75)),
        backups=(0.5,),
    )
    url = f"sqlite:///{tmp_path / 'soak.db'}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a server's thread may outlive its test by a breath
        verdict = soak.run(plan, url)
    assert not verdict.faults, verdict.told()
    assert verdict.figures["reports"] == {"daily": 1}
    assert verdict.figures["timers fired"] > 0
    plot(plan, url, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000


def test_fake_time_jumps_over_what_nobody_does_and_waits_for_who_does(tmp_path: Path) -> None:
    """An hour's sleep takes no time; a thread that works holds the clock to real time; others are told the moment."""
    import asyncio
    import time

    shared = SharedMoment(tmp_path / "moment")
    fake = FakeTime(_START, shared, pace=1.0)

    async def sleep_and_work() -> tuple[datetime, datetime]:
        await asyncio.sleep(3600)
        slept = fake.now()
        await asyncio.gather(asyncio.to_thread(time.sleep, 0.2), asyncio.sleep(0.1))
        return slept, fake.now()

    with asyncio.Runner(loop_factory=FakeLoops(fake).new_event_loop) as runner:
        began = time.monotonic()
        slept, worked = runner.run(sleep_and_work())
        assert time.monotonic() - began < 10
    assert timedelta(hours=1) <= slept - _START < timedelta(hours=1, seconds=10)
    assert timedelta(seconds=0.2) <= worked - slept < timedelta(seconds=10)
    assert abs(SharedMoment(tmp_path / "moment").get() - worked) < timedelta(seconds=10)
    shared.close()
