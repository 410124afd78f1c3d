"""Reviews and mentions that other systems push: stored like a crawl's, with a run of their own in the ledger."""

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from crawler.bases import base
from crawler.bases.base import SourceError
from crawler.brands import Brand
from crawler.connectors import load
from crawler.items import FeedbackItem
from crawler.job import CrawlResult
from monitor import db, directory, health, intake, runs
from monitor.core import Core
from monitor.crawling import ledger_line
from monitor.health import Verdict
from monitor.intake import Counts
from monitor.models import Inbound
from monitor.models import Source as Row
from monitor.notices import Notice
from monitor.settings import Source
from monitor.text import clean

DOOR = "hook"
_PATIENCE = 10.0  # seconds for the push before this one to end
_PAUSE = 0.1
_TODO = "。请看看对方是否还在推送；若确实就是这样，给这个来源写 watch = false 或改 silent_hours"
_WAITS = "等对方推送，没有可抓的"


class Unreadable(Exception):
    """The body is not what was agreed; the message says what was expected."""


class Replayed(Exception):
    """This very request was taken in before; nothing is done again."""


class Busy(Exception):
    """Another push of this source takes too long; the sender should come again."""


@dataclass(slots=True)
class Push:
    """What became of a push: ``new + changed + duplicates + len(skipped)`` items came.

    Attributes:
        skipped: Items that were left out: ``index`` and ``reason``.
        warnings: Items that were stored without a time or stars, which could not be read.
    """

    new: int = 0
    changed: int = 0
    duplicates: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The answer to the sender."""
        return asdict(self)


def is_pushed(source: Source) -> bool:
    """Whether others bring this source's items, so that there is nothing to crawl."""
    return load(source.kind).pushed


def listen(core: Core, source: Source) -> dict[str, Any]:
    """Look whether a pushed source has been silent for too long; nobody else would notice, for nothing is crawled.

    Returns:
        A ledger line: "attention" where it is in trouble.
    """
    now = core.clock.now()
    with db.writing(core.engine) as session:
        row = directory.ensure_source(session, source.name, source.kind, source.shop)
        if row.status == "ok" and (silence := _silence(core, session, source, row)).error:
            row.status, row.last_error = "attention", silence.error + _TODO
            core.notify(session, [_trouble(row, silence, now)])
        in_trouble = row.status in {"failed", "attention"}
        return ledger_line(row.name, row.status, row.last_error) if in_trouble else ledger_line(row.name, "ok", _WAITS)


def _silence(core: Core, session: Session, source: Source, row: Row) -> Verdict:
    """Held to the hours in the config, else to its own past; a source that was never heard of has none."""
    now, hours = core.clock.now(), source.options.get("silent_hours")
    if hours is None:
        past = health.history(session, row, core.settings.zone, now)
        return health.silence(past, now.astimezone(core.settings.zone)) if source.watch else Verdict()
    last = row.last_item_at
    if last is None or now - last < timedelta(hours=hours):
        return Verdict()
    return Verdict(f"已有 {(now - last) / timedelta(hours=1):.0f} 小时没有推送来，约定最多 {hours:g} 小时", last)


def _trouble(row: Row, silence: Verdict, now: datetime) -> Notice:
    assert row.id is not None
    since = silence.since.isoformat() if silence.since else ""
    facts = {"name": row.name, "error": row.last_error, "since": since}
    key = f"source:{row.id}:silent:{now.isoformat()}"
    return Notice("source.trouble", key, "source", row.id, row.shop_id, facts)


def receive(core: Core, source: Source, body: bytes, key: str) -> Push:
    """Take a push in.

    Args:
        source: Of ``kind = "webhook"``.
        body: JSON: an item or a list of them.
        key: The same request sent again has the same key.

    Raises:
        Unreadable: The body is no such JSON; nothing was stored.
        Replayed: The request was taken in before.
        Busy: The source's last push has not ended.
    """
    push = Push()
    items = _read(core, source, body, push)
    with db.reading(core.engine) as session:
        if _known(session, key):
            raise Replayed
    started = _start(core, source)
    result = CrawlResult(status="failed", error="入库被中断")
    try:
        for at in range(0, len(items), intake.BATCH):
            # what is pushed has just happened, even where it bears no date
            counts = intake.store(core, replace(started.origin, watched=True), items[at : at + intake.BATCH])
            _add(push, counts)
            runs.renew(core, started)
        result = CrawlResult(status="ok", log=[f"[{one['index']}]: {one['reason']}" for one in push.skipped[:1]])
    finally:
        seen = len(items) + len(push.skipped)
        done = {name: getattr(push, name) for name in ("new", "changed", "duplicates")}
        totals = replace(result, pages=1, unchanged=int(not seen), seen=seen, skipped=len(push.skipped), **done)
        line = runs.finish(core, started, totals, watch=source.watch)
    _remember(core, source, key, started, line)
    return push


def _read(core: Core, source: Source, body: bytes, push: Push) -> list[FeedbackItem]:
    """The items; what is left out of them is noted in the push."""
    kind: Any = load(source.kind)
    told = base.Source(zone=core.settings.zone, now=core.clock.now())
    brand = Brand(source.brand, source.brand_not)
    items = []
    try:
        for index, (item, doubts) in enumerate(kind(kind.Options(**source.options), told).received(body.decode())):
            if not isinstance(item, FeedbackItem):
                push.skipped.append({"index": index, "reason": item.reason})
            elif not brand.mentioned(item):
                push.skipped.append({"index": index, "reason": "没有提到品牌词"})
            else:
                items.append(item)
                push.warnings += [{"index": index, "reason": f"看不懂 {clean(doubt)}"} for doubt in doubts]
    except UnicodeDecodeError:
        raise Unreadable("应为 UTF-8 编码的 JSON") from None
    except SourceError as error:
        raise Unreadable(clean(str(error))) from None
    return items


def _start(core: Core, source: Source) -> runs.Started:
    until = time.monotonic() + _PATIENCE
    while True:
        started = runs.start(
            core, source.name, source.kind, source.shop, mention=bool(source.brand), questions=source.as_questions
        )
        if started is not None:
            return started
        if time.monotonic() > until:
            raise Busy
        time.sleep(_PAUSE)


def _add(push: Push, counts: Counts) -> None:
    push.new += counts.new
    push.changed += counts.changed
    push.duplicates += counts.duplicates


def _known(session: Session, key: str) -> bool:
    return session.exec(select(Inbound.id).where(Inbound.door == DOOR, Inbound.key == key)).first() is not None


def _remember(core: Core, source: Source, key: str, started: runs.Started, line: dict[str, Any]) -> None:
    row = Inbound(
        door=DOOR,
        key=key,
        at=core.clock.now(),
        actor=source.name,
        action="push",
        subject="source",
        subject_id=started.origin.source_id,
        payload={"run": started.run_id},
        outcome=str(line["status"]),
    )
    with suppress(IntegrityError), db.writing(core.engine) as session:  # its double was stored at the same time
        session.add(row)
