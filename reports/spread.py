"""How far a crisis went: when its feedbacks came, where they were written, what they share, what posts set off."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session

from monitor import models
from monitor.bulk import table
from monitor.spread import COUNTS
from reports.store import F, crisis_feedback, feedback, hour

_POINT = table(models.Spread)
_SHARED = ("product", "batch", "sku", "warehouse", "courier", "region")
_MOSTLY = 0.5  # of a crisis's feedbacks
_OFTEN = 0.25  # of them use the same words
_PLATFORMS = 5
_POSTS = 2000  # the newest of a crisis whose counts are summed
_HOUR = "%Y-%m-%d %H"


@dataclass(frozen=True)
class Spread:
    """How far a crisis went.

    Attributes:
        first_at: When the first of its feedbacks was written; None where there are none.
        last_at: The last.
        peak_at: The hour in which most were written.
        peak: How many.
        platforms: Where how many were written, most first; at most five.
        shared: Scope: what at least half of them have in common, as field, value and number.
        said: Words that many of them use, and how many; ("", 0) where there are none.
        verdict: ``copied``: nearly the same text from different accounts; ``independent``: different words from
            different accounts; ``unclear`` or "".
        copies: Texts of which another account has nearly the same.
        of: Texts that were compared, the newest.
        heat: Likes, reposts and comments of its posts, as far as known.
        heat_before: Their sum when each was first seen.
    """

    first_at: datetime | None = None
    last_at: datetime | None = None
    peak_at: datetime | None = None
    peak: int = 0
    platforms: list[tuple[str, int]] = field(default_factory=list)
    shared: list[tuple[str, str, int]] = field(default_factory=list)
    said: tuple[str, int] = ("", 0)
    verdict: str = ""
    copies: int = 0
    of: int = 0
    heat: dict[str, int] = field(default_factory=dict)
    heat_before: int = 0


def spread(session: Session, crisis_id: int, scope: Mapping[str, Any]) -> Spread:
    """How far a crisis went, whose ``scope`` is as `monitor.scope.grow` keeps it."""
    mine = feedback.join(crisis_feedback, crisis_feedback.c.feedback_id == F.id)
    here = crisis_feedback.c.crisis_id == crisis_id
    ends = select(func.min(F.happened_at), func.max(F.happened_at)).select_from(mine).where(here)
    each_hour = select(hour(session, F.happened_at).label("at"), func.count().label("n")).select_from(mine).where(here)
    busiest = session.execute(each_hour.group_by("at").order_by(func.count().desc(), "at").limit(1)).first()
    places = select(F.platform, func.count()).select_from(mine).where(here, F.platform != "").group_by(F.platform)
    first_at, last_at = session.execute(ends).one()
    heat, heat_before = _heat(session, crisis_id)
    copied = scope.get("spread", {})
    return Spread(
        first_at,
        last_at,
        datetime.strptime(busiest[0], _HOUR).replace(tzinfo=UTC) if busiest else None,
        busiest[1] if busiest else 0,
        sorted(((place, n) for place, n in session.execute(places)), key=lambda one: (-one[1], one[0]))[:_PLATFORMS],
        _shared(scope),
        _said(scope),
        copied.get("verdict", ""),
        copied.get("copies", 0),
        copied.get("of", 0),
        heat,
        heat_before,
    )


def _shared(scope: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    count = scope.get("count", 0)
    most = ((name, *pair) for name in _SHARED for pair in islice(scope.get(name, []), 1))
    return [(name, value, n) for name, value, n in most if count > 1 and n >= _MOSTLY * count]


def _said(scope: Mapping[str, Any]) -> tuple[str, int]:
    words, times = next(iter(scope.get("said", [])), ("", 0))
    return (words, times) if times > max(1, _OFTEN * scope.get("count", 0)) else ("", 0)


def _heat(session: Session, crisis_id: int) -> tuple[dict[str, int], int]:
    """What its posts count now, by kind, and what they counted in all when they were first seen."""
    here = (crisis_feedback.c.crisis_id == crisis_id, F.kind == "mention")
    posts = (
        select(F.id, F.extra)
        .join(crisis_feedback, crisis_feedback.c.feedback_id == F.id)
        .where(*here)
        .order_by(F.id.desc())
        .limit(_POSTS)
    )
    now = {post_id: _counts(extra) for post_id, extra in session.execute(posts)}
    point = _POINT.c
    mine = point.feedback_id.in_(select(crisis_feedback.c.feedback_id).where(here[0]))
    begun = select(point.feedback_id, *(point[name] for name in COUNTS)).where(point.step == 0, mine)
    first = {post_id: sum(n or 0 for n in counts) for post_id, *counts in session.execute(begun)}
    heat: Counter[str] = Counter()
    for counts in now.values():
        heat.update(counts)
    return dict(heat), sum(first.get(post_id, sum(counts.values())) for post_id, counts in now.items())


def _counts(extra: Mapping[str, Any]) -> dict[str, int]:
    return {name: n for name in COUNTS if isinstance(n := extra.get(name), int)}
