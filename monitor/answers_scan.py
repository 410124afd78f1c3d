"""The daily look at public answers for what one answer alone does not show: copies, lateness, silence."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from monitor import db, duplicates, known
from monitor.answers import Kind, Problem, edition
from monitor.answers_found import OURSELVES, check, complains, keep
from monitor.core import Core
from monitor.models import AnswerFinding, Case, Feedback, FeedbackVersion, Known, Run, Score, Source, Timer
from monitor.states import STAGE_LABELS

_NAME = "answers.scanned"
_CHUNK = 500
_LETTERS = 14  # shorter answers are alike by chance
_ALIKE = 0.85
_MOST = 2000  # answers of a shop that are compared, the newest
_OTHERS = 2  # of the alike must be about something else than most are: one trouble of many buyers has one answer
_SHOWN = timedelta(days=90)  # within which a source has to have shown an answer that came later
_PASSING: tuple[Kind, ...] = ("late", "copied")  # nothing can be done about them after some days


@dataclass(frozen=True)
class _Look:
    """One look: where, when, how far back."""

    core: Core
    session: Session
    now: datetime

    @property
    def since(self) -> datetime:
        return self.now - self.core.settings.policy.answers.window


def scan(core: Core) -> int:
    """Look at the answers of the last days, and for those that are missing; gives how many faults are new.

    What intake looked at when it came is looked at again only where it was judged anew or the rules are others.
    """
    now, found = core.clock.now(), 0
    with db.reading(core.engine) as session:
        ids = _due(_Look(core, session, now))
    for at in range(0, len(ids), _CHUNK):  # short transactions: others write too
        with db.writing(core.engine) as session:
            found += check(session, ids[at : at + _CHUNK], now)
    with db.writing(core.engine) as session:
        look = _Look(core, session, now)
        _forget(look)
        found += _copied(look) + _late(look) + _unanswered(look)
        done = known.hold(session, _NAME, now)
        done.value, done.at = {"rules": edition()}, now
        session.add(done)
    return found


def _due(look: _Look) -> list[int]:
    """Feedbacks whose answers are to be looked at: changed or judged anew since, and all with open findings."""
    last = look.session.get(Known, _NAME)
    wanted = select(Feedback.id).join(Score, col(Score.feedback_id) == Feedback.id)
    wanted = wanted.where(Feedback.happened_at > look.since, Feedback.reply != "")
    if last is not None and last.value.get("rules") == edition():
        wanted = wanted.where((col(Feedback.updated_at) >= last.at) | (col(Score.scored_at) >= last.at))
    still_open = select(AnswerFinding.feedback_id).where(AnswerFinding.state == "open")
    ids = {*look.session.exec(wanted), *look.session.exec(still_open)}
    return sorted(number for number in ids if number is not None)


def _forget(look: _Look) -> None:
    """What is no complaint any more needs no answer; what is past cannot be mended."""
    session = look.session
    lapsed = update(AnswerFinding).where(
        AnswerFinding.state == "open",  # type: ignore[arg-type]
        col(AnswerFinding.kind).in_(_PASSING),
        AnswerFinding.found_at <= look.since,  # type: ignore[arg-type]
    )
    values = {"state": "lapsed", "settled_at": look.now, "settled_by": OURSELVES}
    session.execute(lapsed.values(**values), execution_options={"synchronize_session": False})
    relations: tuple[Kind, ...] = (*_PASSING, "unanswered")
    mine = (AnswerFinding.state == "open", col(AnswerFinding.kind).in_(relations), ~complains)
    wanted = _joined(select(AnswerFinding).join(Feedback, col(Feedback.id) == AnswerFinding.feedback_id))
    for finding in session.exec(wanted.where(*mine)):
        finding.state, finding.settled_at, finding.settled_by = "mended", look.now, OURSELVES
        session.add(finding)
    session.flush()


def _joined(statement: Any) -> Any:
    return statement.join(Score, col(Score.feedback_id) == Feedback.id).join(
        Case, col(Case.id) == Feedback.case_id, isouter=True
    )


def _copied(look: _Look) -> int:
    """One answer under many complaints about different things."""
    wanted = _joined(select(Feedback, Score.categories)).where(
        complains, Feedback.reply != "", Score.happened_at > look.since
    )
    shops: dict[str | None, list[Any]] = defaultdict(list)
    for row in look.session.execute(wanted.order_by(col(Feedback.id).desc())):
        if duplicates.letters(row.Feedback.reply) >= _LETTERS and len(shops[row.Feedback.shop_id]) < _MOST:
            shops[row.Feedback.shop_id].append(row)
    found = 0
    for rows in shops.values():
        present: dict[int, list[Problem]] = {}
        for group in duplicates.groups([row.Feedback.reply for row in rows], _ALIKE):
            present |= _copies([rows[n] for n in group], look.core.settings.policy.answers.copies)
        found += keep(look.session, {row.Feedback.id: row.Feedback for row in rows}, present, ("copied",), look.now)
    return found


def _copies(rows: Sequence[Any], enough: int) -> dict[int, list[Problem]]:
    about = Counter(next(iter(row.categories), "other") for row in rows)
    if len(rows) < enough or len(rows) - max(about.values()) < _OTHERS:
        return {}
    why = f"{len(rows)} 条说不同事情的差评下是同一段话"
    words = rows[-1].Feedback.reply
    return {row.Feedback.id: [Problem("copied", "", words, why)] for row in rows}


def _late(look: _Look) -> int:
    """First answers after the case's clock; a crawl between the deadline and the answer saw that it was not there."""
    looked = select(Run.id).where(
        Run.source_id == Feedback.source_id,
        Run.status == "ok",
        Run.started_at >= Timer.due_at,
        col(Run.finished_at) <= col(Timer.met_at),
    )
    clock = (Timer.case_id == Case.id, Timer.stage == "respond", Timer.step == "deadline")
    wanted = (
        select(Feedback, Timer.due_at, Timer.met_at)
        .join(Score, col(Score.feedback_id) == Feedback.id)
        .join(Case, col(Case.id) == Feedback.case_id)
        .join(Timer, col(Timer.case_id) == Case.id)
        .where(complains, Feedback.reply != "", *clock, col(Timer.met_at) > Timer.due_at, looked.exists())
        .where(
            Score.happened_at > look.now - look.core.settings.policy.detect.max_age,
            col(Timer.met_at) > look.since,
        )
    )
    # not in the statement: SQLite would take the order from the whole table
    newest = sorted(look.session.execute(wanted), key=lambda row: -row.Feedback.id)
    first = {row.Feedback.case_id: row for row in newest}  # of a case, the feedback seen first
    present = {row.Feedback.id: [_too_late(look, row)] for row in first.values()}
    return keep(look.session, {row.Feedback.id: row.Feedback for row in first.values()}, present, ("late",), look.now)


