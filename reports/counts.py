"""How many feedbacks, negative ones and satisfied ones: by day, by shop, platform and product, by category."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, select
from sqlmodel import Session

from monitor.settings import Settings
from reports.period import Period, Windows
from reports.shares import Z_MANY, Share, Verdict, compare
from reports.store import F, S, each, judged, negative, step, tally, within

_HANDFUL = 5
_EXTRA = ("sku", "warehouse", "courier")
_HAPPY = 4  # stars from which a buyer counts as satisfied


@dataclass(frozen=True)
class Counts:
    """Feedbacks of one group and span.

    Attributes:
        n: All.
        negative: The negative ones.
        starred: Those with stars.
        satisfied: Those of four stars and more that are not negative.
    """

    n: int = 0
    negative: int = 0
    starred: int = 0
    satisfied: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.n + other.n,
            self.negative + other.negative,
            self.starred + other.starred,
            self.satisfied + other.satisfied,
        )

    @property
    def bad(self) -> Share:
        """The share of negatives."""
        return Share(self.negative, self.n)

    @property
    def good(self) -> Share:
        """The share of satisfied buyers among those who gave stars."""
        return Share(self.satisfied, self.starred)


@dataclass(frozen=True)
class Triple:
    """One group in the reported span, the one before and the four weeks before."""

    now: Counts = field(default_factory=Counts)
    prior: Counts = field(default_factory=Counts)
    norm: Counts = field(default_factory=Counts)

    @property
    def verdict(self) -> Verdict:
        """How the share of negatives stands against the norm."""
        return compare(self.norm.bad, self.now.bad)

    def plus(self, counts: Counts, members: tuple[bool, bool, bool]) -> "Triple":
        """With counts of a segment added to the spans it belongs to."""
        now, prior, norm = members
        return Triple(
            self.now + counts if now else self.now,
            self.prior + counts if prior else self.prior,
            self.norm + counts if norm else self.norm,
        )


@dataclass(frozen=True)
class Group:
    """A shop, platform or product with its counts."""

    name: str
    counts: Triple

    @property
    def verdict(self) -> Verdict:
        """As of one row among many."""
        return compare(self.counts.norm.bad, self.counts.now.bad, Z_MANY)


@dataclass(frozen=True)
class Category:
    """A complaint category.

    Attributes:
        code: Its code.
        now: Negatives that name it in the reported span, of ``n`` feedbacks.
        prior: In the span before.
        norm: In the four weeks before.
        n: Feedbacks of the three spans.
    """

    code: str
    now: int
    prior: int
    norm: int
    n: tuple[int, int, int]

    @property
    def verdict(self) -> Verdict:
        """How its share of all feedbacks stands against the norm; a handful in four weeks and now says nothing."""
        if max(self.now, self.expected) < _HANDFUL:
            return "few"
        return compare(Share(self.norm, self.n[2]), Share(self.now, self.n[0]), Z_MANY)

    @property
    def expected(self) -> float:
        """How many there would be at the norm's share; 0 without a norm."""
        return self.norm * self.n[0] / self.n[2] if self.n[2] else 0.0


Days = dict[date, Counts]
_COUNTS = (
    func.count(),
    tally(negative),
    func.count(F.stars),
    tally((F.stars >= _HAPPY) & ~func.coalesce(negative, False)),
)


def by_day(session: Session, windows: Windows) -> dict[str, Days]:
    """Counts of reviews and mentions on every day of the three spans, days without any included."""
    period = windows.all_days()
    index = step(F.happened_at, period.edges, range(len(period.days)))
    here = within(F.happened_at, period.start, period.end)
    found = select(F.kind, index.label("i"), *_COUNTS).select_from(judged).where(here).group_by(F.kind, "i")
    days = {kind: dict.fromkeys(period.days, Counts()) for kind in ("review", "mention")}
    for kind, i, *counts in session.execute(found):
        days[kind][period.days[i]] = Counts(*counts)
    return days


