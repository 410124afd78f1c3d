"""Opening, growing and merging crises; what a crisis's feedbacks share.

A crisis keeps the clocks it was opened with: the policy is copied into it, timers never restart, and people are pinged
again only when its severity rises or its volume doubles.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select as columns
from sqlalchemy import update
from sqlmodel import Session, col, select

from monitor import timers
from monitor.audit import change, record, updated
from monitor.bulk import insert_rows
from monitor.core import Core
from monitor.models import Case, Crisis, CrisisFeedback, Feedback, Timer
from monitor.notices import Notice
from monitor.policies import CrisisPolicy
from monitor.states import worst

_SPREAD_SAMPLE = 2000  # texts compared for copies: near-copies show in far fewer
_SHARED_EXTRAS = ("sku", "batch", "warehouse", "courier")
_TOP = 3


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
    """Open a crisis with its three clocks and tell the route."""
    now = core.clock.now()
    crisis = Crisis(
        shop_id=shop_id,
        cause=cause,
        category=category,
        product=product,
        severity=severity,
        opened_at=now,
        updated_at=now,
        policy=_snapshot(core.settings.policy.crisis),
    )
    session.add(crisis)
    session.flush()
    assert crisis.id is not None
    timers.arm(session, timers.crisis_rows(crisis))
    _add(session, crisis, feedback_ids, now)
    crisis.scope = scope_of(session, crisis.id)
    crisis.pinged_count = crisis.scope["count"]
    session.add(crisis)
    after = {
        "state": "open",
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


def attach(core: Core, session: Session, crisis: Crisis, feedback_ids: Sequence[int], severity: str) -> None:
    """Add feedbacks to a running crisis and bring its card up to date."""
    now = core.clock.now()
    added = _add(session, crisis, feedback_ids, now)
    if not added:
        return
    _refresh(core, session, crisis, now, worst(crisis.severity, severity))
    record(session, now, crisis, "feedback.added", after={"added": added, "count": crisis.scope["count"]})


def _refresh(core: Core, session: Session, crisis: Crisis, now: datetime, severity: str) -> None:
    assert crisis.id is not None
    scope = scope_of(session, crisis.id)
    grew = severity != crisis.severity or scope["count"] >= 2 * max(crisis.pinged_count, 1)
    change(
        session,
        crisis,
        now,
        scope=scope,
        severity=severity,
        pinged_count=scope["count"] if grew else crisis.pinged_count,
    )
    notices = [updated(crisis)]
    if grew:
        key = f"crisis:{crisis.id}:grew:{severity}:{scope['count']}"
        notices.append(Notice("crisis.grew", key, "crisis", crisis.id, crisis.shop_id, {"count": scope["count"]}))
    core.notify(session, notices)


def merge(core: Core, session: Session, crisis: Crisis, into: Crisis) -> None:
    """Move a crisis's feedbacks and cases to another, which keeps the earlier deadline of each armed timer."""
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
    _add(session, into, ids, now)
    _refresh(core, session, into, now, worst(into.severity, crisis.severity))
    record(session, now, into, "merged.in", after={"from": crisis.id, "count": into.scope["count"]})


def _add(session: Session, crisis: Crisis, feedback_ids: Sequence[int], now: datetime) -> int:
    mine = select(CrisisFeedback.feedback_id).where(CrisisFeedback.crisis_id == crisis.id)
    known = set(session.exec(mine.where(col(CrisisFeedback.feedback_id).in_(feedback_ids))))
    fresh = [n for n in dict.fromkeys(feedback_ids) if n not in known]
    if fresh:
        rows = [{"crisis_id": crisis.id, "feedback_id": n, "added_at": now} for n in fresh]
        insert_rows(session, CrisisFeedback, rows)
        cases = select(Feedback.case_id).where(col(Feedback.id).in_(fresh))
        session.execute(
            update(Case).where(col(Case.id).in_(cases)).values(crisis_id=crisis.id),
            execution_options={"synchronize_session": False},
        )
    return len(fresh)


def scope_of(session: Session, crisis_id: int) -> dict[str, Any]:
    """What a crisis's feedbacks share, with counts.

    Returns:
        ``count``, ``buyers`` (different authors), ``first_at``/``last_at`` (ISO), the most frequent values of
        ``product``, ``platform``, ``sku``, ``batch``, ``warehouse``, ``courier`` as ``[[value, count], …]``, and
        ``spread``: how many are near-copies of one text, from how many authors, and what that looks like.
    """
    from monitor.duplicates import spread

    mine = (
        columns(
            col(Feedback.happened_at),
            col(Feedback.author_hash),
            col(Feedback.author),
            col(Feedback.order_ref),
            col(Feedback.product),
            col(Feedback.platform),
            col(Feedback.extra),
            col(Feedback.text),
        )
        .join(CrisisFeedback, col(CrisisFeedback.feedback_id) == Feedback.id)
        .where(col(CrisisFeedback.crisis_id) == crisis_id)
        .order_by(col(Feedback.happened_at), col(Feedback.id))
    )
    rows = session.execute(mine).all()
    scope: dict[str, Any] = {"count": len(rows), "buyers": _people([_who(row) for row in rows])}
    if rows:
        scope |= {"first_at": rows[0].happened_at.isoformat(), "last_at": rows[-1].happened_at.isoformat()}
    values = {name: Counter(getattr(row, name) for row in rows) for name in ("product", "platform")}
    values |= {name: Counter(str(row.extra.get(name, "")) for row in rows) for name in _SHARED_EXTRAS}
    for name, counts in values.items():
        del counts[""]
        if counts:
            scope[name] = [list(pair) for pair in counts.most_common(_TOP)]
    sample = rows[-_SPREAD_SAMPLE:]
    found = spread([row.text for row in sample], [_who(row) for row in sample])
    scope["spread"] = {
        "verdict": found.verdict,
        "copies": found.copies,
        "authors": found.authors,
        "share": round(found.share, 3),
    }
    return scope


def _who(row: Any) -> str:
    """What tells one writer from another: the account, else the order, else the name as the platform masked it."""
    masked = "" if "匿名" in row.author else row.author
    return row.author_hash or row.order_ref or masked


def _people(writers: Sequence[str]) -> int:
    """How many people wrote: those whom nothing tells apart count one each."""
    return len(set(writers) - {""}) + sum(not name for name in writers)


def _snapshot(policy: CrisisPolicy) -> dict[str, Any]:
    def seconds(span: timedelta) -> float:
        return span.total_seconds()

    return {
        "respond": seconds(policy.respond),
        "notice": seconds(policy.notify),
        "follow_up": seconds(policy.follow_up),
        "remind_before": seconds(policy.remind_before),
        "step": seconds(policy.step),
        "ladder": list(policy.ladder),
    }
