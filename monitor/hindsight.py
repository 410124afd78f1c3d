"""What other clocks and quiet hours would have made of the last days: what really ran, counted again in memory.

Cases and crises that opened in these days count, by the first clocks they got, and people are taken to have been as
quick as they were. Clocks that were called off (a false alarm) count for nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Literal, cast

from sqlalchemy import and_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from monitor import case_clocks, clocks, crises, hours, timers
from monitor.models import Case, Crisis, Timer
from monitor.settings import Settings

SPAN = timedelta(days=7)
MOST = 10_000
"""Deadlines, or reminders, that are looked at; of more, the newest."""
Subject = Literal["case", "crisis"]
_ROWS: Mapping[Subject, type[Case] | type[Crisis]] = {"case": Case, "crisis": Crisis}


@dataclass(frozen=True, slots=True)
class Moved:
    """A deadline that would have been another.

    Attributes:
        was: When it was due.
        would: When it would have been.
        done: When it was met, if it was.
        until: The end of the days: what was not done by then is late if it was due.
    """

    row: Case | Crisis
    stage: str
    was: datetime
    would: datetime
    done: datetime | None
    until: datetime

    @property
    def was_late(self) -> bool:
        """Whether it was missed."""
        return _late(self.was, self.done, self.until)

    @property
    def would_be_late(self) -> bool:
        """Whether it would have been missed."""
        return _late(self.would, self.done, self.until)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What other clocks would have made of the days.

    Attributes:
        since: Where the days begin: later than asked for where there was too much to look at.
        cut: There was.
        looked_at: So many deadlines.
        moved: Those that would have been others, the newest first.
        late: How many were missed.
        would_be_late: How many would have been.
        calls: Reminders and steps of the ladder by the clocks that count now.
        would_call: By the other ones.
    """

    since: datetime
    cut: bool
    looked_at: int
    moved: list[Moved]
    late: int
    would_be_late: int
    calls: int
    would_call: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reminder that would have waited.

    Attributes:
        step: ``reminder`` of a deadline, or ``stalled``: nothing was done for long.
        at: When it was due.
        until: When it would have come.
        moot: By then the deadline was met or over, and nothing would have come.
    """

    row: Case | Crisis
    stage: str
    step: str
    at: datetime
    until: datetime
    moot: bool


@dataclass(frozen=True, slots=True)
class Quiet:
    """What other quiet hours would have made of the days.

    Attributes:
        since: Where the days begin.
        cut: There was more than could be looked at.
        looked_at: So many reminders were sent.
        waited: So many of them waited as things are.
        waiting: Those that would have waited, the newest first.
    """

    since: datetime
    cut: bool
    looked_at: int
    waited: int
    waiting: list[Waiting]


def deadlines(session: Session, now: Settings, tried: Settings, subject: Subject, until: datetime) -> Deadlines:
    """Count the last days' deadlines again by other clocks.

    Args:
        session: Only reads.
        now: What counts.
        tried: What is tried.
        subject: Of cases or of crises.
        until: The days' end.
    """
    since, row = until - SPAN, _ROWS[subject]
    mine = select(row, Timer).join(Timer, _owned(subject)).where(row.opened_at > since, row.opened_at <= until)
    ran = mine.where(Timer.step == "deadline", Timer.generation == 0, Timer.state != "cancelled")
    found = session.execute(ran.order_by(col(row.id).desc(), col(Timer.id)).limit(MOST + 1)).all()
    cut, found = len(found) > MOST, found[:MOST]
    moved: list[Moved] = []
    late = calls = would_call = 0
    for one, mine_ in groupby(found, key=lambda pair: pair[0]):
        old, new = (_steps(one, settings) for settings in (now, tried))
        for _, timer in mine_:
            late += _late(timer.due_at, timer.met_at, until)
            calls += _heard(old[timer.stage], timer, until)
            would_call += _heard(new[timer.stage], timer, until)
            if old[timer.stage]["deadline"] != new[timer.stage]["deadline"]:
                would = new[timer.stage]["deadline"]
                moved.append(Moved(one, timer.stage, timer.due_at, would, timer.met_at, until))
    would_be_late = late + sum(one.would_be_late - one.was_late for one in moved)
    begin = found[-1][0].opened_at if cut else since
    return Deadlines(begin, cut, len(found), moved, late, would_be_late, calls, would_call)


def quiet(session: Session, tried: Settings, until: datetime) -> Quiet:
    """Which of the last days' reminders would have waited by other quiet hours.

    Args:
        session: Only reads.
        tried: What is tried.
        until: The days' end.
    """
    since = until - SPAN
    sent = [told for subject in _ROWS for told in _sent(session, subject, since, until)]
    sent.sort(key=lambda told: told[1].fired_at, reverse=True)
    waiting, waited = [], 0
    for row, timer, deadline in sent[:MOST]:
        at = _first_due(row, timer, tried)
        waited += at < timer.due_at
        if ends := hours.quiet_until(tried, at):
            waiting.append(Waiting(row, timer.stage, timer.step, at, ends, _moot(deadline, ends)))
    return Quiet(since, len(sent) > MOST, len(sent[:MOST]), waited, waiting)


def _sent(session: Session, subject: Subject, since: datetime, until: datetime) -> Sequence[Any]:
    """Row, reminder and its deadline, if it has one, of what was sent about cases or crises."""
    row, deadline = _ROWS[subject], cast("Any", aliased(Timer))
    same = (deadline.stage == Timer.stage, deadline.generation == Timer.generation, deadline.step == "deadline")
    owner: Any = deadline.case_id == row.id if subject == "case" else deadline.crisis_id == row.id
    found = select(row, Timer, deadline).join(Timer, _owned(subject)).outerjoin(deadline, and_(owner, *same))
    found = found.where(col(Timer.step).in_(("reminder", "stalled")), Timer.state == "fired")
    found = found.where(col(Timer.fired_at) > since, col(Timer.fired_at) <= until)
    return session.execute(found.order_by(col(Timer.fired_at).desc()).limit(MOST + 1)).all()


def _late(due: datetime, done: datetime | None, until: datetime) -> bool:
    return due < (done or until)


def _owned(subject: Subject) -> Any:
    return Timer.case_id == Case.id if subject == "case" else Timer.crisis_id == Crisis.id


def _steps(row: Case | Crisis, settings: Settings) -> dict[str, dict[str, datetime]]:
    """Stage → step → when it would come, had the row been opened by these settings."""
    if isinstance(row, Case):
        policy = case_clocks.snapshot(settings.policy.case, row.kind, row.severity, row.categories)
        armed = timers.case_rows(row.id or 0, row.opened_at, policy, settings=settings)
    else:
        policy = crises.snapshot(settings.policy.crisis, row.kind)
        armed = timers.crisis_rows(row.model_copy(update={"policy": policy}), settings=settings)
    found: dict[str, dict[str, datetime]] = {}
    for timer in armed:
        found.setdefault(timer["stage"], {})[timer["step"]] = timer["due_at"]
    return found


def _heard(steps: Mapping[str, datetime], deadline: Timer, until: datetime) -> int:
    """How many steps beside the deadline itself come before it is met."""
    end = deadline.met_at or until
    return sum(at < end for step, at in steps.items() if step != "deadline")


def _first_due(row: Case | Crisis, timer: Timer, settings: Settings) -> datetime:
    """When it was due before quiet hours moved it, as far as that can be told."""
    if timer.step != "reminder" or timer.generation or timer.stage not in row.policy:
        return timer.due_at
    steps = clocks.with_reminder(row.opened_at, row.policy[timer.stage], row.policy, settings)
    return min(steps.get("reminder", timer.due_at), timer.due_at)


def _moot(deadline: Timer | None, until: datetime) -> bool:
    """Whether a reminder that comes so late has nothing left to say."""
    if deadline is None:
        return False
    return deadline.due_at <= until or (deadline.met_at is not None and deadline.met_at <= until)
