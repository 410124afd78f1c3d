"""What staff said of feedback against the model: written down for training, and put over the score at once.

A correction stands as long as the words it was said of; what is said later comes over it, nothing is deleted.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from monitor.labels import VERDICT, corrected
from monitor.models import Case, Correction, Feedback, Score

_SCORE = (*VERDICT, "p_negative", "evidence")


def false_alarm(session: Session, case: Case, actor: str, now: datetime) -> None:
    """None of the case's feedbacks is a complaint."""
    for score in _scores(session, case):
        _put(session, score, {}, {"negative": False, "categories": []}, actor, now)


def refile(session: Session, case: Case, codes: list[str], actor: str, now: datetime) -> None:
    """The case's complaints are about something else."""
    for score in _scores(session, case):
        if score.negative:
            _put(session, score, {}, {"negative": True, "categories": codes}, actor, now)


def take_back(session: Session, case: Case, actor: str, now: datetime) -> None:
    """It was no false alarm: the scores say again what they said before."""
    scores = _scores(session, case)
    last = standing(session, [score.feedback_id for score in scores])
    for score in scores:
        said = last.get(score.feedback_id)
        if said is not None and not said.after.get("negative", True) and said.before.get("negative"):
            after = {name: said.before[name] for name in VERDICT if name in said.before}
            _put(session, score, said.before, after, actor, now)


def standing(session: Session, feedback_ids: Collection[int | None]) -> dict[int, Correction]:
    """What staff last said of each feedback's present words."""
    rows = session.exec(
        select(Correction)
        .join(Feedback)
        .where(col(Correction.feedback_id).in_(feedback_ids), Correction.at >= Feedback.updated_at)
        .order_by(col(Correction.id))
    )
    return {row.feedback_id: row for row in rows}


def renew(session: Session, said: Correction, now: datetime) -> None:
    """The feedback changed, but not its words: what was said of them stands."""
    values = said.model_dump(include={"feedback_id", "actor", "before", "after"})
    session.add(Correction(**values, at=now))


def _scores(session: Session, case: Case) -> list[Score]:
    """The scores of a case's feedbacks, but for those whose words are changing now: nobody has spoken of them."""
    mine = select(Score).join(Feedback).where(Feedback.case_id == case.id).order_by(col(Score.feedback_id))
    return list(session.exec(mine.with_for_update(skip_locked=True, of=Score)))


def _put(
    session: Session, score: Score, base: Mapping[str, Any], after: dict[str, Any], actor: str, now: datetime
) -> None:
    before = {name: getattr(score, name) for name in _SCORE}
    session.add(Correction(feedback_id=score.feedback_id, at=now, actor=actor, before=before, after=after))
    for name, value in corrected({**before, **base}, after).items():
        setattr(score, name, value)
    session.add(score)
    session.flush()
