"""What became of the negative feedback: a ledger that balances, and the daily clearance rate."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from sqlalchemy import func, select
from sqlmodel import Session

from monitor.clearance import cleared, followed_up
from monitor.counted import place
from reports.period import Period
from reports.shares import Share
from reports.store import F, judged, suspected, tally, within


@dataclass(frozen=True)
class Ledger:
    """Negative feedback of a span by what its case says; ``received`` is the sum of the four.

    Attributes:
        resolved: The case is resolved or filed.
        answered: The buyer was contacted or answered; not yet resolved.
        waiting: Nobody has answered yet.
        false_alarm: Staff said 误报.
        mentions: How many of all are mentions, the rest being reviews.
        late: Written earlier, but first seen in the span; not part of the ledger.
    """

    resolved: int = 0
    answered: int = 0
    waiting: int = 0
    false_alarm: int = 0
    mentions: int = 0
    late: int = 0

    @property
    def open(self) -> int:
        """Not resolved, and no false alarm."""
        return self.answered + self.waiting

    @property
    def received(self) -> int:
        """All."""
        return self.resolved + self.open + self.false_alarm


def ledger(session: Session, period: Period, late_since: timedelta) -> Ledger:
    """The ledger of a span; ``late`` looks back as far as ``late_since``."""
    found = (
        select(place().label("place"), func.count(), tally(F.kind == "mention"))
        .select_from(judged)
        .where(within(F.happened_at, period.start, period.end), suspected)
        .group_by("place")
    )
    rows = session.execute(found).all()
    late = (
        select(func.count())
        .select_from(judged)
        .where(
            within(F.happened_at, period.start - late_since, period.start),
            within(F.first_seen_at, period.start, period.end),
            suspected,
        )
    )
    return Ledger(
        **{name: count for name, count, _ in rows},
        mentions=sum(mentions for *_, mentions in rows),
        late=session.execute(late).scalar_one(),
    )


def clearance(session: Session, period: Period, shop: str | None = None) -> Share:
    """日清率: negatives, of a shop or all, dealt with before the end of the local day on which they were written."""
    days = [cleared(session, start, end, shop) for start, end in pairwise(period.edges)]
    return Share(sum(day.done for day in days), sum(day.of for day in days))


def followups(session: Session, period: Period) -> Share:
    """追评率: authors of bad reviews who were contacted in the span, and who then wrote again."""
    found = followed_up(session, period.start, period.end)
    return Share(found.done, found.of)
