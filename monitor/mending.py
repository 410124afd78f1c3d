"""What a source tells only later of a feedback that is stored: its date, and when its 追评 was written.

Neither is an edit: it makes no version and moves no clock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, update
from sqlmodel import Session, col, select

from monitor.bulk import table, update_column
from monitor.models import Feedback, Score

_FOLLOWUP_AT = "followup_at"
_DATED = ("external_id", "created_at", "happened_at", "timely")


@dataclass(frozen=True, slots=True)
class Mended:
    """What was missing of a known feedback.

    Attributes:
        dated: Those of its columns that follow from its date; empty where it had one, or still has none.
        extra: Its extra with the time of the 追评; None where there is nothing new.
    """

    feedback_id: int
    dated: dict[str, Any]
    extra: dict[str, Any] | None


def undated(session: Session, source_id: int, ids: Collection[str]) -> dict[str, Feedback]:
    """Feedbacks by the ids they have because nobody could read their dates."""
    if not ids:
        return {}
    rows = select(Feedback).where(
        Feedback.source_id == source_id, col(Feedback.external_id).in_(ids), col(Feedback.created_at).is_(None)
    )
    return {row.external_id: row for row in session.exec(rows)}


def look(again: Iterable[tuple[Feedback, Mapping[str, Any]]]) -> list[Mended]:
    """What is missing of known feedbacks and was read now.

    Args:
        again: Known rows, each with the row that was made now.
    """
    found = (_look(known, row) for known, row in again)
    return [one for one in found if one.dated or one.extra]


def _look(known: Feedback, row: Mapping[str, Any]) -> Mended:
    assert known.id is not None
    dated = known.created_at is None and row["created_at"] is not None
    at = row["extra"].get(_FOLLOWUP_AT)
    return Mended(
        known.id,
        {name: row[name] for name in _DATED} if dated else {},
        {**known.extra, **row["extra"]} if at and _FOLLOWUP_AT not in known.extra else None,
    )


def write(session: Session, mended: Sequence[Mended]) -> None:
    """Fill in what ``look`` found; a date that is there by now stays."""
    update_column(session, Feedback, "extra", {one.feedback_id: one.extra for one in mended if one.extra})
    rows = [{"row_id": one.feedback_id, **{f"new_{k}": v for k, v in one.dated.items()}} for one in mended if one.dated]
    if rows:
        target = table(Feedback)
        statement = update(target).where(target.c.id == bindparam("row_id"), target.c.created_at.is_(None))
        session.execute(statement.values({name: bindparam(f"new_{name}") for name in _DATED}), rows)
        now = select(Feedback.happened_at).where(Feedback.id == Score.feedback_id).scalar_subquery()
        dated = col(Score.feedback_id).in_([row["row_id"] for row in rows])
        session.execute(update(Score).where(dated).values(happened_at=now))
