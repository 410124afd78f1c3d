"""One transaction of the sweep: what is due fires, is recorded and told; what must not disturb now waits."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from monitor import clocks, hours, overdue
from monitor.bulk import insert_rows
from monitor.core import Core
from monitor.models import Case, Crisis, Event, Timer

_BATCH = 1000  # in one transaction: long enough to be fast, short enough for others to write between
_AT_ONCE = 20_000  # after a long stop, so that one message tells of all
_CHUNK = 5000  # ids in one statement
_LATE = timedelta(minutes=10)  # the ladder's usual step: by then the next rung would have been told as well
_NAGS = 3  # times that a holder is asked; then the lead


def fire(core: Core, session: Session) -> tuple[int, int]:
    """Fire some of what is due; gives how many were met with, and how many of them fired."""
    now = core.clock.now()
    stopped = overdue.was_stopped(session, now - _LATE)
    timers = _due_now(session, now, _AT_ONCE if stopped else _BATCH)
    waiting = _put_off(core, session, timers, now, stopped=stopped)
    fired = [timer for timer in timers if timer.id not in waiting]
    if fired:
        deadlines = [timer for timer in fired if timer.step == "deadline"]
        others = [timer for timer in fired if timer.step != "deadline"]
        _mark(session, deadlines, state="breached", fired_at=now)
        _mark(session, others, state="fired", fired_at=now)
        insert_rows(session, Event, [_event(timer, now) for timer in fired])
        asked = _ask_again(core, session, [timer for timer in fired if timer.step == "stalled"], now)
        tell = overdue.digest if stopped else overdue.notices
        core.notify(session, tell(core, session, fired, asked, now))
        for timer in fired:
            core.meters.fired("crisis" if timer.crisis_id else "case", now - timer.due_at)
    return len(timers), len(fired)


def _due_now(session: Session, now: datetime, limit: int) -> Sequence[Timer]:
    due = (
        select(Timer)
        .where(clocks.ARMED, Timer.due_at <= now)
        .order_by(col(Timer.due_at), col(Timer.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return session.exec(due).all()


def _put_off(core: Core, session: Session, timers: Sequence[Timer], now: datetime, *, stopped: bool) -> set[int | None]:
    """Move what must not disturb in quiet hours to their end, and questions behind what a long stop left.

    Returns:
        Ids of the timers moved.
    """
    quiet = hours.quiet_until(core.settings, now)
    steps = {"reminder", "stalled"} if quiet else {"stalled"} if stopped else set()
    waiting = [timer for timer in timers if timer.step in steps]
    _mark(session, waiting, due_at=quiet or now + _LATE)
    return {timer.id for timer in waiting}


def _mark(session: Session, timers: Sequence[Timer], **values: Any) -> None:
    ids = [timer.id for timer in timers]
    for start in range(0, len(ids), _CHUNK):
        chunk = update(Timer).where(col(Timer.id).in_(ids[start : start + _CHUNK])).values(**values)
        session.execute(chunk, execution_options={"synchronize_session": False})


def _event(timer: Timer, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "actor": "评哨",
        "door": "system",
        "subject": "crisis" if timer.crisis_id else "case",
        "subject_id": timer.crisis_id or timer.case_id,
        "what": "timer.breached" if timer.step == "deadline" else "timer.fired",
        "before": {},
        "after": {
            "stage": timer.stage,
            "step": timer.step,
            "due_at": timer.due_at.isoformat(),
            "late_s": round((now - timer.due_at).total_seconds()),
        },
    }


def _ask_again(core: Core, session: Session, stalled: Sequence[Timer], now: datetime) -> set[int | None]:
    """Arm the next question about rows on which nothing happened, until the holder was asked often enough.

    Returns:
        Ids of the timers whose answer is the lead's to find.
    """
    leads: set[int | None] = set()
    for timer in stalled:
        row = session.get(Crisis, timer.crisis_id) if timer.crisis_id else session.get(Case, timer.case_id)
        assert row is not None
        unanswered = select(func.count()).where(
            clocks.owner(row), Timer.stage == "progress", Timer.state == "fired", col(Timer.met_at).is_(None)
        )
        if session.exec(unanswered).one() > _NAGS:
            leads.add(timer.id)
        else:
            insert_rows(session, Timer, clocks.stalled(row, timer.generation + 1, now, core.settings))
    return leads
