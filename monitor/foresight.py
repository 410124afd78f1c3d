"""What other rules would have made of the last days: detection's own rule, played again in memory, writing nothing.

What people did cannot be played again: a crisis is taken to be settled when its last clock would have run out.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, or_, select

from monitor import posts
from monitor.fresh import Fresh
from monitor.models import Crisis
from monitor.outbreaks import RECENT
from monitor.policies import Policy
from monitor.replay import Foreseen, Replay
from monitor.settings import Settings
from monitor.week import Week

SPAN = timedelta(days=7)
_NOT_OURS = ("merged", "false_alarm")


@dataclass(frozen=True)
class Outlook:
    """What the rules would have made of the days, beside what really opened.

    Attributes:
        since: Where the days begin: later than asked for where there was too much to look at.
        until: Where they end.
        foreseen: Crises that would have opened, oldest first.
        missed: Crises that opened by rule, and would not have.
        looked_at: So many complaints.
        cut: There were more than could be looked at.
    """

    since: datetime
    until: datetime
    foreseen: list[Foreseen]
    missed: list[Crisis]
    looked_at: int
    cut: bool


def outlook(session: Session, settings: Settings, until: datetime, span: timedelta = SPAN) -> Outlook:
    """Play the days before a moment again by the rules of these settings.

    Args:
        session: Only reads.
        settings: Whose rules are tried.
        until: The days' end.
        span: How much is played.
    """
    since = until - span
    week = Week(session, settings.zone, since, until, settings.policy.detect.max_age)
    if week.cut:
        since = week.arrivals[0].at
    near = or_(col(Crisis.opened_at) > since - SPAN * 4, col(Crisis.resolved_at).is_(None))
    real = session.exec(select(Crisis).where(near).order_by(col(Crisis.id))).all()
    replay = Replay(settings.policy, week, [one for one in real if one.opened_at <= since])
    replay.play(_spreads(session, settings.policy, week, until))
    opened = [one for one in real if one.opened_at > since and one.cause != "person" and one.state not in _NOT_OURS]
    found = replay.crises[replay.before :]
    for one in found:
        one.real = next((crisis.id for crisis in opened if _same(crisis, one)), None)
    known = {one.real for one in found}
    return Outlook(since, until, found, [one for one in opened if one.id not in known], len(week.arrivals), week.cut)


def _same(real: Crisis, one: Foreseen) -> bool:
    """Whether both are about the same trouble of the same hours."""
    mine, near = one.crisis, abs(real.opened_at - one.crisis.opened_at) < RECENT
    about = set(real.categories) & set(mine.categories) or real.product == mine.product != "" or not real.categories
    return near and real.shop_id == mine.shop_id and bool(about or not mine.categories)


def _spreads(session: Session, policy: Policy, week: Week, until: datetime) -> list[tuple[datetime, Fresh]]:
    """Posts, each with the moment at which it first passed the policy's figures, in order."""
    mentions = [one for one in week.arrivals if one.item.kind == "mention" and one.item.timely]
    points = posts.points(session, [one.item.feedback_id for one in mentions], until)
    found = []
    for one in mentions:
        counted = sorted(points.get(one.item.feedback_id, [])) or [(one.at, posts.reach_of(one.extra))]
        for n, (at, reach) in enumerate(counted):
            if posts.passes(policy.detect, at, reach, counted[:n]):
                found.append((max(at, one.at), one.item))
                break
    return sorted(found, key=lambda pair: (pair[0], pair[1].feedback_id))