def total(days: Days, windows: Windows) -> Triple:
    """The days summed over the three spans."""
    now, prior, norm = (
        sum((days.get(day, Counts()) for day in part.days), Counts())
        for part in (windows.now, windows.prior, windows.norm)
    )
    return Triple(now, prior, norm)


def by_group(session: Session, windows: Windows, kind: str, settings: Settings) -> dict[str, list[Group]]:
    """Counts by ``shop``, ``platform``, ``product`` and what exports tell beside (``sku``, ``warehouse``, ``courier``).

    Most negatives first; a group without any now is left out.
    """
    keys = (F.shop_id, F.platform, F.product)
    segment = step(F.happened_at, windows.edges, range(len(windows.segments)))
    found = (
        select(segment.label("i"), *keys, *_COUNTS)
        .select_from(judged)
        .where(*_these(windows.all_days(), kind))
        .group_by("i", *keys)
    )
    names: dict[str, Callable[[Any], str]] = {
        "shop": lambda row: settings.shop_name(row.shop_id),
        "platform": lambda row: row.platform or _platform_of(settings, row.shop_id),
        "product": lambda row: row.product,
    }
    sums: dict[str, dict[str, Triple]] = {dimension: defaultdict(Triple) for dimension in names}
    segments = windows.segments
    for row in session.execute(found):
        counts = Counts(*row[4:])
        for dimension, name in names.items():
            groups = sums[dimension]
            groups[name(row)] = groups[name(row)].plus(counts, segments[row.i])
    sums |= _by_extra(session, windows, kind)
    return {dimension: _ranked(groups) for dimension, groups in sums.items()}


def _by_extra(session: Session, windows: Windows, kind: str) -> dict[str, dict[str, Triple]]:
    told = [F.extra[name].as_string().label(name) for name in _EXTRA]
    segment = step(F.happened_at, windows.edges, range(len(windows.segments)))
    found = (
        select(segment.label("i"), *told, *_COUNTS)
        .select_from(judged)
        .where(*_these(windows.all_days(), kind), cast(F.extra, String) != "{}")
        .group_by("i", *_EXTRA)
    )
    sums: dict[str, dict[str, Triple]] = {name: defaultdict(Triple) for name in _EXTRA}
    for row in session.execute(found):
        counts = Counts(*row[len(_EXTRA) + 1 :])
        for name, value in zip(_EXTRA, row[1:], strict=False):
            if value:
                sums[name][str(value)] = sums[name][str(value)].plus(counts, windows.segments[row.i])
    return sums


def by_category(session: Session, windows: Windows, kind: str, totals: Triple) -> list[Category]:
    """Negatives by category, most frequent now first; one of several categories counts for each."""
    member = each(session, S.categories)
    segment = step(F.happened_at, windows.edges, range(len(windows.segments)))
    found = (
        select(segment.label("i"), member.c.value, func.count())
        .select_from(judged, member)
        .where(*_these(windows.all_days(), kind), negative)
        .group_by("i", member.c.value)
    )
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for i, code, count in session.execute(found):
        for place, inside in enumerate(windows.segments[i]):
            sums[code][place] += count * inside
    n = (totals.now.n, totals.prior.n, totals.norm.n)
    rows = (Category(code, now, prior, norm, n) for code, (now, prior, norm) in sums.items())
    return sorted(rows, key=lambda row: (-row.now, -row.norm, row.code))


def _these(period: Period, kind: str) -> list[ColumnElement[bool]]:
    here = [within(F.happened_at, period.start, period.end)]
    return [*here, F.kind == kind] if kind else here


def _platform_of(settings: Settings, shop_id: str | None) -> str:
    return next((shop.platform for shop in settings.shops if shop.id == shop_id), "")


def _ranked(groups: dict[str, Triple]) -> list[Group]:
    rows: Iterable[Group] = (Group(name, counts) for name, counts in groups.items() if name and counts.now.n)
    return sorted(rows, key=lambda row: (-row.counts.now.negative, -row.counts.now.n, row.name))
