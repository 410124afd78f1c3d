"""Cases: every negative feedback opens one or joins the one about the same order, or the same buyer and product.

A buyer's question opens one of its own. The shop's public reply is a first answer, whoever wrote it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from monitor import assign, case_clocks, timers
from monitor.audit import change, record, updated
from monitor.bulk import update_column
from monitor.case_opening import open_cases
from monitor.core import Core
from monitor.fresh import Change, Fresh
from monitor.models import Case, Feedback, Timer
from monitor.notices import Notice
from monitor.states import CASE_OPEN, worst

REOPENED: Mapping[str, Any] = {"state": "received", "answered_at": None, "resolved_at": None, "closed_at": None}
"""What a case is that came back."""

_REOPENABLE = ("answered", "resolved", "closed", "false_alarm")
_UNANSWERED = ("received", "assigned", "contacted")
_SHOP = "店铺回复"

_HAPPENED: Mapping[Change, str] = {
    "": "feedback.added",
    "edited": "feedback.changed",
    "followup": "feedback.followup",
    "replied": "feedback.replied",
    "deleted": "feedback.deleted",
    "restored": "feedback.restored",
}


def file_feedback(core: Core, session: Session, batch: Sequence[Fresh]) -> list[int]:
    """Put each negative feedback and each question into a case, open or new; bring cases of edited ones up to date.

    Returns:
        Ids of the cases that were opened.
    """
    now = core.clock.now()
    homes = _existing(session, batch)
    opening: dict[str, list[Fresh]] = {}
    for item in batch:
        case = homes.get(item.feedback_id)
        if case is not None:
            _add(core, session, case, item, now)
        elif item.question and not item.replied:
            opening[f"?{item.feedback_id}"] = [item]
        elif item.negative and not item.question:
            opening.setdefault(item.join_key or f"#{item.feedback_id}", []).append(item)
    case_of = {feedback_id: case.id for feedback_id, case in homes.items() if case.id is not None}
    opened = open_cases(core, session, list(opening.values()), now)
    case_of |= opened
    update_column(session, Feedback, "case_id", case_of)
    return list(dict.fromkeys(opened.values()))


def _existing(session: Session, batch: Sequence[Fresh]) -> dict[int, Case]:
    """The case each feedback belongs to already, or joins because one with its key is still open."""
    ids = {item.case_id for item in batch if item.case_id is not None}
    keys = {item.join_key for item in batch if _joins(item)}
    cases = session.exec(
        select(Case).where(col(Case.id).in_(ids) | (col(Case.join_key).in_(keys) & col(Case.state).in_(CASE_OPEN)))
    ).all()
    by_id = {case.id: case for case in cases}
    by_key = {case.join_key: case for case in cases if case.state in CASE_OPEN}
    homes = {}
    for item in batch:
        case = by_id.get(item.case_id) if item.case_id else (by_key.get(item.join_key) if _joins(item) else None)
        if case is not None:
            homes[item.feedback_id] = case
    return homes


def _joins(item: Fresh) -> bool:
    return item.negative and not item.question and bool(item.join_key)


def _add(core: Core, session: Session, case: Case, item: Fresh, now: datetime) -> None:
    values = _worse(core, case, item) if item.negative or case.kind == "question" else {}
    reopened = values.get("state") == "received"
    answered = item.change == "replied" and item.replied and case.state in _UNANSWERED
    before = {"state": case.state, "severity": case.severity}
    policy = values.get("policy", case.policy)
    if reopened or values.get("backlog") is False:
        rearm(core, session, case, now, policy)
    elif policy != case.policy and not case.backlog:
        timers.tighten(session, case, now, policy, settings=core.settings)
    if answered:
        timers.meet(session, case, "respond", now)
        values |= {"state": "answered", "answered_at": now}
    rule = {"rule": policy["rule"]} if policy != case.policy else {}
    change(session, case, now, **values)
    if answered or reopened:
        timers.touch(core, session, case, now)
    after = {
        "state": case.state,
        "severity": case.severity,
        "feedback_id": item.feedback_id,
        "negative": item.negative,
        "change": item.change,
    }
    what, actor = "reopened" if reopened else _HAPPENED[item.change], _SHOP if answered else assign.ACTOR
    record(session, now, case, what, actor, before=before, after=after | rule)
    again = (reopened and case.crisis_id is None) or values.get("backlog") is False
    if again:
        assign.give(core, session, case, now)
    core.notify(session, [called(session, case) if again else updated(case)])


def _worse(core: Core, case: Case, item: Fresh) -> dict[str, Any]:
    """What one more complaint changes about a case: it may reopen it, wake it from the backlog, shorten its clocks."""
    severity = worst(case.severity, item.severity)
    codes = list(dict.fromkeys([*case.categories, *item.categories]))
    values: dict[str, Any] = {"severity": severity, "categories": codes} | stricter(core, case, severity, codes)
    if item.tier and not case.tier:
        values["tier"] = item.tier
    if case.backlog and not item.stale:
        values["backlog"] = False
    if case.state in _REOPENABLE and item.change in ("edited", "followup") and not item.stale:
        values |= REOPENED
    return values


def stricter(core: Core, case: Case, severity: str, codes: Sequence[str]) -> dict[str, Any]:
    """The case's policy where a severity or categories ask for more than it does; else nothing."""
    if severity == case.severity and set(codes) <= set(case.categories):
        return {}
    asked = case_clocks.snapshot(core.settings.policy.case, case.kind, severity, codes)
    policy = case_clocks.tightened(case.policy, asked)
    return {"policy": policy} if policy is not case.policy else {}


def called(session: Session, case: Case) -> Notice:
    """People are called to a case that woke or came back: a new card, once for each generation of its clocks."""
    assert case.id is not None
    return Notice("case.opened", f"case:{case.id}:opened:{_generation(session, case)}", "case", case.id, case.shop_id)


def rearm(core: Core, session: Session, case: Case, now: datetime, policy: dict[str, Any]) -> None:
    """Start the case's clocks anew, from now."""
    assert case.id is not None
    timers.cancel(session, case)
    generation = _generation(session, case) + 1
    timers.arm(session, timers.case_rows(case.id, now, policy, generation, settings=core.settings))


def _generation(session: Session, case: Case) -> int:
    stages = col(Timer.stage).in_(("respond", "solve"))
    last = session.exec(select(func.max(Timer.generation)).where(Timer.case_id == case.id, stages)).one()
    return last if last is not None else -1


def tell(core: Core, session: Session, case_ids: Sequence[int]) -> None:
    """Tell of new cases: one card each, or one that lists all; those in a crisis or the backlog stay quiet."""
    rows = session.exec(
        select(Case)
        .where(col(Case.id).in_(case_ids), col(Case.crisis_id).is_(None), col(Case.backlog).is_(False))
        .order_by(col(Case.id))
    ).all()
    by_shop: dict[str | None, list[Case]] = {}
    for case in rows:
        by_shop.setdefault(case.shop_id, []).append(case)
    notices = []
    for shop_id, cases in by_shop.items():
        ids = [case.id for case in cases if case.id is not None]
        if len(ids) > core.settings.policy.case.single_cards:
            facts = {"case_ids": ids}
            notices.append(Notice("cases.opened", f"cases:{ids[0]}:opened", "case", ids[0], shop_id, facts))
        else:
            notices += [Notice("case.opened", f"case:{n}:opened:0", "case", n, shop_id) for n in ids]
    core.notify(session, notices)
