"""Runs of sources: the lease, the ledger line, the health of a source, and the watermark that only a good run moves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from crawler.job import CrawlResult
from monitor import db, directory
from monitor.core import Core
from monitor.intake import Origin
from monitor.models import Feedback, Run, Source, Watermark
from monitor.notices import Notice

_GRACE = timedelta(minutes=1)  # between a run's time limit and the end of its lease


@dataclass(frozen=True, slots=True)
class Started:
    """A run that holds its source's lease."""

    run_id: int
    origin: Origin
    watermark: dict[str, Any]


def start(
    core: Core, name: str, kind: str, shop_id: str | None, limit: timedelta, mention: bool = False
) -> Started | None:
    """Take a source's lease.

    Returns:
        The run, or None where another run of this source is still going.
    """
    now = core.clock.now()
    with db.writing(core.engine) as session:
        source = directory.ensure_source(session, name, kind, shop_id)
        assert source.id is not None
        running = session.exec(
            select(Run).where(Run.source_id == source.id, Run.status == "running").with_for_update()
        ).one_or_none()
        if running is not None and running.lease_until > now:
            return None
        if running is not None:
            running.status, running.finished_at, running.error = "failed", now, "运行中断，租约已过期"
            session.add(running)
            session.flush()
        run = Run(source_id=source.id, started_at=now, lease_until=now + limit + _GRACE)
        session.add(run)
        session.flush()
        mark = session.get(Watermark, source.id)
        platform = next((shop.platform for shop in core.settings.shops if shop.id == shop_id), kind)
        assert run.id is not None
        origin = Origin(
            source.id,
            shop_id,
            platform,
            "mention" if mention else "review",
            source.last_success_at is not None,
        )
        return Started(run.id, origin, mark.value if mark else {})


def finish(core: Core, started: Started, result: CrawlResult) -> dict[str, Any]:
    """Write a run's outcome, its source's health and, if it went well, the watermark.

    Returns:
        The ledger line of CONTRACT's ``sources``.
    """
    now = core.clock.now()
    with db.writing(core.engine) as session:
        source = session.get_one(Source, started.origin.source_id)
        run = session.get_one(Run, started.run_id)
        status, error = _judge(session, source, result)
        run.status, run.error, run.finished_at = status, error, now
        for name in ("pages", "seen", "new", "changed", "duplicates", "skipped"):
            setattr(run, name, getattr(result, name))
        session.add(run)
        if status == "ok":
            session.merge(Watermark(source_id=run.source_id, value=result.watermark, moved_at=now))
        core.notify(session, _health(source, run, result.unchanged, now))
        session.add(source)
        return {"name": source.name, "status": status} | {
            name: getattr(run, name) for name in ("pages", "seen", "new", "changed", "duplicates", "skipped", "error")
        }


def _judge(session: Session, source: Source, result: CrawlResult) -> tuple[str, str]:
    """A source that suddenly gives nothing is in trouble, however politely its server answers."""
    if result.status != "ok" or result.seen or result.unchanged:
        return result.status, result.error
    known = select(Feedback.id).where(Feedback.source_id == source.id, col(Feedback.deleted).is_(False)).limit(1)
    if session.exec(known).first() is not None:
        return "attention", "读到 0 条，而以前有内容：页面改版、需要登录或接口变了，请检查选择器和页面"
    if source.kind == "html":
        return "attention", "一条也没有匹配到：请检查 item 选择器和起始页"
    return "ok", ""


def _health(source: Source, run: Run, unchanged: int, now: datetime) -> list[Notice]:
    """Bring the source's row up to date; a change for the worse, or back to good, is told once."""
    assert source.id is not None
    status, error = run.status, run.error
    was, source.status, source.last_error, source.last_run_at = source.status, status, error, now
    since = source.last_success_at.isoformat() if source.last_success_at else ""
    if status == "ok":
        source.last_success_at = now
    if run.seen or unchanged:
        source.last_item_at = now
    facts = {"name": source.name, "error": error, "since": since}
    if status != "ok" and was in ("ok", "new"):
        return [
            Notice(
                "source.trouble",
                f"source:{source.id}:trouble:{run.id}",
                "source",
                source.id,
                source.shop_id,
                facts,
            )
        ]
    if status == "ok" and was in ("failed", "attention"):
        key = f"source:{source.id}:recovered:{run.id}"
        return [Notice("source.recovered", key, "source", source.id, source.shop_id, facts)]
    return []
