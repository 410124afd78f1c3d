"""One negative text under many accounts within a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from monitor import duplicates, scope
from monitor.core import Core
from monitor.groups import Group, commonest, unclaimed
from monitor.models import Crisis, CrisisFeedback, Feedback, Score
from monitor.states import worst

_WITHIN = timedelta(days=1)
_NEWEST = 1000  # negatives of a shop that are compared
LETTERS = 14
"""Buyers say shorter things in the same words by chance, and platforms fill in what they left out."""


_COLUMNS: Any = (
    Feedback.id,
    Feedback.text,
    Feedback.author_hash,
    Feedback.author,
    Feedback.order_ref,
    Score.severity,
    Score.categories,
)


@dataclass(frozen=True, slots=True)
class Copied:
    """One text from many accounts: what it is about, how bad, and where."""

    group: Group
    severity: str | None
    feedback_ids: tuple[int, ...]


def copied(core: Core, session: Session, shop_id: str | None, feedback_ids: Sequence[int]) -> list[Copied]:
    """Texts that enough accounts have, one of them among these feedbacks of the shop; those in a crisis left out."""
    shop = Feedback.shop_id == shop_id if shop_id is not None else col(Feedback.shop_id).is_(None)
    recent = Feedback.happened_at > core.clock.now() - _WITHIN
    rows = _telling(session, shop, col(Score.negative), col(Feedback.timely), recent, unclaimed())
    fresh = set(feedback_ids)
    if not any(row.id in fresh for row in rows):
        return []
    return [_copied(shop_id, rows) for rows in _texts(core, rows) if any(row.id in fresh for row in rows)]


def mostly(core: Core, session: Session, shop_id: str | None, feedback_ids: Sequence[int]) -> Copied | None:
    """The one text that at least half of a burst's feedbacks say, under enough accounts; None where there is none."""
    rows = _telling(session, col(Feedback.id).in_(feedback_ids[-_NEWEST:]))
    most = max(_texts(core, rows), key=len, default=[])
    return _copied(shop_id, most) if 2 * len(most) >= min(len(feedback_ids), _NEWEST) else None


def _telling(session: Session, *where: Any) -> list[Any]:
    """The newest of these feedbacks that are long enough, oldest first."""
    newest = select(*_COLUMNS).join(Score).where(*where).order_by(col(Feedback.id).desc()).limit(_NEWEST)
    rows = session.execute(newest).all()
    return [row for row in reversed(rows) if duplicates.letters(row.text) >= LETTERS]


def _texts(core: Core, rows: Sequence[Any]) -> list[list[Any]]:
    """Rows with one text under enough accounts."""
    enough = core.settings.policy.detect.copies
    if len(rows) < enough:
        return []
    found = [[rows[n] for n in group] for group in duplicates.groups([row.text for row in rows])]
    return [rows for rows in found if len({scope.who(row) for row in rows} - {""}) >= enough]


def _copied(shop_id: str | None, members: Sequence[Any]) -> Copied:
    category = commonest(code for row in members for code in row.categories[:1])
    severity = worst(*(row.severity for row in members))
    return Copied(Group(shop_id, category), severity, tuple(row.id for row in members))


def same_text(session: Session, crisis: Crisis, feedback_ids: Sequence[int]) -> set[int]:
    """Which of these feedbacks say what the crisis's copies say."""
    first = (
        select(Feedback.text)
        .join(CrisisFeedback, col(CrisisFeedback.feedback_id) == Feedback.id)
        .where(CrisisFeedback.crisis_id == crisis.id)
        .order_by(col(Feedback.id))
    )
    texts: list[Any] = list(session.exec(select(Feedback.id, Feedback.text).where(col(Feedback.id).in_(feedback_ids))))
    said = session.exec(first.limit(1)).first() or ""
    like = [group for group in duplicates.groups([said, *(text for _, text in texts)]) if group[0] == 0]
    return {texts[n - 1][0] for group in like for n in group[1:]}
