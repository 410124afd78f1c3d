"""``pingshao rescore``: judges stored feedback again with the engine of now.

What is left to do are the scores that another model made, so a run that was killed goes on where it stopped. Scores are
corrected, and with them what open cases say of themselves; nothing is opened, closed or timed anew by it, and where
staff said otherwise their word stands.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from monitor import corrections, db
from monitor.audit import change, record, updated
from monitor.core import Core
from monitor.engines import filed
from monitor.judge import Judgement, Text
from monitor.labels import VERDICT, corrected
from monitor.models import Case, Event, Feedback, Score
from monitor.states import CASE_OPEN, worst

_PASSES = 3  # what somebody held in one is tried again in the next


@dataclass
class Rescored:
    """What a run did.

    Attributes:
        model: The engine of now.
        scored: Scores written.
        changed: Of these, how many say something else than before.
        now_negative: Of these, how many were no complaint before.
        now_harmless: Of these, how many were one before.
        corrected: Of the scores written, how many say what staff said.
        cases: Open cases whose categories or severity changed.
        left: Scores of another model that are still there: changed meanwhile, by a service that uses that model.
    """

    model: str
    scored: int = 0
    changed: int = 0
    now_negative: int = 0
    now_harmless: int = 0
    corrected: int = 0
    cases: int = 0
    left: int = 0


def rescore(
    core: Core, since: datetime | None = None, batch: int = 500, progress: Callable[[int, int], None] | None = None
) -> Rescored:
    """Judge again what another model judged, batch by batch.

    Args:
        core: The common ground.
        since: Leaves older feedback alone.
        batch: Feedbacks judged, and then written, at a time.
        progress: Told after each batch how many were looked at, and of how many.
    """
    done = Rescored(core.judge.model)
    total = done.left = _count(core, since)
    for _ in range(_PASSES if total else 0):
        last = 0
        while page := _page(core, since, last, batch):
            verdicts = core.judge.judge_many([Text(row.text or row.title, row.kind, row.stars) for row in page])
            with db.writing(core.engine) as session:
                _write(core, session, list(zip(page, verdicts, strict=True)), done)
            last = page[-1].id or 0
            if progress is not None:
                progress(done.scored, max(done.scored, total))
        done.left = _count(core, since)
        if not done.left:
            break
    if done.scored:
        with db.writing(core.engine) as session:
            session.add(_event(core.clock.now(), done))
    return done


def _event(at: datetime, done: Rescored) -> Event:
    return Event(at=at, actor="评哨", door="cli", subject="score", subject_id=0, what="rescored", after=asdict(done))


def _left(core: Core, since: datetime | None) -> Any:
    """Feedback that another model judged and that still has its words."""
    left = select(Feedback).join(Score).where(col(Score.model).not_in(core.judge.models), Feedback.cleared == "")
    return left if since is None else left.where(Feedback.happened_at >= since)


def _count(core: Core, since: datetime | None) -> int:
    with db.reading(core.engine) as session:
        return int(session.exec(_left(core, since).with_only_columns(func.count())).one())


def _page(core: Core, since: datetime | None, last: int, batch: int) -> list[Feedback]:
    rows = _left(core, since).where(col(Feedback.id) > last).order_by(col(Feedback.id)).limit(batch)
    with db.reading(core.engine) as session:
        return list(session.exec(rows))


def _write(core: Core, session: Session, verdicts: Sequence[tuple[Feedback, Judgement]], done: Rescored) -> None:
    """Write the verdicts on feedback that is still as it was judged."""
    now = core.clock.now()
    free = _free(session, {row.id: row.version for row, _ in verdicts})
    staff = corrections.standing(session, free)
    shaken: dict[int | None, Case] = {}
    for row, verdict in verdicts:
        score, case = free.get(row.id, (None, None))
        if score is None or score.model in core.judge.models:
            continue  # edited since, held by somebody, or another run was faster
        before = {name: getattr(score, name) for name in VERDICT}
        said = staff.get(score.feedback_id)
        values = filed(verdict) if said is None else corrected(filed(verdict), said.after)
        for name, value in values.items():
            setattr(score, name, value)
        score.scored_at = now
        session.add(score)
        done.scored += 1
        done.corrected += said is not None
        if before != {name: values[name] for name in VERDICT}:
            done.changed += 1
            done.now_negative += values["negative"] > before["negative"]
            done.now_harmless += values["negative"] < before["negative"]
            if case is not None and case.state in CASE_OPEN:
                shaken[case.id] = case
    session.flush()
    done.cases += _mend(core, session, shaken, now)


def _free(session: Session, versions: Mapping[int | None, int]) -> dict[int | None, tuple[Score, Case | None]]:
    """Score and case of each feedback that nobody has changed or is changing.

    They are locked, without ever waiting for a lock: nobody who takes in feedback or acts on a case is drawn into a
    deadlock.
    """
    rows = session.exec(
        select(Feedback.id, Feedback.version, Feedback.case_id, Score)
        .join(Score)
        .where(col(Feedback.id).in_(versions))
        .with_for_update(key_share=True, skip_locked=True)
    ).all()
    mine = select(Case).where(col(Case.id).in_({case_id for _, _, case_id, _ in rows}))
    cases = {case.id: case for case in session.exec(mine.with_for_update(key_share=True, skip_locked=True))}
    return {
        feedback_id: (score, cases.get(case_id))
        for feedback_id, version, case_id, score in rows
        if version == versions[feedback_id] and (case_id is None or case_id in cases)
    }


def _mend(core: Core, session: Session, cases: Mapping[int | None, Case], now: datetime) -> int:
    """Bring categories and severity of open cases up to date; their state and clocks stay."""
    complaints: dict[int | None, list[Score]] = defaultdict(list)
    for owner, score in session.exec(
        select(Feedback.case_id, Score)
        .join(Score)
        .where(col(Feedback.case_id).in_(cases), col(Score.negative), ~col(Feedback.deleted))
        .order_by(col(Feedback.id))
    ):
        complaints[owner].append(score)
    notices, mended = [], 0
    for case_id, case in sorted(cases.items()):
        mine = complaints[case_id]
        before = {"severity": case.severity, "categories": case.categories}
        after = {
            "severity": worst(*(score.severity for score in mine)),
            "categories": list(dict.fromkeys(code for score in mine for code in score.categories)),
        }
        if not mine or after == before:  # whether a case without complaints is one, people decide
            continue
        change(session, case, now, **after)
        record(session, now, case, "rescored", door="cli", before=before, after=after)
        mended += 1
        if not case.backlog:
            notices.append(updated(case))
    core.notify(session, notices)
    return mended
