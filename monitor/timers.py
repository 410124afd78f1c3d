"""Deadlines as rows: armed with their case or crisis, met by people, fired by a sweep that costs what is due.

A deadline goes ``armed → met | breached | cancelled``; a breach stays one when it is met late (``met_at`` says when).
Reminders and rungs of the escalation ladder are rows of their own and go ``armed → fired | cancelled``.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from monitor import db
from monitor.bulk import insert_rows
from monitor.core import Core
from monitor.models import Case, Crisis, Event, Timer
from monitor.notices import Kind, Notice

_BATCH = 500
_NOTICE: dict[str, Kind] = {"reminder": "timer.reminder", "deadline": "timer.breached"}


def crisis_rows(crisis: Crisis, generation: int = 0) -> list[dict[str, Any]]:
    """The timers of a crisis: for each stage its reminder, its deadline and the rungs after it."""
    policy = crisis.policy
    rows: list[dict[str, Any]] = []
    for stage in ("respond", "notice", "follow_up"):
        due = crisis.opened_at + timedelta(seconds=policy[stage])
        steps = _with_reminder(due, crisis.opened_at, policy["remind_before"])
        steps |= {
            f"rung{n}": due + timedelta(seconds=policy["step"] * (n - 1)) for n in range(1, len(policy["ladder"]) + 1)
        }
        rows += _rows(steps, stage, generation, crisis_id=crisis.id)
    return rows


def case_rows(case_id: int, opened_at: datetime, policy: dict[str, Any], generation: int = 0) -> list[dict[str, Any]]:
    """The timers of a case: first answer and solution, each with its reminder."""
    rows: list[dict[str, Any]] = []
    for stage in ("respond", "solve"):
        due = opened_at + timedelta(seconds=policy[stage])
        rows += _rows(_with_reminder(due, opened_at, policy["remind_before"]), stage, generation, case_id=case_id)
    return rows


def _with_reminder(due: datetime, opened_at: datetime, remind_before: float) -> dict[str, datetime]:
    remind_at = due - timedelta(seconds=remind_before)
    return ({"reminder": remind_at} if opened_at < remind_at < due else {}) | {"deadline": due}


def _rows(
    steps: dict[str, datetime],
    stage: str,
    generation: int,
    case_id: int | None = None,
    crisis_id: int | None = None,
) -> list[dict[str, Any]]:
    return [
        {
            "case_id": case_id,
            "crisis_id": crisis_id,
            "stage": stage,
            "step": step,
            "generation": generation,
            "due_at": due,
            "state": "armed",
        }
        for step, due in steps.items()
    ]


def arm(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Store timers."""
    insert_rows(session, Timer, rows)


def meet(session: Session, row: Case | Crisis, stage: str, now: datetime) -> None:
    """The stage was done: its deadline is met (late if breached before) and nothing more fires for it."""
    mine = (_owner(row), Timer.stage == stage)
    _set(session, (*mine, Timer.step == "deadline", Timer.state == "armed"), state="met", met_at=now)
    _set(
        session,
        (*mine, Timer.step == "deadline", Timer.state == "breached", col(Timer.met_at).is_(None)),
        met_at=now,
    )
    _set(session, (*mine, Timer.state == "armed"), state="cancelled")


def tighten(session: Session, case: Case, now: datetime, policy: dict[str, Any]) -> None:
    """The case is worse than thought: armed deadlines move to what the stricter policy gives from now, if earlier."""
    assert case.id is not None
    sooner = {(row["stage"], row["step"]): row["due_at"] for row in case_rows(case.id, now, policy)}
    for timer in session.exec(select(Timer).where(Timer.case_id == case.id, Timer.state == "armed")):
        timer.due_at = min(timer.due_at, sooner.get((timer.stage, timer.step), timer.due_at))
        session.add(timer)
    session.flush()


def cancel(session: Session, row: Case | Crisis) -> None:
    """Nothing more fires for this case or crisis."""
    _set(session, (_owner(row), Timer.state == "armed"), state="cancelled")


