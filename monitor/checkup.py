"""What is wrong with the monitor itself: by how the house is doing, and by how this process is doing."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from monitor import vitals
from monitor.core import Core
from monitor.upkeep import Upkeep
from monitor.vitals import Vitals

Code = Literal["database", "loops", "schedule", "timers", "outbox", "sources", "disk", "queue"]
UNREADY: tuple[Code, ...] = ("database", "loops", "schedule", "timers", "outbox")
"""With one of these, people may not be told in time."""
_STEADY = ("sweep", "settings")  # loops whose rounds are short, whatever there is to do
_STUCK = timedelta(minutes=2)
_SHOWN = 5
_REPORTS = {"daily": "早间检查", "evening": "晚间小结", "weekly": "周报", "monthly": "月报"}
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong.

    Attributes:
        says: What, in a Chinese phrase.
        todo: What to do about it.
        host: The machine, where it is that machine's own trouble.
        channels: Channels that cannot be relied on to tell it.
    """

    code: Code
    says: str
    todo: str
    host: str = ""
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkup:
    """A look at the monitor.

    Attributes:
        vitals: The numbers; None where the store could not be read.
    """

    troubles: tuple[Trouble, ...]
    vitals: Vitals | None = None

    @property
    def unready(self) -> list[Trouble]:
        """What keeps people from being told in time."""
        return [one for one in self.troubles if one.code in UNREADY]


def examine(core: Core) -> Checkup:
    """Look at everything; a store that cannot be read is a finding."""
    up = timedelta(seconds=time.monotonic() - core.meters.began)
    own = tuple(_loops(core))
    try:
        now = vitals.read(core, up)
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        return Checkup((Trouble("database", f"数据库读不了：{said[:200]}", "请看数据库是否在运行、磁盘是否已满"), *own))
    policy = core.settings.upkeep
    late = (*_schedule(now, policy), *_timers(now, policy, up), *_outbox(now, policy, up), *_queue(now, policy))
    return Checkup((*own, *late, *_sources(now, policy, up), *_disk(now, policy)), now)


def _loops(core: Core) -> Iterator[Trouble]:
    ended = core.meters.rounds
    since = [time.monotonic() - ended[name] for name in _STEADY if name in ended]
    if since and max(since) > _STUCK.total_seconds():
        said = f"计时已停 {span(timedelta(seconds=max(since)))}"
        yield Trouble("loops", said, "请看日志里的 round broke，必要时重启服务", os.uname().nodename)


def _schedule(now: Vitals, policy: Upkeep) -> Iterator[Trouble]:
    late = [(one.name, one.lag) for one in now.sources if one.lag > policy.schedule_lag]
    kind, lag = now.reports
    late += [(f"{_REPORTS.get(kind, kind)}", lag)] if lag > policy.schedule_lag else []
    if late:
        yield Trouble(
            "schedule", f"该做的没有按时做：{_worst(late, '晚了')}", "请看日志里的 crawl broke 和 summary broke"
        )


_REPORTS = {"daily": "早间检查", "evening": "晚间小结", "weekly": "周报", "monthly": "月报"}


def _timers(now: Vitals, policy: Upkeep, up: timedelta) -> Iterator[Trouble]:
    if min(now.timer_lag, up) > policy.timer_lag:  # what a long stop left is dealt with first
        said = f"{now.overdue:,} 个时限到点没有处理，最早的晚了 {span(now.timer_lag)}"
        yield Trouble("timers", said, "请看服务是否在运行，并看一眼进行中的危机和工单")


def _outbox(now: Vitals, policy: Upkeep, up: timedelta) -> Iterator[Trouble]:
    slow = [(name, age) for name, age in now.oldest.items() if min(age, up) > policy.outbox_age]
    counts: dict[str, int] = {}
    for (channel, state), count in now.waiting.items():
        if state != "dead":
            counts[channel] = counts.get(channel, 0) + count
    many = sum(counts.values())
    if not slow and many <= policy.outbox_most:
        return
    said = f"{many:,} 条消息等着发" + (f"：{_worst(slow, '等了')}" if slow else "")
    channels = tuple(name for name, _ in slow) or (max(counts, key=lambda name: counts[name]),)
    yield Trouble("outbox", said, "请看“没发出去的消息”和对方的服务，或运行 pingshao outbox list", channels=channels)


def _queue(now: Vitals, policy: Upkeep) -> Iterator[Trouble]:
    old = [(queue, age) for queue, age in now.backlog.oldest.items() if age > policy.queue_age]
    if old:
        alive = f"，{now.backlog.workers} 个 worker 在运行" if now.backlog.workers else "，没有 worker 在运行"
        said = f"{sum(now.backlog.waiting.values()):,} 件活排着没有做{alive}：{_worst(old, '等了')}"
        yield Trouble("queue", said, "请运行或多开几个 pingshao worker，并看它们的日志")


def _sources(now: Vitals, policy: Upkeep, up: timedelta) -> Iterator[Trouble]:
    silent = [(one.name, one.silent) for one in now.sources if one.silent > policy.source_silence]
    if silent and up > policy.schedule_lag:  # else what stood still with us may be about to come
        said = f"{len(silent)} 个来源读不到东西：{_worst(silent, '已有')}"
        yield Trouble("sources", said, "没有消息不等于没有差评；请运行 pingshao sources 看原因")


def _disk(now: Vitals, policy: Upkeep) -> Iterator[Trouble]:
    for folder, free in now.disks.items():
        if free < policy.disk_free_mb * 2**20:
            said = f"{folder} 所在的盘只剩 {free / 2**20:,.0f} MB"
            yield Trouble("disk", said, "请清理或换盘；写满后什么也存不下", os.uname().nodename)
            return


def _worst(found: Iterable[tuple[str, timedelta]], word: str) -> str:
    ordered = sorted(found, key=lambda one: one[1], reverse=True)
    told = "、".join(f"{name} {word} {span(age)}" for name, age in ordered[:_SHOWN])
    return told + (f" 等 {len(ordered)} 个" if len(ordered) > _SHOWN else "")


def span(value: timedelta) -> str:
    """A length of time in words: ``40 秒``, ``12 分钟``, ``5.5 小时``."""
    if value < _MINUTE:
        return f"{value.total_seconds():.0f} 秒"
    return f"{value // _MINUTE} 分钟" if value < _HOUR else f"{value / _HOUR:.1f} 小时"
