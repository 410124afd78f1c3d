"""What came in during a span, read once into memory so that rules can be tried on it: nothing here writes."""

import json
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import String, cast
from sqlmodel import Session, col, func, select

from monitor import duplicates, groups, scope
from monitor.bursts import HISTORY, SPAN, Norm, norm, span_of
from monitor.copies import LETTERS
from monitor.fresh import Fresh
from monitor.groups import Group
from monitor.models import Feedback, Score

MOST = 10_000
"""Complaints that are looked at; of more, the newest."""
MOST_TEXTS = 4_000
"""Texts that are compared with one another; of more, the newest."""

_MINUTE = 60
_LAST = 1 << 62  # above any id
_DAY = timedelta(days=1)
_COLUMNS: Any = (
    *(getattr(Feedback, name) for name in ("id", "shop_id", "kind", "product", "happened_at", "first_seen_at")),
    *(getattr(Feedback, name) for name in ("timely", "author_hash", "author", "order_ref", "extra", "text")),
    Score.severity,
    Score.categories,
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A complaint, when it came in, who wrote it, and what else is known."""

    item: Fresh
    at: datetime
    who: str
    text: str
    extra: dict[str, Any]


class Week:
    """Complaints of a span in the order in which they came in, and what is usual around them.

    Args:
        session: Reads.
        zone: In which weekends begin and end.
        since: The span's begin.
        until: Its end.
        max_age: Older complaints open nothing.

    Attributes:
        arrivals: The complaints.
        cut: There were more than `MOST`: the oldest are missing.
    """

    def __init__(self, session: Session, zone: ZoneInfo, since: datetime, until: datetime, max_age: timedelta) -> None:
        self._session, self._zone, self.since, self.until = session, zone, since, until
        seen = col(Feedback.first_seen_at)
        wanted = select(*_COLUMNS).join(Score).where(col(Score.negative), seen > since, seen <= until)
        rows = session.execute(wanted.order_by(col(Feedback.id).desc()).limit(MOST + 1)).all()
        self.cut = len(rows) > MOST
        found = [_arrival(row) for row in rows[:MOST] if row.happened_at >= row.first_seen_at - max_age]
        self.arrivals = sorted(found, key=lambda one: (one.at, one.item.feedback_id))
        self._there: dict[Group, list[tuple[datetime, int]]] = defaultdict(list)
        self._norms: dict[Any, Norm] = {}

    def arrive(self, items: Iterable[Fresh]) -> None:
        """From now on these are there."""
        for item in items:
            for group in groups.of(item) if item.timely else ():
                insort(self._there[group], (item.happened_at, item.feedback_id))

    def take(self, items: Iterable[Fresh]) -> None:
        """A crisis has these now: they are free no more."""
        for item in items:
            for group in groups.of(item) if item.timely else ():
                mine = self._there[group]
                del mine[bisect_left(mine, (item.happened_at, item.feedback_id))]

    def free(self, group: Group, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
        """When which complaints of a group happened, after ``start`` and up to ``end``, that are there and free."""
        return self._there[group][slice(*self._places(group, (start, end)))]

    def counts(self, group: Group, starts: Sequence[datetime], end: datetime) -> list[int]:
        """How many such there are after each of ``starts``."""
        *firsts, last = self._places(group, (*starts, end))
        return [last - first for first in firsts]

    def _places(self, group: Group, moments: Iterable[datetime]) -> list[int]:
        mine = self._there[group]
        return [bisect_right(mine, (at, _LAST)) for at in moments]

    def totals(self, shop_id: str | None, starts: Sequence[datetime], end: datetime) -> list[int]:
        """How many feedbacks of the shop came after each of ``starts`` and up to ``end``, by whole minutes."""
        minutes, sums = self._minutes[shop_id]
        until = sums[bisect_right(minutes, end.timestamp() // _MINUTE)]
        return [until - sums[bisect_right(minutes, start.timestamp() // _MINUTE)] for start in starts]

    def usual(self, group: Group, start: datetime, broken_out: Collection[datetime]) -> Norm:
        """What is usual for the group at a time, by the four weeks before it, but for the times of such trouble."""
        key = (group, span_of(start), len(broken_out))
        if key not in self._norms:
            complaints, feedbacks = self._past
            spans = {span_of(at) + step for at in broken_out for step in (-1, 0, 1)}
            past = feedbacks[group.shop_id]
            self._norms[key] = norm(complaints[group], past, start, self._zone, spans)
        return self._norms[key]

    @cached_property
    def alike(self) -> dict[int, int]:
        """Feedback → a number that near-copies share; only texts long enough to tell something."""
        told = [one for one in self.arrivals if one.item.timely][-MOST_TEXTS:]
        told = [one for one in told if duplicates.letters(one.text) >= LETTERS]
        found = duplicates.groups([one.text for one in told])
        return {told[n].item.feedback_id: number for number, same in enumerate(found) for n in same}

    @cached_property
    def _minutes(self) -> dict[str | None, tuple[list[int], list[int]]]:
        """Shop → minutes with feedback, and how many feedbacks there were before each and in the end."""
        found: dict[str | None, tuple[list[int], list[int]]] = defaultdict(lambda: ([], [0]))
        for shop_id, minute, count in self._counted(_MINUTE, self.since - _DAY, self.until):
            minutes, sums = found[shop_id]
            minutes.append(minute)
            sums.append(sums[-1] + count)
        return found

    @cached_property
    def _past(self) -> tuple[dict[Group, Counter[int]], dict[str | None, Counter[int]]]:
        """Complaints by group and span, feedbacks by shop and span, of this time and the four weeks before."""
        since = self.since - HISTORY
        feedbacks: dict[str | None, Counter[int]] = defaultdict(Counter)
        for shop_id, span, count in self._counted(SPAN, since, self.since - _DAY):
            feedbacks[shop_id][span] = count
        for shop_id, (minutes, sums) in self._minutes.items():
            for minute, (before, after) in zip(minutes, pairwise(sums), strict=True):
                feedbacks[shop_id][minute * _MINUTE // SPAN] += after - before
        told: Any = (Feedback.shop_id, Feedback.product, cast(col(Score.categories), String), groups.part(SPAN))
        mine = select(*told).join(Score).where(*groups.timely_complaint(since, self.until))
        complaints: dict[Group, Counter[int]] = defaultdict(Counter)
        mentioned: dict[Any, list[Counter[int]]] = {}
        for shop_id, product, categories, span in self._session.connection().execute(mine).all():
            key = (shop_id, product, categories)
            if key not in mentioned:
                mentioned[key] = [complaints[one] for one in groups.named(shop_id, json.loads(categories), product)]
            for counted in mentioned[key]:
                counted[span] += 1
        return complaints, feedbacks

    def _counted(self, seconds: int, since: datetime, until: datetime) -> list[tuple[str | None, int, int]]:
        """Shop, part of time and how many feedbacks came in it, in order."""
        # by time first: SQLite would else jump through the table shop by shop
        both: Any = (groups.part(seconds), col(Feedback.shop_id))
        wanted: Any = (*both, func.count())
        counted = select(*wanted).where(*groups.timely(since, until)).group_by(*both).order_by(*both)
        return [(shop_id, int(at), count) for at, shop_id, count in self._session.execute(counted)]


def _arrival(row: Any) -> Arrival:
    item = Fresh(
        feedback_id=row.id,
        shop_id=row.shop_id,
        kind=row.kind,
        product=row.product,
        join_key="",
        negative=True,
        severity=row.severity,
        categories=tuple(row.categories),
        happened_at=row.happened_at,
        timely=row.timely,
    )
    return Arrival(item, row.first_seen_at, scope.who(row), row.text, row.extra)
