"""Monthly points of a shop's indicators: what was reached of what could be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlmodel import Session

from monitor.indicators import DSR, KINDS, Value, above, counted, newest, shown
from monitor.models import Indicator

_DISPUTE = 0.1  # percent below the industry's
_DSR = ((40, 20), (30, 15), (20, 10))  # percent above the industry's, of all three together → points
_RETAINED = ((20, 15), (10, 10), (5, 5))  # percent → points
_UPHELD = ((0, 5), (1, 3))  # at most so many → points
_CLEARED, _FOLLOWED = 0.80, 0.50


@dataclass(frozen=True)
class Point:
    """A line of the sheet.

    Attributes:
        label: What it is about.
        got: Points; None where nothing is known.
        of: The most there are.
        why: The figures it rests on.
    """

    label: str
    got: int | None
    of: int
    why: str


def points(
    session: Session, shop_id: str, first: date, last: date, clearance: float | None, followups: float | None
) -> list[Point]:
    """The sheet of a shop for a month.

    Args:
        session: Where the indicators are.
        shop_id: The shop.
        first: First day of the month.
        last: Its last day.
        clearance: 日清率, 0..1; None where nothing was to clear.
        followups: 追评率, likewise.
    """
    rows = {name: row for (_, name), row in newest(session, [shop_id], last).items() if row.day >= first}
    return [
        _beside(rows, "dispute_rate", 15, lambda row, industry: row.value < industry - _DISPUTE),
        _beside(rows, "self_completion", 10, lambda row, industry: row.value > industry),
        _beside(rows, "refund_hours", 2, lambda row, industry: row.value < industry),
        _beside(rows, "return_hours", 3, lambda row, industry: row.value < industry),
        _scores(rows),
        _retained(rows.get("retained_returns")),
        _share("日清率", clearance, _CLEARED, 5),
        _share("追评率", followups, _FOLLOWED, 3),
        _upheld(session, shop_id, first, last),
    ]


def _beside(rows: Mapping[str, Indicator], name: str, most: int, good: Callable[[Indicator, float], bool]) -> Point:
    row, label = rows.get(name), KINDS[name].label
    if row is None:
        return Point(label, None, most, "没有导入")
    if row.industry is None:
        return Point(label, None, most, f"{shown(name, row.value)}，没有行业值")
    why = f"{shown(name, row.value)}，行业 {shown(name, row.industry)}"
    return Point(label, most if good(row, row.industry) else 0, most, why)


def _scores(rows: Mapping[str, Indicator | Value]) -> Point:
    leads = [lead for name in DSR if name in rows and (lead := above(rows[name])) is not None]
    if len(leads) < len(DSR):
        return Point("DSR 三项", None, _DSR[0][1], f"三项里只知道 {len(leads)} 项比行业高多少")
    total = sum(leads)
    return Point("DSR 三项", _reached(_DSR, total), _DSR[0][1], f"合计高于行业 {total:.1f}%")


def _retained(row: Indicator | None) -> Point:
    label, most = KINDS["retained_returns"].label, _RETAINED[0][1]
    if row is None:
        return Point(label, None, most, "没有导入")
    return Point(label, _reached(_RETAINED, row.value), most, shown("retained_returns", row.value))


def _share(label: str, rate: float | None, wanted: float, most: int) -> Point:
    if rate is None:
        return Point(label, None, most, "这个月没有要算的")
    return Point(label, most if rate >= wanted else 0, most, f"{rate:.1%}，目标 {wanted:.0%}")


def _upheld(session: Session, shop_id: str, first: date, last: date) -> Point:
    count, days = counted(session, shop_id, "upheld", first, last)
    label, most = KINDS["upheld"].label, _UPHELD[0][1]
    if not days:
        return Point(label, None, most, "没有导入")
    got = next((points for at_most, points in _UPHELD if count <= at_most), 0)
    return Point(label, got, most, f"{count:g} 件（{days} 天有数据）")


def _reached(steps: Sequence[tuple[float, int]], value: float) -> int:
    return next((points for least, points in steps if value >= least), 0)
