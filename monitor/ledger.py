"""What one pass did and what is open after it: CONTRACT's ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, func, select

from monitor import db, queries
from monitor.core import Core
from monitor.models import Case, Crisis, Feedback, Score, Timer
from monitor.states import CASE_OPEN, CRISIS_OPEN


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest rows before a pass; what comes after belongs to it."""

    feedback: int
    case: int
    crisis: int


def mark(core: Core) -> Mark:
    """Where the store stands now."""
    with db.reading(core.engine) as session:

        def newest(column: Any) -> int:
            return int(session.exec(select(func.coalesce(func.max(column), 0))).one())

        return Mark(newest(Feedback.id), newest(Case.id), newest(Crisis.id))


def ledger(core: Core, since: Mark, sources: Sequence[dict[str, Any]], fired: int, sent: int) -> dict[str, Any]:
    """The ledger of a pass that began at ``since``; balances as CONTRACT says."""
    with db.reading(core.engine) as session:

        def count(model: Any, *where: Any) -> int:
            return int(session.exec(select(func.count()).select_from(model).where(*where)).one())

        negative = (
            select(func.count()).select_from(Score).where(Score.feedback_id > since.feedback, col(Score.negative))
        )
        states = queries.unsent_counts(session)
        return {
            "sources": list(sources),
            "feedback": {
                "new": count(Feedback, col(Feedback.id) > since.feedback),
                "negative": session.exec(negative).one(),
            },
            "cases": {
                "opened": count(Case, col(Case.id) > since.case),
                "open": count(Case, col(Case.state).in_(CASE_OPEN)),
            },
            "crises": {
                "opened": count(Crisis, col(Crisis.id) > since.crisis),
                "open": count(Crisis, col(Crisis.state).in_(CRISIS_OPEN)),
            },
            "timers": {"fired": fired, "armed": count(Timer, Timer.state == "armed")},
            "outbox": {
                "sent": sent,
                "pending": states["pending"] + states["sending"],
                "uncertain": states["uncertain"],
                "dead": states["dead"],
            },
        }
