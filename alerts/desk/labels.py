"""Chinese words that only the pages need: states of sources and messages, events, and how a clock stands."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from alerts.words import STAGES, counts, duration
from monitor.answers import KINDS
from monitor.models import Event, Feedback, Spread, Timer
from monitor.states import DELIVERY_LABELS, SOURCE_LABELS
from monitor.transitions import ACTIONS

SUBJECTS = {"case": "工单", "crisis": "危机"}
ANSWERS = KINDS
SOURCE_STATES = SOURCE_LABELS
DELIVERIES = DELIVERY_LABELS
_EVENTS: Mapping[str, str] = {
    **{code: info.label for code, info in ACTIONS.items()},
    "opened": "开启",
    "reopened": "重新打开",
    "feedback.added": "新增反馈",
    "feedback.changed": "反馈有改动",
    "feedback.followup": "买家追评",
    "feedback.replied": "店铺已公开回复",
    "feedback.deleted": "原文已不可见",
    "feedback.restored": "原文又可见",
    "merged.in": "并入另一个危机",
    "rescored": "重新打分",
    "timer.breached": "超时",
    "rota.handover": "交班",
    "dead": "有消息没送到",
    "retried": "重发消息",
    "answer.mended": "一条回复改好了",
    "answer.dismissed": "一条回复的质检不算",
    "answer.open": "一条回复放回质检清单",
    "account.added": "开了账号",
    "account.password": "换了密码",
    "account.removed": "关了账号",
    "changed": "改了设置",
    "joined": "加入",
    "left": "离开",
    "swapped": "安排了换班",
    "tested": "发了测试消息",
    "person.role": "按公司账号换了角色",
    "token.added": "做了令牌",
    "token.revoked": "停用了令牌",
    "restored": "从备份恢复",
    "moved": "搬到另一种数据库",
    "aged": "清除了过期的内容",
    "retired": "删了过期的审计记录",
    "erased": "按请求删去一个买家",
    "exported": "按请求导出一个买家",
    "salted": "换了买家代号的盐",
    "indicators.stored": "送来了店铺指标",
    "improvement.added": "登记了一项改进",
    "improvement.changed": "改了一项改进",
    "improvement.withdrawn": "撤回了一项改进",
}


_LINKS = {"thread": "所在主题", "parent": "回复的是", "repost": "转发自"}


def links(extra: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a post stands in, answers or passes on: words, and its address or id."""
    return [(told, str(extra[name])) for name, told in _LINKS.items() if extra.get(name)]


def grown(point: Spread, row: Feedback) -> str:
    """The counts at one age."""
    age = f"{duration(point.at - row.first_seen_at)}后" if point.step else "起初"
    return f"{age} {counts(point.model_dump())}"


def when(at: datetime | None, zone: ZoneInfo) -> str:
    """An absolute time in the house's zone, e.g. ``2026-11-20 14:00``."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M") if at else "从未"


def clock(timer: Timer, now: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """How a deadline stands: ``ok``, ``late`` or ``running``, and the words for it."""
    if timer.met_at is not None:
        late = timer.met_at > timer.due_at
        return "late" if late else "ok", f"{when(timer.met_at, zone)} 完成{'，晚了' if late else ''}"
    if timer.state == "cancelled":
        return "ok", "不再计时"
    if timer.state == "breached" or timer.due_at <= now:
        return "late", f"已超时 {duration(now - timer.due_at)}"
    return "running", f"还剩 {duration(timer.due_at - now)}"


def event(one: Event) -> str:
    """What happened, in words; the code itself for what is not known here."""
    stage = STAGES.get(one.subject, {}).get(one.after.get("stage", ""), "")
    if one.what == "timer.fired":
        step = one.after.get("step", "")
        if step == "stalled":
            return "很久没有进展，提醒一次"
        return f"{stage}{'升级提醒' if step.startswith('rung') else '到点提醒'}"
    if one.what == "refused":
        return f"想“{_EVENTS.get(one.after['action'], one.after['action'])}”，没有办成：{one.after['reason']}"
    return f"{stage}{_EVENTS.get(one.what, one.what)}"
