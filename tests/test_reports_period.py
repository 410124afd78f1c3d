"""Spans: whole local days, the right week and month, and segments that cover each span exactly."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.period import Kind, span, windows

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
KINDS: tuple[Kind, ...] = ("daily", "evening", "weekly", "monthly")


@pytest.mark.parametrize("day", [date(2026, 11, 16), date(2026, 11, 20), date(2026, 11, 22)])
def test_week_is_the_last_full_one(day: date) -> None:
    """Any day of a week gives the Monday to Sunday before it, and the same key day."""
    found = windows("weekly", day, SHANGHAI)
    assert (found.issued, found.now.first, found.now.last) == (
        date(2026, 11, 16),
        date(2026, 11, 9),
        date(2026, 11, 15),
    )
    assert found.now.start == datetime(2026, 11, 8, 16, tzinfo=UTC)
    assert (found.prior.first, found.norm.first, found.norm.last) == (
        date(2026, 11, 2),
        date(2026, 10, 12),
        date(2026, 11, 8),
    )


def test_month_is_the_calendar_month_before() -> None:
    """March's report is about February, compared with January."""
    found = windows("monthly", date(2026, 3, 9), SHANGHAI)
    assert (found.issued, found.now.first, found.now.last) == (date(2026, 3, 1), date(2026, 2, 1), date(2026, 2, 28))
    assert (found.prior.first, found.prior.last) == (date(2026, 1, 1), date(2026, 1, 31))


def test_daily_is_yesterday_and_evening_is_today() -> None:
    """The morning check covers the whole day before, the evening summary the day itself."""
    assert windows("daily", date(2026, 11, 20), SHANGHAI).now == span(date(2026, 11, 19), 1, SHANGHAI)
    assert windows("evening", date(2026, 11, 20), SHANGHAI).now == span(date(2026, 11, 20), 1, SHANGHAI)


def test_days_follow_the_zone() -> None:
    """New York's days of 25 and 23 hours begin and end at its own midnight."""
    autumn, spring = span(date(2026, 11, 1), 1, NEW_YORK), span(date(2026, 3, 8), 1, NEW_YORK)
    assert (autumn.end - autumn.start, spring.end - spring.start) == (timedelta(hours=25), timedelta(hours=23))


@given(
    st.sampled_from(["daily", "evening", "weekly", "monthly"]),
    st.dates(date(2000, 1, 1), date(2090, 1, 1)),
    st.sampled_from([SHANGHAI, NEW_YORK, ZoneInfo("UTC"), ZoneInfo("Asia/Kathmandu")]),
)
def test_segments_make_up_each_span(kind: Kind, day: date, zone: ZoneInfo) -> None:
    """Each span is exactly the sum of its segments, and every one of its days is among all days."""
    found = windows(kind, day, zone)
    lengths = [end - start for start, end in pairwise(found.edges)]
    for place, part in enumerate((found.now, found.prior, found.norm)):
        covered = [length for length, members in zip(lengths, found.segments, strict=True) if members[place]]
        assert sum(covered, timedelta()) == part.end - part.start
        assert set(part.days) <= set(found.all_days().days)
    assert found.first_days == [edge.astimezone(zone).date() for edge in found.edges]


@pytest.mark.parametrize(("days", "weeks"), [(0, 0), (6, 0), (7, 1), (20, 2), (28, 4)])
def test_a_norm_is_whole_weeks(days: int, weeks: int) -> None:
    """So each weekday is in it as often as any other; of less than a week nothing is left, and that breaks nothing."""
    for kind in KINDS:
        found = windows(kind, date(2026, 11, 16), SHANGHAI).known_for(days)
        assert (found.weeks, len(found.norm.days)) == (weeks, 7 * weeks)
        assert (found.norm.end, found.norm.last) == (found.now.start, found.now.first - timedelta(1))
        assert {day.weekday() for day in found.alike} <= {day.weekday() for day in found.now.days}
        lengths = sum((end - start for start, end in pairwise(found.edges)), timedelta())
        assert lengths == found.all_days().end - found.all_days().start
