"""Cases: every negative feedback opens one or joins the one about the same order, or the same buyer and product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import insert
from sqlmodel import Session, col, func, select

from monitor import timers
from monitor.audit import change, record, updated
from monitor.bulk import insert_rows, table, update_column
from monitor.core import Core
from monitor.models import Case, Event, Feedback, Timer
from monitor.notices import Notice
from monitor.policies import CasePolicy
from monitor.states import CASE_OPEN, worst

_REOPENABLE = ("answered", "resolved", "closed")

Change = Literal["", "edited", "followup", "replied", "deleted", "restored"]
"""What became of a known feedback: the writer changed his words, or added some (追评); the shop answered; it was taken
down, or is to be seen again."""

_HAPPENED: Mapping[Change, str] = {
    "": "feedback.added",
    "edited": "feedback.changed",
    "followup": "feedback.followup",
    "replied": "feedback.replied",
    "deleted": "feedback.deleted",
    "restored": "feedback.restored",
}


@dataclass(frozen=True, slots=True)
class Fresh:
    """A feedback just stored, as cases and detection look at it."""

    feedback_id: int
    shop_id: str | None
    kind: str
    product: str
    join_key: str
    negative: bool
    severity: str | None
    categories: tuple[str, ...]
    happened_at: datetime
    timely: bool
    stale: bool = False  # too old, or of an unknown past: kept and counted, but no clock runs and nobody is called
    change: Change = ""
    case_id: int | None = None


def join_key(shop_id: str | None, order_ref: str, author_hash: str, product: str) -> str:
    """What makes two feedbacks one case; empty where nothing ties them together."""
    if order_ref:
        return f"{shop_id}|order:{order_ref}"
    return f"{shop_id}|{author_hash}|{product}" if author_hash else ""


def file_feedback(core: Core, session: Session, batch: Sequence[Fresh]) -> list[int]:
    """Put each negative feedback of a batch into a case, open or new; bring cases of edited feedbacks up to date.

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
        elif item.negative:
            opening.setdefault(item.join_key or f"#{item.feedback_id}", []).append(item)
    case_of = {feedback_id: case.id for feedback_id, case in homes.items() if case.id is not None}
    opened = _open(core, session, list(opening.values()), now)
    case_of |= opened
    update_column(session, Feedback, "case_id", case_of)
    return list(dict.fromkeys(opened.values()))


def _existing(session: Session, batch: Sequence[Fresh]) -> dict[int, Case]:
    """The case each feedback belongs to already, or joins because one with its key is still open."""
    ids = {item.case_id for item in batch if item.case_id is not None}
    keys = {item.join_key for item in batch if item.negative and item.join_key}
    cases = session.exec(
        select(Case).where(col(Case.id).in_(ids) | (col(Case.join_key).in_(keys) & col(Case.state).in_(CASE_OPEN)))
    ).all()
    by_id = {case.id: case for case in cases}
    by_key = {case.join_key: case for case in cases if case.state in CASE_OPEN}
    homes = {}
    for item in batch:
        case = by_id.get(item.case_id) if item.case_id else (by_key.get(item.join_key) if item.negative else None)
        if case is not None:
            homes[item.feedback_id] = case
    return homes


def _add(core: Core, session: Session, case: Case, item: Fresh, now: datetime) -> None:
    values = _worse(core, case, item) if item.negative else {}
    before = {"state": case.state, "severity": case.severity}
    what = _HAPPENED[item.change]
    if values.get("state") == "received":
        what = "reopened"
    policy = values.get("policy", case.policy)
    if what == "reopened" or values.get("backlog") is False:
        _rearm(session, case, now, policy)
    elif policy != case.policy and not case.backlog:
        timers.tighten(session, case, now, policy)
    change(session, case, now, **values)
    after = {
        "state": case.state,
        "severity": case.severity,
        "feedback_id": item.feedback_id,
        "negative": item.negative,
        "change": item.change,
    }
    record(session, now, case, what, before=before, after=after)
    again = what == "reopened" and case.crisis_id is None
    core.notify(session, [_called(session, case) if again or values.get("backlog") is False else updated(case)])


def _worse(core: Core, case: Case, item: Fresh) -> dict[str, Any]:
    """What one more complaint changes about a case: it may reopen it, wake it from the backlog, shorten its clocks."""
    severity = worst(case.severity, item.severity)
    values: dict[str, Any] = {
        "severity": severity,
        "categories": list(dict.fromkeys([*case.categories, *item.categories])),
    }
    if severity != case.severity:
        values["policy"] = _snapshot(core.settings.policy.case, case.kind, severity)
    if case.backlog and not item.stale:
        values["backlog"] = False
    if case.state in _REOPENABLE and item.change in ("edited", "followup") and not item.stale:
        values |= {"state": "received", "answered_at": None, "resolved_at": None, "closed_at": None}
    return values


def _called(session: Session, case: Case) -> Notice:
    """People are called to a case that woke or came back: a new card, once for each generation of its clocks."""
    assert case.id is not None
    return Notice("case.opened", f"case:{case.id}:opened:{_generation(session, case)}", "case", case.id, case.shop_id)


def _rearm(session: Session, case: Case, now: datetime, policy: dict[str, Any]) -> None:
    assert case.id is not None
    timers.cancel(session, case)
    timers.arm(session, timers.case_rows(case.id, now, policy, _generation(session, case) + 1))


def _generation(session: Session, case: Case) -> int:
    last = session.exec(select(func.max(Timer.generation)).where(Timer.case_id == case.id)).one()
    return last if last is not None else -1


def _open(core: Core, session: Session, groups: Sequence[Sequence[Fresh]], now: datetime) -> dict[int, int]:
    """Open one case a group, in bulk.

    Returns:
        feedback id → case id.
    """
    if not groups:
        return {}
    rows = [_row(core, group, now) for group in groups]
    statement = insert(table(Case)).returning(col(Case.id), sort_by_parameter_order=True)
    ids = list(session.execute(statement, rows).scalars())
    armed: list[dict[str, Any]] = []
    events = []
    for case_id, row in zip(ids, rows, strict=True):
        if not row["backlog"]:
            armed += timers.case_rows(case_id, now, row["policy"])
        after = {"state": "received", "severity": row["severity"], "categories": row["categories"]}
        events.append(
            {
                "at": now,
                "actor": "评哨",
                "door": "system",
                "subject": "case",
                "subject_id": case_id,
                "what": "opened",
                "before": {},
                "after": after,
            }
        )
    timers.arm(session, armed)
    insert_rows(session, Event, events)
    return {item.feedback_id: case_id for case_id, group in zip(ids, groups, strict=True) for item in group}


def _row(core: Core, group: Sequence[Fresh], now: datetime) -> dict[str, Any]:
    lead = group[0]
    severity = worst(*(item.severity for item in group))
    return {
        "shop_id": lead.shop_id,
        "kind": lead.kind,
        "state": "received",
        "severity": severity,
        "categories": list(dict.fromkeys(code for item in group for code in item.categories)),
        "join_key": lead.join_key,
        "backlog": all(item.stale for item in group),
        "opened_at": now,
        "updated_at": now,
        "policy": _snapshot(core.settings.policy.case, lead.kind, severity),
        "version": 1,
    }


def _snapshot(policy: CasePolicy, kind: str, severity: str) -> dict[str, Any]:
    clock = policy.mention if kind == "mention" else getattr(policy, severity)
    return {
        "respond": clock.respond.total_seconds(),
        "solve": clock.solve.total_seconds(),
        "remind_before": policy.remind_before.total_seconds(),
    }


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
