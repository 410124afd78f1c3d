"""Shop indicators beside the industry's values, how they went of late, and the month's points."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from sqlmodel import Session, col, select

from monitor.clearance import followed_up
from monitor.indicators import KINDS, Value, bad, counted, newest
from monitor.models import Indicator
from monitor.points import Point, points
from monitor.settings import Settings
from reports.ledger import clearance
from reports.period import WEEK, Period, Windows

_KNOWN = timedelta(days=28)  # older values say nothing of this period
_SHOPS = 20
_TREND = 6  # spans, the reported one among them

Turn = Literal["better", "worse", "same", ""]


@dataclass(frozen=True)
class Row:
    """An indicator of a shop.

    Attributes:
        name: A key of `monitor.indicators.KINDS`.
        value: Its last value of the span; of daily counts, their sum.
        day: That value's day.
        before: The same of the span before; None where it is not known.
        industry: The industry's value; None where it is not known.
        bad: It is on the wrong side of its limit or of the industry's value.
        trend: The same of the last six spans, oldest first, this one last; None where it is not known.
    """

    name: str
    value: float
    day: date
    before: float | None
    industry: float | None
    bad: bool
    trend: list[float | None] = field(default_factory=list)

    @property
    def turn(self) -> Turn:
        """Whether it got better than in the span before."""
        if self.before is None:
            return ""
        if self.value == self.before:
            return "same"
        return "better" if (self.value > self.before) == (KINDS[self.name].better == "up") else "worse"


@dataclass(frozen=True)
class Shop:
    """A shop's indicators, and, of a month, its points."""

    shop_id: str
    rows: list[Row]
    points: list[Point]

    @property
    def got(self) -> int:
        """Points reached, of those that are known."""
        return sum(point.got or 0 for point in self.points)

    @property
    def of(self) -> int:
        """Points that could be reached where something is known."""
        return sum(point.of for point in self.points if point.got is not None)


def indicators(session: Session, windows: Windows, kind: str, settings: Settings) -> list[Shop]:
    """Shops of which indicators are known, in the config's order, twenty at most."""
    ids = [shop.id for shop in settings.shops]
    now, before = newest(session, ids, windows.now.last), newest(session, ids, windows.prior.last)
    trends = _trends(session, ids, list(_spans(windows, kind)))
    found = []
    for shop_id in ids:
        rows = []
        for name in (name for name, told in KINDS.items() if told.better):
            row, old = now.get((shop_id, name)), before.get((shop_id, name))
            if row is None or not _of(row, windows.now):
                continue
            value, was = row.value, old.value if old and _of(old, windows.prior) else None
            if KINDS[name].daily:
                (value, days), (was, known) = (
                    counted(session, shop_id, name, span.first, span.last) for span in (windows.now, windows.prior)
                )
                if not days:
                    continue
                was = was if known else None
            worse = bad(Value(shop_id, name, row.day, value, row.industry), settings.policy.indicators)
            rows.append(Row(name, value, row.day, was, row.industry, worse, trends[shop_id, name]))
        if rows:
            found.append(Shop(shop_id, rows, _points(session, shop_id, windows.now) if kind == "monthly" else []))
    return found[:_SHOPS]


def _of(row: Indicator, period: Period) -> bool:
    """Whether a value says something of a span that it does not come after."""
    return row.day >= period.first or row.day > period.last - _KNOWN


def _spans(windows: Windows, kind: str) -> Iterator[tuple[date, date]]:
    """First and last day of the reported span and of those of its kind before it, newest first."""
    first, last = windows.now.first, windows.now.last
    for _ in range(_TREND):
        yield first, last
        last = first - timedelta(1)
        first = last.replace(day=1) if kind == "monthly" else first - timedelta(WEEK)


def _trends(
    session: Session, shops: Collection[str], spans: Sequence[tuple[date, date]]
) -> Mapping[tuple[str, str], list[float | None]]:
    """By shop and name the last value of each span, of daily counts the sum; the oldest span first."""
    found = select(Indicator).where(
        col(Indicator.shop_id).in_(shops), col(Indicator.day).between(spans[-1][0], spans[0][1])
    )
    trends: dict[tuple[str, str], list[float | None]] = defaultdict(lambda: [None] * len(spans))
    for row in session.exec(found.order_by(col(Indicator.day))):
        place = next(-1 - n for n, (first, _) in enumerate(spans) if row.day >= first)
        trend = trends[row.shop_id, row.name]
        daily = row.name in KINDS and KINDS[row.name].daily
        trend[place] = (trend[place] or 0.0) + row.value if daily else row.value
    return trends


def _points(session: Session, shop_id: str, period: Period) -> list[Point]:
    cleared = clearance(session, period, shop_id)
    followed = followed_up(session, period.start, period.end, shop_id)
    rates = [_rate(cleared.part, cleared.whole), _rate(followed.done, followed.of)]
    return points(session, shop_id, period.first, period.last, *rates)


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None
