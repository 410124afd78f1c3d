"""What makes feedback a crisis: one critical text, or more complaints at once than the shop's history explains.

A promotion brings more of everything; so a burst is judged by the *share* of complaints among all feedback in the
window, against that shop's share over four weeks, and only then by the count.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast
from sqlmodel import Session, col, func, select

from monitor import crises
from monitor.core import Core
from monitor.fresh import Fresh
from monitor.models import Crisis, CrisisFeedback, Feedback, Score
from monitor.states import CRISIS_OPEN, worst

_HISTORY = timedelta(days=28)
_RECENT = timedelta(hours=24)  # a burst that ended longer ago is history, not a crisis
_CHANCE = 1e-3  # a burst this unlikely under the shop's own norm is one
_PRIOR = (0.5, 20.0)  # half a complaint in twenty feedbacks, for a shop without history
_LARGE = 500.0
_GROWN = 1.25  # times as many feedbacks before a past is counted again
_PASTS = 10_000  # counted pasts that are kept
_MOSTLY_COMPLAINTS = 0.5  # a source that carries little else is judged by volume instead of share


@dataclass(frozen=True, slots=True)
class Group:
    """Feedbacks that may have one cause: of one shop, and one category or product."""

    shop_id: str | None
    category: str = ""
    product: str = ""


def detect(core: Core, session: Session, batch: Sequence[Fresh]) -> list[int]:
    """Add a batch's negatives to running crises, or open new ones.

    Returns:
        Ids of the crises opened.
    """
    policy = core.settings.policy.detect
    left = [item for item in batch if item.negative and not item.stale]
    if not left:
        return []
    left = _join_running(core, session, left)
    opened: list[int] = []
    if policy.critical_opens_crisis:
        opened += _open_critical(core, session, left)
    taken = _taken(session, left)
    return opened + _open_bursts(core, session, [item for item in left if item.feedback_id not in taken])


def _join_running(core: Core, session: Session, items: Sequence[Fresh]) -> list[Fresh]:
    shops = {item.shop_id for item in items}
    running = session.exec(select(Crisis).where(col(Crisis.state).in_(CRISIS_OPEN)).order_by(col(Crisis.id))).all()
    joining: dict[int, list[Fresh]] = defaultdict(list)
    left = []
    for item in items:
        home = next((crisis for crisis in running if crisis.shop_id in shops and _belongs(item, crisis)), None)
        if home is not None and home.id is not None:
            joining[home.id].append(item)
        else:
            left.append(item)
    for crisis in running:
        if crisis.id in joining:
            new = joining[crisis.id]
            severity = worst(*(item.severity for item in new))
            crises.attach(core, session, crisis, [item.feedback_id for item in new], severity)
    return left


def _belongs(item: Fresh, crisis: Crisis) -> bool:
    return (
        item.shop_id == crisis.shop_id
        and (not crisis.category or crisis.category in item.categories)
        and (not crisis.product or crisis.product == item.product)
        # a critical text of its own kind deserves its own alarm unless the crisis is about just that
        and (item.severity != "critical" or crisis.category in item.categories[:1])
    )


def _open_critical(core: Core, session: Session, items: Sequence[Fresh]) -> list[int]:
    groups: dict[Group, list[int]] = defaultdict(list)
    for item in items:
        if item.severity == "critical":
            groups[Group(item.shop_id, item.categories[0])].append(item.feedback_id)
    return [_open(core, session, "critical", "critical", group, ids) for group, ids in groups.items()]


def _taken(session: Session, items: Sequence[Fresh]) -> set[int]:
    ids = [item.feedback_id for item in items]
    return set(session.exec(select(CrisisFeedback.feedback_id).where(col(CrisisFeedback.feedback_id).in_(ids))))


def _open_bursts(core: Core, session: Session, items: Sequence[Fresh]) -> list[int]:
    policy = core.settings.policy.detect
    groups: dict[Group, datetime] = {}
    for item in items:
        if not item.timely or item.happened_at < core.clock.now() - max(_RECENT, policy.burst_window):
            continue
        products = [Group(item.shop_id, product=item.product)] if item.product else []
        for group in (
            *(Group(item.shop_id, code) for code in item.categories),
            *products,
            Group(item.shop_id),
        ):
            groups[group] = max(item.happened_at, groups.get(group, item.happened_at))
    opened = []
    # the narrower the group, the better it names the cause: categories, then products, then the whole shop
    for group in sorted(groups, key=lambda g: (not g.category, not g.product, g.category, g.product)):
        end = groups[group]
        members = _free_members(session, group, end - policy.burst_window, end)
        if len(members) >= policy.burst_count and _unusual(
            core, session, group, end - policy.burst_window, end, len(members)
        ):
            severity = worst("high", *(severity for _, severity in members))
            opened.append(_open(core, session, "burst", severity, group, [n for n, _ in members]))
    return opened


def _open(core: Core, session: Session, cause: str, severity: str, group: Group, ids: Sequence[int]) -> int:
    crisis = crises.open_crisis(
        core,
        session,
        shop_id=group.shop_id,
        cause=cause,
        category=group.category,
        product=group.product,
        severity=severity,
        feedback_ids=ids,
    )
    assert crisis.id is not None
    return crisis.id


def _here(group: Group, start: datetime, end: datetime) -> tuple[Any, ...]:
    shop = Feedback.shop_id == group.shop_id if group.shop_id is not None else col(Feedback.shop_id).is_(None)
    return (shop, col(Feedback.timely), Feedback.happened_at > start, Feedback.happened_at <= end)


def _complaint(group: Group) -> tuple[Any, ...]:
    parts: list[Any] = [col(Score.negative)]
    if group.category:  # codes are fixed words, so the JSON list can be searched as text on every database
        parts.append(cast(col(Score.categories), String).contains(f'"{group.category}"'))
    if group.product:
        parts.append(Feedback.product == group.product)
    return tuple(parts)


def _free_members(session: Session, group: Group, start: datetime, end: datetime) -> list[tuple[int, str | None]]:
    """The group's negatives in the window that no crisis has yet."""
    busy = select(CrisisFeedback.feedback_id).where(CrisisFeedback.feedback_id == Feedback.id).exists()
    statement = (
        select(Feedback.id, Score.severity)
        .join(Score)
        .where(*_here(group, start, end), *_complaint(group), ~busy)
        .order_by(col(Feedback.id))
    )
    return [(n, severity) for n, severity in session.exec(statement) if n is not None]


