"""Whom a crisis concerns: one row for each order, or each buyer where the order is not known; nothing personal."""

from collections.abc import Iterator
from typing import Any

from sqlmodel import Session, col, select

from monitor.models import CrisisFeedback, Feedback, Score
from monitor.scope import shared, who
from monitor.states import SEVERITIES, worst

_CHUNK = 500


def affected(session: Session, crisis_id: int) -> Iterator[dict[str, Any]]:
    """The buyers of a crisis in the order of their first words.

    Yields:
        shop, platform, order_ref, author (masked), author_hash, product, sku, warehouse, courier, feedback_ids,
        first_at, severity (the worst), stars (the fewest).
    """
    mine = (
        select(Feedback, Score.severity)
        .join(Score, isouter=True)
        .join(CrisisFeedback, col(CrisisFeedback.feedback_id) == Feedback.id)
        .where(CrisisFeedback.crisis_id == crisis_id)
        .order_by(col(Feedback.happened_at), col(Feedback.id))
    )
    rows: dict[str, dict[str, Any]] = {}
    for feedback, severity in session.exec(mine.execution_options(yield_per=_CHUNK)):
        key = f"{feedback.platform}|{feedback.order_ref or who(feedback) or feedback.id}"
        row = rows.setdefault(key, _row(feedback))
        row["feedback_ids"].append(feedback.id)
        row["severity"] = worst(row["severity"] or SEVERITIES[0], severity)
        row["stars"] = min((n for n in (row["stars"], feedback.stars) if n is not None), default=None)
    yield from rows.values()


def _row(feedback: Feedback) -> dict[str, Any]:
    facts = shared(feedback)
    return {
        "shop": feedback.shop_id,
        "platform": feedback.platform,
        "order_ref": feedback.order_ref,
        "author": feedback.author,
        "author_hash": feedback.author_hash,
        "product": feedback.product,
        **{name: facts.get(name, "") for name in ("sku", "warehouse", "courier")},
        "feedback_ids": [],
        "first_at": feedback.happened_at,
        "severity": None,
        "stars": None,
    }