def _too_late(look: _Look, row: Any) -> Problem:
    due, met = (at.astimezone(look.core.settings.zone) for at in (row.due_at, row.met_at))
    stage = STAGE_LABELS["case"]["respond"]
    return Problem("late", "", row.Feedback.reply, f"{stage}应在 {due:%m-%d %H:%M} 前，看到时是 {met:%m-%d %H:%M}")


def _unanswered(look: _Look) -> int:
    """Complaints without a public answer, where the source shows answers and was read since."""
    patience = look.core.settings.policy.answers.unanswered
    if not patience:
        return 0
    latest = look.now - patience
    wanted = _joined(select(Feedback)).join(Source, col(Source.id) == Feedback.source_id)
    rows = look.session.scalars(
        wanted.where(
            complains,
            Feedback.kind == "review",
            Feedback.reply == "",
            col(Feedback.source_id).in_(_showing(look)),
            Score.happened_at > look.since,
            Score.happened_at <= latest,
            Feedback.first_seen_at <= latest,
            col(Source.last_success_at) > latest,
            col(Case.state).is_(None) | (~col(Case.backlog) & (col(Case.state) != "suspected")),
        )
    ).all()
    hours = patience // timedelta(hours=1)
    present = {row.id: [Problem("unanswered", "", "", f"过了 {hours} 小时还没有公开回复")] for row in rows}
    return keep(look.session, {row.id: row for row in rows}, present, ("unanswered",), look.now)


def _showing(look: _Look) -> list[int]:
    """Sources that showed an answer that was not there at first: what is answered later is seen there."""
    later = (
        select(Feedback.source_id)
        .join(FeedbackVersion, col(FeedbackVersion.feedback_id) == Feedback.id)
        .where(FeedbackVersion.reply == "", Feedback.reply != "", Feedback.updated_at > look.now - _SHOWN)
    )
    return list(look.session.exec(later.group_by(col(Feedback.source_id)).having(func.count() > 0)))
