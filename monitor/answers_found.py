"""What was found wrong with public answers, as rows: each finding once; corrected answers settle theirs.

A finding goes ``open → mended | dismissed | lapsed``. Who says "不算" leaves a label: the same words at that answer are
never brought up again. An answer that was called mended, was changed and still has the fault, is open again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Literal

from sqlalchemy import and_, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from monitor import audit
from monitor.answers import Kind, Problem, problems
from monitor.audit import Refused
from monitor.bulk import table
from monitor.incoming import FOLLOWUP_MARK
from monitor.models import AnswerFinding, Case, Feedback, FeedbackVersion, Score

OURSELVES = "评哨"
Verdict = Literal["mended", "dismissed", "open"]
VERDICTS: dict[Verdict, str] = {"mended": "改好了", "dismissed": "不算", "open": "放回清单"}
"""What people may say of a finding."""
MAY_BE: dict[Verdict, tuple[str, ...]] = {
    "mended": ("open",),
    "dismissed": ("open", "mended"),
    "open": ("mended", "dismissed"),
}
"""In which state a finding has to be for it."""

_BY_WORDS: tuple[Kind, ...] = ("banned", "off_topic", "no_empathy", "no_remedy")
_STARS = 3  # a buyer who gives more complains by the way, and is thanked first
_KEPT = 500  # characters of an answer
_CHUNK = 500

complains = and_(
    col(Score.negative),
    col(Feedback.deleted).is_(False),
    or_(col(Case.state).is_(None), col(Case.state) != "false_alarm"),
    or_(col(Feedback.stars).is_(None), col(Feedback.stars) <= _STARS),
)
"""Of feedback joined with score and case: a complaint that an answer has to answer."""


def check(session: Session, feedback_ids: Sequence[int], now: datetime) -> int:
    """Look at the words of these feedbacks' answers; gives how many faults are new.

    Args:
        session: The caller's transaction.
        feedback_ids: Whose answers; those without one settle what was found before.
        now: When.
    """
    return sum(_check(session, feedback_ids[at : at + _CHUNK], now) for at in range(0, len(feedback_ids), _CHUNK))


def _check(session: Session, feedback_ids: Sequence[int], now: datetime) -> int:
    wanted = select(Feedback, complains, Score.categories).join(Score, isouter=True)
    wanted = wanted.join(Case, col(Case.id) == Feedback.case_id, isouter=True)
    rows = session.execute(wanted.where(col(Feedback.id).in_(feedback_ids))).all()
    unsure = _unsure(session, [row for row, *_ in rows])
    present: dict[int, list[Problem]] = {}
    for row, bad, codes in rows:
        complaint = f"{row.title} {row.text}".strip() if bad and row.id not in unsure else None
        present[row.id] = problems(row.reply, complaint, codes or ()) if row.reply and not row.deleted else []
    answered = [row.id for row, *_ in rows if row.reply]
    _settle(session, now, col(AnswerFinding.feedback_id).in_(answered), AnswerFinding.kind == "unanswered")
    return keep(session, {row.id: row for row, *_ in rows}, present, _BY_WORDS, now)


def _unsure(session: Session, rows: Sequence[Feedback]) -> set[int]:
    """Feedbacks whose writer changed or added something when the answer stood there already: it meant other words."""
    several = [row.id for row in rows if row.version > 1]
    versions = select(FeedbackVersion).where(col(FeedbackVersion.feedback_id).in_(several))
    said: dict[int | None, list[FeedbackVersion]] = {}
    for version in session.exec(versions.order_by(col(FeedbackVersion.version).desc())):
        said.setdefault(version.feedback_id, []).append(version)
    unsure = set()
    for row in rows:
        past = said.get(row.id, [])
        since = list(takewhile(lambda version, row=row: version.reply == row.reply, past))  # type: ignore[misc]
        before = past[len(since)].text if len(since) < len(past) else ""
        added = FOLLOWUP_MARK in row.text and before != row.text
        if row.id is not None and (added or any(version.text != row.text for version in since)):
            unsure.add(row.id)
    return unsure


def keep(
    session: Session,
    rows: Mapping[int, Feedback],
    present: Mapping[int, Sequence[Problem]],
    kinds: Iterable[Kind],
    now: datetime,
) -> int:
    """Bring the findings of these kinds up to date for the feedbacks that were looked at; gives how many are new.

    Args:
        session: The caller's transaction.
        rows: The feedbacks, by id.
        present: What is wrong with them now.
        kinds: What was looked for: an open finding of these that is not present any more is mended.
        now: When.
    """
    new = 0
    for at in range(0, len(rows), _CHUNK):
        new += _keep(session, dict(list(rows.items())[at : at + _CHUNK]), present, list(kinds), now)
    return new


def _keep(
    session: Session,
    rows: Mapping[int, Feedback],
    present: Mapping[int, Sequence[Problem]],
    kinds: Sequence[Kind],
    now: datetime,
) -> int:
    there: dict[tuple[int, str, str], Problem] = {}
    for number in rows:
        there |= {(number, one.kind, one.mark): one for one in present.get(number, ())}
    mine = (col(AnswerFinding.feedback_id).in_(rows), col(AnswerFinding.kind).in_(kinds))
    for old in session.exec(select(AnswerFinding).where(*mine)):
        now_there = there.pop((old.feedback_id, old.kind, old.mark), None)
        if now_there is None and old.state == "open":
            old.state, old.settled_at, old.settled_by = "mended", now, OURSELVES
        elif now_there is not None and old.state in ("open", "mended"):
            _again(old, now_there, rows[old.feedback_id].reply[:_KEPT], now)
        session.add(old)
    _insert(session, [_row(rows[number], one, now) for (number, *_), one in there.items()])
    return len(there)


def _again(old: AnswerFinding, problem: Problem, answer: str, now: datetime) -> None:
    if old.state == "mended" and (old.answer != answer or old.settled_by == OURSELVES):
        old.state, old.found_at, old.settled_at, old.settled_by = "open", now, None, ""
    old.words, old.why, old.answer = problem.words[:_KEPT], problem.why, answer


def _row(feedback: Feedback, problem: Problem, now: datetime) -> dict[str, Any]:
    words = {"mark": problem.mark, "words": problem.words[:_KEPT], "why": problem.why, "answer": feedback.reply[:_KEPT]}
    facts = {"feedback_id": feedback.id, "shop_id": feedback.shop_id, "kind": problem.kind}
    return facts | words | {"state": "open", "found_at": now, "settled_at": None, "settled_by": ""}


def _insert(session: Session, rows: list[dict[str, Any]]) -> None:
    """Store new ones; what another process found meanwhile is left as it is."""
    if rows:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        session.execute(dialect.insert(table(AnswerFinding)).on_conflict_do_nothing(), rows)


def _settle(session: Session, now: datetime, *where: Any) -> None:
    settled = update(AnswerFinding).where(AnswerFinding.state == "open", *where)  # type: ignore[arg-type]
    values = {"state": "mended", "settled_at": now, "settled_by": OURSELVES}
    session.execute(settled.values(**values), execution_options={"synchronize_session": False})


def judge(
    session: Session, finding: AnswerFinding, verdict: Verdict, now: datetime, actor: str, door: str = "desk"
) -> None:
    """Somebody says what a finding is.

    Raises:
        Refused: it is not in a state for that.
    """
    session.refresh(finding, with_for_update=True)
    if finding.state not in MAY_BE[verdict]:
        raise Refused("这一条已经有人处理过了，请刷新页面再看")
    assert finding.id is not None
    before = {"state": finding.state}
    finding.state = verdict
    finding.settled_at, finding.settled_by = (None, "") if verdict == "open" else (now, actor)
    session.add(finding)
    after = {"state": verdict, "feedback_id": finding.feedback_id, "kind": finding.kind, "words": finding.mark}
    audit.note(session, now, "answer", finding.id, f"answer.{verdict}", actor, door, before, after)
