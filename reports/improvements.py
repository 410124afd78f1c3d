"""What was mended, and whether the complaint fell."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session, col

from monitor.improvements import Fell
from monitor.models import Improvement
from reports.period import Period
from reports.shares import FEW, Share, difference
from reports.store import F, S, each, feedback, judged, negative, step, within

BEFORE = timedelta(days=28)
"""With what the days after it are compared."""
_TOLD = timedelta(days=56)
_LEAST = timedelta(days=7)
_MOST = 8


@dataclass(frozen=True)
class Mended:
    """An improvement with its complaint before and after.

    Attributes:
        what: What was done.
        category: The complaint it was meant to end.
        product: The product, or "" for all.
        shop_id: The shop, or None for all.
        done_at: When.
        days: How many days after it are counted.
        before: Complaints of all feedback in the four weeks before.
        after: In the days after, at most four weeks.
        interval: 95 % interval of the change of the rate.
        verdict: What may be said.
    """

    what: str
    category: str
    product: str
    shop_id: str | None
    done_at: datetime
    days: int
    before: Share
    after: Share
    interval: tuple[float, float]
    verdict: Fell


def improvements(session: Session, period: Period, kind: str) -> list[Mended]:
    """Improvements of the eight weeks up to a span's end, newest first, at most eight."""
    found = (
        select(Improvement)
        .where(within(col(Improvement.done_at), period.end - _TOLD, period.end))  # type: ignore[arg-type]
        .order_by(col(Improvement.done_at).desc(), col(Improvement.id).desc())
        .limit(_MOST)
    )
    return [mended(session, row, period.end, kind) for row in session.execute(found).scalars()]


def ending(done: datetime, until: datetime) -> datetime:
    """Up to when the days after it are counted: whole weeks, four at most: every weekday counts as often as before."""
    end = min(done + BEFORE, until)
    return done + (end - done) // _LEAST * _LEAST if end - done >= _LEAST else end


def mended(session: Session, row: Improvement, until: datetime, kind: str) -> Mended:
    """An improvement with what came of it up to a moment."""
    done, end = row.done_at, ending(row.done_at, until)
    here = [F.kind == kind, within(F.happened_at, done - BEFORE, end)]
    if row.shop_id is not None:
        here.append(F.shop_id == row.shop_id)
    if row.product:
        here.append(F.product == row.product)
    after = step(F.happened_at, (done - BEFORE, done, end), (0, 1)).label("after")
    member = each(session, S.categories)
    every = select(after, func.count()).select_from(feedback).where(*here).group_by("after")
    such = (
        select(after, func.count())
        .select_from(judged, member)
        .where(*here, negative, member.c.value == row.category)
        .group_by("after")
    )
    n, bad = (dict(session.execute(found).all()) for found in (every, such))
    before, now = (Share(bad.get(side, 0), n.get(side, 0)) for side in (0, 1))
    return told(row, end, before, now)


def told(row: Improvement, end: datetime, before: Share, now: Share) -> Mended:
    """What may be said of a complaint before an improvement and from it to the end."""
    interval, passed = difference(before, now), end - row.done_at
    return Mended(
        row.what,
        row.category,
        row.product,
        row.shop_id,
        row.done_at,
        passed.days,
        before,
        now,
        interval,
        _verdict(before, now, interval, passed),
    )


def _verdict(before: Share, after: Share, interval: tuple[float, float], passed: timedelta) -> Fell:
    if passed < _LEAST or after.whole < FEW or before.whole < FEW:
        return "early"
    low, high = interval
    return "fell" if high < 0 else "rose" if low > 0 else "same"
