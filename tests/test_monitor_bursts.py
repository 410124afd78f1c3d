"""What is usual for a shop at a time of day, and what is not."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.bursts import Norm, _rate_tail, _share_tail, norm, span_of

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)  # Friday 12:00 in Shanghai


def past(a_span: dict[int, int], days: int = 28) -> dict[int, int]:
    """So many in every span of some days before `NOON`, by the time of day: 0 is 8:00 to 14:00 in Shanghai."""
    here = span_of(NOON)
    return {here - n: a_span[-n % 4] for n in range(1, days * 4 + 1) if a_span.get(-n % 4)}


def test_without_a_past_five_complaints_and_little_else_are_unusual() -> None:
    """A new shop has a norm too; among fifty feedbacks five complaints are none."""
    new = norm({}, {}, NOON, ZONE)
    assert new.broken(5, 5, 1)
    assert new.broken(6, 7, 1)
    assert not new.broken(5, 50, 1)
    assert not new.broken(2, 2, 1)


def test_each_time_of_day_has_its_own_norm() -> None:
    """What is usual for the night of a shop is not usual for its noon."""
    complaints, feedbacks = past({0: 3, 2: 60}), past({0: 60, 2: 180})
    noon, night = (norm(complaints, feedbacks, NOON + timedelta(hours=hours), ZONE) for hours in (0, 12))
    assert noon.share == pytest.approx(0.05, abs=0.02)
    assert night.share == pytest.approx(0.33, abs=0.04)
    assert noon.rate == pytest.approx(0.5, abs=1)
    assert night.rate == pytest.approx(10, abs=2)
    assert noon.broken(18, 40, 1)
    assert not night.broken(18, 40, 1)


def test_weekends_have_their_own_norm() -> None:
    """More complaints on Saturdays are usual on a Saturday."""
    here = span_of(NOON)
    days = {n: (here - 4 * n, (NOON - timedelta(days=n)).astimezone(ZONE).weekday() >= 5) for n in range(1, 29)}
    feedbacks = {span: 200 for span, _ in days.values()}
    complaints = {span: 60 if weekend else 10 for span, weekend in days.values()}
    friday = norm(complaints, feedbacks, NOON, ZONE)
    saturday = norm(complaints, feedbacks, NOON + timedelta(days=1), ZONE)
    assert friday.share < 0.08
    assert saturday.share > 0.25
    assert saturday.rate > 3 * friday.rate


def test_a_promotion_is_told_by_its_share() -> None:
    """Ten times the volume with the usual share is none, with four times the share it is."""
    usual = norm(past({0: 30}), past({0: 300}), NOON, ZONE)
    assert not usual.broken(50, 500, 1)
    assert usual.broken(200, 500, 1)


def test_a_source_of_complaints_alone_is_judged_by_their_number() -> None:
    """Where nearly everything is a complaint, the share says nothing."""
    usual = norm(past({0: 12}), past({0: 12}), NOON, ZONE)
    assert usual.share > 0.5
    assert not usual.broken(6, 6, 1)
    assert usual.broken(20, 20, 1)


def test_what_broke_out_before_is_not_usual() -> None:
    """The burst of last week does not hide the burst of today."""
    complaints, feedbacks = past({0: 1}), past({0: 10})
    last_week = span_of(NOON) - 28
    complaints[last_week] = feedbacks[last_week] = 90
    assert not norm(complaints, feedbacks, NOON, ZONE).broken(6, 8, 1)
    assert norm(complaints, feedbacks, NOON, ZONE, {last_week}).broken(6, 8, 1)


def test_only_four_weeks_count_and_nothing_of_now() -> None:
    """Older spans and the running one are left out."""
    here = span_of(NOON)
    far = {here - 4 * 28 - 1: 500, here: 500, here + 1: 500}
    assert norm(far, far, NOON, ZONE).share == pytest.approx(0.025, abs=0.001)


def test_the_tails_against_known_values() -> None:
    """With a long past both are the plain ones, Poisson's and the binomial; large numbers do not overflow."""
    assert _rate_tail(1, 1e7, 1e7, 1.0) == pytest.approx(1 - math.exp(-1), abs=1e-4)
    assert _rate_tail(5, 1e7, 1e7, 1.0) == pytest.approx(0.00366, abs=1e-5)
    assert _share_tail(8, 20, 1e7, 9e7) == pytest.approx(4.16e-4, rel=1e-2)
    assert _share_tail(20, 20, 1.0, 1.0) == pytest.approx(1 / 21)
    assert _rate_tail(90_000, 40.0, 20.0, 1.0) < 1e-9
    assert _share_tail(50_000, 100_000, 15.0, 135.0) < 1e-9


@given(
    st.integers(1, 300), st.integers(0, 300), st.floats(0.001, 0.5), st.floats(1, 150), st.floats(0.01, 50),
    st.floats(0.5, 40), st.floats(0.5, 8),
)  # fmt: skip
def test_more_is_never_less_unusual(
    count: int, others: int, share: float, feedbacks: float, rate: float, complaints: float, hours: float
) -> None:
    """If some complaints are unusual, one more among the others is too."""
    usual = Norm(share, feedbacks, rate, complaints)
    if usual.broken(count, count + others, hours):
        assert usual.broken(count + 1, count + 1 + others, hours)
