"""What makes feedback a crisis, and which crisis it belongs to.

One critical text, a post that spreads, one text under many accounts, or more complaints at once than the shop's past
explains. What belongs to a running crisis joins it; the same trouble soon after a crisis was resolved reopens that one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import partial

from sqlmodel import Session, col, select

from monitor import copies, crises, groups, posts
from monitor.core import Core
from monitor.fresh import Fresh
from monitor.groups import Group
from monitor.models import Crisis, CrisisFeedback
from monitor.outbreaks import HANDFUL, REACH, RECENT, alike, belongs, candidates, unusual, windows
from monitor.states import CRISIS_OPEN, worst

_SETTLED = ("resolved", "closed")


def detect(core: Core, session: Session, batch: Sequence[Fresh]) -> list[int]:
    """Add a batch's negatives to running crises, reopen settled ones, or open new ones.

    Returns:
        Ids of the crises opened.
    """
    left = [item for item in batch if item.negative and not item.stale]
    if not left:
        return []
    left = _join_running(core, session, left)
    opened: list[int] = []
    if core.settings.policy.detect.critical_opens_crisis:
        opened += _open_critical(core, session, left)
    opened += spreading(core, session, [item.feedback_id for item in left if item.kind == "mention"])
    recent = [item for item in left if item.timely and item.happened_at >= _oldest(core)]
    opened += _open_bursts(core, session, _free(session, recent))
    return opened + _open_copies(core, session, _free(session, recent))


def spreading(core: Core, session: Session, feedback_ids: Sequence[int]) -> list[int]:
    """Open crises for those of the posts that reach many people, or ever more; one for each category.

    Returns:
        Ids of the crises opened.
    """
    found: dict[Group, list[tuple[int, str | None]]] = defaultdict(list)
    for row, score in posts.spreading(core, session, feedback_ids) if feedback_ids else ():
        found[Group(row.shop_id, next(iter(score.categories), ""))].append((row.id or 0, score.severity))
    opened = []
    for group, members in found.items():
        severity = worst("high", *(severity for _, severity in members))
        ids = [feedback_id for feedback_id, _ in members]
        running = _homes(session, {group.shop_id}, CRISIS_OPEN)
        if home := next((home for like, home in running if alike(like, group, "spread")), None):
            crises.attach(core, session, home, ids, severity)
        else:
            opened += _open(core, session, "spread", severity, group, ids)
    return opened


def _oldest(core: Core) -> datetime:
    return core.clock.now() - max(RECENT, core.settings.policy.detect.burst_window)


def _homes(
    session: Session, shops: Collection[str | None], states: Collection[str], since: datetime | None = None
) -> list[tuple[Crisis, Crisis]]:
    """Crises of shops in such states, oldest first, each with itself; then each merged into one of them, with it."""
    wanted = select(Crisis).where(col(Crisis.state).in_(states)).order_by(col(Crisis.id))
    if since is not None:
        wanted = wanted.where(col(Crisis.resolved_at) >= since)
    homes = [(crisis, crisis) for crisis in session.exec(wanted) if crisis.shop_id in shops]
    newest = homes
    while newest:
        survivors = {like.id: home for like, home in newest}
        merged = select(Crisis).where(Crisis.state == "merged", col(Crisis.merged_into).in_(survivors))
        newest = [(crisis, survivors[crisis.merged_into]) for crisis in session.exec(merged.order_by(col(Crisis.id)))]
        homes = homes + newest
    return homes


def _join_running(core: Core, session: Session, items: Sequence[Fresh]) -> list[Fresh]:
    homes = _homes(session, {item.shop_id for item in items}, CRISIS_OPEN)
    ids = [item.feedback_id for item in items]
    copied = {like.id: copies.same_text(session, like, ids) for like, _ in homes if like.cause == "copies"}
    at_home = _running(session, ids)
    joining: dict[int, list[Fresh]] = defaultdict(list)
    left = []
    for item in items:
        belonging = (home.id for like, home in homes if belongs(item, like, copied))
        home_id = at_home.get(item.feedback_id) or next(belonging, None)  # one that changed stays where it is
        if home_id is not None:
            joining[home_id].append(item)
        else:
            left.append(item)
    for crisis_id, new in joining.items():
        severity = worst(*(item.severity for item in new))
        crises.attach(core, session, session.get_one(Crisis, crisis_id), [item.feedback_id for item in new], severity)
    return left


def _running(session: Session, feedback_ids: Sequence[int]) -> dict[int, int]:
    """The running crises that feedbacks are in."""
    mine = select(CrisisFeedback.feedback_id, CrisisFeedback.crisis_id).join(Crisis)
    here = (col(CrisisFeedback.feedback_id).in_(feedback_ids), col(Crisis.state).in_(CRISIS_OPEN))
    return {feedback_id: crisis_id for feedback_id, crisis_id in session.exec(mine.where(*here))}  # noqa: C416 — rows


def _open_critical(core: Core, session: Session, items: Iterable[Fresh]) -> list[int]:
    found: dict[Group, list[int]] = defaultdict(list)
    for item in items:
        if item.severity == "critical":
            found[Group(item.shop_id, next(iter(item.categories), ""))].append(item.feedback_id)
    opened = (_open(core, session, "critical", "critical", group, ids) for group, ids in found.items())
    return [crisis for one in opened for crisis in one]


def _open_copies(core: Core, session: Session, items: Iterable[Fresh]) -> list[int]:
    by_shop: dict[str | None, list[int]] = defaultdict(list)
    for item in items:
        by_shop[item.shop_id].append(item.feedback_id)
    opened = []
    for shop_id, ids in by_shop.items():
        for found in copies.copied(core, session, shop_id, ids):
            severity = worst("high", found.severity)
            opened += _break_out(core, session, "copies", severity, found.group, found.feedback_ids)
    return opened


def _free(session: Session, items: Sequence[Fresh]) -> list[Fresh]:
    ids = [item.feedback_id for item in items]
    taken = set(session.exec(select(CrisisFeedback.feedback_id).where(col(CrisisFeedback.feedback_id).in_(ids))))
    return [item for item in items if item.feedback_id not in taken]


def _open_bursts(core: Core, session: Session, items: Sequence[Fresh]) -> list[int]:
    opened = []
    for group, end in candidates(items):
        if members := _burst(core, session, group, end):
            severity = worst("high", *(member.severity for member in members))
            ids = [member.feedback_id for member in members]
            if one := copies.mostly(core, session, group.shop_id, ids):
                severity = worst("high", one.severity)
                opened += _break_out(core, session, "copies", severity, one.group, one.feedback_ids)
            else:
                opened += _break_out(core, session, "burst", severity, group, ids)
    return opened


def _break_out(
    core: Core, session: Session, cause: str, severity: str, group: Group, feedback_ids: Sequence[int]
) -> list[int]:
    """Add a burst, or a handful of copies, to the shop's burst of a moment ago, or open a crisis; gives what it opened.

    What goes wrong once is complained of as late, as missing and as nobody answering: to the crisis group that is one
    trouble, with one card and three clocks.
    """
    running = _breaking_out(core, session, group.shop_id)
    if running is None or (cause == "copies" and len(feedback_ids) > HANDFUL * running.scope["count"]):
        return _open(core, session, cause, severity, group, feedback_ids)
    crises.attach(core, session, running, feedback_ids, severity, also=group.category if cause == "burst" else "")
    return []


def _breaking_out(core: Core, session: Session, shop_id: str | None) -> Crisis | None:
    """The shop's burst that opened a moment ago."""
    since = core.clock.now() - core.settings.policy.detect.burst_window * REACH[-1]
    running = _homes(session, {shop_id}, CRISIS_OPEN)
    return next((home for like, home in running if like.cause == "burst" and home.opened_at >= since), None)


