"""What there is to tell people; ``alerts`` turns notices into outbox rows in the same transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlmodel import Session

Kind = Literal[
    "crisis.opened",  # a new card
    "crisis.updated",  # the card is edited in place; nobody is pinged; facts of a person's act: {"acted": {…}}
    "crisis.grew",  # the card is edited and people are pinged: volume doubled or severity rose
    "case.opened",
    "case.updated",
    "cases.opened",  # many at once: one card that lists them; facts: {"case_ids": […]}
    "cases.overdue",  # facts: {"case_ids": […], "stage", "step"}
    "timer.reminder",  # facts of every timer.*: {"stage", "due_at" (ISO), "rung" (timer.rung only: policies.Rung)}
    "timer.breached",
    "timer.rung",
    "timer.stalled",  # facts: {"stage": "progress", "since" (ISO), "rung" (once the holder was told often enough)}
    "timers.digest",  # subject "timers"; facts as `monitor.overdue.digest` gives them
    "rota.handover",  # subject "rota"; facts as `monitor.handover` gives them
    "source.trouble",  # subject "source"; facts: {"name", "error", "since" (ISO or "")}
    "source.recovered",
    "source.expiring",  # credentials end within days; facts as of source.trouble, "error" says when
    "clock.jumped",  # subject "clock"; facts: {"how": "jump" | "skew", "seconds" (+ ahead, - behind), "host"}
    "indicator.worse",  # subject "indicator"; facts: {"name", "value", "industry", "limit", "day" (ISO)}
    "upkeep.trouble",  # subject "upkeep"; facts: {"says", "todo", "since" (ISO), "host" or "", "channels": […]}
    "upkeep.recovered",  # as that, with "lasted" in place of "todo"
    "outbox.dead",  # subject "outbox"; facts: {"channel", "target", "kind", "error"}
]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that people should hear of, once.

    Attributes:
        kind: What happened.
        key: The dedupe key: the same notice raised twice is sent once, e.g. ``crisis:12:respond:deadline:0``.
        subject: ``crisis``, ``case``, ``source``, ``outbox``, ``timers``, ``upkeep`` or ``clock``.
        subject_id: Its id.
        shop_id: The shop concerned; None for the house itself or a brand's mention.
        facts: What the card cannot read from the store at sending time.
    """

    kind: Kind
    key: str
    subject: str
    subject_id: int
    shop_id: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


Notify = Callable[[Session, Sequence[Notice]], None]
