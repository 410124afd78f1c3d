"""Which summaries and reports are due: told from clock and audit, so that a restart neither skips nor repeats one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from sqlmodel import Session, col, select

from monitor.models import Event, Run
from monitor.settings import Settings

Kind = Literal["daily", "evening", "weekly", "monthly"]
KINDS: tuple[Kind, ...] = ("daily", "evening", "weekly", "monthly")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CATCH_UP: dict[Kind, timedelta] = {  # later than this, the next one is worth more than the missed one
    "daily": timedelta(hours=7),
    "evening": timedelta(hours=12),
    "weekly": timedelta(days=3),
    "monthly": timedelta(days=7),
}


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary whose hour has come.

    Attributes:
        day: The local day it is made on.
        at: When it was due.
    """

    kind: Kind
    day: date
    at: datetime

    @property
    def key(self) -> str:
        """Its dedupe key in the outbox, and its name in the audit."""
        return f"{self.kind}:{self.day:%Y-%m-%d}"


def due(session: Session, settings: Settings, now: datetime) -> Iterator[Summary]:
    """Summaries that should have been queued by now and were not; none from before the first run of any source."""
    first_run = session.exec(select(Run.started_at).order_by(col(Run.id)).limit(1)).first()
    for kind in KINDS:
        summary = latest(kind, settings, now)
        if first_run is None or summary.at < first_run or now - summary.at > _CATCH_UP[kind]:
            continue
        if not _done(session, summary):
            yield summary


def _done(session: Session, summary: Summary) -> bool:
    told = select(Event.id).where(Event.subject == "report", Event.subject_id == 0, Event.what == summary.key)
    return session.exec(told.limit(1)).first() is not None


def record(session: Session, summary: Summary, now: datetime) -> bool:
    """Note that a summary was queued.

    Returns:
        False where another process was faster.
    """
    if _done(session, summary):
        return False
    session.add(Event(at=now, actor="评哨", door="system", subject="report", subject_id=0, what=summary.key))
    return True


def latest(kind: Kind, settings: Settings, now: datetime) -> Summary:
    """The last moment at which a summary of this kind was due, on the configured zone's clock."""
    today = now.astimezone(settings.zone).date()
    days = (today - timedelta(days=n) for n in range(63))
    return next(
        summary
        for day in days
        if _falls_on(kind, settings, day) and (summary := Summary(kind, day, _moment(kind, settings, day))).at <= now
    )


def _when(kind: Kind, settings: Settings) -> tuple[str, str]:
    """Its day ("" for every day) and its time of day."""
    day, _, at = str(getattr(settings.summaries, kind)).rpartition(" ")
    return day, at


def _falls_on(kind: Kind, settings: Settings, day: date) -> bool:
    wanted, _ = _when(kind, settings)
    return wanted in ("", _WEEKDAYS[day.weekday()], str(day.day))


def _moment(kind: Kind, settings: Settings, day: date) -> datetime:
    hour, minute = map(int, _when(kind, settings)[1].split(":"))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=settings.zone)
