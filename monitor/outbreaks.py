"""The rule by which complaints become crises, apart from any store: who belongs, what is alike, what is unusual."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from monitor import groups
from monitor.bursts import Norm
from monitor.fresh import Fresh
from monitor.groups import Group
from monitor.models import Crisis
from monitor.policies import DetectPolicy

REACH = (1, 2, 4)
"""Complaints of so many windows are taken together: what one alone leaves open, several may show."""
RECENT = timedelta(hours=24)
"""A burst that ended longer ago is history, not a crisis."""
HANDFUL = 0.1
"""Of a burst's feedbacks: so few that say the same are its buyers' common words."""


def belongs(item: Fresh, crisis: Crisis, copied: Mapping[int | None, Collection[int]]) -> bool:
    """Whether a complaint is one more of a running crisis.

    Args:
        item: The complaint.
        crisis: The crisis.
        copied: For crises of copies: which complaints say the same.
    """
    return (
        item.shop_id == crisis.shop_id
        and (_about(crisis, item) or any(code in item.categories for code in crisis.also))
        and (crisis.cause != "copies" or item.feedback_id in copied[crisis.id])
        # a critical text of its own kind deserves its own alarm unless the crisis is about just that
        and (item.severity != "critical" or next(iter(item.categories), "") in (crisis.category, *crisis.also))
    )


def _about(crisis: Crisis, item: Fresh) -> bool:
    named = not crisis.category or crisis.category in item.categories
    return named and (not crisis.product or crisis.product == item.product)


def alike(crisis: Crisis, group: Group, cause: str) -> bool:
    """Whether a crisis is about what breaks out now."""
    same = (crisis.category, crisis.product) == (group.category, group.product) or group.category in crisis.also
    return crisis.shop_id == group.shop_id and same and (crisis.cause == "copies") == (cause == "copies")


def candidates(items: Sequence[Fresh]) -> list[tuple[Group, datetime]]:
    """Groups in which a burst may show, each with its latest complaint.

    The narrower the group, the better it names the cause: categories, the largest first, then products, then the shop.
    """
    found: dict[Group, list[datetime]] = defaultdict(list)
    for item in items:
        for group in groups.of(item):
            found[group].append(item.happened_at)
    order = sorted(found, key=lambda g: (not g.category, not g.product, -len(found[g]), g.category, g.product))
    return [(group, max(found[group])) for group in order]


def unusual(
    policy: DetectPolicy,
    end: datetime,
    counts: Sequence[int],
    totals: Callable[[Sequence[datetime], datetime], Sequence[int]],
    usual: Callable[[datetime], Norm],
) -> datetime | None:
    """Where the shortest time begins in which a group's complaints are unusual; None where they are usual.

    Args:
        policy: Count and window.
        end: When the latest of them happened.
        counts: How many there are in each of `windows`.
        totals: How many feedbacks of the shop each window has, asked for only where there are enough complaints.
        usual: What is usual for the group at a window's start.
    """
    if counts[0] < policy.burst_count:
        return None
    starts = windows(policy, end)
    for start, total, count in zip(starts, totals(starts, end), counts, strict=True):
        if usual(start).broken(count, total, (end - start) / timedelta(hours=1)):
            return start
    return None


def windows(policy: DetectPolicy, end: datetime) -> list[datetime]:
    """Where the times begin in which complaints are counted together."""
    return [end - policy.burst_window * times for times in REACH]
