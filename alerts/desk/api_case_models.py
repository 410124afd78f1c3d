"""What the API answers with about cases and crises."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts.desk.api_models import Answer, Clock, Happened, SaidInFull


class CaseLine(Answer):
    """A case in a list."""

    id: int
    shop: str | None
    kind: str
    state: str
    severity: str
    categories: list[str]
    opened_at: datetime
    updated_at: datetime
    assignee: str | None
    crisis_id: int | None
    quote: str
    """The beginning of its newest feedback."""
    due_at: datetime | None
    """Its next deadline, or the first that was missed."""
    late: bool


class _InFull(Answer):
    clocks: Sequence[Clock]
    feedback: Sequence[SaidInFull]
    """The newest 50; the others by ``/feedback?case=`` or ``?crisis=``."""
    feedback_count: int
    events: Sequence[Happened]
    """The latest 200, the newest first."""
    drafts: Sequence[str]
    """Replies to take over and edit."""
    actions: Sequence[str]
    """What the caller's role may do to it now."""


class CaseInFull(_InFull):
    """A case."""

    id: int
    shop: str | None
    kind: str
    state: str
    severity: str
    categories: list[str]
    tier: str
    backlog: bool
    opened_at: datetime
    updated_at: datetime
    assignee: str | None
    crisis_id: int | None
    answered_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None


class CrisisLine(Answer):
    """A crisis in a list."""

    id: int
    shop: str | None
    kind: str
    state: str
    cause: str
    severity: str
    categories: list[str]
    product: str
    opened_at: datetime
    updated_at: datetime
    assignee: str | None
    merged_into: int | None
    clocks: Sequence[Clock]


class CrisisInFull(_InFull, CrisisLine):
    """A crisis; ``notices`` are the ways those concerned were told."""

    acknowledged_at: datetime | None
    notified_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    members: str
    facts: str
    plan: str
    result: str
    review: str
    notices: Mapping[str, Any]
    scope: Mapping[str, Any]
