"""How sources are doing, judged by their own past: what the engineer hears of, and what lists of sources show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import case as sql_case
from sqlalchemy import literal, union_all
from sqlmodel import Session, col, func, select

from crawler.fills import ITEMS
from crawler.job import CrawlResult
from monitor.expiry import Expiry, expiries, soon
from monitor.models import Run, Source
from monitor.norms import DAY, MEMORY, Arrivals, Rate, Reading, Size, rates, shrunk
from monitor.settings import Settings

_NEWEST = 20  # runs that tell how it is
_WHOLE = (1000, MEMORY)  # runs and days that tell how it was, where a run is judged
_GLANCE = (100, 29)  # and where it is only shown
_LABELS = {
    "id": "id（编号）",
    "text": "text（文字）",
    "author": "author（作者）",
    "time": "time（时间）",
    "stars": "stars（评分）",
    "product": "product（商品）",
}
_TODO = "。请看一眼页面或接口是否变了；若确实就是这样，给这个来源写 watch = false"


@dataclass(frozen=True, slots=True)
class History:
    """A source's past.

    Attributes:
        newest: What the last runs read, newest first.
        past: What runs that ended well read, newest first.
        sizes: How much those of them read that were not answered "not modified".
        arrivals: When new feedback came.
        well: The source is not in trouble.
    """

    newest: Sequence[Reading]
    past: Sequence[Reading]
    sizes: Sequence[Size]
    arrivals: Arrivals
    well: bool


def history(session: Session, source: Source, zone: ZoneInfo, now: datetime) -> History:
    """What the finished runs of a source tell."""
    runs, days = _WHOLE
    mine = _finished(source, now, days)
    newest, past = _newest(session, mine, runs)
    return History(
        _readings(newest),
        _readings(past),
        [Size(at.astimezone(zone), seen) for at, seen, unchanged, _ in past if not unchanged],
        _arrivals(session, mine, now),
        source.status != "attention",
    )


def _finished(source: Source, now: datetime, days: int) -> tuple[Any, ...]:
    return (Run.source_id == source.id, Run.status != "running", Run.started_at > now - days * DAY)


def _newest(session: Session, mine: tuple[Any, ...], runs: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """The last runs that read something, and more of those that ended well; newest first."""
    read = (
        select(Run.started_at, Run.seen, Run.unchanged, Run.fills)
        .where(*mine, Run.seen > 0)
        .order_by(col(Run.started_at).desc())
    )
    return session.exec(read.limit(_NEWEST)).all(), session.exec(read.where(Run.status == "ok").limit(runs)).all()


def _readings(runs: Sequence[Any]) -> list[Reading]:
    return [{**fills, "seen": seen} for _, seen, _, fills in runs if fills]


def _arrivals(session: Session, mine: tuple[Any, ...], now: datetime) -> Arrivals:
    first = session.exec(select(func.min(Run.started_at)).where(*mine)).one() or now
    rows = session.exec(
        select(Run.started_at, Run.new, Run.status)
        .where(*mine, (Run.new > 0) | (Run.status != "ok"))
        .order_by(col(Run.started_at))
    ).all()
    troubled = [at for at, _, status in rows if status != "ok"]
    return Arrivals([(at, new) for at, new, _ in rows if new], troubled, first)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a run that says it went well.

    Attributes:
        error: One line in Chinese; empty where nothing is.
        since: Since when; None where it began just now.
    """

    error: str = ""
    since: datetime | None = None


def judge(past: History, result: CrawlResult, now: datetime) -> Verdict:
    """Compare a run with its source's own past.

    Args:
        past: Without this run.
        result: Of a crawl that ended well.
        now: In the service's zone.
    """
    reading = [result.fills | {"seen": result.seen}] if result.fills else []
    found = [
        _fell(name, rate) for name, rate in rates([*reading, *past.newest], past.past).items() if rate.fell(past.well)
    ]
    if result.fills and not result.unchanged and (usual := shrunk(Size(now, result.seen), past.sizes, past.well)):
        found.append(f"只读到 {result.seen} 条，平时这个时段约 {usual:.0f} 条")
    quiet = silence(past, now, result.new)
    found += [quiet.error] if quiet.error else []
    return Verdict("；".join(found) + _TODO, quiet.since) if found else Verdict()


def silence(past: History, now: datetime, just: int = 0) -> Verdict:
    """Whether far less that is new has come of late than usual.

    Args:
        just: What came right now and is not in the past.
    """
    short = past.arrivals.shortfall(now, just, past.well)
    if not short:
        return Verdict()
    told = f"最近 {short.hours} 小时新增 {short.came} 条，平时同一时段约 {short.usual:.0f} 条"
    return Verdict(told, past.arrivals.last)


