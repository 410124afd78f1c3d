"""Shares: known intervals, verdicts only where the counts carry them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.shares import Share, compare, difference, ordinary, unusual

shares = st.integers(0, 5000).flatmap(lambda n: st.builds(Share, st.integers(0, n), st.just(n)))


def test_intervals_as_published() -> None:
    """Newcombe's own example, 56/70 against 48/80, and Wilson's for 81/263 come out as printed."""
    assert Share(81, 263).interval() == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert difference(Share(48, 80), Share(56, 70)) == pytest.approx((0.0524, 0.3339), abs=1e-4)


@given(shares, shares)
def test_intervals_hold_the_estimate(a: Share, b: Share) -> None:
    """An interval contains what it is about and stays within what is possible."""
    low, high = a.interval()
    assert 0 <= low <= high <= 1
    if a.whole:
        assert low - 1e-9 <= a.rate <= high + 1e-9
    low, high = difference(a, b)
    assert low - 1e-9 <= b.rate - a.rate <= high + 1e-9
    assert low >= -1 - 1e-9 or not (a.whole and b.whole)


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (Share(24, 1000), Share(58, 1000), "up"),
        (Share(58, 1000), Share(24, 1000), "down"),
        (Share(24, 1000), Share(25, 1000), "flat"),
        (Share(24, 1000), Share(3, 3), "few"),
        (Share(0, 3), Share(58, 1000), "none"),
        (Share(0, 0), Share(0, 0), "few"),
    ],
)
def test_verdicts(before: Share, now: Share, verdict: str) -> None:
    """A change is claimed only outside the interval, and never of a handful."""
    assert compare(before, now) == verdict


@pytest.mark.parametrize(
    ("count", "before", "times", "odd"),
    [
        (2, 0, 4, False),
        (3, 0, 4, True),
        (3, 0, 1, False),
        (3, 8, 4, False),
        (14, 20, 4, True),
        (12, 5, 1, False),
        (9, 20, 4, False),
        (4, 20, 4, False),
        (900, 3200, 4, True),
        (810, 3200, 4, False),
        (90_000, 1_000, 4, True),
    ],
)
def test_unusual_is_rare_by_chance(count: int, before: int, times: int, odd: bool) -> None:
    """A day is called unusual only where chance gives so many on fewer than one day in a hundred."""
    assert unusual(count, before, times) is odd


@given(st.integers(0, 60), st.integers(0, 200), st.integers(1, 4))
def test_unusual_is_the_tail_of_a_binomial(count: int, before: int, times: int) -> None:
    """As counted out in whole numbers."""
    everything = count + before
    ways = sum(math.comb(everything, k) * times ** (everything - k) for k in range(count, everything + 1))
    assert unusual(count, before, times) is (count >= 3 and 100 * ways < (times + 1) ** everything)


@pytest.mark.parametrize(
    ("counts", "left"),
    [
        ([1, 31, 1, 1], [1, 1, 1]),
        ([9, 11, 10, 10], [9, 10, 10, 11]),
        ([0, 40], [0, 40]),
        ([], []),
        ([30, 0, 40, 0], [0, 0]),
    ],
)
def test_a_flood_is_no_norm(counts: list[int], left: list[int]) -> None:
    """Days that were unusual themselves are left out, as long as two are left."""
    assert ordinary(counts) == left
