"""Working time: what a span of it means on real calendars, in real zones."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from factories import make_settings
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from monitor import hours
from monitor.policies import Calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
ZONES = ("Asia/Shanghai", "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo")
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri"]
ALWAYS = Calendar(shifts=["00:00-24:00"])

zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.integers(0, 42 * 365 * 24 * 60).map(lambda n: datetime(1986, 1, 1, tzinfo=UTC) + timedelta(minutes=n))
spans = st.integers(0, 24 * 60).map(lambda n: timedelta(minutes=n))
times = st.integers(0, 23).flatmap(lambda hour: st.sampled_from([f"{hour:02}:00", f"{hour:02}:25"]))
shifts = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map("-".join)
days = st.dates(date(1986, 1, 1), date(2028, 1, 1)).map(date.isoformat)
calendars = st.builds(
    Calendar,
    shifts=st.lists(shifts, min_size=1, max_size=3),
    days=st.lists(st.sampled_from([*WEEKDAYS, "sat", "sun"]), min_size=1, unique=True),
    holidays=st.lists(days, max_size=2),
    workdays=st.lists(days, max_size=2),
    public_holidays=st.booleans(),
)


def at(text: str, zone: str = "Asia/Shanghai", **values: Any) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), **values)


def after(start: str, span: timedelta, zone: str = "Asia/Shanghai", **calendar: Any) -> str:
    """The end in the same zone's own words."""
    end = hours.after(at(start, zone), span, Calendar(**calendar), ZoneInfo(zone))
    return end.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


HOUR = timedelta(hours=1)
OFFICE: dict[str, Any] = {"shifts": ["09:00-18:00"], "days": WEEKDAYS}


@pytest.mark.parametrize(
    ("start", "span", "calendar", "end"),
    [
        ("2026-11-20T10:00", 2 * HOUR, OFFICE, "2026-11-20 12:00"),
        ("2026-11-20T16:00", 2 * HOUR, OFFICE, "2026-11-20 18:00"),  # the end of the shift, not the next one's start
        ("2026-11-20T17:00", 2 * HOUR, OFFICE, "2026-11-23 10:00"),  # over the weekend
        ("2026-11-21T03:00", HOUR, OFFICE, "2026-11-23 10:00"),
        ("2026-11-20T16:30", 3 * HOUR, {}, "2026-11-20 19:30"),  # overlapping shifts count once
        ("2026-11-20T23:00", HOUR, {}, "2026-11-21 08:30"),
        ("2026-11-20T21:00", 9 * HOUR, {"shifts": ["22:00-06:00"]}, "2026-11-21 23:00"),
        ("2026-11-21T01:00", 2 * HOUR, {"shifts": ["22:00-06:00"]}, "2026-11-21 03:00"),  # yesterday's shift runs
        ("2026-11-21T05:00", 3 * HOUR, {"shifts": ["22:00-06:00", "05:00-08:00"]}, "2026-11-21 08:00"),
        ("2026-11-20T17:00", 2 * HOUR, OFFICE | {"workdays": ["2026-11-21"]}, "2026-11-21 10:00"),
        ("2026-11-19T17:00", 2 * HOUR, OFFICE | {"holidays": ["2026-11-20..2026-11-23"]}, "2026-11-24 10:00"),
        ("2026-09-30T17:00", 2 * HOUR, OFFICE | {"public_holidays": True}, "2026-10-08 10:00"),
        ("2026-10-09T17:00", 2 * HOUR, OFFICE | {"public_holidays": True}, "2026-10-10 10:00"),  # a Saturday worked
        ("2026-09-30T17:00", 2 * HOUR, OFFICE, "2026-10-01 10:00"),
        (
            "2026-09-30T17:00",
            2 * HOUR,
            OFFICE | {"public_holidays": True, "workdays": ["2026-10-02"]},
            "2026-10-02 10:00",
        ),
        (
            "2026-10-09T17:00",
            2 * HOUR,
            OFFICE | {"public_holidays": True, "holidays": ["2026-10-10"]},
            "2026-10-12 10:00",
        ),
    ],
)
def test_the_end_of_a_span(start: str, span: timedelta, calendar: dict[str, Any], end: str) -> None:
    """Only shifts of working days count; the config beats public holidays, and those the week."""
    assert after(start, span, **calendar) == end


@pytest.mark.parametrize(
    ("start", "span", "zone", "end"),
    [
        ("2026-03-08T00:00", 8 * HOUR, "America/New_York", "2026-03-08 09:00"),  # that night has an hour less
        ("2026-11-01T00:00", 8 * HOUR, "America/New_York", "2026-11-01 07:00"),  # and that one an hour more
        ("1986-05-04T00:00", 8 * HOUR, "Asia/Shanghai", "1986-05-04 09:00"),
        ("1986-09-14T00:00", 8 * HOUR, "Asia/Shanghai", "1986-09-14 07:00"),
        ("2026-10-04T00:00", 8 * HOUR, "Australia/Lord_Howe", "2026-10-04 08:30"),
        ("2018-11-03T23:00", 2 * HOUR, "America/Sao_Paulo", "2018-11-04 02:00"),  # midnight itself is left out
    ],
)
def test_nights_on_which_clocks_change(start: str, span: timedelta, zone: str, end: str) -> None:
    """Hours are hours that pass, whatever the clock on the wall is set to."""
    assert after(start, span, zone, shifts=["00:00-24:00"]) == end


