"""What rules that are tried would have made of the last seven days, as the API tells it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts.desk.api_models import Answer
from monitor.audit import subject_of
from monitor.foresight import Outlook
from monitor.hindsight import Deadlines, Moved, Quiet, Waiting
from monitor.models import Crisis


class Foreseen(Answer):
    """A crisis that would have opened, or one that did and would not."""

    id: int | None
    """The one that really opened; null where none did."""
    shop: str | None
    opened_at: datetime
    cause: str
    categories: list[str]
    product: str
    severity: str
    first: int
    """How many feedbacks opened it."""
    feedback_ids: list[int]


class _Looked(Answer):
    since: datetime
    """Seven days ago; later where there was too much to look at."""
    cut: bool
    """There was."""
    looked_at: int


class CrisesTried(_Looked):
    """What other rules of detection would have made of complaints."""

    foreseen: Sequence[Foreseen]
    missed: Sequence[Foreseen]
    """Opened by rule, and would not have."""


class DeadlineTried(Answer):
    """A deadline that would have been another."""

    subject: str
    id: int
    shop: str | None
    stage: str
    was: datetime
    would: datetime
    done: datetime | None
    was_late: bool
    would_be_late: bool


class ClocksTried(_Looked):
    """What other clocks would have made of deadlines."""

    moved: Sequence[DeadlineTried]
    late: int
    would_be_late: int
    calls: int
    """Reminders and steps of the ladder by the clocks that count now."""
    would_call: int


class ReminderTried(Answer):
    """A reminder that would have waited."""

    subject: str
    id: int
    shop: str | None
    stage: str
    step: str
    at: datetime
    until: datetime
    moot: bool
    """By then nothing would have come."""


class QuietTried(_Looked):
    """What other quiet hours would have made of reminders."""

    waited: int
    """As things are."""
    waiting: Sequence[ReminderTried]


Preview = CrisesTried | ClocksTried | QuietTried


def told(looked: Mapping[str, Any]) -> Preview:
    """What `alerts.desk.editing_rules.looked` saw."""
    if "outlook" in looked:
        return _crises(looked["outlook"])
    return _quiet(looked["quiet"]) if "quiet" in looked else _clocks(looked["deadlines"])


def _crises(seen: Outlook) -> CrisesTried:
    found = [
        _foreseen(one.crisis, id=one.real, first=one.first, feedback_ids=one.feedback_ids) for one in seen.foreseen
    ]
    missed = [_foreseen(one, id=one.id) for one in seen.missed]
    return CrisesTried(since=seen.since, cut=seen.cut, looked_at=seen.looked_at, foreseen=found, missed=missed)


def _foreseen(crisis: Crisis, **more: Any) -> Foreseen:
    names = ("opened_at", "cause", "categories", "product", "severity")
    about = {name: getattr(crisis, name) for name in names} | {"shop": crisis.shop_id}
    return Foreseen.model_validate(about | {"first": 0, "feedback_ids": []} | more)


def _clocks(seen: Deadlines) -> ClocksTried:
    names = ("since", "cut", "looked_at", "late", "would_be_late", "calls", "would_call")
    numbers = {name: getattr(seen, name) for name in names}
    mine = ("stage", "was", "would", "done", "was_late", "would_be_late")
    return ClocksTried(**numbers, moved=[DeadlineTried.model_validate(_about(one, mine)) for one in seen.moved])


def _quiet(seen: Quiet) -> QuietTried:
    numbers = {name: getattr(seen, name) for name in ("since", "cut", "looked_at", "waited")}
    mine = ("stage", "step", "at", "until", "moot")
    return QuietTried(**numbers, waiting=[ReminderTried.model_validate(_about(one, mine)) for one in seen.waiting])


def _about(one: Moved | Waiting, names: Sequence[str]) -> dict[str, Any]:
    row = {"subject": subject_of(one.row), "id": one.row.id, "shop": one.row.shop_id}
    return row | {name: getattr(one, name) for name in names}
