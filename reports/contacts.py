"""Cases settled with one contact (一次解决率), and with whom and over what it took more."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlmodel import Session

from monitor.first_contact import once, settled
from reports.period import Period
from reports.shares import NOTHING, Share
from reports.store import C, cases, person, tally

_SHOWN = 3


@dataclass(frozen=True)
class Contacts:
    """Cases settled in a span, of which so many with one contact.

    Attributes:
        share: Of the span.
        before: Of the span before, as it stood at that one's end.
        people: With whom it took more than one most often; "" for nobody.
        categories: Over what; a case of several counts for each.
    """

    share: Share = NOTHING
    before: Share = NOTHING
    people: Sequence[tuple[str, Share]] = field(default_factory=list)
    categories: Sequence[tuple[str, Share]] = field(default_factory=list)

    @property
    def again(self) -> int:
        """Cases that took more than one."""
        return self.share.whole - self.share.part


def contacts(session: Session, period: Period, before: Period) -> Contacts:
    """Of cases settled in a span and in the one before."""
    found = (
        select(func.coalesce(person.c.name, ""), C.categories, once(period.start, period.end))
        .select_from(cases.outerjoin(person, person.c.id == C.assignee_id))
        .where(settled(period.start, period.end))
    )
    rows = [(who, codes, bool(well)) for who, codes, well in session.execute(found)]
    share = Share(sum(well for *_, well in rows), len(rows))
    people = _worst((who, well) for who, _, well in rows)
    return Contacts(
        share, _share(session, before), people, _worst((code, well) for _, codes, well in rows for code in codes)
    )


def _share(session: Session, period: Period) -> Share:
    found = select(tally(once(period.start, period.end)), func.count()).select_from(cases)
    return Share(*session.execute(found.where(settled(period.start, period.end))).one())


def _worst(rows: Iterable[tuple[str, bool]]) -> list[tuple[str, Share]]:
    """Those with which it took more than one, most often first."""
    counted: dict[str, list[bool]] = defaultdict(list)
    for name, well in rows:
        counted[name].append(well)
    shares = [(name, Share(sum(wells), len(wells))) for name, wells in counted.items() if not all(wells)]
    return sorted(shares, key=lambda one: (one[1].part - one[1].whole, one[1].rate, one[0]))[:_SHOWN]
