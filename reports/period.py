"""Spans of whole local days, and the spans they are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

Kind = Literal["daily", "evening", "weekly", "monthly"]
NORM_DAYS = 28
WEEK = 7


@dataclass(frozen=True)
class Period:
    """Consecutive local days.

    Attributes:
        first: The first day.
        edges: Where the days begin and the last one ends, UTC; one more than there are days.
    """

    first: date
    edges: tuple[datetime, ...]

    @property
    def start(self) -> datetime:
        """The first moment."""
        return self.edges[0]

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.edges[-1]

    @property
    def days(self) -> list[date]:
        """Its local days in order."""
        return [self.first + timedelta(n) for n in range(len(self.edges) - 1)]

    @property
    def last(self) -> date:
        """The last day; of no days at all, the day before ``first``."""
        return self.first + timedelta(len(self.edges) - 2)

    def tail(self, days: int) -> "Period":
        """Its last days."""
        left_out = len(self.edges) - 1 - days
        return Period(self.first + timedelta(left_out), self.edges[left_out:])


def span(first: date, days: int, zone: ZoneInfo) -> Period:
    """So many local days from ``first``; days of 23 and 25 hours included."""
    starts = (datetime.combine(first + timedelta(n), time(), zone) for n in range(days + 1))
    return Period(first, tuple(start.astimezone(UTC) for start in starts))


@dataclass(frozen=True)
class Windows:
    """What a report is about and what it is compared with.

    Attributes:
        issued: The canonical day of the report: its Monday, its first of the month, its day.
        now: The reported span.
        prior: The span of the same kind before it.
        norm: The four weeks before it, or as many of them as there is feedback of.
    """

    issued: date
    now: Period
    prior: Period
    norm: Period

    def known_for(self, days: int) -> "Windows":
        """With a norm of whole weeks, so that every weekday is in it as often as any other.

        Args:
            days: Days of the norm since there has been any feedback.
        """
        return replace(self, norm=self.norm.tail(days // WEEK * WEEK))

    @property
    def weeks(self) -> int:
        """Weeks of the norm; none where there is nothing to compare with."""
        return len(self.norm.days) // WEEK

    @property
    def alike(self) -> list[date]:
        """The days of the norm of the same weekdays as the reported ones."""
        weekdays = {day.weekday() for day in self.now.days}
        return [day for day in self.norm.days if day.weekday() in weekdays]

    @property
    def edges(self) -> list[datetime]:
        """Where the segments begin and end that the three spans are made of."""
        return sorted({edge for part in (self.now, self.prior, self.norm) for edge in (part.start, part.end)})

    @property
    def first_days(self) -> list[date]:
        """The day on which each of the segments begins, and the day after the last."""
        parts = (self.now, self.prior, self.norm)
        days = {part.end: part.last + timedelta(1) for part in parts} | {part.start: part.first for part in parts}
        return [days[edge] for edge in self.edges]

    def members(self, at: datetime) -> tuple[bool, bool, bool]:
        """Whether a moment lies in ``now``, ``prior`` and ``norm``."""
        now, prior, norm = (part.start <= at < part.end for part in (self.now, self.prior, self.norm))
        return now, prior, norm

    @property
    def segments(self) -> Sequence[tuple[bool, bool, bool]]:
        """For each segment the spans it belongs to, as `members`."""
        return [self.members(start) for start, _ in pairwise(self.edges)]

    def all_days(self) -> Period:
        """Every day of the three spans."""
        first = min(self.prior, self.norm, key=lambda part: part.start)
        edges = {edge for part in (self.now, self.prior, self.norm) for edge in part.edges}
        return Period(first.first, tuple(sorted(edges)))


def windows(kind: Kind, day: date, zone: ZoneInfo) -> Windows:
    """The spans of the report of a kind that is due on a day.

    Args:
        kind: ``daily`` is about the day before, ``evening`` about the day itself, of which there is nothing after now,
            ``weekly`` about the last full week from Monday to Sunday, ``monthly`` about the last full calendar month.
        day: Any day; a report of the week or month is the same for each day on which it is the last full one.
        zone: Where days begin and end.
    """
    issued = day
    if kind == "daily":
        main, before = span(day - timedelta(1), 1, zone), span(day - timedelta(8), 1, zone)
    elif kind == "evening":
        main, before = span(day, 1, zone), span(day - timedelta(7), 1, zone)
    elif kind == "weekly":
        issued = day - timedelta(day.weekday())
        main, before = span(issued - timedelta(7), 7, zone), span(issued - timedelta(14), 7, zone)
    else:
        issued = day.replace(day=1)
        first = (issued - timedelta(1)).replace(day=1)
        earlier = (first - timedelta(1)).replace(day=1)
        main, before = span(first, (issued - first).days, zone), span(earlier, (first - earlier).days, zone)
    return Windows(issued, main, before, span(main.first - timedelta(NORM_DAYS), NORM_DAYS, zone))