def _fell(name: str, rate: Rate) -> str:
    bad = round(rate.among * (1 - rate.now))
    if name == ITEMS:
        return f"读到 {rate.among} 条，{bad} 条用不了；平时 {rate.usual:.0%} 能用"
    more = "，同一条评价会当成新的再次入库" if name == "id" else ""
    return f"{_LABELS[name]} 在 {rate.among} 条里 {bad} 条是空的{more}；平时 {rate.usual:.0%} 有"


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """A source and how it is doing.

    Attributes:
        status: "new" (never crawled), "ok", "failed" or "attention"; words in ``states.SOURCE_LABELS``.
        last_item_at: When a run last read anything.
        last_new_at: When a run last stored anything new.
        new_24h: What came in the last day.
        usual_24h: What usually comes in a day up to this hour; None where the past is too short.
        fills: How often each field is filled now and usually.
        expiries: What the source stops working without, soonest first.
    """

    name: str
    kind: str
    shop_id: str | None
    status: str = "new"
    error: str = ""
    last_run_at: datetime | None = None
    last_success_at: datetime | None = None
    last_item_at: datetime | None = None
    last_new_at: datetime | None = None
    new_24h: int = 0
    usual_24h: float | None = None
    fills: Mapping[str, Rate] = field(default_factory=dict)
    expiries: Sequence[Expiry] = ()

    @property
    def warnings(self) -> list[str]:
        """What will be trouble soon, a short sentence each."""
        return [str(one) for one in soon(self.expiries)]


def _by_day(session: Session, ids: Sequence[int], now: datetime) -> dict[int, tuple[Arrivals, datetime | None]]:
    """By source, what came in whole days up to now, summed up by the database, and when a run last brought anything."""
    troubled = func.sum(sql_case((col(Run.status) != "ok", 1), else_=0))
    brought = func.max(sql_case((col(Run.new) > 0, col(Run.started_at))))
    mine = (col(Run.source_id).in_(ids), Run.status != "running")
    parts: list[Any] = [  # grouped by a day that is computed, all runs would be sorted first
        select(Run.source_id, literal(day), func.sum(Run.new), troubled, func.min(Run.started_at), brought)  # type: ignore[call-overload]
        .where(*mine, Run.started_at > now - (day + 1) * DAY, Run.started_at <= now - day * DAY)
        .group_by(col(Run.source_id))
        for day in reversed(range(_GLANCE[1]))
    ]
    days: dict[int, list[Any]] = {}
    for source_id, day, *told in session.execute(union_all(*parts)):
        days.setdefault(source_id, []).append((now - day * DAY, *told))
    return {source_id: _summed(rows) for source_id, rows in days.items()}


def _summed(days: Sequence[Any]) -> tuple[Arrivals, datetime | None]:
    counts = [(day, int(new)) for day, new, *_ in days]
    bad = [day for day, _, troubled, *_ in days if troubled]
    brought = [last for *_, last in days if last is not None]
    return Arrivals(counts, bad, min(first for *_, first, _ in days)), max(brought, default=None)


def overview(session: Session, settings: Settings, now: datetime, *, fills: bool = True) -> list[SourceHealth]:
    """Sources of the config in its order, then whatever else was imported; how their fields are filled on request."""
    rows = {row.name: row for row in session.exec(select(Source).order_by(Source.name))}
    named = [(rows.get(source.name), source) for source in settings.sources]
    known = [(row or Source(name=source.name, kind=source.kind, shop_id=source.shop)) for row, source in named]
    others = [row for name, row in rows.items() if name not in {source.name for source in settings.sources}]
    days = _by_day(session, [row.id for row in rows.values() if row.id is not None], now)
    never = Arrivals([], [], now), None
    found = [_health(row, settings.zone, now, *days.get(row.id or 0, never)) for row in (*known, *others)]
    filled = [_fills(session, row, now) if fills else {} for row in (*known, *others)]
    return [replace(one, fills=rates) for one, rates in zip(found, filled, strict=True)]


def _fills(session: Session, source: Source, now: datetime) -> Mapping[str, Rate]:
    runs, days = _GLANCE
    newest, past = _newest(session, _finished(source, now, days), runs)
    return rates(_readings(newest), _readings(past))


def _health(source: Source, zone: ZoneInfo, now: datetime, came: Arrivals, brought: datetime | None) -> SourceHealth:
    usual = came.usual(now, DAY)
    return SourceHealth(
        source.name,
        source.kind,
        source.shop_id,
        source.status,
        source.last_error,
        source.last_run_at,
        source.last_success_at,
        source.last_item_at,
        brought,
        came.count(now, DAY),
        usual[0] if usual else None,
        expiries=expiries(source, now.astimezone(zone).date()),
    )