def _owner(row: Case | Crisis) -> Any:
    return Timer.case_id == row.id if isinstance(row, Case) else Timer.crisis_id == row.id


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
            done = _fire_batch(core, session)
        fired += done
        if not done:  # another sweeper holds what is left
            break
    return fired


def _any_due(core: Core) -> bool:
    with db.reading(core.engine) as session:
        due = select(Timer.id).where(Timer.state == "armed", Timer.due_at <= core.clock.now()).limit(1)
        return session.exec(due).first() is not None


def _fire_batch(core: Core, session: Session) -> int:
    now = core.clock.now()
    due = (
        select(Timer)
        .where(Timer.state == "armed", Timer.due_at <= now)
        .order_by(col(Timer.due_at), col(Timer.id))
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    timers = session.exec(due).all()
    for timer in timers:
        timer.state = "breached" if timer.step == "deadline" else "fired"
        timer.fired_at = now
        session.add(timer)
    session.flush()
    if timers:
        insert_rows(session, Event, [_event(timer, now) for timer in timers])
        core.notify(session, [*_crisis_notices(session, timers), *_case_notices(core, session, timers)])
    return len(timers)


def _event(timer: Timer, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "actor": "评哨",
        "door": "system",
        "subject": "crisis" if timer.crisis_id else "case",
        "subject_id": timer.crisis_id or timer.case_id,
        "what": f"timer.{timer.state}",
        "before": {},
        "after": {"stage": timer.stage, "step": timer.step, "due_at": timer.due_at.isoformat()},
    }


def _crisis_notices(session: Session, timers: Sequence[Timer]) -> list[Notice]:
    ids = {timer.crisis_id for timer in timers if timer.crisis_id}
    crises = {row.id: row for row in session.exec(select(Crisis).where(col(Crisis.id).in_(ids)))}
    notices = []
    for timer in timers:
        if not timer.crisis_id:
            continue
        crisis = crises[timer.crisis_id]
        facts: dict[str, Any] = {"stage": timer.stage, "due_at": timer.due_at.isoformat()}
        if timer.step.startswith("rung"):
            n = int(timer.step.removeprefix("rung"))
            facts["rung"] = crisis.policy["ladder"][n - 1]
            facts["due_at"] = (timer.due_at - timedelta(seconds=crisis.policy["step"] * (n - 1))).isoformat()
        notices.append(
            Notice(
                kind=_NOTICE.get(timer.step, "timer.rung"),
                key=f"crisis:{crisis.id}:{timer.stage}:{timer.step}:{timer.generation}",
                subject="crisis",
                subject_id=timer.crisis_id,
                shop_id=crisis.shop_id,
                facts=facts,
            )
        )
    return notices


def _case_notices(core: Core, session: Session, timers: Sequence[Timer]) -> list[Notice]:
    """One notice for each case, or one for all where many fall due at once: a night's backlog is no storm."""
    mine = [timer for timer in timers if timer.case_id]
    ids = {timer.case_id for timer in mine}
    shops = dict(session.exec(select(Case.id, Case.shop_id).where(col(Case.id).in_(ids))).all())
    groups: dict[tuple[str, str, str | None], list[Timer]] = defaultdict(list)
    for timer in mine:
        groups[timer.stage, timer.step, shops[timer.case_id]].append(timer)
    notices = []
    for (stage, step, shop_id), group in groups.items():
        if len(group) > core.settings.policy.case.single_cards:
            facts = {"case_ids": [timer.case_id for timer in group], "stage": stage, "step": step}
            key = f"cases:{stage}:{step}:{group[0].id}"
            notices.append(Notice("cases.overdue", key, "case", group[0].case_id or 0, shop_id, facts))
            continue
        notices += [
            Notice(
                kind=_NOTICE[step],
                key=f"case:{timer.case_id}:{stage}:{step}:{timer.generation}",
                subject="case",
                subject_id=timer.case_id or 0,
                shop_id=shop_id,
                facts={"stage": stage, "due_at": timer.due_at.isoformat()},
            )
            for timer in group
        ]
    return notices
