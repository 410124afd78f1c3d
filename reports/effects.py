"""What came of improvements so far, for a page that is opened often: from the counts by day where they know it."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta

from sqlalchemy import func, select
from sqlmodel import Session

from monitor import db
from monitor.core import Core
from monitor.improvements import Effect
from monitor.models import Improvement
from reports import daycounts
from reports.daycounts import D
from reports.improvements import BEFORE, Mended, ending, mended, told
from reports.period import span
from reports.shares import Share
from reports.store import F

_AT_ONCE = 3  # days that are counted while somebody waits


def effects(core: Core, rows: Iterable[Improvement]) -> dict[int, Effect]:
    """What came of some improvements up to now, by their ids; of mentions where there are no reviews at all."""
    zone, now, found = core.settings.zone, core.clock.now(), {}
    for row in rows:
        day = row.done_at.astimezone(zone).date()
        days = span(day - BEFORE, 2 * BEFORE.days, zone)
        # the counts know whole days, and a category or a product; many new ones take longer than to look at the rows
        daily = not row.product and row.done_at == datetime.combine(day, time(), zone)
        daily = daily and len(daycounts.changed(core, days)) <= _AT_ONCE
        if daily:
            daycounts.refresh(core, days)
        with db.reading(core.engine, long=True) as session:
            kind = "review" if session.execute(select(F.id).where(F.kind == "review").limit(1)).first() else "mention"
            one = _by_day(session, row, core, kind) if daily else mended(session, row, now, kind)
        found[row.id or 0] = _effect(one)
    return found


def _by_day(session: Session, row: Improvement, core: Core, kind: str) -> Mended:
    zone, end = core.settings.zone, ending(row.done_at, core.clock.now())
    day, last = row.done_at.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()
    spans = ((day - BEFORE, day - timedelta(1)), (day, last))

    def sums(field: str, value: str) -> tuple[int, int]:
        wanted = select(func.coalesce(func.sum(D.n), 0)).where(D.kind == kind, D.field == field, D.value == value)
        wanted = wanted if row.shop_id is None else wanted.where(D.shop_id == row.shop_id)
        first, second = (session.execute(wanted.where(D.day.between(*days))).scalar_one() for days in spans)
        return int(first), int(second)

    before, after = (Share(*pair) for pair in zip(sums("category", row.category), sums("shop", ""), strict=True))
    return told(row, end, before, after)


def _effect(one: Mended) -> Effect:
    before, after = ((share.part, share.whole) for share in (one.before, one.after))
    return Effect(one.days, before, after, one.interval, one.verdict)
