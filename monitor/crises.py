"""Opening, growing, merging and reopening crises.

A crisis keeps the clocks it was opened with: the policy is copied into it, timers never restart, and people are pinged
again only when its severity rises or its volume doubles.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import Session, col, func, select

from monitor import scope, timers
from monitor.audit import change, record, updated
from monitor.bulk import insert_rows
from monitor.core import Core
from monitor.models import Case, Crisis, CrisisFeedback, Feedback, Timer
from monitor.notices import Notice
from monitor.policies import CrisisPolicy
from monitor.states import STAGES, worst

_CHUNK = 2000  # feedbacks in one statement
_SAID = ("members", "facts", "plan", "result", "review", "notices")
CLEARED: dict[str, Any] = dict.fromkeys(("acknowledged_at", "notified_at", "resolved_at", "closed_at")) | {
    "plan": "",
    "result": "",
    "review": "",
    "notices": {},
}
"""What a crisis that begins anew forgets; its event keeps what people had written."""


def open_crisis(
    core: Core,
    session: Session,
    *,
    shop_id: str | None,
    cause: str,
    category: str,
    severity: str,
    feedback_ids: Sequence[int],
    product: str = "",
    actor: str = "评哨",
    door: str = "system",
) -> Crisis:
    """Open a crisis with its three clocks and tell the route; about posts alone it is of kind ``mention``."""
    now = core.clock.now()
    kind = _kind(session, feedback_ids)
    crisis = Crisis(
        shop_id=shop_id,
        kind=kind,
        cause=cause,
        category=category,
        product=product,
        severity=severity,
        opened_at=now,
        updated_at=now,
        policy=snapshot(core.settings.policy.crisis, kind),
    )
    session.add(crisis)
    session.flush()
    assert crisis.id is not None
    timers.arm(session, timers.crisis_rows(crisis, settings=core.settings))
    _, crisis.scope = _add(session, crisis, feedback_ids, now)
    crisis.pinged_count = crisis.scope["count"]
    session.add(crisis)
    after = {
        "state": "open",
        "kind": kind,
        "cause": cause,
        "category": category,
        "severity": severity,
        "count": crisis.pinged_count,
    }
    record(session, now, crisis, "opened", actor, door, after=after)
    core.notify(session, [Notice("crisis.opened", f"crisis:{crisis.id}:opened:0", "crisis", crisis.id, shop_id)])
    return crisis


def open_for_case(core: Core, session: Session, case: Case, actor: str, door: str) -> Crisis:
    """A person makes a case a crisis."""
    ids = session.exec(select(Feedback.id).where(Feedback.case_id == case.id)).all()
    return open_crisis(
        core,
        session,
        shop_id=case.shop_id,
        cause="person",
        category=case.categories[0] if case.categories else "other",
        severity=case.severity,
        feedback_ids=[n for n in ids if n is not None],
        actor=actor,
        door=door,
    )


def attach(
    core: Core, session: Session, crisis: Crisis, feedback_ids: Sequence[int], severity: str, also: str = ""
) -> None:
    """Add feedbacks to a running crisis and bring its card up to date.

    Args:
        core: Settings, store and clock.
        session: A writing one.
        crisis: One that runs.
        feedback_ids: Those it has already are passed over.
        severity: The worst of them.
        also: A category that broke out with it: from now on what belongs to that joins too.
    """
    now = core.clock.now()
    added, grown = _add(session, crisis, feedback_ids, now)
    if not added and worst(crisis.severity, severity) == crisis.severity:
        return
    after = {"added": added, "count": grown["count"], "severity": worst(crisis.severity, severity)}
    values = {}
    if also and also not in crisis.categories and (crisis.category or crisis.product):
        values = {"also": [*crisis.also, also]}
        after |= values
    _refresh(core, session, crisis, now, worst(crisis.severity, severity), grown, **values)
    record(session, now, crisis, "feedback.added", after=after)


def _refresh(
    core: Core, session: Session, crisis: Crisis, now: datetime, severity: str, grown: dict[str, Any], **values: Any
) -> None:
    assert crisis.id is not None
    count = grown["count"]
    pinged = severity != crisis.severity or count >= 2 * max(crisis.pinged_count, 1)
    values |= {"scope": grown, "severity": severity, "pinged_count": count if pinged else crisis.pinged_count}
    change(session, crisis, now, **values)
    notices = [updated(crisis)]
    if pinged:
        key = f"crisis:{crisis.id}:grew:{severity}:{count}"
        notices.append(Notice("crisis.grew", key, "crisis", crisis.id, crisis.shop_id, {"count": count}))
    core.notify(session, notices)


def reopen(core: Core, session: Session, crisis: Crisis, feedback_ids: Sequence[int], severity: str) -> None:
    """The same trouble again, soon after it was settled: the crisis goes on, its clocks start from now."""
    now = core.clock.now()
    before = {"state": crisis.state} | said(crisis)
    rearm(core, session, crisis)
    added, grown = _add(session, crisis, feedback_ids, now)
    values = {"state": "open", "scope": grown, "pinged_count": grown["count"]}
    change(session, crisis, now, **CLEARED, **values, severity=worst(crisis.severity, severity))
    record(session, now, crisis, "reopened", before=before, after={"state": "open", "added": added})


def rearm(core: Core, session: Session, crisis: Crisis) -> None:
    """Start a crisis's clocks anew, as timers of the next generation, and call its people again."""
    timers.cancel(session, crisis)
    mine = (Timer.crisis_id == crisis.id, Timer.step == "deadline")
    generation = (session.exec(select(func.max(Timer.generation)).where(*mine)).one() or 0) + 1
    now = core.clock.now()
    timers.arm(session, timers.crisis_rows(crisis, generation, settings=core.settings, since=now))
    assert crisis.id is not None
    key = f"crisis:{crisis.id}:opened:{generation}"
    core.notify(session, [Notice("crisis.opened", key, "crisis", crisis.id, crisis.shop_id)])


