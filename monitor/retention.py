"""What is kept for how long: words age out in small batches, and what is counted stays.

What is due is found by number, not by looking at everything: rows are stored in the order in which they came, so a mark
says up to which of them a kind is done. A feedback that changed later bears a version from then: all that bear one are
gone through once a day.
A batch and its mark are one transaction: killed at any point, the next round goes on, and of two services one waits.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from monitor import audit, db, known, months
from monitor.clearing import clear, unquote
from monitor.core import Core
from monitor.models import Event, Feedback, FeedbackVersion, Known, Outbox, ReportCopy, Score

_NAME = "retention"
_BATCH = 500
_ROUND = 2.0  # seconds
_DONE = ("sent", "folded", "dead")


@dataclass(frozen=True, slots=True)
class _Step:
    """One batch of one kind.

    Attributes:
        count: How many rows were cleared.
        mark: The last row that is done with.
        more: Whether there may be more that are due.
    """

    count: int
    mark: int
    more: bool


def keep(core: Core) -> int:
    """Clear what is due, for some seconds and once a local day: the service's round; gives how many rows it was.

    What is to come has its months in the audit first.
    """
    months.ahead(core.engine, core.clock.now())
    return _work(core, time.monotonic() + _ROUND, again=False)


def run(core: Core) -> dict[str, int]:
    """Clear everything that is due now; gives how many rows of each kind."""
    _work(core, None, again=True)
    with db.reading(core.engine, long=True) as session:
        return dict(session.exec(select(Known.value).where(Known.name == _NAME)).one()["counts"])


def _work(core: Core, until: float | None, *, again: bool) -> int:
    day, total = core.clock.now().astimezone(core.settings.zone).date().isoformat(), 0
    with db.reading(core.engine, long=True) as session:  # most rounds end here, and no writer waits for them
        last = session.exec(select(Known.value).where(Known.name == _NAME)).first() or {}
        if last.get("day") == day and not again:
            return 0
    if again:
        with db.writing(core.engine, long=True) as session:
            row = known.hold(session, _NAME, core.clock.now())
            row.value = {**row.value, "day": "", "of": ""}
            session.add(row)
    while until is None or time.monotonic() < until:
        with db.writing(core.engine, long=True) as session:
            row = known.hold(session, _NAME, core.clock.now())
            if row.value.get("day") == day:
                break
            done = _batch(core, session, row, day)
            total += sum(done.values())
            if not done:
                _end(core, session, row, day)
    return total


def _batch(core: Core, session: Session, row: Known, day: str) -> dict[str, int]:
    """One batch of the first kind that is due; nothing where none is."""
    begun = row.value.get("of") == day
    marks = {name: mark for name, mark in row.value.get("marks", {}).items() if begun or ":" not in name}
    counts, done = dict(row.value["counts"]) if begun else {}, {}
    for name, (work, span) in _KINDS.items():
        kept: timedelta = getattr(core.settings.retention, span)
        step = work(session, int(marks.get(name, 0)), core.clock.now() - kept, core.clock.now())
        told = name.partition(":")[0]
        marks[name], counts[told] = step.mark, counts.get(told, 0) + step.count
        if step.more:
            done = {name: step.count}
            break
    row.value = {**row.value, "marks": marks, "counts": counts, "of": day}
    session.add(row)
    return done


def _end(core: Core, session: Session, row: Known, day: str) -> None:
    """The day's work is done: old files go, and what was done is an event."""
    kept = core.settings.retention
    counts = {**row.value["counts"], "rejects": _files(core, "rejects", kept.rejects)}
    counts["files"] = _files(core, "reports", kept.reviews)
    row.value, row.at = {**row.value, "day": day, "counts": counts}, core.clock.now()
    session.add(row)
    if told := {name: count for name, count in counts.items() if count}:
        audit.note(session, core.clock.now(), "store", 0, "aged", after=told)


def _files(core: Core, folder: str, kept: timedelta) -> int:
    oldest = (core.clock.now() - kept).timestamp()
    files = (file for file in (core.settings.service.var_dir / folder).glob("*") if file.is_file())
    found = [file for file in files if file.stat().st_mtime < oldest]
    for file in found:
        file.unlink(missing_ok=True)
    return len(found)


