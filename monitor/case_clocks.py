"""How long a case may take: by severity or kind, made stricter by its categories; copied into the case at opening."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from monitor import categories
from monitor.policies import CasePolicy
from monitor.states import SEVERITY_LABELS, STAGE_LABELS

_STAGES = ("respond", "solve")
_KINDS = {"mention": "负面帖子", "question": "买家提问"}
_UNITS = ((86400, "天"), (3600, "小时"), (60, "分钟"))


def snapshot(policy: CasePolicy, kind: str, severity: str, codes: Iterable[str]) -> dict[str, Any]:
    """The clocks of a case in seconds, as ``Case.policy`` has them; ``rule`` says in words where they come from."""
    asked = list(_asked(policy, kind, severity, codes))
    clocks, words = {}, []
    for stage in _STAGES:
        span, why = min(((getattr(clock, stage), why) for clock, why in asked if getattr(clock, stage)), key=_shortest)
        clocks[stage] = span.total_seconds()
        words.append(f"{STAGE_LABELS['case'][stage]} {_told(span)}（{why}）")
    return {
        **clocks,
        "remind_before": policy.remind_before.total_seconds(),
        "stalled": policy.stalled.total_seconds(),
        "hours": policy.hours,
        "rule": "，".join(words),
    }


def tightened(running: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The clocks of a case about which more is asked now: never later than those that run; the rest stays as opened."""
    sooner = {stage: min(running[stage], asked[stage]) for stage in _STAGES}
    if all(sooner[stage] == running[stage] for stage in _STAGES):
        return running
    return {**running, **sooner, "rule": asked["rule"]}


def _asked(policy: CasePolicy, kind: str, severity: str, codes: Iterable[str]) -> Iterator[tuple[Any, str]]:
    """Clocks that speak of such a case, and what they are the clocks of."""
    if kind in _KINDS:
        yield getattr(policy, kind), _KINDS[kind]
    if kind != "mention":
        yield getattr(policy, severity), SEVERITY_LABELS[severity]
    if kind == "review":
        names = categories.names()
        yield from ((policy.categories[code], names.get(code, code)) for code in codes if code in policy.categories)


def _shortest(one: tuple[timedelta, str]) -> timedelta:
    return one[0]


def _told(span: timedelta) -> str:
    """``48 小时``, ``7 天``, ``90 分钟``: in the largest unit that says it in whole numbers, days from three on."""
    seconds = int(span.total_seconds())
    for size, unit in _UNITS:
        if seconds % size == 0 and seconds >= (3 * size if unit == "天" else size):
            return f"{seconds // size} {unit}"
    return f"{seconds} 秒"
