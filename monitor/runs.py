"""Runs of sources: the lease, the ledger line, the health of a source, and the watermark that only a good run moves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from crawler.job import CrawlResult
from monitor import db, directory, expiry, health, known
from monitor.core import Core
from monitor.health import Verdict
from monitor.incoming import Origin
from monitor.models import Feedback, Run, Source, Watermark
from monitor.notices import Notice

LEASE = timedelta(seconds=45)  # what a killed run still holds its source for; a living one renews it
ARCHIVES = ("import", "file")
_SITE = "site:"  # what the names of rows begin with that say which run last read a site
_NO_MATCH = {
    "html": "一条也没有匹配到：请检查 item 选择器和起始页",
    "schema_org": '一条也没有找到：页面上没有 schema.org 的评价标记，可改用 kind = "html"',
}


class SiteBusy(Exception):
    """Another source of the same site is being read, by whatever process."""


@dataclass(frozen=True, slots=True)
class Started:
    """A run that holds its source's lease.

    Attributes:
        look: The certificates of the source's servers are to be looked at.
    """

    run_id: int
    origin: Origin
    watermark: dict[str, Any]
    look: bool = False


def start(
    core: Core,
    name: str,
    kind: str,
    shop_id: str | None,
    *,
    site: str = "",
    mention: bool = False,
    questions: bool = False,
) -> Started | None:
    """Take the lease of a source and of its site; whoever holds it has to ``renew`` it well before ``LEASE`` is over.

    Args:
        site: See `monitor.jobs.site`.

    Returns:
        The run, or None where another run of this source is still going.

    Raises:
        SiteBusy: a run of another source of the site is still going.
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
        turn = known.hold(session, _SITE + site, now) if site else None
        if turn is not None and _alive(session, turn.value.get("run"), now):
            raise SiteBusy(site)
        run = Run(source_id=source.id, started_at=now, lease_until=now + LEASE)
        session.add(run)
        session.flush()
        if turn is not None:
            turn.at, turn.value = now, {"run": run.id}
            session.add(turn)
        mark = session.get(Watermark, source.id)
        platform = next((shop.platform for shop in core.settings.shops if shop.id == shop_id), kind)
        assert run.id is not None
        origin = Origin(
            source.id,
            shop_id,
            platform,
            "mention" if mention else "review",
            source.last_success_at is not None,
            kind in ARCHIVES,
            questions,
        )
        return Started(run.id, origin, mark.value if mark else {}, expiry.look_due(source, now))


def _alive(session: Session, run_id: int | None, now: datetime) -> bool:
    run = session.get(Run, run_id) if run_id else None
    return run is not None and run.status == "running" and run.lease_until > now


def renew(core: Core, started: Started) -> None:
    """Say that a run is alive."""
    with db.writing(core.engine) as session:
        session.execute(
            update(Run)
            .where(col(Run.id) == started.run_id, col(Run.status) == "running")
            .values(lease_until=core.clock.now() + LEASE)
        )


def finish(
    core: Core, started: Started, result: CrawlResult, *, watch: bool = False, certificate: datetime | None = None
) -> dict[str, Any]:
    """Write a run's outcome, its source's health and, if it went well, the watermark.

    Args:
        watch: The source is to be held to its own norm.
        certificate: When the first certificate of its servers ends, where ``started.look`` asked for it.

    Returns:
        The ledger line of CONTRACT's ``sources``.
    """
    now, zone = core.clock.now(), core.settings.zone
    verdict = _by_norm(core, started, result, now) if watch and result.status == "ok" else Verdict()
    with db.writing(core.engine) as session:
        source = session.get_one(Source, started.origin.source_id)
        run = session.get_one(Run, started.run_id)
        status, error = _judge(session, source, result, started.origin.kind == "mention")
        if status == "ok" and verdict.error:
            status, error = "attention", verdict.error
        run.status, run.error, run.finished_at = status, error, now
        for name in ("pages", "seen", "new", "changed", "duplicates", "skipped", "unchanged", "fills"):
            setattr(run, name, getattr(result, name))
        session.add(run)
        if status == "ok" or (result.moved and status == result.status):
            session.merge(Watermark(source_id=run.source_id, value=result.watermark, moved_at=now))
        if started.look:
            expiry.looked(source, now, certificate, zone)
        told = _health(source, run, verdict.since, now, anew=result.moved and result.anew)
        core.notify(session, [*told, *expiry.note(source, result, now, zone)])
        session.add(source)
        return {"name": source.name, "status": status} | {
            name: getattr(run, name) for name in ("pages", "seen", "new", "changed", "duplicates", "skipped", "error")
        }


def _by_norm(core: Core, started: Started, result: CrawlResult, now: datetime) -> Verdict:
    zone = core.settings.zone
    with db.reading(core.engine) as session:
        source = session.get_one(Source, started.origin.source_id)
        return health.judge(health.history(session, source, zone, now), result, now.astimezone(zone))


def _judge(session: Session, source: Source, result: CrawlResult, mention: bool) -> tuple[str, str]:
    """A source that suddenly gives nothing, or nothing that can be read, is in trouble, however polite its server."""
    if result.status == "ok" and result.seen and result.skipped == result.seen and not mention:
        return "attention", f"读到 {result.seen} 条，一条也用不了：{next(iter(result.log), '')}"
    if result.status != "ok" or result.seen or result.unchanged:
        return result.status, result.error
    known = select(Feedback.id).where(Feedback.source_id == source.id, col(Feedback.deleted).is_(False)).limit(1)
    if session.exec(known).first() is not None:
        return "attention", "读到 0 条，而以前有内容：页面改版、需要登录或接口变了，请检查选择器和页面"
    if told := _NO_MATCH.get(source.kind):
        return "attention", told
    return "ok", ""


def _health(source: Source, run: Run, silent_since: datetime | None, now: datetime, *, anew: bool) -> list[Notice]:
    """Bring the source's row up to date; a change for the worse, or back to good, is told once."""
    assert source.id is not None
    status, error = run.status, run.error
    was, source.status, source.last_error, source.last_run_at = source.status, status, error, now
    last = silent_since or source.last_success_at
    since = last.isoformat() if last else ""
    if status == "ok":
        source.last_success_at = now
    if run.seen or run.unchanged:
        source.last_item_at = now
    facts = {"name": source.name, "error": error, "since": since}
    if status != "ok" and (anew or was in ("ok", "new")):
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