def test_a_shift_in_the_hour_that_does_not_exist_is_none() -> None:
    """A shift inside the gap of spring is not worked that night, and a clock goes on in the next."""
    gap = {"shifts": ["02:00-03:00"]}
    assert after("2026-03-08T00:00", timedelta(minutes=30), "America/New_York", **gap) == "2026-03-09 02:30"


@given(moments, spans, zones)
def test_round_the_clock_is_the_wall_clock(start: datetime, span: timedelta, zone: ZoneInfo) -> None:
    """A calendar without off-time changes nothing, in any zone, on any night."""
    assert hours.after(start, span, ALWAYS, zone) == start + span


@given(moments, spans, spans, calendars, zones)
def test_spans_add_up_and_more_is_never_sooner(
    start: datetime, first: timedelta, second: timedelta, calendar: Calendar, zone: ZoneInfo
) -> None:
    """Two spans one after the other end where their sum does; a longer one, or a later start, ends no sooner."""
    middle = hours.after(start, first, calendar, zone)
    end = hours.after(middle, second, calendar, zone)
    assert end == hours.after(start, first + second, calendar, zone)
    assert start + first <= middle <= end
    assert hours.after(start + second, first, calendar, zone) >= middle


@given(moments, spans, calendars, zones)
def test_nothing_ends_in_off_time(start: datetime, span: timedelta, calendar: Calendar, zone: ZoneInfo) -> None:
    """The moment before a span ends is worked, and exactly as much was worked since its start."""
    span += timedelta(minutes=1)
    end = hours.after(start, span, calendar, zone)
    worked, step = timedelta(), timedelta(minutes=5)
    assert hours.is_working(end - timedelta(microseconds=1), calendar, zone)
    if end - start < timedelta(days=3):
        at = start
        while at < end:
            worked += min(step, end - at) * hours.is_working(at, calendar, zone)
            at += step
        assert abs(worked - span) <= 24 * step  # each shift's ends fall between two looks


@pytest.mark.parametrize("empty", [{"days": []}, {"shifts": []}, {"holidays": ["2020-01-01..2040-01-01"]}])
def test_a_calendar_without_work_counts_as_the_wall_clock(empty: dict[str, Any]) -> None:
    """A deadline must come, even where the config says that nobody ever works."""
    assert after("2026-11-20T10:00", 2 * HOUR, **empty) == "2026-11-20 12:00"


@pytest.mark.parametrize(("year", "off", "worked"), [(2024, 28, 8), (2025, 28, 5), (2026, 33, 6)])
def test_public_holidays_of_each_year(year: int, off: int, worked: int) -> None:
    """The days off and the days worked in their place are as many as were announced, and no day is both."""
    every = [date(year, 1, 1) + timedelta(days=n) for n in range(366)]
    week = Calendar(**OFFICE)
    known = Calendar(**OFFICE, public_holidays=True)
    noon = {day: datetime(day.year, day.month, day.day, 12, tzinfo=SHANGHAI) for day in every if day.year == year}
    usual = {day for day in noon if hours.is_working(noon[day], week, SHANGHAI)}
    real = {day for day in noon if hours.is_working(noon[day], known, SHANGHAI)}
    assert len(real - usual) == worked
    found = hours._public(year)
    assert found is not None
    assert sum((date.fromisoformat(b) - date.fromisoformat(a)).days + 1 for a, b in map(_ends, found.off)) == off
    assert {day.isoformat() for day in real - usual} == {_ends(span)[0] for span in found.worked}


def _ends(span: str) -> tuple[str, str]:
    first, _, last = span.partition("..")
    return first, last


def test_a_year_that_is_not_known_is_told_once_and_counted_by_the_week() -> None:
    """Clocks go on by the ordinary week, the log says so once, and the doctor has a line for it."""
    hours._public.cache_clear()
    hours._shifts.cache_clear()
    known = OFFICE | {"public_holidays": True}
    with capture_logs() as logs:
        assert after("2029-10-01T10:00", HOUR, **known) == "2029-10-01 11:00"
        assert after("2029-10-02T10:00", HOUR, **known) == "2029-10-02 11:00"
    assert [(entry["event"], entry["year"]) for entry in logs] == [("holidays_unknown", 2029)]
    settings = make_settings(calendar={"public_holidays": True})
    assert hours.unknown_year(settings, at("2026-11-20T10:00")) is None
    assert "2027" in (hours.unknown_year(settings, at("2026-12-20T10:00")) or "")
    assert "2029、2030" in (hours.unknown_year(settings, at("2029-12-20T10:00")) or "")
    assert hours.unknown_year(make_settings(), at("2029-12-20T10:00")) is None


@pytest.mark.parametrize(
    ("span", "now", "until"),
    [
        ("23:30-07:30", "2026-11-20T23:30", "2026-11-21T07:30"),
        ("23:30-07:30", "2026-11-21T07:29", "2026-11-21T07:30"),
        ("23:30-07:30", "2026-11-21T07:30", None),
        ("12:00-14:00", "2026-11-20T13:00", "2026-11-20T14:00"),
        ("12:00-14:00", "2026-11-20T11:59", None),
        ("00:00-24:00", "2026-11-20T11:59", "2026-11-21T00:00"),
        (None, "2026-11-20T03:00", None),
    ],
)
def test_quiet_hours(span: str | None, now: str, until: str | None) -> None:
    """They may pass midnight; their end is the first moment after them."""
    settings = make_settings(policy={"quiet": {"span": span}})
    assert hours.quiet_until(settings, at(now)) == (at(until) if until else None)
