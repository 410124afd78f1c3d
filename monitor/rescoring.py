"""``pingshao rescore``: judges stored feedback again with the engine of now.

What is left to do are the scores that another model made, so a run that was killed goes on where it stopped. Scores are
corrected, and with them what open cases say of themselves; nothing is opened, closed or timed anew by it, and where
staff said otherwise their word stands.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlmodel import Session, col, func, select

from monitor import corrections, db
from monitor.audit import change, record, updated
from monitor.bulk import update_rows
from monitor.core import Core
from monitor.engines import filed
from monitor.judge import Judgement, Text
from monitor.labels import VERDICT, corrected
from monitor.models import Case, Event, Feedback, Score
from monitor.states import CASE_OPEN, worst

_PASSES = 3  # what somebody held in one is tried again in the next
_BATCHES = 4  # in a part: seconds of work, so that a worker that has to end loses little
_ADDED = ("scored", "changed", "now_negative", "now_harmless", "corrected", "cases")


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


Part = dict[str, Any]
"""A range of feedback to be judged again, as JSON: the arguments of `do_part`."""
Each = Callable[[Iterable[Part]], Iterator[dict[str, int]]]
"""Has parts done, and gives what came of them: all of a part, or piece by piece."""


def rescore(
    core: Core,
    since: datetime | None = None,
    batch: int = 500,
    progress: Callable[[int, int], None] | None = None,
    each: Each | None = None,
) -> Rescored:
    """Judge again what another model judged, part by part.

    Args:
        core: The common ground.
        since: Leaves older feedback alone.
        batch: Feedbacks judged, and then written, at a time.
        progress: Told after each batch how many were looked at, and of how many.
        each: Who does the parts; this process, one after another, where it is not said.
    """
    done = Rescored(core.judge.model)
    total = done.left = _count(core, since)
    for _ in range(_PASSES if total else 0):
        for came in (each or partial(_each_here, core))(_parts(core, since, batch)):
            for name, number in came.items():
                setattr(done, name, getattr(done, name) + number)
            if progress is not None:
                progress(done.scored, max(done.scored, total))
        done.left = _count(core, since)
        if not done.left:
            break
    if done.scored:
        with db.writing(core.engine) as session:
            session.add(_event(core.clock.now(), done))
    return done


def do_part(core: Core, model: str, after: int, upto: int, since: str | None, batch: int) -> dict[str, int]:
    """Judge a part again; gives the numbers of `Rescored` that it adds to.

    Raises:
        OtherModel: this process judges with another model than whoever asked for it.
    """
    if model != core.judge.model:
        raise OtherModel(f"这个 worker 用的是 {core.judge.model}，要用 {model} 重新打分：请改好它的配置并重启")
    total: Counter[str] = Counter()
    for came in _through(core, after, upto, since, batch):
        total.update(came)
    return dict(total)


class OtherModel(Exception):
    """A worker's engine is not the one that history is to be judged with."""


def _each_here(core: Core, parts: Iterable[Part]) -> Iterator[dict[str, int]]:
    for part in parts:
        yield from _through(core, part["after"], part["upto"], part["since"], part["batch"])


def _parts(core: Core, since: datetime | None, batch: int) -> Iterator[Part]:
    """Ranges of ids, each with some batches in it, made as they are taken."""
    after, told = 0, since.isoformat() if since else None
    while True:
        with db.reading(core.engine) as session:
            ids = _left(core, since).with_only_columns(col(Feedback.id)).where(col(Feedback.id) > after)
            held = ids.order_by(col(Feedback.id)).limit(_BATCHES * batch).subquery()
            upto = session.exec(select(func.max(held.c.id))).one()
        if upto is None:
            return
        yield {"model": core.judge.model, "after": after, "upto": upto, "since": told, "batch": batch}
        after = upto


def _through(core: Core, after: int, upto: int, since: str | None, batch: int) -> Iterator[dict[str, int]]:
    """Judge a range again, batch by batch."""
    earliest = datetime.fromisoformat(since) if since else None
    while page := _page(core, earliest, after, upto, batch):
        verdicts = core.judge.judge_many([Text(row.text or row.title, row.kind, row.stars) for row in page])
        done = Rescored(core.judge.model)
        with db.writing(core.engine) as session:
            _write(core, session, list(zip(page, verdicts, strict=True)), done)
        after = page[-1].id or 0
        yield {name: getattr(done, name) for name in _ADDED}


def _event(at: datetime, done: Rescored) -> Event:
    return Event(at=at, actor="评哨", door="cli", subject="score", subject_id=0, what="rescored", after=asdict(done))


def _left(core: Core, since: datetime | None) -> Any:
    """Feedback that another model judged and that still has its words."""
    left = select(Feedback).join(Score).where(col(Score.model).not_in(core.judge.models), Feedback.cleared == "")
    return left if since is None else left.where(Feedback.happened_at >= since)


def _count(core: Core, since: datetime | None) -> int:
    with db.reading(core.engine, long=True) as session:
        return int(session.exec(_left(core, since).with_only_columns(func.count())).one())


def _page(core: Core, since: datetime | None, after: int, upto: int, batch: int) -> list[Feedback]:
    mine = _left(core, since).where(col(Feedback.id) > after, col(Feedback.id) <= upto)
    rows = mine.order_by(col(Feedback.id)).limit(batch)
    with db.reading(core.engine, long=True) as session:
        return list(session.exec(rows))


def _write(core: Core, session: Session, verdicts: Sequence[tuple[Feedback, Judgement]], done: Rescored) -> None:
    """Write the verdicts on feedback that is still as it was judged."""
    now = core.clock.now()
    free = _free(session, {row.id: row.version for row, _ in verdicts})
    staff = corrections.standing(session, free)
    shaken: dict[int | None, Case] = {}
    judged: list[dict[str, Any]] = []
    for row, verdict in verdicts:
        score, case = free.get(row.id, (None, None))
        if score is None or score.model in core.judge.models:
            continue  # edited since, held by somebody, or another run was faster
        before = {name: getattr(score, name) for name in VERDICT}
        said = staff.get(score.feedback_id)
        values = filed(verdict) if said is None else corrected(filed(verdict), said.after)
        judged.append({"feedback_id": score.feedback_id, **values, "scored_at": now})
        done.scored += 1
        done.corrected += said is not None
        if before != {name: values[name] for name in VERDICT}:
            done.changed += 1
            done.now_negative += values["negative"] > before["negative"]
            done.now_harmless += values["negative"] < before["negative"]
            if case is not None and case.state in CASE_OPEN:
                shaken[case.id] = case
    update_rows(session, Score, judged, key="feedback_id")
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
        .order_by(col(Feedback.id)),
        execution_options={"populate_existing": True},
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
