"""Posts that reach many people, or more and more of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from monitor import spread
from monitor.core import Core
from monitor.groups import unclaimed
from monitor.models import Feedback, Score, Spread
from monitor.policies import DetectPolicy

_HOUR = timedelta(hours=1)


def spreading(core: Core, session: Session, feedback_ids: Sequence[int]) -> list[tuple[Feedback, Score]]:
    """Which of these are negative posts, in no crisis yet, whose reach or growth passes the policy's figures.

    Reach is likes, reposts and comments taken together. Counts are taken at growing intervals: so many more in three
    hours as would be needed in each of them count as growth too.
    """
    now, policy = core.clock.now(), core.settings.policy.detect
    posts = session.exec(
        select(Feedback, Score)
        .join(Score)
        .where(
            col(Feedback.id).in_(feedback_ids),
            Feedback.kind == "mention",
            col(Score.negative),
            col(Feedback.timely),
            col(Feedback.deleted).is_(False),
            Feedback.happened_at >= now - policy.max_age,
            unclaimed(),
        )
        .order_by(col(Feedback.id))
    ).all()
    counted = [(row, score, reach) for row, score in posts if (reach := reach_of(row.extra))]
    doubtful = [row.id or 0 for row, _, reach in counted if policy.growth <= reach < policy.reach]
    before = points(session, doubtful, now)
    return [(row, score) for row, score, reach in counted if passes(policy, now, reach, before.get(row.id or 0, ()))]


def passes(policy: DetectPolicy, at: datetime, reach: int, before: Iterable[tuple[datetime, int]]) -> bool:
    """Whether a post's reach, or its growth over any of the earlier counts, passes the policy's figures."""
    return reach >= policy.reach or any(
        reach - then >= policy.growth * max(1.0, (at - earlier) / _HOUR) for earlier, then in before
    )


def reach_of(counts: Mapping[str, Any]) -> int:
    """Likes, reposts and comments taken together."""
    return sum(found for name in spread.COUNTS if isinstance(found := counts.get(name), int))


def points(session: Session, ids: Sequence[int], now: datetime) -> dict[int, list[tuple[datetime, int]]]:
    """Post → what it reached at the times before now at which it was looked at."""
    found: dict[int, list[tuple[datetime, int]]] = {}
    for point in session.exec(select(Spread).where(col(Spread.feedback_id).in_(ids), Spread.at < now)):
        if (point.likes, point.reposts, point.comments) != (None, None, None):
            found.setdefault(point.feedback_id, []).append((point.at, reach_of(point.model_dump())))
    return found