def _passed(session: Session, mark: int, cutoff: datetime) -> list[Any]:
    """The next feedbacks that were first seen before a time."""
    columns: Any = [getattr(Feedback, name) for name in ("id", "kind", "first_seen_at", "updated_at")]
    rows = session.execute(select(*columns).where(col(Feedback.id) > mark).order_by(col(Feedback.id)).limit(_BATCH))
    return list(takewhile(lambda row: row.first_seen_at < cutoff, rows))


def _words(kind: str) -> Callable[[Session, int, datetime, datetime], _Step]:
    def work(session: Session, mark: int, cutoff: datetime, _now: datetime) -> _Step:
        passed = _passed(session, mark, cutoff)
        count = _clear(session, [row.id for row in passed if row.kind == kind and row.updated_at < cutoff])
        return _Step(count, passed[-1].id if passed else mark, bool(passed))

    return work


def _edited(kind: str) -> Callable[[Session, int, datetime, datetime], _Step]:
    """What was not old enough when its turn came, or spoke again after it."""

    def work(session: Session, mark: int, cutoff: datetime, _now: datetime) -> _Step:
        of = col(FeedbackVersion.feedback_id)
        ids = session.exec(select(of).where(of > mark).distinct().order_by(of).limit(_BATCH)).all()
        old = select(Feedback.id).where(col(Feedback.id).in_(ids), Feedback.kind == kind, Feedback.updated_at < cutoff)
        count = _clear(session, [n for n in session.exec(old) if n is not None])
        return _Step(count, ids[-1] if ids else mark, bool(ids))

    return work


def _clear(session: Session, due: list[int]) -> int:
    gone = session.exec(select(Feedback.id).where(col(Feedback.id).in_(due), Feedback.cleared == "erased"))
    due = sorted(set(due) - set(gone))
    clear(session, due, "aged", secrets.token_bytes(32))
    return len(due)


def _evidence(session: Session, mark: int, cutoff: datetime, _now: datetime) -> _Step:
    passed = [row.id for row in _passed(session, mark, cutoff)]
    session.execute(update(Score).where(col(Score.feedback_id).in_(passed)).values(evidence=[], flags=[]))
    return _Step(len(passed), passed[-1] if passed else mark, bool(passed))


def _reports(session: Session, mark: int, cutoff: datetime, _now: datetime) -> _Step:
    old = select(ReportCopy).where(col(ReportCopy.id) > mark, ReportCopy.at < cutoff).order_by(col(ReportCopy.id))
    rows = session.exec(old.limit(_BATCH)).all()
    return _Step(sum(map(unquote, rows)), (rows[-1].id or mark) if rows else mark, bool(rows))


def _messages(session: Session, mark: int, cutoff: datetime, _now: datetime) -> _Step:
    rows = session.exec(select(Outbox).where(col(Outbox.id) > mark).order_by(col(Outbox.id)).limit(_BATCH)).all()
    count = end = 0
    for row in takewhile(lambda row: row.created_at < cutoff, rows):
        end = row.id or 0
        if row.state in _DONE:
            row.state = "folded" if row.state == "dead" else row.state  # nobody can send again what has no words
            row.payload, row.last_error, count = {}, "", count + 1
            session.add(row)
    return _Step(count, end or mark, bool(end))


def _events(session: Session, mark: int, cutoff: datetime, now: datetime) -> _Step:
    """Whole months, one a time."""
    oldest = session.exec(select(Event.at).order_by(col(Event.id)).limit(1)).first()
    until = min(months.first(cutoff), months.first(oldest, 1)) if oldest else None
    if oldest is None or until is None or oldest >= until:
        return _Step(0, mark, more=False)
    return _Step(audit.retire(session, until, now), mark, more=True)


# A kind with a colon counts as the one before it; its mark begins anew each day.
_KINDS: Mapping[str, tuple[Callable[[Session, int, datetime, datetime], _Step], str]] = {
    "reviews": (_words("review"), "reviews"),
    "reviews:edited": (_edited("review"), "reviews"),
    "mentions": (_words("mention"), "mentions"),
    "mentions:edited": (_edited("mention"), "mentions"),
    "scores": (_evidence, "scores"),
    "reports": (_reports, "reviews"),
    "messages": (_messages, "messages"),
    "events": (_events, "events"),
}
