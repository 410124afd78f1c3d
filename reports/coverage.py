"""What the figures rest on: which sources worked, how long others failed or were silent, what could not be read."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select
from sqlmodel import Session, col

from monitor.counted import unscored, wordless
from monitor.elapsed import seconds
from monitor.models import Source
from monitor.pushes import is_pushed
from monitor.settings import Settings
from reports.period import Period
from reports.shares import Share
from reports.store import F, S, judged, run, tally, within

_SILENT = timedelta(hours=24)
R = run.c


@dataclass(frozen=True)
class SourceLine:
    """A source and how it is doing.

    Attributes:
        name: Its name.
        trouble: "" where all is well; ``failed``, ``attention``, ``silent``, ``stopped`` or ``new`` (never crawled).
        since: Since when, as far as known: its last success, item or run.
        error: What it last said.
        failed_hours: Hours of the span after a failed crawl and before the next one.
        silent_hours: Hours of the span after a crawl that saw nothing and before the next one.
    """

    name: str
    trouble: str = ""
    since: datetime | None = None
    error: str = ""
    failed_hours: float = 0.0
    silent_hours: float = 0.0


@dataclass(frozen=True)
class Coverage:
    """What the figures of a span rest on.

    Attributes:
        reviews: Reviews of the span.
        mentions: Mentions of the span.
        textless: How many of both have no text.
        unscored: How many were not judged.
        models: The models that judged the rest.
        sources: Every configured source, those in trouble first.
    """

    reviews: int
    mentions: int
    textless: Share
    unscored: int
    models: list[str]
    sources: list[SourceLine]

    @property
    def troubled(self) -> list[SourceLine]:
        """The sources in trouble now."""
        return [source for source in self.sources if source.trouble]

    @property
    def well(self) -> int:
        """How many sources are well now."""
        return len(self.sources) - len(self.troubled)


def coverage(session: Session, period: Period, settings: Settings, now: datetime) -> Coverage:
    """Coverage of a span; the sources are those the config names and has not switched off."""
    here = within(F.happened_at, period.start, period.end)
    n, mentions, textless, unjudged = session.execute(
        select(func.count(), tally(F.kind == "mention"), tally(wordless), tally(unscored))
        .select_from(judged)
        .where(here)
    ).one()
    judges = select(S.model).select_from(judged).where(here, S.model.is_not(None)).distinct().order_by(S.model)
    models = list(session.execute(judges).scalars())
    sources = _sources(session, period, settings, now)
    return Coverage(n - mentions, mentions, Share(textless, n), unjudged, models, sources)


def _sources(session: Session, period: Period, settings: Settings, now: datetime) -> list[SourceLine]:
    hours = _lost_hours(session, period, now)
    pushed = {source.name: is_pushed(source) for source in settings.sources if source.enabled}
    names = list(pushed)
    rows = {row.name: row for row in session.execute(select(Source).where(col(Source.name).in_(names))).scalars()}
    lines = [_line(name, rows.get(name), now, hours, pushed=pushed[name]) for name in names]
    return sorted(lines, key=lambda line: (not line.trouble, -line.failed_hours - line.silent_hours, line.name))


def _line(
    name: str, row: Source | None, now: datetime, hours: dict[int, tuple[float, float]], *, pushed: bool
) -> SourceLine:
    """A source that others push to is not crawled: its status says whether it has been silent for too long."""
    if row is None or row.id is None or row.last_run_at is None:
        return SourceLine(name, "new")
    lost = hours.get(row.id, (0.0, 0.0))
    if row.status in {"failed", "attention"}:
        return SourceLine(name, row.status, row.last_success_at, row.last_error, *lost)
    if row.last_run_at < now - _SILENT and not pushed:
        return SourceLine(name, "stopped", row.last_run_at, "", *lost)
    if (row.last_item_at is None or row.last_item_at < now - _SILENT) and not pushed:
        return SourceLine(name, "silent", row.last_item_at, "", *lost)
    return SourceLine(name, "", row.last_item_at, "", *lost)


def _lost_hours(session: Session, period: Period, now: datetime) -> dict[int, tuple[float, float]]:
    """For each source the hours of a span after failed crawls, and after crawls that saw nothing."""
    until = min(period.end, now)
    following = func.lead(R.started_at).over(partition_by=R.source_id, order_by=R.started_at)
    spans = (
        select(
            R.source_id,
            case((R.status.in_(("failed", "attention")), "failed"), else_="silent").label("why"),
            R.started_at,
            case((following.is_(None), until), else_=following).label("next_at"),
            (R.status.in_(("failed", "attention")) | ((R.status == "ok") & (R.seen == 0))).label("lost"),
        )
        .where(within(R.started_at, period.start, until))
        .subquery()
    )
    s = spans.c
    spent_here = func.sum(seconds(session, s.started_at, s.next_at))
    found = select(s.source_id, s.why, spent_here).where(s.lost).group_by(s.source_id, s.why)
    hours: dict[int, tuple[float, float]] = {}
    for source_id, why, spent in session.execute(found):
        failed, silent = hours.get(source_id, (0.0, 0.0))
        gone = float(spent) / 3600
        hours[source_id] = (failed + gone, silent) if why == "failed" else (failed, silent + gone)
    return hours
