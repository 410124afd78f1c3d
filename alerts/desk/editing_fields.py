"""The rules that the desk may change, field by field: how each is called, what is typed, and how it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import Any, Literal

from alerts import drafts, words
from alerts.desk.token_page import ROLES
from monitor.durations import parse_duration, spell_duration
from monitor.indicators import KINDS
from monitor.settings import Settings
from monitor.states import TARGET_LABELS

Kind = Literal["count", "duration", "switch", "span", "figure"]


@dataclass(frozen=True, slots=True)
class Field:
    """A rule's figure.

    Attributes:
        key: Its dotted path in the config.
        label: What it is called.
        kind: What is typed: a whole number, a span of time such as ``1h``, a tick, two times of day, or any number.
        hint: What it means, in a sentence.
    """

    key: str
    label: str
    kind: Kind
    hint: str = ""


def _durations(table: str, **labels: str) -> list[Field]:
    return [Field(f"{table}.{name}", label, "duration") for name, label in labels.items()]


_DETECT = "policy.detect."
_CASES = {**dict(reversed(words.SEVERITY.items())), "mention": "差评帖子", "question": "买家提问"}
_WORSE = {
    ("%", "down"): "%，高于它算差；空着和行业比。",
    ("%", "up"): "%，低于它算差；空着和行业比。",
    ("小时", "down"): "小时，高于它算差；空着和行业比。",
    ("分", "up"): "分，低于它算差；空着和行业比。",
    ("件", "down"): "件，一天多于它算差；空着和行业比。",
}
GROUPS: Mapping[str, tuple[str, list[Field]]] = {
    "detect": (
        "什么算危机",
        [
            Field(f"{_DETECT}critical_opens_crisis", "一条危急的评价就算", "switch"),
            Field(f"{_DETECT}burst_count", "扎堆：至少几条差评", "count", "同一家店、同一类问题或同一个商品。"),
            Field(f"{_DETECT}burst_window", "扎堆：在多久之内", "duration", "还要比这家店平时多得不寻常。"),
            Field(f"{_DETECT}copies", "同一段话：至少几个账号", "count", "一天之内。"),
            Field(f"{_DETECT}reach", "帖子：转评赞到多少", "count"),
            Field(f"{_DETECT}growth", "帖子：一小时涨多少", "count"),
            Field(f"{_DETECT}reopen_within", "解决后多久内再来，算原来那个", "duration"),
            Field(f"{_DETECT}max_age", "多久以前的评价不再算", "duration"),
        ],
    ),
    "crisis": (
        "危机的时限",
        [
            *_durations(
                "policy.crisis",
                respond="内部响应",
                notify="告知客户",
                follow_up="跟进",
                apology="帖子：私下致歉",
                statement="帖子：公开声明",
                remind_before="到点前多久提醒",
                stalled="多久没进展就提醒",
                step="超时后每隔多久升一级",
            )
        ],
    ),
    "case": (
        "工单的时限",
        [
            *(
                Field(f"policy.case.{code}.{step}", f"{label}：{told}", "duration")
                for code, label in _CASES.items()
                for step, told in (("respond", "首次回复"), ("solve", "解决"))
            ),
            *_durations("policy.case", remind_before="到点前多久提醒", stalled="认领后多久没进展就提醒"),
            Field("policy.case.single_cards", "一次超过几个就合成一张清单", "count"),
        ],
    ),
    "quiet": (
        "免打扰",
        [Field("policy.quiet.span", "这段时间不发提醒", "span", "如 23:30-07:30，空着就是没有；超时和升级照样发。")],
    ),
    "indicators": (
        "店铺指标的界限",
        [
            Field(f"policy.indicators.{name}", kind.label, "figure", _WORSE[kind.unit, kind.better])
            for name, kind in KINDS.items()
            if kind.better
        ],
    ),
    "targets": (
        "报告里的目标",
        [
            Field(f"policy.targets.{name}", label, "figure", "%，低于它才好。" if name == "complaints" else "%")
            for name, label in TARGET_LABELS.items()
        ],
    ),
}
TRIED = ("detect", "crisis", "case", "quiet")
"""Groups of which can be told what they would have made of the last days."""
FIELDS = {one.key: one for _, fields in GROUPS.values() for one in fields}
ROUTES = {
    "crisis": "危机",
    "case": "工单",
    "summary": "报告",
    "system": "来源和消息的故障",
    "engineer": "评哨自检发现的问题",
}
_PARTS = {"people": "人员", "replies": "回复草稿", "rotas": "值班", "routes": "路由"}


def spelled(settings: Settings, key: str) -> str:
    """A figure as it would be typed; ``on`` and nothing for ticks."""
    value = attrgetter(key)(settings)
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, timedelta):
        return spell_duration(value)
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def typed(one: Field, text: str) -> Any:
    """What was typed as the config would have it; what is wrong with it, the config says."""
    if one.kind == "switch":
        return bool(text)
    return text.strip("%％ ") or None if one.kind == "figure" else text or None if one.kind == "span" else text


def label(key: str) -> str:
    """What a key is called."""
    if key in FIELDS:
        group = next(name for name, fields in GROUPS.values() if FIELDS[key] in fields)
        return f"{group}：{FIELDS[key].label}"
    part, _, rest = key.partition(".")
    rest = ROUTES.get(rest, rest) if part == "routes" else drafts.title(rest)
    return f"{_PARTS.get(part, part)}{f'：{rest}' if rest else ''}"


def in_words(sentence: str) -> str:
    """What the config says of a figure, with its name here in place of its key."""
    key, colon, rest = sentence.partition(": ")
    return f"{label(key)}：{rest}" if colon and key in FIELDS else sentence


def told(key: str, value: Any) -> str:
    """A plain value in short words."""
    if value is None or value == []:
        return "没有"
    if isinstance(value, bool):
        return "是" if value else "否"
    if key in FIELDS and FIELDS[key].kind == "duration":
        return spell_duration(parse_duration(value))
    if isinstance(value, dict):  # a person, or a category's drafts
        return ROLES[value["role"]] if "role" in value else f"{sum(map(len, value.values()))} 句"
    if isinstance(value, list):
        return f"{len(value)} 条" if key == "rotas" else "、".join(map(str, value))
    return str(value)
