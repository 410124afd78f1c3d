"""What is kept of one author, to be handed out or erased on demand (PIPL, articles 45 and 47).

An author is found by the hash of the name that he gives, on every platform, and by an order's number. Names that a
platform masks itself have no hash: then only the order leads to them.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, false, or_, select

from monitor import audit, db, salts
from monitor.clearing import clear, unquote
from monitor.core import Core
from monitor.models import Case, Feedback, FeedbackVersion, ReportCopy, Score, Source
from monitor.states import CASE_OPEN
from monitor.text import clean

_BATCH = 500
_LONGEST = 200  # characters of a name that are hashed
_KEPT = "id shop_id platform kind external_id url title text stars author product order_ref reply deleted extra"
_MOMENTS = "created_at happened_at first_seen_at updated_at"


@dataclass(frozen=True)
class Erased:
    """What was erased.

    Attributes:
        feedback: How many feedbacks lost their words.
        cases: Numbers of cases about them that are not closed yet.
        reports: How many reports that were sent quoted them.
    """

    feedback: int
    cases: tuple[int, ...]
    reports: int


def find(core: Core, session: Session, name: str, order: str) -> list[int]:
    """Ids of an author's feedbacks; nothing for an author without name and order.

    Args:
        core: The common ground.
        session: A transaction.
        name: As it stands at the platform, unmasked; may be empty.
        order: An order's number; may be empty.
    """
    author, ref = clean(name)[:_LONGEST], clean(order)[:_LONGEST]
    hashes = {salts.pseudonym(core, session, author, platform) for platform in _platforms(core, session)} - {""}
    mine = or_(col(Feedback.author_hash).in_(hashes), (Feedback.order_ref == ref) if ref else false())
    return [n for n in session.exec(select(Feedback.id).where(mine).order_by(col(Feedback.id))) if n is not None]


def _platforms(core: Core, session: Session) -> set[str]:
    """Every platform that feedback came from: those of the config, and of each source's first and last."""
    named = {shop.platform for shop in core.settings.shops} | {source.kind for source in core.settings.sources}
    for source_id in session.exec(select(Source.id)).all():
        of = select(Feedback.platform).where(Feedback.source_id == source_id)
        for way in (col(Feedback.external_id), col(Feedback.external_id).desc()):
            named |= set(session.exec(of.order_by(way).limit(1)))
    return named


def hand_out(core: Core, name: str, order: str, actor: str) -> Iterator[dict[str, Any]]:
    """Everything that is kept of an author, one feedback a row; that it was asked for is an event without a name."""
    with db.writing(core.engine) as session:
        ids = find(core, session, name, order)
        audit.note(session, core.clock.now(), "author", 0, "exported", actor, "cli", after={"feedback": len(ids)})
    with db.reading(core.engine) as session:
        for part in _parts(ids):
            yield from _rows(core, session, part)


def _rows(core: Core, session: Session, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    earlier: dict[int, list[dict[str, Any]]] = {}
    versions = select(FeedbackVersion).where(col(FeedbackVersion.feedback_id).in_(ids))
    for one in session.exec(versions.order_by(col(FeedbackVersion.version))):
        told = {"at": _at(core, one.at), "text": one.text, "stars": one.stars, "reply": one.reply}
        earlier.setdefault(one.feedback_id, []).append(told)
    found = select(Feedback, Score, Source.name).join(Score, isouter=True).join(Source)
    for row, score, source in session.exec(found.where(col(Feedback.id).in_(ids)).order_by(col(Feedback.id))):
        verdict = score.model_dump(include={"negative", "categories", "severity"}) if score else {}
        yield {
            **{name: getattr(row, name) for name in _KEPT.split()},
            **{name: _at(core, getattr(row, name)) for name in _MOMENTS.split()},
            **verdict,
            "source": source,
            "case_id": row.case_id,
            "earlier": earlier.get(row.id or 0, []),
        }


def _at(core: Core, moment: Any) -> str | None:
    return moment.astimezone(core.settings.zone).isoformat() if moment else None


def erase(core: Core, name: str, order: str, actor: str) -> Erased:
    """Take an author's words and names out of the store, and out of the archive of reports; counts stay.

    All in one transaction: what it says was done is done. The event says how many, and not whose.
    """
    now, key = core.clock.now(), secrets.token_bytes(32)
    with db.writing(core.engine) as session:
        ids = find(core, session, name, order)
        owned = select(Case.id).join(Feedback, col(Feedback.case_id) == Case.id)
        running = owned.where(col(Feedback.id).in_(ids), col(Case.state).in_(CASE_OPEN)).distinct()
        cases = tuple(sorted(n for n in session.exec(running) if n is not None))
        for part in _parts(ids):
            clear(session, part, "erased", key)
        quoting = [report.key for report in session.exec(select(ReportCopy)) if ids and unquote(report, set(ids))]
        if ids:
            told = {"feedback": len(ids), "reports": len(quoting)}
            audit.note(session, now, "author", 0, "erased", actor, "cli", after=told)
    for report_key in quoting:
        _shred(core.settings.service.var_dir / "reports", report_key)
    return Erased(len(ids), cases, len(quoting))


def _shred(folder: Path, key: str) -> None:
    """Files of a report that was sent: the desk makes it again from its figures."""
    for file in folder.glob(f"{key.replace(':', '-')}*"):
        file.unlink(missing_ok=True)


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _BATCH):
        yield ids[start : start + _BATCH]
