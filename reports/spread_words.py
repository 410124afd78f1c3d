"""How far a crisis went, in two sentences: what its feedbacks share, and how they came."""

from zoneinfo import ZoneInfo

from reports.labels import moment, platform, short
from reports.spread import Spread

_FIELDS = {"product": "商品", "batch": "批次", "sku": "规格", "warehouse": "仓库", "courier": "快递", "region": "地区"}
_HEAT = {"likes": "赞", "reposts": "转发", "comments": "评论"}
_LONGEST = 20


def scope(one: Spread) -> str:
    """What most have in common, e.g. ``29 条同一商品（保温杯）、29 条同一仓库（苏州仓）``; "" if nothing."""
    alike = "、".join(f"{n:,} 条同一{_FIELDS[name]}（{short(value, _LONGEST)}）" for name, value, n in one.shared)
    words, times = one.said
    said = f"{times:,} 条说“{short(words, _LONGEST)}”" if times else ""
    return "；".join(part for part in (alike, said) if part)


def course(one: Spread, zone: ZoneInfo) -> str:
    """When and where they came, from how many hands, and what posts set off; "" if nothing is known."""
    if one.first_at == one.last_at and not (one.heat or _hands(one)):  # a single one: its time is told with it
        return ""
    return "；".join(part for part in (_when(one, zone), _where(one), _hands(one), _heat(one)) if part)


def _when(one: Spread, zone: ZoneInfo) -> str:
    if one.first_at is None or one.last_at is None or one.peak_at is None:
        return ""
    first, last, peak = (moment(at, zone) for at in (one.first_at, one.last_at, one.peak_at))
    if first == last:
        return first
    last, peak = (at.removeprefix(f"{first.split(' ')[0]} ") for at in (last, peak))
    return f"{first} 到 {last}" + (f"，最多的一小时 {one.peak:,} 条（{peak} 起）" if one.peak > 1 else "")


def _where(one: Spread) -> str:
    return "、".join(f"{short(platform(code), _LONGEST)} {n:,} 条" for code, n in one.platforms)


def _hands(one: Spread) -> str:
    if one.verdict == "copied":
        return f"比过的 {one.of:,} 条里 {one.copies:,} 条几乎一样、来自不同账号，像是搬运"
    return "不同账号、不同说法" if one.verdict == "independent" else ""


def _heat(one: Spread) -> str:
    if not any(one.heat.values()):
        return ""
    now = "、".join(f"{told} {one.heat[name]:,}" for name, told in _HEAT.items() if one.heat.get(name))
    grown = sum(one.heat.values()) - one.heat_before
    return f"帖子共有{now}" + (f"，比刚看到时多 {grown:,}" if grown > 0 else "")
