"""One source, once: lease, subprocess, outcome."""

import asyncio
import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from crawler.connectors import load
from crawler.job import CrawlJob, CrawlResult
from crawler.run import crawl
from monitor import db, expiry, runs, spread
from monitor.core import Core
from monitor.jobs import site
from monitor.settings import Settings, Source

_TURN_EVERY = 1.0  # seconds between two looks whether the site is free

log = structlog.get_logger()


async def crawl_source(core: Core, source: Source, opener: str) -> dict[str, Any]:
    """Crawl a source in a process of its own and write down how it went.

    Sources of one site are read one after another, whatever processes read them.

    Args:
        opener: Dotted ``module:function`` by which the process opens the store.

    Returns:
        The ledger line of CONTRACT's ``sources``.
    """
    try:
        started = await _start(core, source)
    except runs.SiteBusy:
        return ledger_line(source.name, "ok", "同一网站的另一个来源还没抓完，这次跳过") | {"busy": True}
    if started is None:
        return ledger_line(source.name, "ok", "上一次抓取还没结束，这次跳过") | {"busy": True}
    with bound_contextvars(source=source.name, run=started.run_id):
        return await _crawl(core, source, opener, started) | {"run": started.run_id}


async def _start(core: Core, source: Source) -> runs.Started | None:
    """Start a run once its site is free; gives up after as long as the crawl itself may take."""
    until = time.monotonic() + source.time_limit.total_seconds()
    while True:
        try:
            return runs.start(
                core,
                source.name,
                source.kind,
                source.shop,
                site=site(source),
                mention=bool(source.brand),
                questions=source.as_questions,
            )
        except runs.SiteBusy:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(_TURN_EVERY)


async def _crawl(core: Core, source: Source, opener: str, started: runs.Started) -> dict[str, Any]:
    alive = asyncio.create_task(_keep_lease(core, started))
    certificate = asyncio.create_task(_certificate(source, started))
    try:
        result = await crawl(_job(core, source, opener, started), source.time_limit.total_seconds())
        end = await certificate
    except BaseException:
        certificate.cancel()
        runs.finish(core, started, CrawlResult(status="failed", error="抓取被中断"))
        raise
    finally:
        alive.cancel()
    for line in result.log:
        log.info("left out", what=line)
    watch = source.watch and source.kind not in runs.ARCHIVES
    return runs.finish(core, started, result, watch=watch, certificate=end)


def _job(core: Core, source: Source, opener: str, started: runs.Started) -> CrawlJob:
    """What the crawl process is told."""
    now, service = core.clock.now().isoformat(), core.settings.service
    return CrawlJob(
        name=source.name,
        kind=source.kind,
        options=source.options,
        timezone=service.timezone,
        now=now,
        delay=source.delay.total_seconds(),
        obey_robots=source.obey_robots,
        allow_private_hosts=service.allow_private_hosts,
        brand=source.brand,
        brand_not=source.brand_not,
        recount=_recount(core, source, started),
        watermark=started.watermark,
        pipelines=["monitor.pipeline.StorePipeline"],
        context=_context(core, opener, now, started),
        max_pages=source.max_pages,
        time_limit=source.time_limit.total_seconds(),
        base_dir=str(service.base_dir),
        vault=vault(core.settings, core.secret, source),
    )


def _context(core: Core, opener: str, now: str, started: runs.Started) -> dict[str, Any]:
    settings = core.settings.model_dump(mode="json")
    return {"open": opener, "settings": settings, "now": now, "origin": asdict(started.origin)}


def vault(settings: Settings, secret: bytes, source: Source) -> dict[str, str]:
    """Where the tokens of its authorization are kept, and a key for that only, made of the service's secret.

    Sources that name the same refresh token share them: whoever exchanges it uses it up for all.
    """
    if not (variable := source.options.get("refresh_token_env")):
        return {}
    name = hashlib.sha256(f"{source.kind}\n{variable}".encode()).hexdigest()[:16]
    file = (settings.service.var_dir / "tokens" / name).absolute()
    key = hmac.digest(secret, b"tokens of sources", "sha256")
    return {"file": str(file), "key": urlsafe_b64encode(key).decode()}


def _recount(core: Core, source: Source, started: runs.Started) -> list[dict[str, str]]:
    """Mentions whose counts are due, where the connector can ask for them again."""
    most = load(source.kind).Options.model_validate(source.options).recounts if source.brand else 0
    if not most:
        return []
    with db.writing(core.engine) as session:
        return spread.book(session, started.origin.source_id, core.clock.now(), most)


async def _certificate(source: Source, started: runs.Started) -> datetime | None:
    return await asyncio.to_thread(expiry.first_to_end, source.options) if started.look else None


async def _keep_lease(core: Core, started: runs.Started) -> None:
    while True:
        await asyncio.sleep(runs.LEASE.total_seconds() / 4)
        try:
            await asyncio.to_thread(runs.renew, core, started)
        except Exception:
            log.exception("lease not renewed")


def ledger_line(name: str, status: str, error: str = "") -> dict[str, Any]:
    """A ledger line of a source that was not read."""
    counts = dict.fromkeys(("pages", "seen", "new", "changed", "duplicates", "skipped"), 0)
    return {"name": name, "status": status, **counts, "error": error}
