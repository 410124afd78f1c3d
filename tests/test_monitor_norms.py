"""Norms of a source: medians of its own past, by hour and weekday; nothing is said without enough of it."""

from datetime import datetime, timedelta

import pytest
from factories import NOW
from hypothesis import given
from hypothesis import strategies as st

from monitor.norms import Arrivals, Size, quantile, rates, shrunk

DAY = timedelta(days=1)
FULL = {"seen": 40, "items": 40, "text": 39, "author": 40, "stars": 4}
EMPTY = {**FULL, "text": 0}


def busy_days(days: int, hours: range, per_hour: int = 8) -> list[tuple[datetime, int]]:
    """Arrivals at these local hours of each day before NOW (14:00 in Shanghai)."""
    start = NOW - timedelta(hours=14) - days * DAY
    moments = [start + day * DAY + timedelta(hours=hour, minutes=5) for day in range(days + 1) for hour in hours]
    return [(at, per_hour) for at in moments if at <= NOW]


def test_a_field_gone_empty_is_seen_at_once() -> None:
    """40 of 40 empty where 98 % had it."""
    told = rates([EMPTY, FULL], [FULL] * 5)["text"]
    assert (told.among, told.now, round(told.usual or 0, 3)) == (40, 0.0, 0.975)
    assert told.fell(well=True)


@pytest.mark.parametrize(
    ("now", "past", "why"),
    [
        (FULL, [FULL] * 5, "as ever"),
        (EMPTY, [FULL] * 2, "too little past"),
        ({**FULL, "stars": 0}, [FULL] * 5, "a field that is usually empty"),
        ({"seen": 5, "items": 5}, [], "too few elements"),
        (EMPTY, [FULL, EMPTY] * 5, "its past was no better"),
        ({**FULL, "text": 22}, [FULL] * 5, "more than half are there"),
    ],
)
def test_what_is_no_drift(now: dict[str, int], past: list[dict[str, int]], why: str) -> None:
    """No alarm without reason."""
    assert not any(rate.fell(well=True) for rate in rates([now, *past], past).values()), why


def test_small_runs_are_taken_together() -> None:
    """A source that gives three reviews a run is judged over the last twenty."""
    small, empty = {"seen": 3, "items": 3, "text": 3}, {"seen": 3, "items": 3, "text": 0}
    past = [small] * 40
    assert not rates([empty, empty, *past], past)["text"].fell(well=True)
    assert rates([*[empty] * 6, *past], past)["text"].fell(well=True)


def test_elements_that_make_no_item_are_a_drift_too() -> None:
    """The share of usable ones is held to its norm like a field."""
    told = rates([{"seen": 40, "items": 10, "text": 10}], [FULL] * 4)
    assert told["items"].fell(well=True)
    assert not told["text"].fell(well=True)


def test_back_to_well_is_further_than_out_of_it() -> None:
    """A source in trouble does not flicker around the line."""
    told = rates([{**FULL, "text": 28}], [FULL] * 5)["text"]
    assert (told.fell(well=True), told.fell(well=False)) == (False, True)


def test_silence_in_an_hour_that_is_usually_loud() -> None:
    """Nothing since the morning where every day had its share; the shortest span that tells it is named."""
    counts = [(at, n) for at, n in busy_days(20, range(8, 22)) if at < NOW - timedelta(hours=5)]
    told = Arrivals(counts, [], NOW - 21 * DAY).shortfall(NOW, 0, well=True)
    assert told == (2, 0, 16)


def test_quiet_hours_are_no_silence() -> None:
    """At 14:00 a source that speaks in the evening is as it always is."""
    counts = busy_days(20, range(19, 23))
    assert Arrivals(counts, [], NOW - 21 * DAY).shortfall(NOW, 0, well=True) is None


def test_a_quiet_weekday_is_no_silence() -> None:
    """NOW is a Friday: a source that never speaks on Fridays is not missed on one."""
    counts = [(at, n) for at, n in busy_days(28, range(8, 22)) if at.weekday() != NOW.weekday()]
    assert Arrivals(counts, [], NOW - 29 * DAY).shortfall(NOW, 0, well=True) is None


@pytest.mark.parametrize("days", [0, 3, 6])
def test_a_short_past_says_nothing(days: int) -> None:
    """Less than a week is no norm."""
    arrivals = Arrivals([(at, n) for at, n in busy_days(days, range(8, 13))], [], NOW - days * DAY)
    assert arrivals.usual(NOW, DAY) is None
    assert arrivals.shortfall(NOW, 0, well=True) is None


def test_days_of_trouble_are_no_norm() -> None:
    """A past fault neither lowers the norm nor, lasting, becomes it."""
    counts = [(at, n) for at, n in busy_days(40, range(8, 22)) if at < NOW - 10 * DAY]
    troubled = [NOW - timedelta(hours=n) for n in range(240, 0, -1)]
    assert Arrivals(counts, [], NOW - 41 * DAY).shortfall(NOW, 0, well=False) is None
    assert Arrivals(counts, troubled, NOW - 41 * DAY).shortfall(NOW, 0, well=False) is not None


def test_a_flood_of_the_past_moves_nothing() -> None:
    """The first run's backlog and one crisis leave the median where it was."""
    counts = [(NOW - 21 * DAY, 9000), *busy_days(20, range(8, 22)), (NOW, 9000)]
    arrivals = Arrivals(counts, [], NOW - 21 * DAY)
    assert arrivals.count(NOW, timedelta(minutes=5)) == 9000
    assert arrivals.usual(NOW + 3 * DAY, timedelta(hours=2)) == (16, 16)


def test_what_came_right_now_counts() -> None:
    """A run that brings the usual number ends the silence."""
    counts = [(at, n) for at, n in busy_days(20, range(8, 22)) if at < NOW - timedelta(hours=5)]
    assert Arrivals(counts, [], NOW - 21 * DAY).shortfall(NOW, 30, well=False) is None


def test_runs_that_read_much_less_than_others_at_their_hour() -> None:
    """Three reviews where the page always showed forty; other hours and a single day tell nothing."""
    here = NOW
    past = [Size(here - n * DAY, 40) for n in range(1, 13)]
    assert shrunk(Size(here, 3), past, well=True) == 40
    assert shrunk(Size(here, 30), past, well=True) is None
    assert shrunk(Size(here, 3), past[:5], well=True) is None
    assert shrunk(Size(here + timedelta(hours=5), 3), past, well=True) is None
    assert shrunk(Size(here, 3), [Size(here - timedelta(minutes=n), 40) for n in range(20)], well=True) is None


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(0, 50))
def test_nothing_is_said_of_a_source_like_itself(values: list[int], seen: int) -> None:
    """However its numbers jump: a value that its past has reached often is no shortfall."""
    low = quantile(values)
    past = [Size(NOW - n * DAY, value) for n, value in enumerate(values)]
    if seen >= low:
        assert shrunk(Size(NOW, seen), past, well=True) is None


def test_a_silence_lasts_until_something_comes() -> None:
    """Through quiet nights too: nobody is told that it is over while nothing has come."""
    counts = [(at, n) for at, n in busy_days(20, range(8, 22)) if at < NOW - timedelta(hours=5)]
    arrivals = Arrivals(counts, [], NOW - 21 * DAY)
    assert all(arrivals.shortfall(NOW + timedelta(hours=hour), 0, well=False) for hour in range(60))
