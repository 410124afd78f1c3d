"""Targets, and whether they were reached, in the words people read."""

from collections.abc import Callable, Mapping, Sequence

from monitor.states import TARGET_LABELS
from reports.labels import percent, short
from reports.labels import share as told
from reports.shares import Share
from reports.targets import Reached, Target

NAMES: Mapping[str, str] = TARGET_LABELS
REACHED: Mapping[Reached, str] = {
    "met": "达到",
    "near": "接近",
    "missed": "没达到",
    "few": "—",
    "odd": "数不对",
    "none": "—",
}
_FEW = {
    "once": "{} 个工单里 {} 个",
    "soon": "{} 个工单里 {} 个",
    "followups": "{} 位里 {} 位",
    "complaints": "{} 位客户，差评 {} 条",
}


def goal(target: Target) -> str:
    """``≥ 85%``, ``< 2%``."""
    return f"{'<' if target.below else '≥'} {100 * target.wanted:g}%"


def interval(value: Share) -> str:
    """``76.0%–87.4%``: within which a share lies, as far as chance goes."""
    return "–".join(percent(end) for end in value.interval())


def again(rows: Sequence[tuple[str, Share]], name: Callable[[str], str]) -> str:
    """With whom, or over what, cases took more than one contact: ``主管 3（共 12）、客服一号 2（共 9）``."""
    return "、".join(f"{short(name(one), 16)} {at.whole - at.part:,}（共 {at.whole:,}）" for one, at in rows) or "—"


def line(target: Target) -> str:
    """``一次解决率 82.4%（140/170），目标 ≥ 85%：接近``."""
    now, name = target.now, NAMES[target.name]
    if target.reached == "odd":
        return f"{name}：差评 {now.part:,} 条，服务客户数却只有 {now.whole:,}，请核对导入的数"
    if target.reached in {"few", "none"}:
        said = _FEW.get(target.name, "{} 条里 {} 条").format(now.whole, now.part) if now.whole else "—"
        return f"{name} {said}，目标 {goal(target)}"
    return f"{name} {told(now)}，目标 {goal(target)}：{REACHED[target.reached]}"
