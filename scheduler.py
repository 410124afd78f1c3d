"""The composition root and the command line: puts the rooms together and wakes them.

``build(settings, clock)`` is the one way to make the application; commands, tests and the demo all use it.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from alerts.actions import Outcome
    from alerts.channels.base import Channel
    from alerts.links import Links
    from fastapi import FastAPI

    from monitor.clock import Clock
    from monitor.core import Core
    from monitor.doctor import Check
    from monitor.settings import Settings, Source

_CRAWLS_AT_ONCE = 4
_OPENER = "scheduler:open_core"


class SystemClock:
    """The wall clock."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)


class StartedClock:
    """A clock that was set once and ticks since: what a crawl process uses, so that it agrees with its parent."""

    def __init__(self, at: datetime) -> None:
        self._ahead = at - timedelta(seconds=time.monotonic())

    def now(self) -> datetime:
        """The time it was set to, and what has passed since."""
        return self._ahead + timedelta(seconds=time.monotonic())


@dataclass(frozen=True)
class App:
    """The whole product, put together.

    Attributes:
        core: Settings, store, clock, notify.
        channels: Where messages go, by name.
        links: Makes and reads signed links.
    """

    core: "Core"
    channels: "dict[str, Channel]"
    links: "Links"

    async def crawl(self, source: "Source") -> dict[str, Any]:
        """One source, once; gives its ledger line."""
        from monitor.crawling import crawl_source

        return await crawl_source(self.core, source, _OPENER)

    async def crawl_all(self, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The enabled sources, or those named, some at a time; one that breaks does not stop the others."""
        from monitor.crawling import ledger_line

        gate = asyncio.Semaphore(_CRAWLS_AT_ONCE)

        async def one(source: "Source") -> dict[str, Any]:
            async with gate:
                try:
                    return await self.crawl(source)
                except Exception as error:  # noqa: BLE001 — the ledger says which source broke and how
                    return ledger_line(source.name, "failed", f"{type(error).__name__}: {error}")

        chosen = [s for s in self.core.settings.sources if (s.name in names if names else s.enabled)]
        return await asyncio.gather(*map(one, chosen))

    def once(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """One whole pass: crawl, store, score, detect, sweep, deliver; gives the ledger."""
        from monitor import ledger

        since = ledger.mark(self.core)
        lines = asyncio.run(self.crawl_all(names))
        fired, sent = self.sweep_and_deliver()
        return ledger.ledger(self.core, since, lines, fired, sent)

    def sweep_and_deliver(self) -> tuple[int, int]:
        """Fire due timers and send what is due; gives how many of each."""
        from monitor import timers

        return timers.sweep(self.core), self.deliver()

    def deliver(self) -> int:
        """Send what the outbox holds and is due; gives how many were sent."""
        from alerts import outbox

        owner, sent = f"{os.uname().nodename}:{os.getpid()}", 0
        while (done := outbox.deliver(self.core, self.channels, self.links, owner)).claimed:
            sent += done.sent
        return sent

    def act(self, person: str, action: str, subject: str, subject_id: int, note: str = "", to: str = "") -> "Outcome":
        """Do what a person asks through the one action handler."""
        import secrets

        from alerts.actions import Click, handle
        from monitor.lifecycle import Action

        click = Click("link", secrets.token_urlsafe(9), person, Action(action, subject, subject_id, note, to))
        return handle(self.core, click)

    def report(self, kind: Any, day: date, folder: Path | None = None, *, send: bool = False) -> list[Path]:
        """Render a report, write it (below ``var_dir`` unless told) and queue it if asked; gives its files, HTML first."""
        from alerts.routing import enqueue_report
        from monitor import db
        from reports.build import build as build_report
        from reports.build import write

        report = build_report(self.core, kind, day)
        files = write(report, folder or self.core.settings.service.var_dir / "reports")
        if send:
            eml = next(file for file in files if file.suffix == ".eml")
            payload = {"eml": str(eml.resolve()), "lines": list(report.lines), "title": report.title}
            with db.writing(self.core.engine) as session:
                enqueue_report(
                    session, self.core.settings, f"{kind}:{day:%Y-%m-%d}", kind, payload, self.core.clock.now()
                )
        return files

    def send_due_summaries(self) -> int:
        """Build and queue the summaries whose hour has come; gives how many."""
        from monitor import db, summaries

        with db.reading(self.core.engine) as session:
            due = list(summaries.due(session, self.core.settings, self.core.clock.now()))
        for summary in due:
            self.report(summary.kind, summary.day, send=True)
        return len(due)

    def desk(self) -> "FastAPI":
        """The web application: status page, signed links, Slack's clicks."""
        from alerts.desk.app import create_app

        return create_app(self.core, self.links)

    async def serve(self, host: str, port: int) -> None:
        """Run everything until SIGTERM or SIGINT."""
        import uvicorn

        from monitor import timers
        from monitor.service import Service

        server = uvicorn.Server(uvicorn.Config(self.desk(), host=host, port=port, log_config=None, access_log=False))
        service = Service(
            self.core,
            crawl=self.crawl,
            sweep=lambda: timers.sweep(self.core),
            deliver=self.deliver,
            summaries=self.send_due_summaries,
        )
        await service.run(until=server.serve())

    def doctor(self) -> "Iterator[tuple[str, Check]]":
        """Everything worth looking at, in order."""
        from monitor import doctor
        from monitor.doctor import Finding
        from reports import charts

        yield from doctor.checks(self.core)
        for name, channel in self.channels.items():
            yield f"渠道 {name}", lambda name=name, channel=channel: _channel_finding(name, channel)
        yield "字体", lambda: Finding("字体", f"中文字体 {charts.font_name()}")

    def close(self) -> None:
        """Give the database back."""
        self.core.engine.dispose()


def _channel_finding(name: str, channel: "Channel") -> Any:
    from monitor.doctor import Finding

    todo = channel.check()
    return Finding(f"渠道 {name}", "发送可用" if not todo else "发不出去", todo or "")


def build(settings: "Settings", clock: "Clock") -> App:
    """Put the application together on a store that is brought up to date first.

    Raises:
        ConfigError: a channel is of a kind that does not exist, or lacks what it needs.
    """
    from alerts.channels import make_channels
    from alerts.links import Links
    from alerts.routing import make_notify
    from monitor import config, db, directory
    from monitor.core import Core

    channels = make_channels(settings)
    engine = db.connect(settings.service.database_url)
    db.upgrade(engine, settings.service.var_dir / "backups", clock.now())
    with db.writing(engine) as session:
        directory.sync(session, settings)
    secret = config.signing_secret(settings)
    core = Core(settings, engine, clock, secret, make_notify(settings, clock))
    return App(core, channels, Links(secret, settings.service.public_url, clock))


def open_core(settings: dict[str, Any], now: str) -> "Core":
    """The common ground for a crawl process: the parent's settings, and its clock."""
    from alerts.routing import make_notify
    from monitor import config, db
    from monitor.core import Core
    from monitor.settings import Settings

    known = Settings(**settings)
    clock = StartedClock(datetime.fromisoformat(now))
    engine = db.connect(known.service.database_url)
    return Core(known, engine, clock, config.signing_secret(known), make_notify(known, clock))
