"""How a mention spreads: its likes, reposts and comments, taken again at growing intervals after it was first seen."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from monitor.bulk import insert_rows, update_column, upsert
from monitor.models import Feedback, Spread

COUNTS = ("likes", "reposts", "comments")
STEPS = tuple(timedelta(minutes=minutes) for minutes in (10, 60, 6 * 60, 24 * 60, 72 * 60))
"""Ages at which a mention's counts are wanted."""

_LAST = STEPS[-1] + timedelta(days=1)  # an older one is not asked for any more
_MOST = 2**31 - 1  # what a column holds


@dataclass(slots=True)
class Seen:
    """A known feedback that was seen again with other counts, or at an age at which they are wanted.

    Attributes:
        extra: Its extra with the new counts; None where they are the old ones.
        points: Rows of ``Spread``.
    """

    feedback_id: int
    extra: dict[str, Any] | None = None
    points: list[dict[str, Any]] = field(default_factory=list)


def look(session: Session, again: Iterable[tuple[Feedback, Mapping[str, Any]]], now: datetime) -> list[Seen]:
    """What is to be written of feedbacks seen again; of reviews only what changed.

    Args:
        again: Known rows, each with the extra that was read now.
    """
    counted = [(known, {**extra, **_counts(extra)}) for known, extra in again]
    told = [
        (known, extra)
        for known, extra in counted
        if (counts := _counts(extra)) and (known.kind == "mention" or counts != _counts(known.extra))
    ]
    steps = _steps(session, [known.id for known, _ in told if known.id is not None])
    seen = (_seen(known, extra, steps.get(known.id or 0, {}), now) for known, extra in told)
    return [one for one in seen if one.extra or one.points]


def _seen(known: Feedback, extra: dict[str, Any], steps: dict[int, bool], now: datetime) -> Seen:
    assert known.id is not None
    before, counts = _counts(known.extra), _counts(extra)
    seen = Seen(known.id, {**known.extra, **extra} if counts != before else None)
    step = _step(known, now)
    if step and not steps.get(step):
        if before and 0 not in steps:
            seen.points.append(_point(known.id, 0, known.first_seen_at, before))
        seen.points.append(_point(known.id, step, now, counts))
    return seen


def write(session: Session, seen: Sequence[Seen]) -> None:
    """Store what ``look`` found; a point that is there already is overwritten."""
    update_column(session, Feedback, "extra", {one.feedback_id: one.extra for one in seen if one.extra})
    rows = [point for one in seen for point in one.points]
    upsert(session, Spread, rows, ("feedback_id", "step"), change=("at", *COUNTS))


def book(session: Session, source_id: int, now: datetime, most: int) -> list[dict[str, str]]:
    """Mentions whose counts are due, newest first; each is given once a step, whatever it answers.

    Args:
        most: So many at most; the others are due in the next run, at the step they have reached by then.

    Returns:
        ``id``, ``url`` and ``thread`` of each, as its source gave them.
    """
    young = select(Feedback).where(
        Feedback.source_id == source_id,
        Feedback.kind == "mention",
        col(Feedback.deleted).is_(False),
        Feedback.first_seen_at > now - _LAST,
    )
    rows = [row for row in session.exec(young.order_by(col(Feedback.id).desc())) if _counts(row.extra)]
    steps = _steps(session, [row.id for row in rows if row.id is not None])
    due = [(row, step) for row in rows if (step := _step(row, now)) and step not in steps.get(row.id or 0, {})]
    insert_rows(session, Spread, [_point(row.id or 0, step, now, {}) for row, step in due[:most]])
    return [
        {"id": row.external_id, "url": row.url, "thread": str(row.extra.get("thread", ""))} for row, _ in due[:most]
    ]


def _step(known: Feedback, now: datetime) -> int:
    return bisect_right(STEPS, now - known.first_seen_at)


def _steps(session: Session, ids: Sequence[int]) -> dict[int, dict[int, bool]]:
    """Feedback id → step → whether its counts are known."""
    steps: dict[int, dict[int, bool]] = {}
    for point in session.exec(select(Spread).where(col(Spread.feedback_id).in_(ids))):
        known = any(getattr(point, name) is not None for name in COUNTS)
        steps.setdefault(point.feedback_id, {})[point.step] = known
    return steps


def _counts(extra: Mapping[str, Any]) -> dict[str, int]:
    return {name: min(extra[name], _MOST) for name in COUNTS if isinstance(extra.get(name), int)}


def _point(feedback_id: int, step: int, at: datetime, counts: Mapping[str, int]) -> dict[str, Any]:
    return {"feedback_id": feedback_id, "step": step, "at": at} | {name: counts.get(name) for name in COUNTS}
