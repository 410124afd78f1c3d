"""How the whole house is doing, in numbers read from the store: what is late, what waits, what was silent.

They are the same in every process. Each costs what is due or waiting, not what is stored.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import case as sql_case
from sqlalchemy import or_
from sqlmodel import Session, col, func, select

from monitor import clocks, db, shared_queue, summaries
from monitor.core import Core
from monitor.models import Case, Crisis, Feedback, Outbox, Run, Score, Source, Timer
from monitor.pushes import is_pushed
from monitor.service import usual_pause
from monitor.settings import Settings
from monitor.settings import Source as Configured
from monitor.shared_queue import Backlog
from monitor.states import CASE_OPEN, CRISIS_OPEN, UNSENT

_NEWEST = 1000  # feedbacks that tell how intake and scoring are doing
_LATELY = timedelta(hours=1)
_NONE = timedelta()


@dataclass(frozen=True, slots=True)
class SourceVitals:
    """A source that is to be crawled.

    Attributes:
        status: As in the store; "new" where it was never crawled.
        lag: How long it should have been crawled already.
        silent: How long it should have been read well already, counted from when that was due; zero where it was.
        read_at: When a run last read it well.
    """

    name: str
    kind: str
    status: str
    lag: timedelta
    silent: timedelta
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Vitals:
    """The house at one moment.

    Attributes:
        sources: Those that are crawled on a schedule.
        reports: The report that should have been made the longest ago: its kind, and how long.
        overdue: Timers that are due and were not fired.
        timer_lag: How long the first of them.
        waiting: Messages by channel and state, sent and folded ones left out.
        oldest: By channel, how long the first message waits that could have been sent.
        disks: Free bytes by folder.
        crises: Open ones.
        cases: Open ones.
        recent: The newest feedbacks of the last hour, by the model that judged them; "" for none.
        delay: Of those that bear a time, the median from written to stored.
        backlog: What waits for workers, where there are any.
    """

    at: datetime
    sources: tuple[SourceVitals, ...] = ()
    reports: tuple[str, timedelta] = ("", _NONE)
    overdue: int = 0
    timer_lag: timedelta = _NONE
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest: Mapping[str, timedelta] = field(default_factory=dict)
    disks: Mapping[str, int] = field(default_factory=dict)
    crises: int = 0
    cases: int = 0
    recent: Mapping[str, int] = field(default_factory=dict)
    delay: timedelta = _NONE
    backlog: Backlog = field(default_factory=Backlog)


def read(core: Core, up: timedelta) -> Vitals:
    """Take the numbers.

    Args:
        core: The common ground.
        up: How long this process has been at work: what was missed while nothing ran is not late.
    """
    now, settings = core.clock.now(), core.settings
    with db.reading(core.engine) as session:
        overdue, first = _overdue(session, now)
        waiting, oldest = _outbox(session, now)
        recent, delay = _recent(session, now)
        return Vitals(
            now,
            tuple(_sources(session, settings, now, now - up)),
            _reports(session, settings, now, up),
            overdue,
            now - first if first else _NONE,
            waiting,
            oldest,
            disks(settings),
            _count(session, Crisis, CRISIS_OPEN),
            _count(session, Case, CASE_OPEN),
            recent,
            delay,
            _backlog(core),
        )


def _backlog(core: Core) -> Backlog:
    return Backlog() if core.settings.service.queue == "inside" else shared_queue.look(core.engine)


def disks(settings: Settings) -> dict[str, int]:
    """Free bytes where files are written, by folder."""
    folders = [settings.service.var_dir]
    url = settings.service.database_url
    if url.startswith("sqlite:///"):
        folders.append(Path(url.removeprefix("sqlite:///")).parent)
    return {str(folder): shutil.disk_usage(folder).free for folder in folders if folder.exists()}


def _overdue(session: Session, now: datetime) -> tuple[int, datetime | None]:
    due = select(func.count(), func.min(Timer.due_at)).where(clocks.ARMED, Timer.due_at <= now)
    return session.exec(due).one()


def _outbox(session: Session, now: datetime) -> tuple[dict[tuple[str, str], int], dict[str, timedelta]]:
    could_go = or_(col(Outbox.attempts) > 0, col(Outbox.not_before) <= now)  # else its time has not come
    since = func.min(sql_case((could_go & (col(Outbox.state) != "dead"), col(Outbox.created_at))))
    counted = (
        select(Outbox.channel, Outbox.state, func.count(), since)
        .where(col(Outbox.state).in_(UNSENT))
        .group_by(Outbox.channel, Outbox.state)
    )
    waiting, oldest = {}, dict[str, timedelta]()
    for channel, state, count, first in session.exec(counted):
        waiting[channel, state] = count
        if first is not None:
            oldest[channel] = max(oldest.get(channel, _NONE), now - first)
    return waiting, oldest


def _count(session: Session, table: type[Case | Crisis], states: Iterable[str]) -> int:
    return session.exec(select(func.count()).select_from(table).where(col(table.state).in_(states))).one()


def _recent(session: Session, now: datetime) -> tuple[dict[str, int], timedelta]:
    told: Any = (
        select(Score.model, Feedback.first_seen_at, Feedback.created_at, Feedback.timely)
        .select_from(Feedback)
        .join(Score, isouter=True)
        .order_by(col(Feedback.id).desc())
        .limit(_NEWEST)
    )
    models: dict[str, int] = {}
    delays = []
    for model, seen, written, timely in session.exec(told):
        if seen >= now - _LATELY:
            models[model or ""] = models.get(model or "", 0) + 1
            delays += [seen - written] if written is not None and timely else []
    return models, sorted(delays)[len(delays) // 2] if delays else _NONE


def _reports(session: Session, settings: Settings, now: datetime, up: timedelta) -> tuple[str, timedelta]:
    late = [(one.kind, min(now - one.at, up)) for one in summaries.due(session, settings, now)]
    return max(late, key=lambda one: one[1], default=("", _NONE))


def _sources(session: Session, settings: Settings, now: datetime, began: datetime) -> Iterable[SourceVitals]:
    mine = col(Run.source_id) == col(Source.id)
    started = select(func.max(Run.started_at)).where(mine).scalar_subquery()
    first = select(func.min(Run.started_at)).where(mine).scalar_subquery()
    held = select(func.max(Run.lease_until)).where(mine, Run.status == "running").scalar_subquery()
    told = (Source.name, Source.status, Source.last_success_at, started, first, held)
    known = {name: row for name, *row in session.execute(select(*told))}  # type: ignore[call-overload]
    pushed = {
        kind for kind, source in {source.kind: source for source in settings.sources}.items() if is_pushed(source)
    }
    for source in settings.sources:
        if not source.enabled or source.kind in pushed:
            continue
        due = _schedule(source, settings)
        status, read_at, last, earliest, lease = known.get(source.name, ("new", *4 * (None,)))
        running = lease is not None and lease > now
        lag = _NONE if running else max(_NONE, now - due(max(last or began, began)))
        silent = max(_NONE, now - due(read_at or earliest or now))
        yield SourceVitals(source.name, source.kind, status, lag, silent, read_at)


def _schedule(source: Configured, settings: Settings) -> Callable[[datetime], datetime]:
    """When a source is to be crawled next after a moment."""
    if not source.cron:
        return lambda after: after + usual_pause(source)
    from apscheduler.triggers.cron import CronTrigger

    cron = CronTrigger.from_crontab(source.cron, settings.zone)
    never = datetime.max.replace(tzinfo=settings.zone) - timedelta(days=2)
    return lambda after: cron.get_next_fire_time(None, after + timedelta(seconds=1)) or never
