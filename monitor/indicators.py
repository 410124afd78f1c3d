"""Shop indicators (监测重点): what platforms' back ends say of a shop, day by day, beside its industry's value."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import and_, false
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, func, select

from monitor import audit, db
from monitor.core import Core
from monitor.models import Indicator
from monitor.notices import Notice
from monitor.policies import IndicatorPolicy


@dataclass(frozen=True, slots=True)
class Kind:
    """An indicator.

    Attributes:
        label: Its name in back ends.
        unit: What stands behind its number; shares are kept in percent.
        better: In which direction it gets better; "" where neither is: such a one has no limit.
        daily: One day's own count, summed over a month; else a rolling figure, of which the month's last counts.
        also: Other names it goes by.
    """

    label: str
    unit: Literal["%", "小时", "分", "件", "人"]
    better: Literal["up", "down", ""]
    daily: bool = False
    also: tuple[str, ...] = ()


_SERVED = (
    *("服务人数", "服务客户", "接待人数", "接待客户数", "接待量", "客户数", "支付买家数", "订单数", "订单量"),
    *("customers", "customersserved", "customers_served", "orders"),
)
KINDS: dict[str, Kind] = {
    "dispute_rate": Kind("退款纠纷率", "%", "down"),
    "self_completion": Kind("退款自主完结率", "%", "up"),
    "refund_hours": Kind("仅退款完结时长", "小时", "down"),
    "return_hours": Kind("退货退款完结时长", "小时", "down"),
    "dsr_description": Kind("描述相符", "分", "up"),
    "dsr_service": Kind("服务态度", "分", "up"),
    "dsr_logistics": Kind("物流服务", "分", "up"),
    "return_rate": Kind("退货率", "%", "down"),
    "retained_returns": Kind("退货挽回率", "%", "up"),
    "upheld": Kind("投诉成立", "件", "down", daily=True),
    "served": Kind("服务客户数", "人", "", daily=True, also=_SERVED),
}
SERVED = "served"
"""Of how many customers a day's complaints are: 投诉率 rests on it."""
DSR = ("dsr_description", "dsr_service", "dsr_logistics")


@dataclass(frozen=True, slots=True)
class Value:
    """An indicator of a shop on a day.

    Attributes:
        name: A key of `KINDS`.
        industry: The industry's value; None where the back end does not show it.
        above: By how many percent the back end says it is above the industry's (高于同行); None likewise.
    """

    shop_id: str
    name: str
    day: date
    value: float
    industry: float | None = None
    above: float | None = None


def store(core: Core, values: Iterable[Value], actor: str = "评哨", door: str = "system") -> int:
    """Keep values, the last of several for one day; those who read summaries hear of what became bad.

    Args:
        core: The common ground.
        values: What was read.
        actor: Who brought them.
        door: Where.

    Returns:
        How many are new or changed.
    """
    fresh = {_key(value): value for value in values}
    with db.writing(core.engine) as session:
        before = newest(session, {value.shop_id for value in fresh.values()})
        known = {_key(row): row for row in _between(session, [value.day for value in fresh.values()])}
        changed = [value for key, value in fresh.items() if key not in known or _differs(known[key], value)]
        _upsert(session, changed)
        if changed:
            told = {"count": len(changed), "shops": sorted({value.shop_id for value in changed})}
            audit.note(session, core.clock.now(), "indicator", 0, "indicators.stored", actor, door, after=told)
        core.notify(session, [_worse(core, value) for value in _turned(core, before, changed)])
    return len(changed)


def newest(session: Session, shops: Iterable[str], until: date = date.max) -> dict[tuple[str, str], Indicator]:
    """The last value of each indicator of shops up to a day, by shop and name."""
    last = (
        select(Indicator.shop_id, Indicator.name, func.max(Indicator.day).label("day"))
        .where(col(Indicator.shop_id).in_(shops), Indicator.day <= until)
        .group_by(col(Indicator.shop_id), col(Indicator.name))
        .subquery()
    )
    same = and_(
        col(Indicator.shop_id) == last.c.shop_id, col(Indicator.name) == last.c.name, col(Indicator.day) == last.c.day
    )
    return {(row.shop_id, row.name): row for row in session.exec(select(Indicator).join(last, same))}


