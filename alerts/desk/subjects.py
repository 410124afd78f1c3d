"""One case or crisis with everything a reader needs: clocks, feedbacks with the words that told, and the audit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import HTTPException
from sqlmodel import Session, col, func, select

from alerts.desk.sessions import Viewer
from alerts.words import code, trouble
from monitor import queries, search
from monitor.categories import complaints
from monitor.models import (
    Case,
    Crisis,
    CrisisFeedback,
    Event,
    Feedback,
    FeedbackVersion,
    Person,
    Score,
    Spread,
    Timer,
)
from monitor.moves import Action
from monitor.states import CRISIS_OPEN
from monitor.transitions import ACTIONS

PAGE = 50
_MOST_EVENTS = 200
_NONE = "找不到这条记录。"
Kind = Literal["case", "crisis"]
PATHS: Mapping[str, Kind] = {"cases": "case", "crises": "crisis"}
"""The word in addresses, and what it stands for."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A case or crisis.

    Attributes:
        kind: ``case`` or ``crisis``.
        row: Its row.
        assignee: Who looks after it.
        clocks: The deadline of each stage.
        events: The latest 200, the newest first.
        count: How many feedbacks it is about.
    """

    kind: str
    row: Case | Crisis
    assignee: Person | None
    clocks: dict[str, Timer]
    events: Sequence[Event]
    count: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A feedback as the page shows it.

    Attributes:
        parts: Its text cut up, each with what it is evidence of, or "".
        elsewhere: The same text in other sources.
        spread: How its likes, reposts and comments grew.
        before: What it said before it was edited, added to or answered, the latest first.
    """

    row: Feedback
    score: Score | None
    parts: Sequence[tuple[str, str]]
    elsewhere: Sequence[queries.Copy] = ()
    spread: Sequence[Spread] = ()
    before: Sequence[FeedbackVersion] = ()


def read(session: Session, kind: str, subject_id: int) -> Subject | None:
    """The case or crisis, None where there is none."""
    if kind == "crisis":
        crisis = queries.crisis_view(session, subject_id, limit=0, events=_MOST_EVENTS)
        if crisis is None:
            return None
        return Subject(kind, crisis.crisis, crisis.assignee, crisis.clocks, crisis.events, crisis.count)
    case = queries.case_view(session, subject_id, limit=0, events=_MOST_EVENTS)
    if case is None:
        return None
    mine = select(func.count()).select_from(Feedback).where(Feedback.case_id == subject_id)
    return Subject(kind, case.case, case.assignee, case.clocks, case.events, session.exec(mine).one())


def found(session: Session, viewer: Viewer | None, kind: str, subject_id: int) -> Subject:
    """The case or crisis, if it is the viewer's business; any where a link says what may be seen.

    Raises:
        HTTPException: 404, there is none.
    """
    subject = read(session, kind, subject_id)
    if subject is None or (viewer and not viewer.may_see(subject.row.shop_id)):
        raise HTTPException(404, _NONE)
    return subject


def feedbacks(session: Session, subject: Subject, page: int) -> list[Shown]:
    """One page of its feedbacks, the newest first; pages count from 1."""
    mine = select(Feedback.id)
    if subject.kind == "case":
        mine = mine.where(Feedback.case_id == subject.row.id)
    else:
        mine = mine.join(CrisisFeedback).where(CrisisFeedback.crisis_id == subject.row.id)
    newest = (col(Feedback.happened_at).desc(), col(Feedback.id).desc())
    ids = mine.order_by(*newest).limit(PAGE).offset((page - 1) * PAGE)
    wanted = select(Feedback, Score).join(Score, isouter=True).where(col(Feedback.id).in_(session.exec(ids).all()))
    return shown(session, session.exec(wanted.order_by(*newest)).all())


def shown(session: Session, found: Sequence[tuple[Feedback, Score | None]], words: Sequence[str] = ()) -> list[Shown]:
    """Feedbacks with their evidence and what was looked for marked, their copies elsewhere and how they spread."""
    rows = [row for row, _ in found]
    copies, spreads = queries.also_on(session, rows), queries.spreads(session, rows)
    before = _before(session, rows)
    return [
        Shown(
            row,
            score,
            _marked_too(marked(row.text, score.evidence if score else []), words),
            copies.get(row.id or 0, ()),
            spreads.get(row.id or 0, ()),
            before.get(row.id or 0, ()),
        )
        for row, score in found
    ]


def _before(session: Session, rows: Sequence[Feedback]) -> dict[int, list[FeedbackVersion]]:
    edited = [row.id for row in rows if row.version > 1]
    versions = select(FeedbackVersion).where(col(FeedbackVersion.feedback_id).in_(edited))
    found: dict[int, list[FeedbackVersion]] = {}
    for one in session.exec(versions.order_by(col(FeedbackVersion.version).desc())) if edited else ():
        found.setdefault(one.feedback_id, []).append(one)
    return found


def possible(subject: Subject, role: str) -> list[str]:
    """The actions that somebody of this role can do to it now."""
    kind = subject.row.kind if isinstance(subject.row, Crisis) else ""
    return [
        name
        for name, info in ACTIONS.items()
        if subject.kind in info.moves
        and subject.row.state in info.moves[subject.kind][0]
        and info.allowed(subject.kind, role)
        and info.kind in ("", kind)
    ]


def require(session: Session, viewer: Viewer, action: Action) -> None:
    """Make sure that what an action is about is there, and every shop it touches the viewer's business.

    Raises:
        HTTPException: 404, it is not.
    """
    case = action.subject == "case"
    row = session.get(Case, action.subject_id) if case else session.get(Crisis, action.subject_id)
    merging = action.what == "merge" and re.fullmatch("[0-9]{1,9}", action.to)
    other = session.get(Crisis, int(action.to)) if merging else None
    if row is None or not viewer.may_see(row.shop_id) or (other and not viewer.may_see(other.shop_id)):
        raise HTTPException(404, _NONE)


def choices(session: Session, subject: Subject, action: str) -> list[tuple[str, str]]:
    """What ``to`` may be for an action: people to assign to, crises to merge into, categories; value and words."""
    if ACTIONS[action].needs != "to":
        return []
    if action == "merge":
        others = select(Crisis).where(col(Crisis.state).in_(CRISIS_OPEN), Crisis.id != subject.row.id)
        rows = session.exec(others.order_by(col(Crisis.id).desc())).all()
        return [(str(row.id), f"危机 #{row.id} {trouble(row)}") for row in rows]
    if action == "refile":
        return list(complaints().items())
    people = session.exec(select(Person.name).where(Person.active).order_by(Person.name)).all()
    return [(name, name) for name in people]


def _marked_too(parts: Sequence[tuple[str, str]], words: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (piece, meaning or ("找到的字" if wanted else ""))
        for part, meaning in parts
        for piece, wanted in search.cut(part, () if meaning else words)
    ]


def marked(text: str, evidence: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Cut a text at its evidence; of overlapping spans the first counts, spans outside the text do not."""
    parts: list[tuple[str, str]] = []
    done = 0
    for span in sorted(evidence, key=lambda span: (span["start"], -span["end"])):
        start, end = span["start"], span["end"]
        if not done <= start < end <= len(text):
            continue
        parts += [(text[done:start], ""), (text[start:end], code(span["code"]))]
        done = end
    return [part for part in (*parts, (text[done:], "")) if part[0]]
