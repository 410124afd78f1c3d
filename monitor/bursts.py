"""Whether so many complaints at once are more than a shop's own past explains, at this time of day and week.

Two things must be unusual: how many complaints there are, and what share of all feedback they make, for a promotion
brings more of everything. Both norms come from the shop's last four weeks: what it shows in the same six hours of
workdays or weekends, drawn towards what it shows in those hours of any day and over all, the more the less there is
of it.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

HISTORY = timedelta(days=28)
SPAN = 6 * 3600
"""Seconds of a span: the past is counted in spans of six hours since the epoch."""

_SPANS_A_DAY = 86_400 // SPAN
_WEEKEND = 5  # the first weekday of it

_RARE_COUNT = 1e-6
_RARE_SHARE = 3e-4
_SURELY_USUAL = 4  # deviations of a Poisson's, the narrowest: fewer are never as rare as _RARE_COUNT
_MOSTLY_COMPLAINTS = 0.5  # a source that carries little else shows nothing by its share

# What is assumed before anything is known, and how much of one's own is needed to outweigh what is drawn towards.
_PRIOR_SHARE = (1.5, 60.0)  # complaints, feedbacks
_PRIOR_RATE = (0.5, 24.0)  # complaints, hours
_PULL_SHARE = 50.0  # feedbacks
_PULL_RATE = 48.0  # hours
# Days differ by more than chance: no past, however long, counts for more than this.
_MOST_FEEDBACKS = 150.0
_MOST_COMPLAINTS = 40.0


@dataclass(frozen=True, slots=True)
class Norm:
    """What is usual.

    Attributes:
        share: Complaints by all feedback.
        feedbacks: So many the share rests on.
        rate: Complaints an hour.
        complaints: So many the rate rests on.
    """

    share: float
    feedbacks: float
    rate: float
    complaints: float

    def broken(self, count: int, total: int, hours: float) -> bool:
        """Whether ``count`` complaints among ``total`` feedbacks in so many hours are unusual."""
        mean = self.rate * hours
        if (
            count <= mean + _SURELY_USUAL * math.sqrt(mean)
            or _rate_tail(count, self.complaints, self.complaints / self.rate, hours) > _RARE_COUNT
        ):
            return False
        if self.share > _MOSTLY_COMPLAINTS:
            return True
        a, b = self.share * self.feedbacks, (1 - self.share) * self.feedbacks
        return count > self.share * total and _share_tail(count, max(count, total), a, b) <= _RARE_SHARE


def span_of(at: datetime) -> int:
    """The span a moment lies in."""
    return int(at.timestamp()) // SPAN


def norm(
    complaints: Mapping[int, int],
    feedbacks: Mapping[int, int],
    start: datetime,
    zone: ZoneInfo,
    crises: Collection[int] = (),
) -> Norm:
    """What is usual at a time.

    Args:
        complaints: Span → how many complaints came in it.
        feedbacks: Span → how many feedbacks, complaints among them.
        start: What came in this moment's span or later, or four weeks before it, is not counted.
        zone: In which weekends begin and end.
        crises: Spans in which trouble broke out: what came in them is not usual.
    """
    here = span_of(start)
    first = max(min(feedbacks, default=here), here - int(HISTORY.total_seconds()) // SPAN)
    share, rate = _PRIOR_SHARE[0] / _PRIOR_SHARE[1], _PRIOR_RATE[0] / _PRIOR_RATE[1]
    pull_share, pull_rate = _PRIOR_SHARE[1], _PRIOR_RATE[1]
    known = [0.0, 0.0]
    for level, spans in enumerate(_alike([span for span in range(first, here) if span not in crises], here, zone)):
        some = sum(complaints.get(span, 0) for span in spans)
        total = sum(feedbacks.get(span, 0) for span in spans)
        hours = len(spans) * SPAN / 3600
        share = (some + share * pull_share) / (total + pull_share)
        rate = (some + rate * pull_rate) / (hours + pull_rate)
        pull_share, pull_rate = _PULL_SHARE, _PULL_RATE
        if level == 0:
            known = [total + _PRIOR_SHARE[1], some + _PRIOR_RATE[0]]
    return Norm(share, min(known[0], _MOST_FEEDBACKS), rate, min(known[1], _MOST_COMPLAINTS))


def _alike(past: list[int], here: int, zone: ZoneInfo) -> Iterator[list[int]]:
    """The spans of the past: all, those of the same time of day, those of such days of the week too."""
    yield past
    hours = [span for span in past if (here - span) % _SPANS_A_DAY == 0]
    yield hours
    free = _weekend(here, zone)
    yield [span for span in hours if _weekend(span, zone) == free]


def _weekend(span: int, zone: ZoneInfo) -> bool:
    middle = datetime.fromtimestamp((span + 0.5) * SPAN, UTC)
    return middle.astimezone(zone).weekday() >= _WEEKEND


def _rate_tail(count: int, events: float, hours: float, window: float) -> float:
    """The chance of ``count`` or more in ``window`` hours where ``events`` came in ``hours`` (gamma-Poisson)."""
    chance = window / (hours + window)
    log = math.lgamma(events + count) - math.lgamma(events) - math.lgamma(count + 1)
    term = math.exp(log + events * math.log1p(-chance) + count * math.log(chance))
    total, n = 0.0, count
    while term > total * 1e-9:
        total += term
        term *= (events + n) / (n + 1) * chance
        n += 1
    return total


def _share_tail(count: int, total: int, a: float, b: float) -> float:
    """The chance of ``count`` or more of ``total`` where ``a`` were and ``b`` were not (beta-binomial)."""
    log = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    log += math.lgamma(count + a) + math.lgamma(total - count + b) - math.lgamma(total + a + b)
    term = math.exp(log + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
    chance = 0.0
    for n in range(count, total + 1):
        chance += term
        if n == total or term < chance * 1e-9:
            break
        term *= (total - n) / (n + 1) * (n + a) / (total - n - 1 + b)
    return chance
