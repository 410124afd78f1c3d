"""Root-cause prompts: for each category that rose, what stands out among its complaints against the weeks before."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, cast, or_, select
from sqlmodel import Session

from monitor import scope
from monitor.settings import Settings
from reports.counts import Category, Group
from reports.period import Period, Windows
from reports.shares import Z_MANY, Share, compare, difference
from reports.store import F, S, judged, negative, within

_CATEGORIES = 6
_AT_ONCE = 1000
_EVIDENCE = 4
_LEAST = 5  # complaints: fewer point nowhere
_STANDS_OUT = 0.2  # of the category's complaints
_MOST = 0.5
_COLUMNS = (F.shop_id, F.product, F.platform, F.extra, F.text, S.evidence)

Pair = tuple[str, str]  # field and value


@dataclass(frozen=True)
class Evidence:
    """What many of a category's complaints share.

    Attributes:
        field: ``shop``, ``said``, or what `monitor.scope.shared` tells: ``product``, ``warehouse``, …
        value: The shop's name, the product's, …; for ``said`` the buyers' words.
        now: How many of the span's complaints.
        norm: And of the four weeks before.
        risen: It is more than then, for certain; else it is merely what most of them share.
        all: How much of all feedback that tells the field has it; None where that is not counted.
    """

    field: str
    value: str
    now: Share
    norm: Share
    risen: bool
    all: Share | None = None


@dataclass(frozen=True)
class Why:
    """A category that rose, and what may have to do with it."""

    code: str
    now: int
    expected: float
    evidence: list[Evidence]


def whys(
    session: Session,
    windows: Windows,
    kind: str,
    rows: Iterable[Category],
    groups: Mapping[str, Sequence[Group]],
    settings: Settings,
) -> list[Why]:
    """Prompts for the categories that rose most, at most six; ``groups`` are all of the span, by field."""
    everywhere = _everywhere(groups)
    risen = sorted((row for row in rows if row.verdict == "up"), key=lambda row: row.expected - row.now)
    told = risen[:_CATEGORIES]
    now, norm = (
        _complaints(session, period, kind, [row.code for row in told], settings)
        for period in (windows.now, windows.norm)
    )
    return [Why(row.code, row.now, row.expected, _evidence(now[row.code], norm[row.code], everywhere)) for row in told]


def _everywhere(groups: Mapping[str, Sequence[Group]]) -> dict[Pair, Share]:
    """How much of all feedback comes from each shop, product, …, whatever it says."""
    found: dict[Pair, Share] = {}
    for field, rows in groups.items():
        whole = sum(row.counts.now.n for row in rows)
        found |= {(field, row.name): Share(row.counts.now.n, whole) for row in rows}
    return found


def _complaints(
    session: Session, period: Period, kind: str, codes: Sequence[str], settings: Settings
) -> dict[str, list[set[Pair]]]:
    """What each complaint of a category tells, as field and value; one look through the span finds those of all."""
    if not codes:
        return {}
    one_of = or_(*(cast(S.categories, String).contains(f'"{code}"') for code in codes))  # as text on every database
    here = within(F.happened_at, period.start, period.end)
    newest: Any = F.happened_at
    found = select(F.id, S.categories).select_from(judged).where(here, F.kind == kind, negative, one_of)
    rows = session.execute(found.order_by(newest.desc(), F.id.desc())).all()
    ids = {code: [n for n, categories in rows if code in categories][: scope.READ] for code in codes}
    told = _read(session, sorted({n for chosen in ids.values() for n in chosen}), settings)
    return {code: [told[n] for n in chosen] for code, chosen in ids.items()}


def _read(session: Session, ids: Sequence[int], settings: Settings) -> dict[int, set[Pair]]:
    told: dict[int, set[Pair]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = select(F.id, *_COLUMNS).select_from(judged).where(F.id.in_(ids[start : start + _AT_ONCE]))
        told |= {row.id: _told(row, settings) for row in session.execute(some)}
    return told


def _told(row: Any, settings: Settings) -> set[Pair]:
    shop = {("shop", settings.shop_name(row.shop_id))} if row.shop_id is not None else set()
    return scope.told(row) | shop


def _evidence(now: Sequence[set[Pair]], norm: Sequence[set[Pair]], everywhere: Mapping[Pair, Share]) -> list[Evidence]:
    before = Counter(pair for told in norm for pair in told)
    telling = Counter(field for told in now for field in {field for field, _ in told})
    found = []
    for pair, count in Counter(pair for told in now for pair in told).items():
        field, value = pair
        share, usual = Share(count, len(now)), Share(before[pair], len(norm))
        risen = compare(usual, share, Z_MANY) == "up" and share.rate >= _STANDS_OUT
        most = share.rate >= _MOST and share.rate > usual.rate and pair in everywhere
        if count >= _LEAST and (risen or most) and _peculiar(Share(count, telling[field]), everywhere.get(pair)):
            found.append(Evidence(field, value, share, usual, risen, everywhere.get(pair)))
    if any(one.field == "shop" for one in found):  # a shop is on its platform
        found = [one for one in found if one.field != "platform"]
    found.sort(key=lambda one: (not one.risen, one.norm.rate - one.now.rate, one.field, one.value))
    return found[:_EVIDENCE]


def _peculiar(told: Share, everywhere: Share | None) -> bool:
    """Whether more of the complaints have it than of all feedback: where nearly all is sold, nearly all complain."""
    return everywhere is None or everywhere.few or difference(everywhere, told)[0] > 0
