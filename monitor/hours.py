"""Working time: when a span of it has passed, by shifts, days off, holidays and the days worked in their place.

Shifts are times of day in the service's zone and count the hours that really pass: a night on which clocks change is
as long as it is. A shift belongs to the day on which it begins.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from monitor.durations import minutes, within
from monitor.policies import Calendar
from monitor.settings import Settings

_DAY = timedelta(days=1)
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SEARCHED = 400  # days: a calendar without a shift in more than a year has none
_AHEAD = timedelta(days=31)  # clocks that start now seldom reach further
_HOLIDAYS = Path(__file__).parent / "holidays"

log = structlog.get_logger()

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class _Rules:
    """A calendar and its zone as a key of caches."""

    shifts: tuple[str, ...]
    days: frozenset[str]
    holidays: tuple[str, ...]
    workdays: tuple[str, ...]
    public: bool
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class _Year:
    """Public holidays of a year and the days worked in their place, as spans of days."""

    off: list[str]
    worked: list[str]


def after(start: datetime, span: timedelta, calendar: Calendar, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which ``span`` of working time has passed since ``start``.

    A calendar in which nobody ever works counts as the wall clock: a deadline must come.
    """
    at, left = start.astimezone(UTC), span
    if left <= timedelta():
        return at
    rules = _rules(calendar, zone)
    for begin, end in _shifts_from(at.astimezone(zone).date(), rules):
        free = end - max(begin, at)
        if free <= timedelta():
            continue
        if left <= free:
            return end - free + left
        left -= free
        at = end
    return at + left


def is_working(at: datetime, calendar: Calendar, zone: ZoneInfo) -> bool:
    """Whether a shift runs at this moment."""
    day, rules = at.astimezone(zone).date(), _rules(calendar, zone)
    return any(begin <= at < end for one in (day - _DAY, day) for begin, end in _shifts(one, rules))


def unknown_year(settings: Settings, now: datetime) -> str | None:
    """What to do where public holidays are wanted of a year, this or soon the next, that we do not know yet."""
    if not settings.calendar.public_holidays:
        return None
    years = {(now + ahead).astimezone(settings.zone).year for ahead in (timedelta(), _AHEAD)}
    unknown = "、".join(str(year) for year in sorted(years) if _public(year) is None)
    if not unknown:
        return None
    return (
        f"还没有 {unknown} 年的放假安排，先按 calendar.days 算；升级评哨，或写进 calendar.holidays 和 calendar.workdays"
    )


def _rules(calendar: Calendar, zone: ZoneInfo) -> _Rules:
    return _Rules(
        tuple(calendar.shifts),
        frozenset(calendar.days),
        tuple(calendar.holidays),
        tuple(calendar.workdays),
        calendar.public_holidays,
        zone,
    )


def _shifts_from(day: date, rules: _Rules) -> Iterator[Span]:
    """Shifts in the order of their beginning, from the day before on, for yesterday's may not be over."""
    idle, day = 0, day - _DAY
    while idle < _SEARCHED:
        shifts = _shifts(day, rules)
        yield from shifts
        idle = 0 if shifts else idle + 1
        day += _DAY


@lru_cache(maxsize=4096)
def _shifts(day: date, rules: _Rules) -> tuple[Span, ...]:
    """The day's shifts in UTC; they may overlap."""
    if not _worked(day, rules):
        return ()
    spans = (
        (_moment(day, start, rules.zone), _moment(day, end, rules.zone)) for start, end in map(minutes, rules.shifts)
    )
    return tuple(sorted((start, end) for start, end in spans if start < end))


def _moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    days, rest = divmod(minute, 24 * 60)
    return datetime.combine(day + days * _DAY, time(*divmod(rest, 60)), zone).astimezone(UTC)


def _worked(day: date, rules: _Rules) -> bool:
    """What the config says of the day counts before the public holidays, and those before the week."""
    if within(day, rules.workdays):
        return True
    if within(day, rules.holidays):
        return False
    if rules.public and (year := _public(day.year)):
        if within(day, year.worked):
            return True
        if within(day, year.off):
            return False
    return _WEEK[day.weekday()] in rules.days


@cache
def _public(year: int) -> _Year | None:
    file = _HOLIDAYS / f"{year}.toml"
    if not file.exists():
        log.warning("holidays_unknown", year=year, counted_as="calendar.days")
        return None
    known = tomllib.loads(file.read_text(encoding="utf-8"))
    return _Year(**{name: [span if ".." in span else f"{span}..{span}" for span in known[name]] for name in known})


def holidays(years: Iterable[int]) -> list[str]:
    """China's public holidays of those years that are known, as spans of days: ``2026-10-01..2026-10-07``."""
    return [holiday for year in years if (known := _public(year)) is not None for holiday in known.off]


def quiet_until(settings: Settings, now: datetime) -> datetime | None:
    """When the quiet hours that run now end, in UTC; None outside them."""
    if settings.policy.quiet.span is None:
        return None
    start, end = minutes(settings.policy.quiet.span)
    today = now.astimezone(settings.zone).date()
    for day in (today - _DAY, today):
        if _moment(day, start, settings.zone) <= now < (until := _moment(day, end, settings.zone)):
            return until
    return None
