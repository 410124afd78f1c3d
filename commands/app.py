"""The application: what the commands, the service and a rehearsal do with the house once it is put together."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alerts.actions import Outcome
    from alerts.channel import Channel
    from alerts.links import Links
    from monitor.core import Core
    from monitor.moves import Action
    from monitor.settings import Source
    from monitor.summaries import Summary
    from reports.build import Report
    from reports.links import Opens

_CRAWLS_AT_ONCE = 4
_PATIENCE = 60.0  # seconds that a command waits for channels that take only so much at a time
_OPENER = "scheduler:open_core"  # by name: a crawl process puts its own ground together, and nobody imports the root


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
        import asyncio

        from monitor.crawling import crawl_source
        from monitor.pushes import is_pushed, listen

        if is_pushed(source):
            return await asyncio.to_thread(listen, self.core, source)
        return await crawl_source(self.core, source, _OPENER)

    async def crawl_all(self, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The enabled sources, or those named, some at a time; one that breaks does not stop the others."""
        import asyncio

        from monitor import logs
        from monitor.crawling import ledger_line
        from monitor.jobs import site
        from monitor.pushes import is_pushed

        gate, turns = asyncio.Semaphore(_CRAWLS_AT_ONCE), defaultdict[str, asyncio.Lock](asyncio.Lock)

        async def one(source: "Source") -> dict[str, Any]:
            async with turns[site(source) or source.name], gate:  # who waits for its site's turn keeps nobody back
                try:
                    return await self.crawl(source)
                except Exception as error:  # noqa: BLE001 — the ledger says which source broke and how
                    return ledger_line(source.name, "failed", logs.told(error))

        known = self.core.settings.sources
        chosen = [s for s in known if (s.name in names if names else s.enabled and not is_pushed(s))]
        return await asyncio.gather(*map(one, chosen))

    def once(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """One whole pass: crawl, store, score, detect, sweep, deliver; gives the ledger."""
        import asyncio

        from monitor import ledger

        since = ledger.mark(self.core)
        lines = asyncio.run(self.crawl_all(names))
        fired, sent = self.sweep_and_deliver()
        return ledger.ledger(self.core, since, lines, fired, sent)

    def sweep_and_deliver(self) -> tuple[int, int]:
        """Hand over what is to be, fire due timers, send what is due; gives how many of the last two."""
        from monitor import handover, timers

        handover.hand_over(self.core)
        return timers.sweep(self.core), self.deliver_patiently()

    def deliver(self, *names: str, ending: Callable[[], bool] = lambda: False) -> int:
        """Send what the outbox holds and is due, on these channels or all, until ``ending``; gives how many went."""
        from alerts import outbox

        owner, sent = f"{os.uname().nodename}:{os.getpid()}:{threading.get_ident()}", 0
        channels = {name: self.channels[name] for name in names or self.channels}
        while done := outbox.deliver(self.core, channels, owner, links=self.links, ending=ending).sent:
            sent += done
        return sent

    def deliver_patiently(self) -> int:
        """As `deliver` on all channels, waiting for those that take only so much at a time: for commands that end."""
        from alerts import outbox

        sent, until = self.deliver(), time.monotonic() + _PATIENCE
        while (at := outbox.next_slot(self.core, self.channels)) is not None:
            wait = max(0.0, (at - self.core.clock.now()).total_seconds())
            if time.monotonic() + wait > until:
                break
            time.sleep(wait)
            if not (more := self.deliver()):
                break
            sent += more
        return sent

    def act(self, person: str, action: "Action") -> "Outcome":
        """Do what a person asks through the one action handler."""
        import secrets

        from alerts.actions import Click, handle

        return handle(self.core, Click("link", secrets.token_urlsafe(9), person, action))

    def report(
        self,
        kind: Any,
        day: date,
        folder: Path | None = None,
        *,
        send: bool = False,
        anew: bool = False,
        form: str = "html",
    ) -> list[Path]:
        """Render a report, write it (below ``var_dir`` by default), queue it if asked; gives its files, HTML first.

        One that was sent shows the figures it was sent with, unless it is made ``anew`` or sent again.
        """
        from monitor import answers_scan
        from monitor.summaries import Summary
        from reports.build import build as build_report
        from reports.build import guest_mail, write
        from reports.formats import write_as

        if kind in ("daily", "evening"):
            answers_scan.scan(self.core)  # the quality list is as of now
        report = build_report(self.core, kind, day, anew=anew or send, guests=self._for_guests() if send else None)
        kept = self.core.settings.service.var_dir / "reports"
        files = write_as(report, folder or kept, form)
        if send:
            mailed = files if form == "html" else write(report, folder or kept)
            eml = next(file for file in mailed if file.suffix == ".eml").resolve()
            payload = {"eml": str(eml), "lines": list(report.lines), "title": report.title}
            if report.guest_eml:
                payload["guest_eml"] = str(eml.with_name(guest_mail(report)))
            self._queue(Summary(kind, day, self.core.clock.now()), report, payload)
        return files

    def _for_guests(self) -> "Opens | None":
        """How the numbers of a mail open for those who cannot log in; None where they do not."""
        summaries = self.core.settings.summaries
        if not summaries.guest_links:
            return None
        return lambda rows, wanted: self.links.listing(wanted, summaries.guest_life, of=rows)

    def _queue(self, summary: "Summary", report: "Report", payload: dict[str, Any]) -> None:
        from alerts.routing import enqueue_report
        from monitor import db, summaries
        from monitor.models import ReportCopy
        from reports import archive

        now, version = self.core.clock.now(), report.edition.version
        with db.writing(self.core.engine) as session:
            summaries.record(session, summary, now)
            kept = ReportCopy(
                key=report.key, kind=report.kind, version=version, title=report.title, at=now, figures=report.figures
            )
            archive.keep(session, kept)
            key = archive.name(summary.key, version)
            enqueue_report(session, self.core.settings, key, summary.kind, payload, now)

    def due_summaries(self) -> "list[Summary]":
        """Those whose hour has come and that were not sent."""
        from monitor import db, summaries

        with db.reading(self.core.engine) as session:
            return list(summaries.due(session, self.core.settings, self.core.clock.now()))

    def send_due_summaries(self) -> int:
        """Build and queue the summaries whose hour has come; gives how many."""
        due = self.due_summaries()
        for summary in due:
            self.report(summary.kind, summary.day, send=True)
        return len(due)

    def close(self) -> None:
        """Give the database back."""
        self.core.engine.dispose()
