"""Detection's rule played again in memory, on what came in during some days; nothing here reads or writes a store."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from monitor.bursts import Norm
from monitor.fresh import Fresh
from monitor.groups import Group, commonest
from monitor.models import Crisis
from monitor.outbreaks import HANDFUL, REACH, RECENT, alike, belongs, candidates, unusual, windows
from monitor.policies import Policy
from monitor.states import worst
from monitor.week import Arrival, Week

_TOGETHER = 300  # seconds: what came in within them is judged at once


@dataclass(eq=False)
class Foreseen:
    """A crisis as the rules would have opened it, or one that ran before.

    Attributes:
        crisis: What it is about; of no store.
        ends: When it is taken to be settled.
        feedback_ids: The complaints that made it, in the order in which they came.
        first: How many of them opened it.
        real: The crisis that really opened for most of the same complaints; None where none did.
    """

    crisis: Crisis
    ends: datetime
    feedback_ids: list[int] = field(default_factory=list)
    first: int = 0
    real: int | None = None


class Replay:
    """`monitor.detect` without a store: the same rule, on what is in memory.

    Args:
        policy: The rules that are tried.
        week: What came in.
        running: Crises that ran when it began.

    Attributes:
        crises: Those, then the ones that the rules opened.
        before: How many of the first kind.
    """

    def __init__(self, policy: Policy, week: Week, running: Iterable[Crisis]) -> None:
        self._policy, self._detect, self._week = policy, policy.detect, week
        self._who = {one.item.feedback_id: one.who for one in week.arrivals}
        self._item = {one.item.feedback_id: one.item for one in week.arrivals}
        self._home: dict[int, Foreseen] = {}
        self._copies: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
        self.crises = [Foreseen(one, one.resolved_at or one.closed_at or week.until) for one in running]
        self.before = len(self.crises)
        self._opened: dict[str | None, list[datetime]] = defaultdict(list)
        for crisis in sorted((one.crisis for one in self.crises), key=lambda one: one.opened_at):
            self._opened[crisis.shop_id].append(crisis.opened_at)

    def play(self, spreads: Sequence[tuple[datetime, Fresh]]) -> None:
        """All that came in, batch by batch, with the posts that spread meanwhile."""
        waiting = list(spreads)
        for _, together in groupby(self._week.arrivals, key=lambda one: one.at.timestamp() // _TOGETHER):
            batch = list(together)
            while waiting and waiting[0][0] < batch[-1].at:
                self._spread(*waiting.pop(0))
            self._batch(batch[-1].at, batch)
        for moment, item in waiting:
            self._spread(moment, item)

    def _batch(self, at: datetime, batch: Sequence[Arrival]) -> None:
        items = [one.item for one in batch]
        self._week.arrive(items)
        for item in items:
            if (number := self._week.alike.get(item.feedback_id)) is not None:
                self._copies[number].append((item.happened_at, item.feedback_id))
        left = [item for item in items if not self._joins(at, item)]
        if self._detect.critical_opens_crisis:
            self._criticals(at, left)
        oldest = at - max(RECENT, self._detect.burst_window)
        recent = [item for item in self._free(left) if item.timely and item.happened_at >= oldest]
        for group, end in candidates(recent):
            self._burst(at, group, end)
        for number in {self._week.alike.get(item.feedback_id) for item in self._free(recent)} - {None}:
            assert number is not None
            ids = [
                n for happened, n in self._copies[number] if happened > at - timedelta(days=1) and n not in self._home
            ]
            if self._writers(ids) >= self._detect.copies:
                self._break_out(at, "copies", self._named(ids), ids)

    def _joins(self, at: datetime, item: Fresh) -> bool:
        for one in self.crises:
            if one.ends > at and belongs(item, one.crisis, {one.crisis.id: self._sayings(one)}):
                self._attach(one, [item.feedback_id])
                return True
        return False

    def _sayings(self, one: Foreseen) -> set[int]:
        """Who says what a crisis of copies is about."""
        number = (
            self._week.alike.get(one.feedback_ids[0]) if one.feedback_ids and one.crisis.cause == "copies" else None
        )
        return set() if number is None else {n for _, n in self._copies[number]}

    def _criticals(self, at: datetime, items: Iterable[Fresh]) -> None:
        found: dict[Group, list[int]] = defaultdict(list)
        for item in items:
            if item.severity == "critical":
                found[Group(item.shop_id, next(iter(item.categories), ""))].append(item.feedback_id)
        for group, ids in found.items():
            self._open(at, "critical", group, ids)

    def _spread(self, at: datetime, item: Fresh) -> None:
        if item.feedback_id in self._home:
            return
        group = Group(item.shop_id, next(iter(item.categories), ""))
        running = (one for one in self.crises if one.ends > at and alike(one.crisis, group, "spread"))
        if home := next(running, None):
            self._attach(home, [item.feedback_id])
        else:
            self._open(at, "spread", group, [item.feedback_id])

    def _burst(self, at: datetime, group: Group, end: datetime) -> None:
        starts = windows(self._detect, end)
        counts = self._week.counts(group, starts, end)
        if not counts[-1]:
            return
        running = self._breaking_out(at, group.shop_id) if group == Group(group.shop_id) else None
        if running:
            moments = [self._item[n].happened_at for n in running.feedback_ids]
            counts = [n + sum(start < one <= end for one in moments) for start, n in zip(starts, counts, strict=True)]
        totals, usual = partial(self._week.totals, group.shop_id), partial(self._usual, group)
        since = unusual(self._detect, end, counts, totals, usual)
        ids = sorted(n for _, n in self._week.free(group, since, end)) if since is not None else []
        if ids and self._writers(same := self._one_text(ids)) >= self._detect.copies:
            self._break_out(at, "copies", self._named(same), same)
        elif ids:
            self._break_out(at, "burst", group, ids)

    def _one_text(self, ids: Sequence[int]) -> list[int]:
        """Those of a burst that say the one thing which at least half of them say."""
        said = Counter(self._week.alike[n] for n in ids if n in self._week.alike)
        number, count = next(iter(said.most_common(1)), (-1, 0))
        return [n for n in ids if self._week.alike.get(n) == number] if 2 * count >= len(ids) else []

    def _usual(self, group: Group, start: datetime) -> Norm:
        times = self._opened[group.shop_id]
        return self._week.usual(group, start, times[: bisect_left(times, start)])

    def _break_out(self, at: datetime, cause: str, group: Group, ids: Sequence[int]) -> None:
        running = self._breaking_out(at, group.shop_id)
        if running is None or (cause == "copies" and len(ids) > HANDFUL * len(running.feedback_ids)):
            self._open(at, cause, group, ids)
        else:
            self._attach(running, ids, group.category if cause == "burst" else "")

    def _breaking_out(self, at: datetime, shop_id: str | None) -> Foreseen | None:
        since = at - self._detect.burst_window * REACH[-1]
        mine = (one for one in self.crises if one.crisis.cause == "burst" and one.crisis.shop_id == shop_id)
        return next((one for one in mine if one.ends > at and one.crisis.opened_at >= since), None)

    def _open(self, at: datetime, cause: str, group: Group, ids: Sequence[int]) -> None:
        settled = at - self._detect.reopen_within
        again = (one for one in reversed(self.crises) if settled <= one.ends <= at and alike(one.crisis, group, cause))
        one = next(again, None)
        if one is None:
            crisis = Crisis(
                id=-len(self.crises) - 1,
                shop_id=group.shop_id,
                cause=cause,
                category=group.category,
                product=group.product,
                severity="critical" if cause == "critical" else "high",
                opened_at=at,
                updated_at=at,
            )
            one = Foreseen(crisis, at, first=len(ids))
            self.crises.append(one)
            self._opened[group.shop_id].append(at)
        one.ends = at + self._policy.crisis.follow_up
        self._attach(one, ids)

    def _attach(self, one: Foreseen, ids: Sequence[int], also: str = "") -> None:
        new = [n for n in ids if n not in self._home]
        one.feedback_ids += new
        self._home |= dict.fromkeys(new, one)
        self._week.take(self._item[n] for n in new)
        crisis = one.crisis
        if one.first:  # what really opened stays as it is
            crisis.severity = worst(crisis.severity, *(self._item[n].severity for n in new))
            if also and also not in crisis.categories and (crisis.category or crisis.product):
                crisis.also = [*crisis.also, also]

    def _free(self, items: Iterable[Fresh]) -> list[Fresh]:
        return [item for item in items if item.feedback_id not in self._home]

    def _writers(self, ids: Collection[int]) -> int:
        return len({self._who[n] for n in ids} - {""})

    def _named(self, ids: Sequence[int]) -> Group:
        items = [self._item[n] for n in ids]
        return Group(items[0].shop_id, commonest(code for item in items for code in item.categories[:1]))
