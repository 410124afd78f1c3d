"""What cases and detection are told of a feedback that was just stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from monitor.incoming import FOLLOWUP_MARK
from monitor.models import Feedback

Change = Literal["", "edited", "followup", "replied", "deleted", "restored"]
"""What became of a known feedback: the writer changed his words, or added some (追评); the shop answered; it was taken
down, or is to be seen again."""

_WORDS = ("title", "text", "stars")


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
    question: bool = False  # its source brings buyers' questions: it opens a case whatever its tone
    replied: bool = False  # the shop's public answer stands under it
    tier: str = ""  # the customer's, where the source tells it


def join_key(shop_id: str | None, order_ref: str, author_hash: str, product: str) -> str:
    """What makes two feedbacks one case; empty where nothing ties them together."""
    if order_ref:
        return f"{shop_id}|order:{order_ref}"
    return f"{shop_id}|{author_hash}|{product}" if author_hash else ""


def reworded(known: Feedback, row: Mapping[str, Any]) -> bool:
    """Whether the writer says something else than before."""
    return any(getattr(known, name) != row[name] for name in _WORDS)


def what_changed(known: Feedback, row: Mapping[str, Any]) -> Change:
    """What an edit is about; where several things changed, what matters most to the case."""
    if row["deleted"] != known.deleted:
        return "deleted" if row["deleted"] else "restored"
    before, after = (text.partition(FOLLOWUP_MARK)[2] for text in (known.text, row["text"]))
    if after and after != before:
        return "followup"
    return "edited" if reworded(known, row) else "replied"
