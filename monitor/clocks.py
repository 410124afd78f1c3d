"""When the clocks of a policy run out, and the rows of timers that say so."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, literal_column
from sqlmodel import col

from monitor import hours
from monitor.models import Case, Crisis, Timer
from monitor.settings import Settings

ARMED = Timer.state == literal_column("'armed'")
"""No parameter: a plan made for any state cannot use the index of the armed ones."""
UNMET = and_(
    col(Timer.step) == literal_column("'deadline'"),
    col(Timer.met_at).is_(None),
    col(Timer.state).in_((literal_column("'armed'"), literal_column("'breached'"))),
)
"""Deadlines that run or have passed; no parameter, for the same reason."""


def with_reminder(start: datetime, span: float, policy: dict[str, Any], settings: Settings) -> dict[str, datetime]:
    """In business hours the reminder comes when ``remind_before`` of them is left, so never at night."""
    deadline = {"deadline": due(start, span, policy, settings)}
    early = span - policy["remind_before"]
    return ({"reminder": due(start, early, policy, settings)} if 0 < early < span else {}) | deadline


def due(start: datetime, seconds: float, policy: dict[str, Any], settings: Settings) -> datetime:
    """The moment at which so many seconds have passed on the policy's clock: the wall's, or that of working hours."""
    span = timedelta(seconds=seconds)
    if policy.get("hours", "wall") == "business":
        return hours.after(start, span, settings.calendar, settings.zone)
    return start + span


def rows(
    steps: dict[str, datetime],
    stage: str,
    generation: int,
    case_id: int | None = None,
    crisis_id: int | None = None,
) -> list[dict[str, Any]]:
    """Armed timers of a stage of one case or crisis, from step → due time."""
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


def stalled(row: Case | Crisis, generation: int, now: datetime, settings: Settings) -> list[dict[str, Any]]:
    """The timer that asks after a row on which nothing happens from now on; none where the policy has none."""
    silence = row.policy.get("stalled", 0)
    if not silence:
        return []
    whose = {"case_id": row.id} if isinstance(row, Case) else {"crisis_id": row.id}
    return rows({"stalled": due(now, silence, row.policy, settings)}, "progress", generation, **whose)


def owner(row: Case | Crisis) -> Any:
    """The condition that a timer is this row's."""
    return Timer.case_id == row.id if isinstance(row, Case) else Timer.crisis_id == row.id
