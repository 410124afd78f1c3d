"""Figures and codes in the words people read."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from monitor import answers, categories, improvements
from monitor.indicators import KINDS as INDICATORS
from monitor.indicators import figure, shown
from monitor.states import PLATFORM_LABELS, SEVERITY_LABELS, STAGE_LABELS, STATE_LABELS
from monitor.transitions import ACTIONS
from reports.crises import Happening
from reports.occasions import Occasion
from reports.shares import Share, Verdict
from reports.whys import Evidence

SEVERITY = SEVERITY_LABELS
_PREFIX = {"case": "工单", "crisis": "危机"}
STAGE = {
    f"{kind}.{name}": _PREFIX[kind] + label for kind, stages in STAGE_LABELS.items() for name, label in stages.items()
}
VERDICT: dict[Verdict, str] = {
    "up": "明显升高",
    "down": "明显下降",
    "flat": "持平",
    "few": "样本太少",
    "none": "无往期可比",
}
TROUBLE = {
    "failed": "抓取失败",
    "attention": "需要人处理",
    "silent": "没有新内容",
    "stopped": "没有运行",
    "new": "尚未运行",
}
CAUSE = {
    "critical": "一条严重反馈",
    "burst": "短时间集中出现",
    "person": "人工升级",
    "copies": "一段文字出现在多个账号",
    "spread": "帖子传播",
}
OCCASION = {"promotion": "大促", "holiday": "假期"}
FELL = improvements.VERDICTS
TURN = {"better": "好转", "worse": "变差", "same": "没变", "": "—"}
_WHYS = {
    "shop": "为什么多在“{}”？这家店最近改了什么：页面、客服、发货？",
    "platform": "为什么多在{}？那里的活动、规则或运费变了吗？",
    "product": "为什么是“{}”？换过批次、供应商、配件或页面描述吗？",
    "sku": "为什么是规格“{}”？和别的规格差在哪一道工序？",
    "batch": "为什么是批次 {}？这一批的来料和质检记录怎么说？",
    "warehouse": "为什么多在{}？那几天的人手、系统、打包和出库有什么不同？",
    "courier": "为什么多在{}？是哪条线路、哪个网点，赔付和改派谈过吗？",
    "region": "为什么多在{}？是天气、线路，还是当地网点？",
    "said": "为什么这么多人说“{}”？从下单到收货，哪一步让他们这样说？",
}
_EVENTS = {
    "opened": "危机成立",
    "reopened": "又起，重新打开",
    "merged.in": "并入另一起危机",
    "timer.breached": "超时",
    "dead": "有消息没送到",
}
_WEEKS = ("前四周", "前一周", "前两周", "前三周")  # by number; where nothing is known there are four that lack
ANSWER = {str(kind): told for kind, told in answers.KINDS.items()}
_NAMED = 3  # categories of a crisis
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_SPACE = re.compile(r"\s+")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def plain(text: str) -> str:
    """Outside text in one line, without characters that hide, turn or break text."""
    if text.isprintable() and "  " not in text:
        return text
    seen = (" " if ch.isspace() else ch for ch in text if ch.isspace() or unicodedata.category(ch) not in _HIDDEN)
    return _SPACE.sub(" ", "".join(seen)).strip()


def short(text: str, most: int) -> str:
    """At most so many characters of a text in one line."""
    text = plain(text)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def category(code: str) -> str:
    """A category's name; the code itself where none is known any more."""
    return categories.names().get(code) or short(code, 8)


def platform(code: str) -> str:
    """A platform's name."""
    return PLATFORM_LABELS.get(code, code)


def stage(subject: str, name: str) -> str:
    """A deadline's name."""
    return STAGE.get(f"{subject}.{name}", name)


def happening(event: Happening) -> str:
    """What an event of a crisis was."""
    if event.what in _EVENTS:
        return (stage("crisis", event.stage) if event.stage else "") + _EVENTS[event.what]
    action = ACTIONS.get(event.what)
    return action.label if action else event.what


def trouble(codes: Sequence[str]) -> str:
    """What a crisis is about: ``物流配送、错发漏发``."""
    return "、".join(category(code) for code in codes[:_NAMED]) or "集中差评"


