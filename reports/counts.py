"""How many feedbacks, negative ones and satisfied ones: by day, by shop, platform and product, by category."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlmodel import Session

from monitor.settings import Settings
from reports.daycounts import COUNTS, EXTRA, D
from reports.period import Period, Windows
from reports.shares import Z_MANY, Share, Verdict, compare
from reports.store import F, step

_HANDFUL = 5


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
_SUMS = tuple(func.sum(D[name]) for name in COUNTS)


def by_day(session: Session, windows: Windows) -> dict[str, Days]:
    """Counts of reviews and mentions on every day of the three spans, days without any included."""
    period = windows.all_days()
    found = select(D.kind, D.day, *_SUMS).where(*_these(period, "", "shop")).group_by(D.kind, D.day)
    days = {kind: dict.fromkeys(period.days, Counts()) for kind in ("review", "mention")}
    for kind, day, *counts in session.execute(found):
        days[kind][day] = Counts(*counts)
    return days


def total(days: Days, windows: Windows) -> Triple:
    """The days summed over the three spans."""
    now, prior, norm = (on(days, part.days) for part in (windows.now, windows.prior, windows.norm))
    return Triple(now, prior, norm)


def known_days(session: Session, windows: Windows, zone: ZoneInfo) -> int:
    """Days of the norm since there has been any feedback at all."""
    first = session.execute(select(func.min(F.happened_at))).scalar_one()
    if first is None:
        return 0
    begun: date = first.astimezone(zone).date()
    return min(len(windows.norm.days), max(0, (windows.now.first - begun).days))


def on(days: Mapping[date, Counts], these: Iterable[date]) -> Counts:
    """The sum of some days."""
    return sum((days[day] for day in these), Counts())


def categories_on(session: Session, days: Sequence[date]) -> dict[str, list[int]]:
    """Negatives of both kinds by category on each of some days."""
    found = select(D.value, D.day, func.sum(D.negative)).where(D.field == "category", D.day.in_(days))
    counted: dict[str, list[int]] = defaultdict(lambda: [0] * len(days))
    for code, day, count in session.execute(found.group_by(D.value, D.day)):
        counted[code][days.index(day)] = count
    return counted


def by_group(session: Session, windows: Windows, kind: str, settings: Settings) -> dict[str, list[Group]]:
    """Counts by ``shop``, ``platform``, ``product`` and what exports tell beside (``sku``, ``warehouse``, ``courier``).

    Most negatives first; a group without any now is left out.
    """
    fields = ("shop", "platform", "product", *EXTRA)
    keys = (D.field, D.shop_id, D.value)
    segment = _segment(windows)
    found = select(segment.label("i"), *keys, *_SUMS).where(*_these(windows.all_days(), kind, *fields))
    sums: dict[str, dict[str, Triple]] = {what: defaultdict(Triple) for what in fields}
    for i, what, shop_id, value, *counts in session.execute(found.group_by("i", *keys)):
        name = value
        if what == "shop":
            name = settings.shop_name(shop_id or None)
        elif what == "platform":
            name = value or _platform_of(settings, shop_id)
        sums[what][name] = sums[what][name].plus(Counts(*counts), windows.segments[i])
    return {what: _ranked(groups) for what, groups in sums.items()}


def by_category(session: Session, windows: Windows, kind: str, totals: Triple) -> list[Category]:
    """Negatives by category, most frequent now first; one of several categories counts for each."""
    found = select(_segment(windows).label("i"), D.value, func.sum(D.negative))
    these = found.where(*_these(windows.all_days(), kind, "category")).group_by("i", D.value)
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for i, code, count in session.execute(these):
        for place, inside in enumerate(windows.segments[i]):
            sums[code][place] += count * inside
    n = (totals.now.n, totals.prior.n, totals.norm.n)
    rows = (Category(code, now, prior, norm, n) for code, (now, prior, norm) in sums.items())
    return sorted(rows, key=lambda row: (-row.now, -row.norm, row.code))


def _segment(windows: Windows) -> ColumnElement[int]:
    """Which of the windows' segments a day lies in."""
    return step(D.day, windows.first_days, range(len(windows.segments)))


def _these(period: Period, kind: str, *fields: str) -> list[ColumnElement[bool]]:
    here: list[ColumnElement[bool]] = [D.field.in_(fields), D.day.between(period.first, period.last)]
    return [*here, D.kind == kind] if kind else here


def _platform_of(settings: Settings, shop_id: str | None) -> str:
    return next((shop.platform for shop in settings.shops if shop.id == shop_id), "")


def _ranked(groups: dict[str, Triple]) -> list[Group]:
    rows: Iterable[Group] = (Group(name, counts) for name, counts in groups.items() if name and counts.now.n)
    return sorted(rows, key=lambda row: (-row.counts.now.negative, -row.counts.now.n, row.name))
