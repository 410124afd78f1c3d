"""From item to stored, scored, filed feedback: one transaction a batch, and twice is the same as once.

Clean and mask first, so that nothing personal is ever stored; look up what is known; score only what is new or changed;
then store, open cases, detect crises and queue their notices together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from crawler.items import FeedbackItem
from monitor import answers_found, cases, corrections, db, detect, mending, salts, search, spread
from monitor.bulk import insert_rows, update_column, upsert
from monitor.core import Core
from monitor.engines import filed
from monitor.fresh import Fresh, join_key, reworded, what_changed
from monitor.incoming import Origin, make_row
from monitor.judge import Text
from monitor.labels import corrected
from monitor.models import Feedback, FeedbackVersion, Product, Score

BATCH = 500
_LOCK = 0x70_73_69_6E  # any number, the same in every process


@dataclass
class Counts:
    """What became of a batch, for the ledger: ``new + changed + duplicates`` is the number of items."""

    new: int = 0
    changed: int = 0
    duplicates: int = 0
    negative: int = 0
    cases_opened: int = 0
    crises_opened: int = 0

    def __iadd__(self, other: "Counts") -> Self:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


@dataclass(slots=True)
class _Draft:
    """An item on its way in: its row, what is known of it, and the verdict on it as the store has it."""

    row: dict[str, Any]
    undated: str = ""
    counts_only: bool = False
    known: Feedback | None = None
    verdict: dict[str, Any] = field(default_factory=dict)
    feedback_id: int = 0


def store(core: Core, origin: Origin, items: Sequence[FeedbackItem]) -> Counts:
    """Take in a batch.

    Returns:
        What became of it. Items that are already stored unchanged, or stand twice in the batch, are duplicates; those
        that only bring counts are not counted.
    """
    now = core.clock.now()
    drafts: dict[str, _Draft] = {}
    for item in items:
        row = make_row(core.secret, origin, item, now)
        if not (item.counts_only and row["external_id"] in drafts):
            drafts[row["external_id"]] = _Draft(row, item.undated_id, item.counts_only)  # the later of two is the newer
    with db.reading(core.engine) as session:
        fresh = _look_up(session, origin, drafts)
        again = spread.look(session, [(d.known, d.row["extra"]) for d in drafts.values() if d.known], now)
        mended = mending.look([(d.known, d.row) for d in drafts.values() if d.known])
    whole = sum(not item.counts_only for item in items)
    judgements = core.judge.judge_many([_text(draft.row) for draft in fresh])
    for draft, judgement in zip(fresh, judgements, strict=True):
        draft.verdict = filed(judgement)
    if not fresh and not again and not mended:
        return Counts(duplicates=whole)
    with db.writing(core.engine) as session:
        db.alone(session, _LOCK, origin.shop_id or "")  # or two at once open two cases or crises of one thing
        counts = _write(core, session, fresh, now, origin) if fresh else Counts()
        spread.write(session, again)
        grown = detect.spreading(core, session, [one.feedback_id for one in again if one.extra])
        counts.crises_opened += len(grown)
        mending.write(session, mended)
    counts.duplicates = whole - counts.new - counts.changed
    return counts


def _text(row: dict[str, Any]) -> Text:
    return Text(row["text"] or row["title"], row["kind"], row["stars"])


def _look_up(session: Session, origin: Origin, drafts: dict[str, _Draft]) -> list[_Draft]:
    """Mark what is known; give back what is new or changed."""
    known = session.exec(
        select(Feedback).where(Feedback.source_id == origin.source_id, col(Feedback.external_id).in_(drafts))
    )
    for row in known:
        drafts[row.external_id].known = row
    dateless = {draft.undated: draft for draft in drafts.values() if draft.undated and draft.known is None}
    for name, row in mending.undated(session, origin.source_id, dateless).items():
        dateless[name].known = row
    for name in [name for name, draft in drafts.items() if draft.known is not None and draft.known.cleared == "erased"]:
        del drafts[name]  # its writer asked for it to be forgotten
    whole = (draft for draft in drafts.values() if not draft.counts_only)
    return [d for d in whole if d.known is None or d.known.content_hash != d.row["content_hash"]]


def _write(core: Core, session: Session, drafts: Sequence[_Draft], now: datetime, origin: Origin) -> Counts:
    salts.apply(core, session, [draft.row for draft in drafts])
    search.drop(session, [draft.known.id or 0 for draft in drafts if draft.known is not None])
    new = _insert(session, [draft for draft in drafts if draft.known is None])
    changed = _change(session, [draft for draft in drafts if draft.known is not None], now)
    stored = [*new, *changed]
    _products(session, new)
    _scores(session, stored, now)
    batch = [_fresh(core, draft, origin) for draft in stored]
    opened = cases.file_feedback(core, session, batch)
    known = [draft.known.id or 0 for draft in drafts if draft.known is not None]  # also what another writer changed
    search.add(session, [*(draft.feedback_id for draft in new), *known])
    crises = detect.detect(core, session, batch)
    answers_found.check(session, [item.feedback_id for item in batch if _is_answered(item)], now)
    cases.tell(core, session, opened)
    return Counts(
        new=len(new),
        changed=len(changed),
        negative=sum(item.negative for item in batch),
        cases_opened=len(opened),
        crises_opened=len(crises),
    )


def _is_answered(item: Fresh) -> bool:
    """Whether the shop just answered, or changed or took back its answer; what history brings is not looked at."""
    return item.change == "replied" or (item.replied and not item.stale)


def _change(session: Session, drafts: Sequence[_Draft], now: datetime) -> list[_Draft]:
    """Update known rows; what staff said of them stands where the words are the same."""
    same = [d.known.id for d in drafts if d.known is not None and not reworded(d.known, d.row)]
    said = corrections.standing(session, same)
    changed = [draft for draft in drafts if _update(session, draft, now)]
    for draft in changed:
        if staff := said.get(draft.feedback_id):
            draft.verdict |= corrected(draft.verdict, staff.after)
            corrections.renew(session, staff, now)
    return changed


def _insert(session: Session, drafts: Sequence[_Draft]) -> list[_Draft]:
    """Store new rows; one that another writer stored meanwhile is left to it."""
    rows = [draft.row for draft in drafts]
    ids = {row.external_id: row.id for row in upsert(session, Feedback, rows, ("source_id", "external_id"))}
    stored = [draft for draft in drafts if draft.row["external_id"] in ids]
    for draft in stored:
        draft.feedback_id = ids[draft.row["external_id"]]
    _mark_copies(session, stored)
    return stored


def _mark_copies(session: Session, drafts: Sequence[_Draft]) -> None:
    """Point a text at the earliest stored one that says the same, so that copies can be told and counted."""
    keys = {draft.row["text_key"] for draft in drafts} - {""}
    firsts = (
        select(Feedback.text_key, func.min(Feedback.id))
        .where(col(Feedback.text_key).in_(keys))
        .group_by(Feedback.text_key)
    )
    first = dict(session.exec(firsts).all())
    copies = {
        draft.feedback_id: first[key]
        for draft in drafts
        if (key := draft.row["text_key"]) and first[key] != draft.feedback_id
    }
    update_column(session, Feedback, "duplicate_of", copies)


def _update(session: Session, draft: _Draft, now: datetime) -> bool:
    """Keep what the row said as a version and write what it says now, if nobody else did."""
    known = draft.known
    assert known is not None
    assert known.id is not None
    names = ("title", "text", "stars", "reply", "deleted", "content_hash", "text_key", "url")
    values = {name: draft.row[name] for name in names} | {"extra": {**known.extra, **draft.row["extra"]}, "cleared": ""}
    result: Any = session.execute(
        update(Feedback)
        .where(col(Feedback.id) == known.id, col(Feedback.version) == known.version)
        .values(**values, version=known.version + 1, updated_at=now),
        execution_options={"synchronize_session": False},
    )
    if result.rowcount != 1:
        return False
    session.add(
        FeedbackVersion(
            feedback_id=known.id,
            version=known.version,
            at=known.updated_at,
            text=known.text,
            stars=known.stars,
            reply=known.reply,
            deleted=known.deleted,
        )
    )
    draft.feedback_id = known.id
    return True


def _products(session: Session, drafts: Sequence[_Draft]) -> None:
    names = {(draft.row["shop_id"], draft.row["product"]) for draft in drafts if draft.row["product"]}
    known = set(session.exec(select(Product.shop_id, Product.name).where(col(Product.name).in_({n for _, n in names}))))
    rows = [{"shop_id": shop_id, "name": name} for shop_id, name in sorted(names - known, key=str)]
    insert_rows(session, Product, rows)


def _scores(session: Session, drafts: Sequence[_Draft], now: datetime) -> None:
    rows = [
        {
            "feedback_id": draft.feedback_id,
            "happened_at": draft.known.happened_at if draft.known else draft.row["happened_at"],
            **draft.verdict,
            "scored_at": now,
        }
        for draft in drafts
    ]
    old = [row["feedback_id"] for row, draft in zip(rows, drafts, strict=True) if draft.known]
    for row in session.exec(select(Score).where(col(Score.feedback_id).in_(old))):
        session.delete(row)
    session.flush()
    insert_rows(session, Score, rows)


def _fresh(core: Core, draft: _Draft, origin: Origin) -> Fresh:
    row, verdict, known = draft.row, draft.verdict, draft.known
    oldest = core.clock.now() - core.settings.policy.detect.max_age
    stale = row["happened_at"] < oldest or (origin.archive and row["created_at"] is None)
    return Fresh(
        feedback_id=draft.feedback_id,
        shop_id=row["shop_id"],
        kind=row["kind"],
        product=row["product"],
        join_key=join_key(row["shop_id"], row["order_ref"], row["author_hash"], row["product"]),
        negative=verdict["negative"] and not row["deleted"],
        severity=verdict["severity"],
        categories=tuple(verdict["categories"]),
        happened_at=row["happened_at"],
        timely=row["timely"],
        stale=stale,
        change=what_changed(known, row) if known else "",
        case_id=known.case_id if known else None,
        question=origin.questions and not row["deleted"],
        replied=bool(row["reply"]),
        tier=str(row["extra"].get("tier", "")),
    )
