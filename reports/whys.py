"""Root-cause prompts: for each category that rose, what stands out among its complaints against the weeks before."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, cast, select
from sqlmodel import Session

from monitor import scope
from monitor.settings import Settings
from reports.counts import Category
from reports.period import Period, Windows
from reports.shares import Z_MANY, Share, compare
from reports.store import F, S, judged, negative, within

_CATEGORIES = 3
_READ = 3000  # newest complaints of a span that are read
_EVIDENCE = 4
_LEAST = 5  # complaints: fewer point nowhere
_STANDS_OUT = 0.2  # of the category's complaints
_MOST = 0.5
_COLUMNS = (F.shop_id, F.product, F.platform, F.extra, F.text, S.evidence)
_SAID = 3  # letters of words that tell something


@dataclass(frozen=True)
class Evidence:
    """What many of a category's complaints share.

    Attributes:
        field: ``shop``, ``said``, or what `monitor.scope.shared` tells: ``product``, ``warehouse``, …
        value: The shop's name, the product's, …; for ``said`` the buyers' words.
        now: How many of the span's complaints.
        norm: And of the four weeks before.
        risen: It is more than then, for certain; else it is merely what most of them share.
    """

    field: str
    value: str
    now: Share
    norm: Share
    risen: bool


@dataclass(frozen=True)
class Why:
    """A category that rose, and what may have to do with it."""

    code: str
    now: int
    expected: float
    evidence: list[Evidence]


def whys(session: Session, windows: Windows, kind: str, rows: Iterable[Category], settings: Settings) -> list[Why]:
    """Prompts for the categories that rose most, at most three."""
    risen = sorted((row for row in rows if row.verdict == "up"), key=lambda row: row.expected - row.now)
    found = []
    for row in risen[:_CATEGORIES]:
        now = _complaints(session, windows.now, kind, row.code, settings)
        norm = _complaints(session, windows.norm, kind, row.code, settings)
        found.append(Why(row.code, row.now, row.expected, _evidence(now, norm)))
    return found


def _complaints(
    session: Session, period: Period, kind: str, code: str, settings: Settings
) -> list[set[tuple[str, str]]]:
    """What each complaint of the category tells, as field and value."""
    mine = cast(S.categories, String).contains(f'"{code}"')  # codes are fixed words: as text on every database
    here = within(F.happened_at, period.start, period.end)
    found = select(*_COLUMNS).select_from(judged).where(here, F.kind == kind, negative, mine)
    newest: Any = F.happened_at
    rows = session.execute(found.order_by(newest.desc()).limit(_READ))
    return [_told(row, settings) for row in rows]


def _told(row: Any, settings: Settings) -> set[tuple[str, str]]:
    told = set(scope.shared(row).items())
    if row.shop_id is not None:
        told.add(("shop", settings.shop_name(row.shop_id)))
    said = (str(mark["text"]) for mark in row.evidence or [])
    return told | {("said", words) for words in said if len(words) >= _SAID}


def _evidence(now: Sequence[set[tuple[str, str]]], norm: Sequence[set[tuple[str, str]]]) -> list[Evidence]:
    before = Counter(pair for told in norm for pair in told)
    found = []
    for (field, value), count in Counter(pair for told in now for pair in told).items():
        share, usual = Share(count, len(now)), Share(before[field, value], len(norm))
        risen = compare(usual, share, Z_MANY) == "up" and share.rate >= _STANDS_OUT
        most = share.rate >= _MOST and share.rate > usual.rate and field != "said"
        if count >= _LEAST and (risen or most):
            found.append(Evidence(field, value, share, usual, risen))
    found.sort(key=lambda one: (not one.risen, one.norm.rate - one.now.rate, one.field, one.value))
    return found[:_EVIDENCE]
