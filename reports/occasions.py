"""Promotions and holidays in the spans of a report: days that are not like others, told beside the comparison."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from monitor.hours import holidays
from monitor.settings import Settings
from reports.period import Period, Windows

_LONG = 3  # days off in a row: fewer are a weekend


@dataclass(frozen=True)
class Occasion:
    """Days of the reported span, or of the weeks it is compared with, that were not like others.

    Attributes:
        kind: What they were.
        now: Whether they lie in the reported span, rather than before it.
        first: The first of them in it.
        last: The last.
    """

    kind: Literal["promotion", "holiday"]
    now: bool
    first: date
    last: date


def occasions(windows: Windows, settings: Settings) -> list[Occasion]:
    """Promotions of the config and public holidays, those of the reported span first."""
    years = range(windows.norm.first.year, windows.now.last.year + 1)
    free = [span for span in holidays(years) if _days(span) >= _LONG]
    found = []
    for now, period in ((True, windows.now), (False, windows.norm)):
        found += [Occasion("promotion", now, *span) for span in _within(settings.service.promotions, period)]
        found += [Occasion("holiday", now, *span) for span in _within(free, period)]
    return found


def _within(spans: Iterable[str], period: Period) -> Iterator[tuple[date, date]]:
    for span in spans:
        first, last = _ends(span)
        first, last = max(first, period.first), min(last, period.last)
        if first <= last:
            yield first, last


def _ends(span: str) -> tuple[date, date]:
    first, last = (date.fromisoformat(day) for day in span.split(".."))
    return first, last


def _days(span: str) -> int:
    first, last = _ends(span)
    return (last - first).days + 1
