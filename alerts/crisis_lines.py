"""What the card of a crisis says of it: how many, what they share, what was done and what is still lacking."""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from alerts import words
from alerts.content import Line, line, link
from monitor.models import Crisis
from monitor.queries import CrisisView
from monitor.states import CRISIS_OPEN

if TYPE_CHECKING:
    from alerts.cards import Reader

_SPREAD = {
    "copied": "{copies} 条是几乎一样的文字，来自不同账号：疑似搬运，先核实再回应",
    "independent": "不同账号、不同说法：像是{cause}",
}
_ONE_BATCH = ("batch", "sku", "warehouse")
_ASKED = {"members": "小组成员", "facts": "已知事实", "plan": "初步方案"}
_WRITTEN = {"members": "应急小组", "facts": "已知事实", "plan": "初步方案", "result": "处理结果", "review": "复盘"}
_SHARED = {"product": "商品", "batch": "批次", "sku": "规格", "warehouse": "仓库", "courier": "快递"}
_OFTEN = 0.25  # words that this share of them use are worth quoting


def how_many(view: CrisisView) -> int:
    """How many feedbacks it is about; those of one that was merged are another's now."""
    return view.count or int(view.crisis.scope.get("count", 0))


def spread(view: CrisisView, reader: "Reader") -> Line:
    """When they came, how many they are, what most of them share, and what that looks like."""
    return shared(view.crisis, how_many(view), reader.now, reader.zone)


def shared(crisis: Crisis, count: int, now: datetime, zone: ZoneInfo) -> Line:
    """The same of a crisis with so many feedbacks, for a page."""
    scope = crisis.scope
    parts = []
    if "first_at" in scope:
        first, last = (datetime.fromisoformat(scope[name]) for name in ("first_at", "last_at"))
        parts.append(words.span_of_time(first, last, now, zone))
    parts.append(f"{count} 条{'帖子' if crisis.kind == 'mention' else '差评'}")
    said, times = next(iter(scope.get("said", [])), ("", 0))
    if count > 1 and times > max(1, _OFTEN * count):
        parts.append(f"{'都' if times == count else f'{times} 条'}说「{said}」")
    common = _common(scope, count)
    parts += [f"{'都是' if n == count else f'{n} 条'}同一{_SHARED[name]}（{value}）" for name, value, n in common]
    spread = scope.get("spread", {})
    if count > 1 and spread.get("verdict") in _SPREAD:
        batch = any(name in _ONE_BATCH for name, _, _ in common)
        cause = "同一批货出的问题" if batch else "一个问题影响了多位买家"
        some = f"最近 {spread['of']} 条里，" if count > spread.get("of", count) else ""
        parts.append(some + _SPREAD[spread["verdict"]].format(cause=cause, **spread))
    return line("，".join(parts) + "。")


def _common(scope: dict[str, Any], count: int) -> list[tuple[str, str, int]]:
    """What most of the feedbacks share: field, value, how many."""
    most = ((name, *next(iter(scope.get(name, [])), ("", 0))) for name in _SHARED)
    return [(name, value, n) for name, value, n in most if count > 1 and n >= words.MOSTLY * count]


def heat(view: CrisisView) -> list[Line]:
    """How far the post went that is quoted."""
    counts = words.counts(view.worst.feedback.extra) if view.worst and view.crisis.kind == "mention" else ""
    return [line(f"传播：{counts}")] if counts else []


def done_so_far(crisis: Crisis, reader: "Reader") -> list[Line]:
    """Whom people told, what they wrote, and what they have still to write."""
    lines = []
    running = crisis.state in CRISIS_OPEN
    if crisis.notices or crisis.state == "acknowledged":
        ways = [
            f"✓ {label}（{crisis.notices[way]['by']}）" if way in crisis.notices else f"□ {label}"
            for way, label in words.NOTICE_WAYS[crisis.kind].items()
        ]
        lines.append(line("告知客户：" + "　".join(ways)))
    lines += [line(f"{name}：{said}") for field, name in _WRITTEN.items() if (said := getattr(crisis, field))]
    lacking = [name for field, name in _ASKED.items() if not getattr(crisis, field)]
    asked = f"还缺：{'、'.join(lacking)}　" if running and lacking else ""
    if running and crisis.notified_at is None:
        name = "致歉和声明的草稿" if crisis.kind == "mention" else "通知话术和买家名单"
        lines.append(line(asked, link(name, f"{reader.links.view('crisis', crisis.id or 0)}#notices")))
    elif asked:
        lines.append(line(asked.strip()))
    if crisis.state in ("resolved", "closed") and not crisis.review:
        lines.append(line("还没写复盘"))
    if crisis.merged_into:
        lines.append(line(f"已并入危机 #{crisis.merged_into}"))
    return lines
