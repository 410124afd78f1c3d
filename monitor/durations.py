"""Spans of time as people write them in the config: ``90s``, ``10m``, ``7d``, ``08:00-18:00``, days, weekdays."""

import re
from collections.abc import Sequence
from datetime import date, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = 36_500 * 86_400  # a century: moments stay within what a datetime holds
_MOST = 10**9  # messages: spans are shared out among so many
_HOURS_UP_TO = 48 * 3600
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def parse_duration(value: Any) -> timedelta:
    """Read ``90s``, ``10m``, ``1h`` or ``7d``.

    Raises:
        ValueError: anything else, negative spans included, and what is longer than a century.
    """
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"应为时长，如 90s、10m、1h、7d，实为 {value!r}")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > _LONGEST:
        raise ValueError(f"应为时长，最长 36500d，实为 {value!r}")
    return timedelta(seconds=seconds)


def spell_duration(value: timedelta) -> str:
    """The span as `parse_duration` reads it, in the largest usual unit that gives a whole number: 24h, but 7d."""
    seconds = value.total_seconds()
    units = "dhm" if seconds > _HOURS_UP_TO else "hm"
    unit = next((one for one in units if seconds and seconds % _SECONDS[one] == 0), "s")
    return f"{seconds / _SECONDS[unit]:.10g}{unit}"


def parse_clock_time(value: Any) -> str:
    """Check a time of day such as ``10:00`` and give it back as ``HH:MM``.

    Raises:
        ValueError: not a time of day.
    """
    try:
        hour, minute = str(value).split(":")
        return time(int(hour), int(minute)).strftime("%H:%M")
    except (ValueError, OverflowError):
        raise ValueError(f"应为时刻，如 10:00，实为 {value!r}") from None


def parse_weekly(value: Any) -> str:
    """Check ``mon 09:00``.

    Raises:
        ValueError: not a weekday and a time of day.
    """
    day, _, at = str(value).lower().partition(" ")
    if day not in _WEEKDAYS:
        raise ValueError(f"应为星期和时刻，如 mon 09:00，实为 {value!r}")
    return f"{day} {parse_clock_time(at)}"


def parse_monthly(value: Any) -> str:
    """Check ``1 09:00``: a day of the month that every month has, and a time of day.

    Raises:
        ValueError: not a day from 1 to 28 and a time of day.
    """
    day, _, at = str(value).partition(" ")
    if not re.fullmatch(r"\d{1,2}", day) or not 1 <= int(day) <= 28:  # noqa: PLR2004 — February's last safe day
        raise ValueError(f"应为日期（1–28）和时刻，如 1 09:00，实为 {value!r}")
    return f"{int(day)} {parse_clock_time(at)}"


def parse_promotion(value: Any) -> str:
    """Check ``2026-11-10..2026-11-12``.

    Raises:
        ValueError: not two days in order.
    """
    try:
        first, last = (date.fromisoformat(day) for day in str(value).split(".."))
        if first <= last:
            return f"{first}..{last}"
    except ValueError:
        pass
    raise ValueError(f"应为起止日期，如 2026-11-10..2026-11-12，实为 {value!r}")


def parse_day_span(value: Any) -> str:
    """Check ``2027-02-06..2027-02-12`` or one day, given back as a span.

    Raises:
        ValueError: neither.
    """
    text = str(value)
    return parse_promotion(text if ".." in text else f"{text}..{text}")


def parse_clock_span(value: Any) -> str:
    """Check ``08:00-18:00``; the end may be ``24:00``, or earlier than the start when it passes midnight.

    Raises:
        ValueError: not two different times of day.
    """
    text = str(value)
    start, _, end = text.partition("-")
    try:
        start = parse_clock_time(start)
        end = end if end == "24:00" else parse_clock_time(end)
    except ValueError:
        start = end
    if not text or start == end:
        raise ValueError(f"应为起止时刻，如 08:00-18:00，实为 {value!r}")
    return f"{start}-{end}"


def parse_rate(value: Any) -> str:
    """Check ``20/1m``: a number of messages and a span.

    Raises:
        ValueError: anything else, nought, or more than a thousand million.
    """
    count, _, span = str(value).partition("/")
    try:
        if 0 < int(count) <= _MOST and parse_duration(span) > timedelta():
            return f"{int(count)}/{span}"
    except ValueError:
        pass
    raise ValueError(f"应为条数和时长，如 20/1m，实为 {value!r}")


def pace(rate: str) -> tuple[int, timedelta]:
    """Number and span of ``20/1m``."""
    count, _, span = rate.partition("/")
    return int(count), parse_duration(span)


def minutes(span: str) -> tuple[int, int]:
    """Start and end of ``22:00-06:00`` in minutes since midnight; the end is after the start, up to a day later."""
    start, end = (60 * int(at[:2]) + int(at[3:]) for at in span.split("-"))
    return start, end if end > start else end + 24 * 60


def within(day: date, spans: Sequence[str]) -> bool:
    """Whether a day lies in one of the spans of days."""
    return any(first <= day.isoformat() <= last for first, last in (span.split("..") for span in spans))


def _write(value: timedelta) -> str:
    return f"{value.total_seconds()}s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(_write)]
ClockTime = Annotated[str, BeforeValidator(parse_clock_time)]
Weekly = Annotated[str, BeforeValidator(parse_weekly)]
Monthly = Annotated[str, BeforeValidator(parse_monthly)]
Promotion = Annotated[str, BeforeValidator(parse_promotion)]
DaySpan = Annotated[str, BeforeValidator(parse_day_span)]
ClockSpan = Annotated[str, BeforeValidator(parse_clock_span)]
Rate = Annotated[str, BeforeValidator(parse_rate)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
