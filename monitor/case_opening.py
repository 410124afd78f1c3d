"""Opening cases in bulk, with their clocks, their events and, where the policy says so, their holders."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from monitor import assign, case_clocks, clocks, timers
from monitor.assign import Pick, Pool
from monitor.bulk import insert_numbered, insert_rows
from monitor.core import Core
from monitor.fresh import Fresh
from monitor.models import Case, Event
from monitor.states import worst

Group = Sequence[Fresh]


def open_cases(core: Core, session: Session, groups: Sequence[Group], now: datetime) -> dict[int, int]:
    """Open one case a group.

    Returns:
        feedback id → case id.
    """
    if not groups:
        return {}
    rows = [_row(core, group, now) for group in groups]
    picks = _assign(core, session, rows, now)
    ids = insert_numbered(session, Case, rows)
    armed: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for case_id, row, pick in zip(ids, rows, picks, strict=True):
        if not row["backlog"]:
            armed += _timers(core, case_id, row, now)
        events += _events(case_id, row, pick, now)
    timers.arm(session, armed)
    insert_rows(session, Event, events)
    return {item.feedback_id: case_id for case_id, group in zip(ids, groups, strict=True) for item in group}


def _row(core: Core, group: Group, now: datetime) -> dict[str, Any]:
    lead = group[0]
    kind = "question" if lead.question else lead.kind
    severity = worst(*(item.severity for item in group))
    codes = list(dict.fromkeys(code for item in group for code in item.categories))
    answered = all(item.replied for item in group)
    return {
        "shop_id": lead.shop_id,
        "kind": kind,
        "state": "answered" if answered else "received",
        "severity": severity,
        "categories": codes,
        "join_key": "" if lead.question else lead.join_key,
        "tier": next((item.tier for item in group if item.tier), ""),
        "backlog": all(item.stale for item in group),
        "opened_at": now,
        "updated_at": now,
        "assignee_id": None,
        "answered_at": now if answered else None,
        "policy": case_clocks.snapshot(core.settings.policy.case, kind, severity, codes),
        "version": 1,
    }


def _assign(core: Core, session: Session, rows: Sequence[dict[str, Any]], now: datetime) -> list[Pick | None]:
    """Choose holders; what is old waits for whoever takes it."""
    if core.settings.policy.assign.mode != "auto":
        return [None] * len(rows)
    pool = Pool(session, core.settings, now)
    picks = [None if row["backlog"] else pool.pick(row["shop_id"], row["categories"], row["tier"]) for row in rows]
    for row, pick in zip(rows, picks, strict=True):
        if pick is not None:
            row["assignee_id"] = pick.person.id
            row["state"] = assign.held(row["state"])
    return picks


def _timers(core: Core, case_id: int, row: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
    armed = timers.case_rows(case_id, now, row["policy"], settings=core.settings)
    if row["answered_at"]:  # before we saw it: nothing is owed but the solution
        armed = [timer for timer in armed if timer["stage"] != "respond"]
    if row["state"] == "assigned" and row["policy"]["stalled"]:
        asked = clocks.due(now, row["policy"]["stalled"], row["policy"], core.settings)
        armed += clocks.rows({"stalled": asked}, "progress", 0, case_id=case_id)
    return armed


def _events(case_id: int, row: dict[str, Any], pick: Pick | None, now: datetime) -> list[dict[str, Any]]:
    state = "answered" if row["answered_at"] else "received"
    opened = {name: row[name] for name in ("severity", "categories", "tier") if row[name]}
    told: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("opened", {}, {"state": state, **opened, "rule": row["policy"]["rule"]})
    ]
    if pick is not None:
        told.append(("assign", {"state": state, "assignee_id": None}, assign.told(row["state"], pick)))
    return [
        {
            "at": now,
            "actor": assign.ACTOR,
            "door": "system",
            "subject": "case",
            "subject_id": case_id,
            "what": what,
            "before": before,
            "after": said,
        }
        for what, before, said in told
    ]