def _burst(core: Core, session: Session, group: Group, end: datetime) -> list[groups.Member]:
    policy = core.settings.policy.detect
    starts = windows(policy, end)
    members = groups.free(session, group, starts[-1], end)
    if not members:
        return []
    # what a burst of some categories has taken already shows that the shop as a whole is in trouble
    running = _breaking_out(core, session, group.shop_id) if group == Group(group.shop_id) else None
    taken = groups.taken(session, running, starts, end) if running else [0] * len(starts)
    counts = [n + sum(one.happened_at > start for one in members) for start, n in zip(starts, taken, strict=True)]
    totals, usual = partial(groups.totals, session, group), partial(groups.usual, core, session, group)
    since = unusual(policy, end, counts, totals, usual)
    return [one for one in members if since is not None and one.happened_at > since]


def _open(
    core: Core, session: Session, cause: str, severity: str, group: Group, feedback_ids: Sequence[int]
) -> list[int]:
    """Open a crisis, or reopen the one about the same that was settled not long ago; gives what was opened."""
    since = core.clock.now() - core.settings.policy.detect.reopen_within
    settled = _homes(session, {group.shop_id}, _SETTLED, since)
    if home := next((home for like, home in reversed(settled) if alike(like, group, cause)), None):
        crises.reopen(core, session, home, feedback_ids, severity)
        return []
    crisis = crises.open_crisis(
        core,
        session,
        shop_id=group.shop_id,
        cause=cause,
        category=group.category,
        product=group.product,
        severity=severity,
        feedback_ids=feedback_ids,
    )
    return [crisis.id] if crisis.id is not None else []