def occasion(one: Occasion) -> str:
    """``10月1日–10月7日是假期``."""
    return f"{days(one.first, one.last)}是{OCCASION[one.kind]}"


def why(one: Evidence) -> str:
    """A question about what stands out."""
    return _WHYS[one.field].format(short(platform(one.value) if one.field == "platform" else one.value, 20))


def indicator(name: str) -> str:
    """A shop indicator's name."""
    return INDICATORS[name].label


def measured(name: str, value: float | None) -> str:
    """A shop indicator's value with its unit; a dash where it is not known."""
    return "—" if value is None else shown(name, value)


def trend(values: Sequence[float | None]) -> str:
    """How an indicator went: ``0.42 → 0.38 → 0.35``; "" where only one value is known."""
    known = [figure(value) for value in values if value is not None]
    return " → ".join(known) if len(known) > 1 else ""


def state(code: str) -> str:
    """A state's name; for a feedback without a case, 未建单."""
    return STATE_LABELS.get(code, code) if code else "未建单"


def percent(rate: float) -> str:
    """``3.1%``; never 0.0% for something nor 100.0% for less than all."""
    if rate in {0, 1}:
        return f"{rate:.0%}"
    if 0 < rate < 0.001:  # noqa: PLR2004 — a tenth of a percent, the last digit shown
        return "<0.1%"
    if 0.999 < rate < 1:  # noqa: PLR2004 — the same from above
        return ">99.9%"
    return f"{rate:.1%}"


def share(value: Share) -> str:
    """``3.1%（58/1,871）``; few are told as counts, nothing as a dash."""
    if not value.whole:
        return "—"
    if value.few:
        return f"{value.whole} 条中 {value.part} 条"
    return f"{percent(value.rate)}（{value.part:,}/{value.whole:,}）"


def ratio(value: Share) -> str:
    """A share for a table's cell: ``3.1%``, or ``1/3`` where few."""
    if not value.whole:
        return "—"
    return f"{value.part}/{value.whole}" if value.few else percent(value.rate)


def number(value: float) -> str:
    """``1,234`` or, for means, ``8.5``; never 0.0 for something."""
    if 0 < value < 0.05:  # noqa: PLR2004 — would round to nothing
        return "<0.1"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"  # noqa: PLR2004 — three digits say enough


def duration(spent: float | timedelta) -> str:
    """``25 分钟``, ``3 小时 20 分``, ``2 天 5 小时``; seconds in."""
    total = int(spent.total_seconds() if isinstance(spent, timedelta) else spent)
    if total < _MINUTE:
        return "不到 1 分钟"
    if total < _HOUR:
        return f"{total // _MINUTE} 分钟"
    if total < _DAY:
        hours, minutes = total // _HOUR, total % _HOUR // _MINUTE
        return f"{hours} 小时 {minutes} 分" if minutes else f"{hours} 小时"
    days, hours = total // _DAY, total % _DAY // _HOUR
    return f"{days} 天 {hours} 小时" if hours else f"{days} 天"


def brief(spent: float) -> str:
    """``25 分``, ``3.3 时``, ``2.2 天`` for a narrow cell; seconds in."""
    if spent < _HOUR:
        return f"{spent / _MINUTE:.0f} 分"
    return f"{spent / _HOUR:.1f} 时" if spent < _DAY else f"{spent / _DAY:.1f} 天"


def day(value: date) -> str:
    """``11月9日``."""
    return f"{value.month}月{value.day}日"


def weekday(value: date) -> str:
    """``周一``."""
    return "周" + "一二三四五六日"[value.weekday()]


def weeks(count: int) -> str:
    """``前四周``: so many weeks before; where there is nothing to compare with, too."""
    return _WEEKS[count % len(_WEEKS)]


def days(first: date, last: date) -> str:
    """``11月9日–15日``, ``10月26日–11月1日``."""
    if first == last:
        return day(first)
    return f"{day(first)}–{last.day}日" if first.month == last.month else f"{day(first)}–{day(last)}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """``11月15日 08:03`` in the service's zone."""
    local = at.astimezone(zone)
    return f"{day(local.date())} {local:%H:%M}"


def who(name: str) -> str:
    """A person's name; 未认领 for nobody."""
    return name or "未认领"