def said(crisis: Crisis) -> dict[str, Any]:
    """What people wrote and ticked."""
    return {name: value for name in _SAID if (value := getattr(crisis, name))}


def merge(core: Core, session: Session, crisis: Crisis, into: Crisis) -> None:
    """Move a crisis's feedbacks and cases to another, which keeps the earlier deadline of each armed timer.

    What people wrote and ticked in either stays with it; the event tells what the other had.
    """
    now = core.clock.now()
    assert into.id is not None
    earlier = {
        (timer.stage, timer.step): timer.due_at
        for timer in session.exec(select(Timer).where(Timer.crisis_id == crisis.id, Timer.state == "armed"))
    }
    for timer in session.exec(select(Timer).where(Timer.crisis_id == into.id, Timer.state == "armed")):
        timer.due_at = min(timer.due_at, earlier.get((timer.stage, timer.step), timer.due_at))
        session.add(timer)
    timers.cancel(session, crisis)
    ids = session.exec(select(CrisisFeedback.feedback_id).where(CrisisFeedback.crisis_id == crisis.id)).all()
    session.execute(delete(CrisisFeedback).where(col(CrisisFeedback.crisis_id) == crisis.id))
    _, grown = _add(session, into, ids, now)
    session.execute(
        update(Case).where(col(Case.crisis_id) == crisis.id).values(crisis_id=into.id),
        execution_options={"synchronize_session": False},
    )
    _refresh(core, session, into, now, worst(into.severity, crisis.severity), grown)
    record(session, now, into, "merged.in", after={"from": crisis.id, "count": grown["count"]} | said(crisis))


def _add(session: Session, crisis: Crisis, feedback_ids: Sequence[int], now: datetime) -> tuple[int, dict[str, Any]]:
    """Make feedbacks the crisis's, with their cases; gives how many are new to it, and its scope with them."""
    assert crisis.id is not None
    added, grown = 0, {"count": 0, "buyers": 0} | crisis.scope
    ids = list(dict.fromkeys(feedback_ids))
    mine = select(CrisisFeedback.feedback_id).where(CrisisFeedback.crisis_id == crisis.id)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        known = set(session.exec(mine.where(col(CrisisFeedback.feedback_id).in_(chunk))))
        fresh = [n for n in chunk if n not in known]
        if not fresh:
            continue
        insert_rows(
            session, CrisisFeedback, [{"crisis_id": crisis.id, "feedback_id": n, "added_at": now} for n in fresh]
        )
        cases = select(Feedback.case_id).where(col(Feedback.id).in_(fresh))
        session.execute(
            update(Case).where(col(Case.id).in_(cases)).values(crisis_id=crisis.id),
            execution_options={"synchronize_session": False},
        )
        grown = scope.grow(session, crisis.id, grown, fresh)
        added += len(fresh)
    return added, grown


def _kind(session: Session, feedback_ids: Sequence[int]) -> str:
    kinds = session.exec(select(Feedback.kind).where(col(Feedback.id).in_(feedback_ids[:_CHUNK])).distinct()).all()
    return "mention" if set(kinds) == {"mention"} else "review"


def snapshot(policy: CrisisPolicy, kind: str) -> dict[str, Any]:
    """The clocks as `Crisis.policy` has them, in seconds; the setting of the stage ``notice`` is called ``notify``."""
    spans = {stage: getattr(policy, "notify" if stage == "notice" else stage) for stage in STAGES[kind]}
    spans |= {"remind_before": policy.remind_before, "step": policy.step, "stalled": policy.stalled}
    seconds = {name: span.total_seconds() for name, span in spans.items()}
    return seconds | {"ladder": list(policy.ladder), "hours": policy.hours}
