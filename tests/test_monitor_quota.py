"""The day's requests: one purse for every process, kept in the store."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from factories import NOW
from sqlalchemy import Engine
from sqlmodel import select

from monitor import db
from monitor.clock import HandClock
from monitor.models import Quota
from monitor.quota import FAILURES, LONGEST_PAUSE, PAUSE, Budget
from monitor.settings import Settings


def make_budget(engine: Engine, clock: HandClock, name: str = "llm") -> Budget:
    return Budget(engine, clock, Settings().zone, name)


def test_many_spend_no_more_than_there_is(engine: Engine, clock: HandClock) -> None:
    """Eight at once, each with its own purse on the same store, get exactly the budget."""
    start = threading.Barrier(8)

    def spend() -> int:
        budget = make_budget(engine, clock)
        start.wait(10)
        return sum(not budget.take(25) for _ in range(10))

    with ThreadPoolExecutor(8) as threads:
        got = [threads.submit(spend) for _ in range(8)]
    assert sum(one.result() for one in got) == 25
    assert make_budget(engine, clock).take(25) == "over budget"
    assert make_budget(engine, clock, "another").take(25) == ""
    with db.reading(engine) as session:
        assert session.exec(select(Quota.spent).where(Quota.name == "llm")).one() == 25


def test_a_day_is_the_zones(engine: Engine, clock: HandClock) -> None:
    """Midnight in Shanghai is 16:00 UTC; a clock that goes back does not fill the purse of a day again and again."""
    budget = make_budget(engine, clock)
    assert (budget.take(1), budget.take(1)) == ("", "over budget")
    clock.move(NOW.replace(hour=15, minute=59) - NOW)
    assert budget.take(1) == "over budget"
    clock.move(timedelta(minutes=1))
    assert (budget.take(1), budget.take(1)) == ("", "over budget")


def test_no_budget_is_none(engine: Engine, clock: HandClock) -> None:
    """Nought requests a day means never."""
    assert make_budget(engine, clock).take(0) == "over budget"


def test_pauses_grow_and_end_with_a_success(engine: Engine, clock: HandClock) -> None:
    """5, 10, 20 … minutes up to an hour while it goes on failing; a success starts the count anew."""
    budget = make_budget(engine, clock)
    for _ in range(FAILURES - 1):
        budget.failed()
    assert budget.take(99) == ""
    for pause in (PAUSE, PAUSE * 2, PAUSE * 4, PAUSE * 8, LONGEST_PAUSE, LONGEST_PAUSE):
        budget.failed()
        assert make_budget(engine, clock).take(99) == "resting"
        clock.move(pause - timedelta(seconds=1))
        assert budget.take(99) == "resting"
        clock.move(timedelta(seconds=1))
        assert budget.take(99) == ""
    budget.worked()
    budget.failed()
    assert budget.take(99) == ""


def test_many_failures_of_one_outage_are_one_pause(engine: Engine, clock: HandClock) -> None:
    """Requests that were under way when the pause began do not make it longer; the standing tells of both."""
    budget = make_budget(engine, clock)
    assert budget.standing() == (0, None)
    budget.take(99)
    for _ in range(FAILURES + 20):
        budget.failed()
    assert budget.standing() == (1, NOW + PAUSE)
    clock.move(PAUSE)
    assert budget.take(99) == ""
    assert budget.standing() == (2, None)
    clock.move(timedelta(days=1))
    assert budget.standing() == (0, None)


def test_a_wait_that_is_asked_for_is_kept_within_reason(engine: Engine, clock: HandClock) -> None:
    """Seconds are seconds; a day is an hour; a success of a request sent before does not shorten it."""
    budget = make_budget(engine, clock)
    budget.failed(30)
    budget.worked()
    assert budget.take(99) == "resting"
    clock.move(timedelta(seconds=30))
    assert budget.take(99) == ""
    budget.failed(86_400)
    clock.move(LONGEST_PAUSE)
    assert budget.take(99) == ""
