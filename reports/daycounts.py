"""Feedbacks counted by local day, kept in the store: a report over millions reads some thousands of rows.

Triggers note every hour in which something that is counted has changed; its days are counted anew before a report
reads them, most of them by the service beforehand. So whoever changes a feedback, a score or a case need not know of
the counts.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, cast, delete, func, select
from sqlmodel import Session

from monitor import db
from monitor.bulk import insert_rows, table
from monitor.core import Core
from monitor.counted import satisfied
from monitor.known import hold
from monitor.models import DayChange, DayCount, Known
from reports.period import Period, span, windows
from reports.store import F, S, each, judged, negative, tally, within

KEEP_EVERY = 30.0
"""Seconds between two rounds of `keep`."""
D, C = table(DayCount).c, table(DayChange).c
EXTRA = ("sku", "warehouse", "courier")
COUNTS = ("n", "negative", "starred", "satisfied")
_HOUR = "%Y-%m-%d %H"
_ZONE = "counts.zone"
_TURN = "counts.turn"
_ROUND = 2.0  # seconds of work in a round
_MOVING = 2  # days, today's the last, of which so much is still new that they are left to the reports
_COUNTED = (
    func.count(),
    tally(negative),
    func.count(F.stars),
    tally(satisfied()),
)

Key = tuple[str, str, str, str]  # kind, field, shop, value


def changed(core: Core, period: Period) -> list[date]:
    """The days of a period in which something has changed since they were counted, or that never were."""
    zone = core.settings.zone
    _begin_anew_in_another(core, zone)
    with db.reading(core.engine, long=True) as session:
        hours = session.execute(select(C.hour).where(*_hours(period.start, period.end)).distinct()).scalars()
        return sorted({day for one in hours for day in _days(one, zone)})


def refresh(core: Core, period: Period) -> None:
    """Count the days of a period anew in which something has changed."""
    for day in changed(core, period):
        _refresh(core, day)


def keep(core: Core) -> int:
    """Count ahead what the next reports will read, the newest days first: the service's round; gives how many days.

    Half of the time is others'. Of several services one has the round.
    """
    today = core.clock.now().astimezone(core.settings.zone).date()
    first = windows("monthly", today, core.settings.zone).all_days().first  # the farthest that a report looks
    days = changed(core, span(first, (today - first).days + 1 - _MOVING, core.settings.zone))
    if not days or not _my_turn(core):
        return 0
    worked = 0.0
    for count, day in enumerate(reversed(days), 1):
        began = time.monotonic()
        _refresh(core, day)
        took = time.monotonic() - began
        worked += took
        if worked > _ROUND:
            return count
        time.sleep(min(took, _ROUND))
    return len(days)


def _my_turn(core: Core) -> bool:
    now = core.clock.now()
    with db.writing(core.engine) as session:
        row = hold(session, _TURN, now)
        if row.value and abs(now - row.at) < timedelta(seconds=KEEP_EVERY / 2):
            return False
        row.at, row.value = now, {"taken": True}
    return True


def _refresh(core: Core, day: date) -> None:
    zone = core.settings.zone
    with db.writing(core.engine, long=True) as session:
        here = span(day, 1, zone)
        taken = session.execute(delete(table(DayChange)).where(*_hours(here.start, here.end)).returning(C.hour))
        for touched in sorted({day for one in taken.scalars() for day in _days(one, zone)}):
            _count(session, span(touched, 1, zone))


def _begin_anew_in_another(core: Core, zone: ZoneInfo) -> None:
    """In another zone days begin at other times: then nothing is counted yet."""
    with db.reading(core.engine, long=True) as session:
        known = session.get(Known, _ZONE)
        if known is not None and known.value.get("zone") == zone.key:
            return
    with db.writing(core.engine, long=True) as session:
        row = hold(session, _ZONE, core.clock.now())
        if row.value.get("zone") == zone.key:  # another did so meanwhile
            return
        row.value = {"zone": zone.key}
        session.execute(delete(table(DayCount)))
        ends = (select(end(F.happened_at)).scalar_subquery() for end in (func.min, func.max))  # each from the index
        first, last = session.execute(select(*ends)).one()
        if first is not None:  # to look which days there are would take as long as to count several
            days = span(first.astimezone(zone).date(), (last - first).days + 2, zone)
            insert_rows(session, DayChange, [{"hour": start.strftime(_HOUR)} for start in days.edges])


def _hours(start: datetime, end: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The hours of a span, the one in which it begins or ends included."""
    return C.hour >= start.strftime(_HOUR), C.hour <= (end - timedelta(microseconds=1)).strftime(_HOUR)


def _days(one: str, zone: ZoneInfo) -> set[date]:
    """The local days an hour lies in: two where a zone is off by part of an hour."""
    begun = datetime.strptime(one, _HOUR).replace(tzinfo=UTC)
    return {(begun + timedelta(minutes=minutes)).astimezone(zone).date() for minutes in (0, 59)}


def _count(session: Session, day: Period) -> None:
    sums: dict[Key, list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    for key, counts in (*_by_place(session, day), *_by_extra(session, day), *_by_category(session, day)):
        sums[key] = [sum(pair) for pair in zip(sums[key], counts, strict=True)]
    session.execute(delete(table(DayCount)).where(D.day == day.first))
    names = ("kind", "field", "shop_id", "value", *COUNTS)
    insert_rows(
        session,
        DayCount,
        [{"day": day.first} | dict(zip(names, (*key, *counts), strict=True)) for key, counts in sums.items()],
    )


def _here(day: Period) -> ColumnElement[bool]:
    return within(F.happened_at, day.start, day.end)


def _by_place(session: Session, day: Period) -> Iterator[tuple[Key, Sequence[int]]]:
    keys = (F.kind, F.shop_id, F.platform, F.product)
    found = select(*keys, *_COUNTED).select_from(judged).where(_here(day)).group_by(*keys)
    for kind, shop_id, platform, product, *counts in session.execute(found):
        yield (kind, "shop", shop_id or "", ""), counts
        yield (kind, "platform", shop_id or "", platform), counts
        if product:
            yield (kind, "product", shop_id or "", product), counts


def _by_extra(session: Session, day: Period) -> Iterator[tuple[Key, Sequence[int]]]:
    told = [F.extra[name].as_string().label(name) for name in EXTRA]
    found = (
        select(F.kind, F.shop_id, *told, *_COUNTED)
        .select_from(judged)
        .where(_here(day), cast(F.extra, String) != "{}")
        .group_by(F.kind, F.shop_id, *EXTRA)
    )
    for kind, shop_id, *rest in session.execute(found):
        for name, value in zip(EXTRA, rest, strict=False):
            if value:
                yield (kind, name, shop_id or "", str(value)), rest[len(EXTRA) :]


def _by_category(session: Session, day: Period) -> Iterator[tuple[Key, Sequence[int]]]:
    member = each(session, S.categories)
    keys = (F.kind, F.shop_id, member.c.value)
    found = select(*keys, func.count()).select_from(judged, member).where(_here(day), negative).group_by(*keys)
    for kind, shop_id, code, count in session.execute(found):
        yield (kind, "category", shop_id or "", code), (count, count, 0, 0)