def _unusual(core: Core, session: Session, group: Group, start: datetime, end: datetime, count: int) -> bool:
    """Whether so many complaints are more than the shop's own four weeks explain."""
    until = start.replace(hour=start.hour // 6 * 6, minute=0, second=0, microsecond=0)
    before = _here(group, until - _HISTORY, until)
    complaints = _past(core, session, (group, until), *before, *_complaint(group))
    feedbacks = _past(core, session, (group.shop_id, until), *before)
    share = (complaints + _PRIOR[0]) / (feedbacks + _PRIOR[1])
    expected = share * _count(session, *_here(group, start, end))
    if share > _MOSTLY_COMPLAINTS:
        expected = complaints * ((end - start) / _HISTORY)
    return _poisson_tail(count, expected) < _CHANCE


def _past(core: Core, session: Session, key: Any, *where: Any) -> int:
    """A count over the four weeks before, made anew only when the store has grown by a quarter.

    Else a large import would count its own past for every batch.
    """
    newest = session.exec(select(func.max(Feedback.id))).one() or 0
    known = core.pasts.get(key)
    if known is None or newest > known[0] * _GROWN:
        if len(core.pasts) >= _PASTS:
            core.pasts.clear()
        known = core.pasts[key] = newest, _count(session, *where)
    return known[1]


def _count(session: Session, *where: Any) -> int:
    return session.exec(select(func.count()).select_from(Feedback).join(Score).where(*where)).one()


def _poisson_tail(count: int, expected: float) -> float:
    """The chance of ``count`` or more events where ``expected`` are usual."""
    if expected > _LARGE:  # the sum below would underflow; here the normal curve is close enough
        return 0.5 * math.erfc((count - 0.5 - expected) / math.sqrt(2 * expected))
    term = total = math.exp(-expected)
    for n in range(1, count):
        term *= expected / n
        total += term
    return max(0.0, 1.0 - total)
