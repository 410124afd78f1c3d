"""What is usual for a source, told from its own past: counts by hour and weekday, and how often each field is filled.

Medians and low quantiles, so that a flood or a fault of the past moves nothing; too little past tells nothing.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, islice
from statistics import median
from typing import NamedTuple

from crawler.fills import FIELDS, ITEMS

Reading = Mapping[str, int]
"""What a run read: ``seen`` elements, of which ``items`` were items, of which so many had each field."""

DAY = timedelta(days=1)
MEMORY = 84  # days of the past that are looked at

_ENOUGH = 20  # elements that tell how often a field is filled
_PASTS = 3  # so many times as many are a norm
_WATCHED = 0.5  # a field that is usually empty is not missed
_SIGMAS = 4.0  # further from the norm than chance explains
_BACK = 0.8  # of the norm is well again
_LOW = 0.1  # the quantile that bad days of the past may reach
_WINDOWS = (2, 8, 24, 72)  # hours
_DAYS, _WEEK = 28, 7  # days a norm is made of, at most and at least
_COUNT = 12  # fewer are too few to be missed
_FALL = (
    0.1  # of what usually came is a fault: with numbers that jump by 40 % from day to day, one false alarm in months
)
_SHRUNK = 0.2  # of what bad runs read is a fault
_PAGES = 10  # runs around an hour that tell how much a run reads
_AROUND = 2  # of the hours from the one before to the one after


class Rate(NamedTuple):
    """How often something was there.

    Attributes:
        among: So many.
        now: Share of the newest ones, 0–1.
        usual: The source's norm; None where its past is too short.
        low: What its bad days reached.
    """

    among: int
    now: float
    usual: float | None = None
    low: float = 0.0

    def fell(self, well: bool) -> bool:
        """Whether far fewer than usual have it; a source once in trouble has to come further back to be well."""
        if self.usual is None or self.usual < _WATCHED:
            return False
        if not well:
            return self.now < min(_BACK * self.usual, self.low)
        chance = math.sqrt(self.usual * (1 - self.usual) / self.among)
        return self.now < min(self.usual / 2, self.low, self.usual - _SIGMAS * chance)


def rates(newest: Sequence[Reading], past: Sequence[Reading]) -> dict[str, Rate]:
    """How often elements were items (``ITEMS``) and items had each of ``FIELDS``.

    Args:
        newest: What the last runs read, however they ended, newest first; as many of them are taken together as make
            the numbers tell something.
        past: What earlier runs that ended well read; it may begin with some of ``newest``.
    """
    now = next(_chunks(newest), None)
    if now is None:
        return {}
    chunks = list(_chunks(past))
    found = {}
    for name in (ITEMS, *FIELDS):
        whole = "seen" if name == ITEMS else ITEMS
        if now[whole] < _ENOUGH / 2:
            continue
        share = now[name] / now[whole]
        usual = [chunk[name] / chunk[whole] for chunk in chunks if chunk[whole] >= _ENOUGH / 2]
        norm = (median(usual), quantile(usual)) if len(usual) >= _PASTS else (None, 0.0)
        found[name] = Rate(now[whole], share, *norm)
    return found


def _chunks(runs: Iterable[Reading]) -> Iterator[Counter[str]]:
    chunk: Counter[str] = Counter()
    for run in runs:
        chunk.update(run)
        if chunk["seen"] >= _ENOUGH:
            yield chunk
            chunk = Counter()


class Shortfall(NamedTuple):
    """Fewer than usual."""

    hours: int
    came: int
    usual: float


class Arrivals:
    """New feedback of a source over time.

    Args:
        counts: Moment and number, oldest first.
        troubled: Moments of runs that did not end well, oldest first: hours with one are no norm.
        first: When the source was first read.
    """

    def __init__(self, counts: Sequence[tuple[datetime, int]], troubled: Sequence[datetime], first: datetime) -> None:
        self._at = [at for at, _ in counts]
        self._sums = [0, *accumulate(count for _, count in counts)]
        self._troubled, self._first = troubled, first

    @property
    def last(self) -> datetime | None:
        """When the newest came."""
        return self._at[-1] if self._at else None

    def count(self, end: datetime, width: timedelta) -> int:
        """How many came in the span up to ``end``, its start left out."""
        return self._sums[bisect_right(self._at, end)] - self._sums[bisect_right(self._at, end - width)]

    def usual(self, end: datetime, width: timedelta) -> tuple[float, float] | None:
        """The median of the same hours on earlier days, and what bad days reached; None where they are too few."""
        past = list(islice(self._past(end, width), _DAYS))
        same = [count for days, count in past if days % _WEEK == 0]
        if len(past) < _WEEK or not same:
            return None
        counts = [count for _, count in past]
        return min(median(counts), median(same)), quantile(counts)

    def shortfall(self, now: datetime, just: int, well: bool) -> Shortfall | None:
        """The shortest span up to now with far fewer than usual.

        Args:
            now: The end of the span.
            just: What came right now and is not among the counts.
            well: See ``Rate.fell``.
        """
        ease = 1 if well else 2
        widths = [timedelta(hours=hours) for hours in _WINDOWS]
        if not well and self.last:  # a silence does not end because its first hours were quiet ones
            widths.append(min(now - self.last, widths[-1]))
        for width in widths:
            norm = self.usual(now, width)
            count = self.count(now, width) + just
            if norm and norm[0] >= _COUNT / ease and count < ease * min(_FALL * norm[0], norm[1] / 2):
                return Shortfall(round(width / timedelta(hours=1)), count, norm[0])
        return None

    def _past(self, end: datetime, width: timedelta) -> Iterator[tuple[int, int]]:
        """Days back and count of the same hours, of days when the source was well."""
        for days in range(1, MEMORY + 1):
            then = end - days * DAY
            if then - width < self._first:
                return
            if bisect_right(self._troubled, then) == bisect_right(self._troubled, then - width):
                yield days, self.count(then, width)


class Size(NamedTuple):
    """How much a run read, and when by the local clock."""

    at: datetime
    seen: int


def shrunk(now: Size, past: Sequence[Size], well: bool) -> float | None:
    """What runs at this hour usually read, if this one read far less; None otherwise, or where they are too few."""
    near = [size for size in past if (size.at.hour - now.at.hour + 1) % 24 <= _AROUND]
    counts = [size.seen for size in near]
    if len(near) < _PAGES or len({size.at.date() for size in near}) < _PASTS or quantile(counts) < _COUNT:
        return None
    return median(counts) if now.seen < (1 if well else 2) * _SHRUNK * quantile(counts) else None


def quantile(values: Sequence[float]) -> float:
    """What nine of ten values reach."""
    return sorted(values)[int(_LOW * len(values))]
