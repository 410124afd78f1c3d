"""Chinese words for what the pages show: stages, severities, deliveries, events; times as people read them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from monitor.lifecycle import ACTIONS
from monitor.models import Timer

SUBJECTS = {"case": "工单", "crisis": "危机"}
SEVERITIES = {"low": "轻微", "medium": "一般", "high": "重大", "critical": "严重"}
STAGES = {
    ("crisis", "respond"): "内部响应",
    ("crisis", "notice"): "告知客户",
    ("crisis", "follow_up"): "跟进整改",
    ("case", "respond"): "首次回复",
    ("case", "solve"): "解决",
}
NOTICES = {"sms": "短信", "push": "推送", "call": "外呼"}
SOURCE_STATES = {"new": "还没跑过", "ok": "正常", "failed": "失败", "attention": "要看一眼"}
DELIVERIES = {"pending": "待发", "sending": "在发", "sent": "已发", "uncertain": "待查证", "dead": "发不出"}
EVENTS: Mapping[str, str] = {
    **{code: info.label for code, info in ACTIONS.items()},
    "opened": "开启",
    "feedback.added": "新增反馈",
    "merged.in": "并入另一个危机",
    "timer.fired": "到点提醒",
    "timer.breached": "时限已过",
}
_MINUTES_A_DAY = 24 * 60


def when(at: datetime | None, zone: ZoneInfo) -> str:
    """An absolute time in the house's zone, e.g. ``2026-11-20 14:00``."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M") if at else "—"


def span(length: timedelta) -> str:
    """A length of time in its two largest units, e.g. ``1 小时 5 分``."""
    minutes = int(length.total_seconds()) // 60
    days, rest = divmod(minutes, _MINUTES_A_DAY)
    hours, minutes = divmod(rest, 60)
    parts = ((days, "天"), (hours, "小时"), (minutes, "分")) if not days else ((days, "天"), (hours, "小时"))
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "不到 1 分"


def clock(timer: Timer, now: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """How a deadline stands: ``ok``, ``late`` or ``running``, and the words for it."""
    if timer.state == "met":
        return "ok", f"已完成，{when(timer.met_at, zone)}"
    if timer.met_at is not None:
        return "late", f"超时后完成，{when(timer.met_at, zone)}"
    if timer.state == "cancelled":
        return "ok", "不再计时"
    if timer.due_at <= now:
        return "late", f"已超时 {span(now - timer.due_at)}"
    return "running", f"还剩 {span(timer.due_at - now)}"


def category(code: str) -> str:
    """The Chinese name of a category or flag; the code itself for one that is no longer known."""
    from monitor.categories import names

    return names().get(code, code)
