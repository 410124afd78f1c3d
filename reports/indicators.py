"""Shop indicators beside the industry's values and the period before, and the month's points."""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlmodel import Session

from monitor.clearance import followed_up
from monitor.indicators import KINDS, Value, bad, counted, newest
from monitor.points import Point, points
from monitor.settings import Settings
from reports.ledger import clearance
from reports.period import Period, Windows

_KNOWN = timedelta(days=28)  # older values say nothing of this period
_SHOPS = 20


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
    """

    name: str
    value: float
    day: date
    before: float | None
    industry: float | None
    bad: bool


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
    found = []
    for shop_id in ids:
        rows = []
        for name in KINDS:
            row, old = now.get((shop_id, name)), before.get((shop_id, name))
            if row is None or row.day <= windows.now.last - _KNOWN:
                continue
            value, was = row.value, old.value if old else None
            if KINDS[name].daily:
                (value, days), (was, known) = (
                    counted(session, shop_id, name, span.first, span.last) for span in (windows.now, windows.prior)
                )
                if not days:
                    continue
                was = was if known else None
            worse = bad(Value(shop_id, name, row.day, value, row.industry), settings.policy.indicators)
            rows.append(Row(name, value, row.day, was, row.industry, worse))
        if rows:
            found.append(Shop(shop_id, rows, _points(session, shop_id, windows.now) if kind == "monthly" else []))
    return found[:_SHOPS]


def _points(session: Session, shop_id: str, period: Period) -> list[Point]:
    cleared = clearance(session, period, shop_id)
    followed = followed_up(session, period.start, period.end, shop_id)
    rates = [_rate(cleared.part, cleared.whole), _rate(followed.done, followed.of)]
    return points(session, shop_id, period.first, period.last, *rates)


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None
