"""Days of a week or month that were worse than the same weekday usually is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from reports.counts import Counts, on
from reports.period import Windows
from reports.shares import Z_MANY, Share, compare

_MOST = 5


@dataclass(frozen=True)
class Bad:
    """A day whose share of negatives was surely above that of the same weekday."""

    day: date
    now: Share
    usual: Share


def worse(days: Mapping[date, Counts], windows: Windows) -> list[Bad]:
    """Such days in their order; of more than five, those that stand out most."""
    found = []
    for day in windows.now.days:
        usual = on(days, (other for other in windows.norm.days if other.weekday() == day.weekday())).bad
        now = on(days, [day]).bad
        if compare(usual, now, Z_MANY) == "up":
            found.append(Bad(day, now, usual))
    most = sorted(found, key=lambda one: one.usual.rate - one.now.rate)[:_MOST]
    return sorted(most, key=lambda one: one.day)
