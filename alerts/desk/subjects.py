"""One case or crisis with everything a reader needs: clocks, feedbacks with the words that told, and the audit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, select

from alerts.desk.labels import category
from alerts.desk.status import deadlines
from monitor.lifecycle import ACTIONS
from monitor.models import Case, Crisis, CrisisFeedback, Event, Feedback, Person, Score, Timer
from monitor.states import CRISIS_OPEN

PAGE = 50
_MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Subject:
    """A case or crisis.

    Attributes:
        kind: ``case`` or ``crisis``.
        row: Its row.
        assignee: Who looks after it, empty for nobody.
        clocks: Its deadlines.
        count: How many feedbacks it is about.
    """

    kind: str
    row: Case | Crisis
    assignee: str
    clocks: Sequence[Timer]
    count: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A feedback as the page shows it: ``parts`` is its text cut up, each with what it is evidence of, or ""."""

    row: Feedback
    score: Score | None
    parts: Sequence[tuple[str, str]]


def read(session: Session, kind: str, subject_id: int) -> Subject | None:
    """The case or crisis, None where there is none."""
    row = session.get(Case if kind == "case" else Crisis, subject_id)
    if row is None:
        return None
    holder = session.get(Person, row.assignee_id) if row.assignee_id else None
    count = session.exec(_about(select(func.count()).select_from(Feedback), kind, subject_id)).one()
    clocks = deadlines(session, kind, [subject_id])[subject_id]
    return Subject(kind, row, holder.name if holder else "", clocks, count)


def feedbacks(session: Session, subject: Subject, page: int) -> list[Shown]:
    """One page of its feedbacks, the oldest first; pages count from 1."""
    wanted = (
        _about(select(Feedback, Score).outerjoin(Score), subject.kind, subject.row.id)
        .order_by(col(Feedback.happened_at), col(Feedback.id))
        .limit(PAGE)
        .offset((page - 1) * PAGE)
    )
    return [Shown(row, score, marked(row.text, score.evidence if score else [])) for row, score in session.exec(wanted)]


def events(session: Session, subject: Subject) -> list[Event]:
    """Its latest events, the newest first."""
    mine = select(Event).where(Event.subject == subject.kind, Event.subject_id == subject.row.id)
    return list(session.exec(mine.order_by(col(Event.id).desc()).limit(_MOST_EVENTS)))


def choices(session: Session, subject: Subject, action: str) -> list[tuple[str, str]]:
    """What ``to`` may be for an action: people to assign to, or crises to merge into; value and words."""
    if ACTIONS[action].needs != "to":
        return []
    if action == "merge":
        others = select(Crisis).where(col(Crisis.state).in_(CRISIS_OPEN), Crisis.id != subject.row.id)
        rows = session.exec(others.order_by(col(Crisis.id).desc())).all()
        return [(str(row.id), f"危机 #{row.id} {category(row.category)}") for row in rows]
    people = session.exec(select(Person.name).where(Person.active).order_by(Person.name)).all()
    return [(name, name) for name in people]


def marked(text: str, evidence: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Cut a text at its evidence; of overlapping spans the first counts, spans outside the text do not."""
    parts: list[tuple[str, str]] = []
    done = 0
    for span in sorted(evidence, key=lambda span: (span["start"], -span["end"])):
        start, end = span["start"], span["end"]
        if not done <= start < end <= len(text):
            continue
        parts += [(text[done:start], ""), (text[start:end], category(span["code"]))]
        done = end
    return [part for part in (*parts, (text[done:], "")) if part[0]]


def _about(query: Any, kind: str, subject_id: int | None) -> Any:
    if kind == "case":
        return query.where(Feedback.case_id == subject_id)
    about = col(CrisisFeedback.feedback_id) == Feedback.id
    return query.join(CrisisFeedback, about).where(CrisisFeedback.crisis_id == subject_id)
