"""Reports that were sent, with the figures they were made from: shown again, they show the same numbers.

Where the store was corrected since, the next sending is a new version that says what is different.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session, col, func, select

from monitor.models import ReportCopy
from reports import labels
from reports.figures import Review, Summary
from reports.headline import NOUN

_TOLD = 6  # differences that are told one by one

Figures = Summary | Review


@dataclass(frozen=True)
class Edition:
    """Which version of a report this is.

    Attributes:
        version: 1 for the first.
        before: When the version before it was sent; None of the first.
        changes: What is different from that one, each ``评价 1,871 → 1,880``.
    """

    version: int = 1
    before: datetime | None = None
    changes: tuple[str, ...] = ()


def name(key: str, number: int) -> str:
    """What a version is called, in outbox and mail: each is sent once."""
    return key if number == 1 else f"{key}:{number}"


def newest(session: Session, key: str) -> tuple[Figures, Edition] | None:
    """The last version that was sent of a report; None where there is none that this program can read."""
    last = session.exec(select(func.max(ReportCopy.version)).where(ReportCopy.key == key)).one()
    return version(session, key, last) if last else None


def version(session: Session, key: str, number: int) -> tuple[Figures, Edition] | None:
    """A version that was sent of a report; None where there is none that this program can read."""
    found = _read(session, key, number)
    if found is None:
        return None
    before = _read(session, key, number - 1)
    if before is None:
        return found[1], Edition(number)
    return found[1], Edition(number, before[0], tuple(_changes(before[1], found[1])))


def edition(session: Session, key: str, made: Figures) -> Edition:
    """Which version a report of these figures is: the last that was sent, where it says the same, or the next."""
    found = newest(session, key)
    if found is None:
        return Edition()
    old, last = found
    if changes := tuple(_changes(old, made)):
        return Edition(last.version + 1, _sent_at(session, key, last.version), changes)
    return last


def _read(session: Session, key: str, number: int) -> tuple[datetime, Figures] | None:
    """When a version was sent, and its figures."""
    kept = session.exec(select(ReportCopy).where(ReportCopy.key == key, ReportCopy.version == number)).first()
    if kept is None:
        return None
    kind: type[Figures] = Summary if kept.kind in {"daily", "evening"} else Review
    try:
        return kept.at, TypeAdapter(kind).validate_json(kept.figures)
    except ValidationError:  # from a program whose reports had other figures
        return None


def _sent_at(session: Session, key: str, number: int) -> datetime:
    return session.exec(select(ReportCopy.at).where(ReportCopy.key == key, ReportCopy.version == number)).one()


def keep(session: Session, copy: ReportCopy) -> bool:
    """Put a version into the archive; False where it is there already."""
    there = select(ReportCopy.id).where(ReportCopy.key == copy.key, ReportCopy.version == copy.version)
    if session.exec(there).first() is not None:
        return False
    session.add(copy)
    return True


def listing(session: Session, most: int = 100) -> list[ReportCopy]:
    """What was sent, the newest first."""
    rows = select(ReportCopy).order_by(col(ReportCopy.at).desc(), col(ReportCopy.id).desc())
    return list(session.exec(rows.limit(most)))


def _changes(old: Figures, new: Figures) -> Iterator[str]:
    """The counts of the span that differ: states of cases and clocks go on, and are no corrections."""
    before, after = _facts(old), _facts(new)
    names = [name for name in after | before if before.get(name, 0) != after.get(name, 0)]
    for name in islice(names, _TOLD):
        yield f"{name} {before.get(name, 0):,} → {after.get(name, 0):,}"
    if len(names) > _TOLD:
        yield f"另有 {len(names) - _TOLD} 处"


def _facts(made: Figures) -> dict[str, int]:
    subject = made.subject if isinstance(made, Review) else "review"
    totals = made.totals if isinstance(made, Review) else made.reviews
    noun, bad, _ = NOUN[subject]
    facts = {noun: totals.now.n, bad: totals.now.negative, "四星以上": totals.now.satisfied}
    if subject == "review":
        facts |= {"提及": made.mentions.now.n, "负面提及": made.mentions.now.negative}
    rows = ((row.code, row.now if isinstance(made, Review) else row.count) for row in made.categories)  # type: ignore[union-attr]
    return facts | {labels.category(code): count for code, count in rows}
