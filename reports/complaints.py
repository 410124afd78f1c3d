"""Complaints of all customers served (投诉率): of days only for which somebody said how many customers there were."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, func, select
from sqlmodel import Session

from monitor.bulk import table
from monitor.indicators import SERVED
from monitor.models import Indicator
from monitor.settings import Settings
from reports.daycounts import D
from reports.period import Period
from reports.shares import NOTHING, Share

N = table(Indicator).c


@dataclass(frozen=True)
class Complaints:
    """Bad reviews and customers of one shop, or all.

    Attributes:
        shop_id: The shop; "" for all.
        days: Days of the span with a number of customers; of all, those of every shop together.
        share: Bad reviews written on those days, of the customers served on them.
        before: The same of the span before.
    """

    shop_id: str = ""
    days: int = 0
    share: Share = NOTHING
    before: Share = NOTHING

    @property
    def odd(self) -> bool:
        """Whether the number of customers cannot be right: there are more complaints."""
        return self.share.part > self.share.whole


@dataclass(frozen=True)
class Served:
    """What there is of complaints and customers served.

    Attributes:
        all: Of all shops with a number of customers.
        shops: Of each, the config's order; none where nobody brought a number.
    """

    all: Complaints = field(default_factory=Complaints)
    shops: Sequence[Complaints] = field(default_factory=list)


def complaints(session: Session, period: Period, before: Period, settings: Settings) -> Served:
    """Bad reviews of customers served in a span and in the one before."""
    now, old = _counted(session, period), _counted(session, before)
    ids = [shop.id for shop in settings.shops if shop.id in now]
    shops = [_made(shop_id, [now[shop_id]], [old[shop_id]] if shop_id in old else []) for shop_id in ids]
    return Served(_made("", [now[shop_id] for shop_id in ids], [old[one] for one in ids if one in old]), shops)


_Counts = tuple[int, int, int]
"""Days, bad reviews, customers."""


def _made(shop_id: str, now: Sequence[_Counts], before: Sequence[_Counts]) -> Complaints:
    days, *share = (sum(counts) for counts in zip(*now, strict=True)) if now else (0, 0, 0)
    _, *old = (sum(counts) for counts in zip(*before, strict=True)) if before else (0, 0, 0)
    return Complaints(shop_id, days, Share(*share), Share(*old))


def _counted(session: Session, period: Period) -> dict[str, _Counts]:
    mine = and_(D.day == N.day, D.shop_id == N.shop_id, D.field == "shop", D.kind == "review")
    found = (
        select(N.shop_id, func.count(), func.coalesce(func.sum(D.negative), 0), func.sum(N.value))
        .select_from(table(Indicator).outerjoin(D.negative.table, mine))
        .where(N.name == SERVED, N.day.between(period.first, period.last))
        .group_by(N.shop_id)
    )
    return {shop_id: (days, int(bad), round(served)) for shop_id, days, bad, served in session.execute(found)}