def history(session: Session, shop_id: str, since: date) -> Sequence[Indicator]:
    """All values of a shop from a day on, the oldest first."""
    mine = select(Indicator).where(Indicator.shop_id == shop_id, col(Indicator.day) >= since)
    return session.exec(mine.order_by(col(Indicator.day))).all()


def counted(session: Session, shop_id: str, name: str, first: date, last: date) -> tuple[float, int]:
    """The sum of a shop's daily count from one day to another, and of how many days it is known."""
    mine = (Indicator.shop_id == shop_id, Indicator.name == name, col(Indicator.day).between(first, last))
    days = session.exec(select(Indicator.value).where(*mine)).all()
    return sum(days), len(days)


def _turned(core: Core, before: Mapping[tuple[str, str], Indicator], changed: Iterable[Value]) -> Iterator[Value]:
    """Values that are bad where the day before was not; of several days the last counts."""
    last = {(value.shop_id, value.name): value for value in sorted(changed, key=lambda value: value.day)}
    policy = core.settings.policy.indicators
    for key, value in last.items():
        old = before.get(key)
        if bad(value, policy) and (old is None or (old.day <= value.day and not bad(old, policy))):
            yield value


def _worse(core: Core, value: Value) -> Notice:
    limit = limit_of(value.name, core.settings.policy.indicators)
    facts = {"name": value.name, "value": value.value, "day": value.day.isoformat()}
    facts |= {"industry": value.industry, "limit": limit}
    key = f"indicator:{value.shop_id}:{value.name}:{value.day}"
    return Notice("indicator.worse", key, "indicator", 0, value.shop_id, facts)


def limit_of(name: str, policy: IndicatorPolicy) -> float | None:
    """What the policy holds an indicator to; None where that is the industry's value, or nothing at all."""
    limit: float | None = getattr(policy, name) if KINDS[name].better else None
    return limit


def bad(value: Value | Indicator, policy: IndicatorPolicy) -> bool:
    """Whether it is on the wrong side of the policy's limit, or of the industry's value where there is no limit."""
    better, limit = KINDS[value.name].better, limit_of(value.name, policy)
    against = value.industry if limit is None else limit
    if against is None or not better:
        return False
    return value.value > against if better == "down" else value.value < against


def above(value: Value | Indicator) -> float | None:
    """By how many percent it is above the industry's value, as the back end says.

    Where it does not: the part of the way from the industry's to the best possible score that the shop is ahead, which
    is how back ends count their 高于同行 for scores of at most five.
    """
    if value.above is not None or value.industry is None:
        return value.above
    return (value.value - value.industry) / (_BEST - value.industry) * 100 if value.industry < _BEST else 0.0


_BEST = 5.0


def shown(name: str, value: float) -> str:
    """``0.12%``, ``4.87 分``, ``31.5 小时``, ``2 件``, ``12,345 人``."""
    unit = KINDS[name].unit
    return f"{figure(value)}{'' if unit == '%' else ' '}{unit}"


def figure(value: float) -> str:
    """``0.12``, ``31.5``, ``12,345``: four digits, of large ones all."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004 — four digits


def _key(row: Value | Indicator) -> tuple[str, str, date]:
    return row.shop_id, row.name, row.day


def _between(session: Session, days: Sequence[date]) -> Iterable[Indicator]:
    span = (col(Indicator.day) >= min(days), col(Indicator.day) <= max(days)) if days else (false(),)
    return session.exec(select(Indicator).where(*span))


def _differs(row: Indicator, value: Value) -> bool:
    return (row.value, row.industry, row.above) != (value.value, value.industry, value.above)


def _upsert(session: Session, values: Sequence[Value]) -> None:
    if not values:
        return
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    names = ("shop_id", "name", "day", "value", "industry", "above")
    rows = [{name: getattr(value, name) for name in names} for value in values]
    insert: Any = dialect.insert(Indicator)
    told = {name: getattr(insert.excluded, name) for name in names[3:]}
    session.execute(insert.on_conflict_do_update(index_elements=list(names[:3]), set_=told), rows)
