"""Chinese words for codes, times and states, as staff read them."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from alerts.content import Line, Span, bold, clean, line
from monitor.models import Crisis, Feedback, Score, Timer
from monitor.order_numbers import hide_orders
from monitor.states import PLATFORM_LABELS, SEVERITY_LABELS, STAGE_LABELS

SEVERITY = SEVERITY_LABELS
STAGES = STAGE_LABELS
NOTICE_WAYS = {
    "review": {"sms": "短信", "push": "推送", "call": "外呼"},
    "mention": {"apology": "私下致歉", "statement": "公开声明"},
}
MOSTLY = 0.6
"""A value that this share of a crisis's feedbacks have in common is worth saying."""
_COUNTS = {"likes": "赞", "reposts": "转发", "comments": "评论"}
_NUMBERS = "①②③④⑤"
_QUOTED = 300  # characters of a text shown in full
_NAMED = 3  # categories of a crisis that are named
_BEFORE = 60  # characters kept before the first telling word of a longer one


@cache
def _names() -> dict[str, str]:
    from monitor.categories import names

    return names()


def code(name: str) -> str:
    """The Chinese name of a category or flag."""
    return _names().get(name, name)


def trouble(crisis: Crisis) -> str:
    """What a crisis is about: ``物流配送、错发漏发``."""
    return "、".join(code(name) for name in crisis.categories[:_NAMED]) or "集中差评"


def platform(name: str) -> str:
    """The Chinese name of a platform."""
    return PLATFORM_LABELS.get(name, name)


def moment(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """``今天 15:02``, ``明天 14:02``, ``11月23日 14:02``; with the year where it is another."""
    here, today = at.astimezone(zone), now.astimezone(zone).date()
    day = {-1: "昨天", 0: "今天", 1: "明天"}.get((here.date() - today).days)
    if day is None:
        year = f"{here.year}年" if here.year != today.year else ""
        day = f"{year}{here.month}月{here.day}日"
    return f"{day} {here:%H:%M}"


def span_of_time(first: datetime, last: datetime, now: datetime, zone: ZoneInfo) -> str:
    """``今天 14:02–14:51``, or one moment where both are the same minute."""
    start, end = moment(first, now, zone), moment(last, now, zone)
    if start == end:
        return start
    same_day = start.split(" ")[0] == end.split(" ")[0]
    return f"{start}–{end.split(' ')[1] if same_day else end}"


def duration(span: timedelta) -> str:
    """``28 分钟``, ``3 小时``, ``2 天``: rounded down, one minute at least."""
    minutes = max(1, int(span.total_seconds() // 60))
    for size, unit in ((1440, "天"), (60, "小时")):
        if minutes >= size:
            return f"{minutes // size} {unit}"
    return f"{minutes} 分钟"


def clocks(subject: str, timers: dict[str, Timer], now: datetime, zone: ZoneInfo) -> Line:
    """Each stage with its deadline as a time of day, done or overdue."""
    stages = [(stage, timers[stage]) for stage in STAGES[subject] if stage in timers]
    parts: list[str | Span] = []
    for n, (stage, timer) in enumerate(stages):
        parts.append(("　" if n else "") + f"{_NUMBERS[n]} {STAGES[subject][stage]} ")
        parts.append(_clock(timer, now, zone))
    return line(*parts)


def _clock(timer: Timer, now: datetime, zone: ZoneInfo) -> str | Span:
    if timer.met_at is not None:
        late = timer.met_at - timer.due_at
        return "✓ 已完成" + (f"（晚了 {duration(late)}）" if late > timedelta() else "")
    if timer.state == "cancelled":
        return "不再计时"
    due = moment(timer.due_at, now, zone)
    if timer.state == "breached" or timer.due_at <= now:
        return bold(f"✗ 已超时（应在{due} 前）")
    return f"{due} 前"


def counts(extra: Mapping[str, Any]) -> str:
    """Likes, reposts and comments, as far as known."""
    return "、".join(f"{told} {extra[name]:,}" for name, told in _COUNTS.items() if isinstance(extra.get(name), int))


def feedback_facts(feedback: Feedback, *, with_platform: bool = True) -> list[str]:
    """``订单 …8841``, the product, ``1 星``, the platform: what is known of them."""
    order = re.sub(r"\W", "", feedback.order_ref)
    stars = "" if feedback.stars is None else f"{feedback.stars:g} 星"
    place = platform(feedback.platform) if with_platform else ""
    return [fact for fact in (f"订单 …{order[-4:]}" if order else "", feedback.product, stars, place) if fact]


def quote(feedback: Feedback, score: Score | None) -> Line:
    """The buyer's words in 「」, the telling ones in bold, order numbers by their end; a long text says how long."""
    text = hide_orders(feedback.text or feedback.title) or "（没有文字）"  # it stays as long as it was, as marks need
    marks = _marks(text, score) if feedback.text else []
    low, high = 0, len(text)
    if len(text) > _QUOTED:
        low = max(0, min(marks[0][0] if marks else 0, len(text) - _QUOTED + _BEFORE) - _BEFORE)
        high = min(len(text), low + _QUOTED)
    parts: list[str | Span] = ["「" + ("……" if low else "")]
    at = low
    for start, end in marks:
        if start >= high or end <= at:
            continue
        parts += [text[at : max(at, start)], bold(text[max(at, start) : min(end, high)])]
        at = min(end, high)
    parts.append(text[at:high])
    parts.append("」" if high - low == len(text) else f"……」（节选，全文 {len(text):,} 字）")
    kept = [part for part in parts if part and (isinstance(part, Span) or clean(part))]
    return line(*kept, role="quote")


def _marks(text: str, score: Score | None) -> list[tuple[int, int]]:
    """Where the evidence stands, in order; what does not fit the text (it was edited since) is left out."""
    evidence = score.evidence if score else []
    return sorted({(mark["start"], mark["end"]) for mark in evidence if 0 <= mark["start"] < mark["end"] <= len(text)})
