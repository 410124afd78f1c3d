"""Deadlines as rows: armed with their case or crisis, met by people, fired by a sweep that costs what is due.

A deadline goes ``armed → met | breached | cancelled``; a breach stays one when it is met late (``met_at`` says when).
Reminders, rungs of the escalation ladder and questions after a row on which nothing happens (stage ``progress``) are
rows of their own and go ``armed → fired | cancelled``; ``met_at`` of such a question says when something happened.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text, update
from sqlmodel import Session, col, func, select

from monitor import clocks, db
from monitor.bulk import insert_rows
from monitor.core import Core
from monitor.firing import fire
from monitor.models import Case, Crisis, Timer
from monitor.settings import Settings
from monitor.states import STAGES

_LOCK = 0x70_73_74_6D  # any number, the same in every process
_NAGGED = ("received", "assigned", "contacted", "open", "acknowledged")  # then it waits for the buyers, not for us


def crisis_rows(
    crisis: Crisis, generation: int = 0, *, settings: Settings, since: datetime | None = None
) -> list[dict[str, Any]]:
    """The timers of a crisis: for each stage its reminder, its deadline and the rungs after it.

    Args:
        crisis: Whose kind and policy count.
        generation: Of its timers.
        settings: Where the calendar stands, for policies in business hours.
        since: When the clocks start; its opening when absent.
    """
    policy = crisis.policy
    rows: list[dict[str, Any]] = []
    for stage in STAGES[crisis.kind]:
        steps = clocks.with_reminder(since or crisis.opened_at, policy[stage], policy, settings)
        step = timedelta(seconds=policy["step"])
        steps |= {f"rung{n + 1}": steps["deadline"] + n * step for n in range(len(policy["ladder"]))}
        rows += clocks.rows(steps, stage, generation, crisis_id=crisis.id)
    return rows


def case_rows(
    case_id: int, opened_at: datetime, policy: dict[str, Any], generation: int = 0, *, settings: Settings
) -> list[dict[str, Any]]:
    """The timers of a case: first answer and solution, each with its reminder."""
    rows: list[dict[str, Any]] = []
    for stage in ("respond", "solve"):
        steps = clocks.with_reminder(opened_at, policy[stage], policy, settings)
        rows += clocks.rows(steps, stage, generation, case_id=case_id)
    return rows


def arm(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Store timers."""
    insert_rows(session, Timer, rows)


def meet(session: Session, row: Case | Crisis, stage: str, now: datetime) -> None:
    """The stage was done: its deadline is met (late if breached before) and nothing more fires for it."""
    mine = (clocks.owner(row), Timer.stage == stage)
    _set(session, (*mine, Timer.step == "deadline", Timer.state == "armed"), state="met", met_at=now)
    _set(
        session,
        (*mine, Timer.step == "deadline", Timer.state == "breached", col(Timer.met_at).is_(None)),
        met_at=now,
    )
    _set(session, (*mine, Timer.state == "armed"), state="cancelled")


def touch(core: Core, session: Session, row: Case | Crisis, now: datetime) -> None:
    """Somebody did something about the row: whoever holds it is asked again only after another span of silence."""
    mine = (clocks.owner(row), Timer.stage == "progress")
    _set(session, (*mine, Timer.state == "armed"), state="cancelled")
    _set(session, (*mine, Timer.state == "fired", col(Timer.met_at).is_(None)), met_at=now)
    if row.assignee_id is not None and row.state in _NAGGED:
        last = session.exec(select(func.max(Timer.generation)).where(*mine)).one()
        arm(session, clocks.stalled(row, 0 if last is None else last + 1, now, core.settings))


def tighten(session: Session, case: Case, now: datetime, policy: dict[str, Any], *, settings: Settings) -> None:
    """The case is worse than thought: armed deadlines move to what the stricter policy gives from now, if earlier."""
    assert case.id is not None
    stricter = case_rows(case.id, now, policy, settings=settings)
    sooner = {(row["stage"], row["step"]): row["due_at"] for row in stricter}
    for timer in session.exec(select(Timer).where(Timer.case_id == case.id, Timer.state == "armed")):
        timer.due_at = min(timer.due_at, sooner.get((timer.stage, timer.step), timer.due_at))
        session.add(timer)
    session.flush()


def cancel(session: Session, row: Case | Crisis) -> None:
    """Nothing more fires for this case or crisis."""
    _set(session, (clocks.owner(row), Timer.state == "armed"), state="cancelled")


def _set(session: Session, where: tuple[Any, ...], **values: Any) -> None:
    session.execute(update(Timer).where(*where).values(**values), execution_options={"synchronize_session": False})


def sweep(core: Core) -> int:
    """Fire every timer that is due, each once whoever else sweeps.

    Returns:
        How many fired.
    """
    fired = 0
    while _any_due(core):
        with db.writing(core.engine) as session:
            met, done = fire(core, session) if _alone(session) else (0, 0)
        fired += done
        if not met:  # another sweeper is at it
            break
    return fired


def _any_due(core: Core) -> bool:
    with db.reading(core.engine) as session:
        due = (
            select(Timer.id).where(clocks.ARMED, Timer.due_at <= core.clock.now()).order_by(col(Timer.due_at)).limit(1)
        )
        return session.exec(due).first() is not None


def _alone(session: Session) -> bool:
    # One sweeper at a time, so that what a long stop left is in one hand and told in one message.
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}).scalar())
