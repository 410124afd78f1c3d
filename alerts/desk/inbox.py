"""The inbox: cases as lines, chosen by state, shop, category, severity, holder and words; a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import String, cast
from sqlalchemy import case as sql_case
from sqlmodel import Session, col, func, or_, select

from alerts.desk.sessions import Viewer
from monitor.models import Case, Feedback, Person, Timer
from monitor.states import CASE_OPEN, SEVERITIES

PAGE = 30
_QUOTE = 120  # characters of the newest feedback
_RANK = sql_case({name: n for n, name in enumerate(SEVERITIES)}, value=col(Case.severity), else_=-1)

Which = Literal["open", "mine", "free", "late", "done", "all"]
WHICH: dict[Which, str] = {
    "open": "未办结",
    "mine": "我的",
    "free": "没人认领",
    "late": "已超时",
    "done": "已办结",
    "all": "全部",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the inbox is wanted; empty means all."""

    which: Which = "open"
    shop: str = ""
    category: str = ""
    severity: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A case in the inbox.

    Attributes:
        quote: The beginning of its newest feedback.
        due_at: Its next deadline, or the first that was missed; None where no clock runs.
        late: That deadline has passed.
    """

    case: Case
    holder: str
    quote: str
    due_at: datetime | None
    late: bool


def read(session: Session, viewer: Viewer, filters: Filters, page: int) -> tuple[list[Line], bool]:
    """A page of lines, the worst and oldest first (done ones: the latest first), and whether there are more."""
    order: tuple[Any, ...] = (_RANK.desc(), col(Case.opened_at), col(Case.id))
    if filters.which in ("done", "all"):
        order = (col(Case.updated_at).desc(), col(Case.id).desc())
    wanted = select(Case).where(*_where(viewer, filters)).order_by(*order)
    cases = session.exec(wanted.limit(PAGE + 1).offset((page - 1) * PAGE)).all()
    return _lines(session, cases[:PAGE]), len(cases) > PAGE


def listing(
    session: Session, viewer: Viewer, filters: Filters, after: str, limit: int
) -> tuple[list[Line], str | None]:
    """Lines for programs, the newest case first, and what to ask for ``after`` these; None where there are no more."""
    where = [*_where(viewer, filters), *([col(Case.id) < int(after)] if after else [])]
    cases = session.exec(select(Case).where(*where).order_by(col(Case.id).desc()).limit(limit + 1)).all()
    return _lines(session, cases[:limit]), str(cases[limit - 1].id) if len(cases) > limit else None


def _where(viewer: Viewer, filters: Filters) -> list[Any]:
    where = _which(viewer, filters.which)
    if viewer.shops:
        where.append(or_(col(Case.shop_id).in_(viewer.shops), col(Case.shop_id).is_(None)))
    if filters.shop:
        where.append(Case.shop_id == filters.shop)
    if filters.severity:
        where.append(Case.severity == filters.severity)
    if filters.category:  # codes are fixed words, so the JSON list can be searched as text on every database
        where.append(cast(col(Case.categories), String).contains(f'"{filters.category}"', autoescape=True))
    if words := filters.words.strip():
        where.append(_says(words))
    return where


def _which(viewer: Viewer, which: Which) -> list[Any]:
    where: list[Any] = []
    if which in ("open", "mine", "free", "late"):
        where += [col(Case.state).in_(CASE_OPEN), ~col(Case.backlog)]
    if which == "done":
        where.append(col(Case.state).not_in(CASE_OPEN))
    if which == "mine":
        where.append(Case.assignee_id == viewer.person_id)
    if which == "free":
        where.append(col(Case.assignee_id).is_(None))
    if which == "late":
        missed = (Timer.case_id == Case.id, Timer.step == "deadline", Timer.state == "breached")
        where.append(select(Timer.id).where(*missed, col(Timer.met_at).is_(None)).exists())
    return where


def _says(words: str) -> Any:
    """Cases one of whose feedbacks has the words in it, or is about that order, or that very case by its number."""
    text = or_(
        col(Feedback.text).contains(words, autoescape=True),
        Feedback.order_ref == words,
        col(Feedback.product).contains(words, autoescape=True),
    )
    found: Any = select(Feedback.id).where(Feedback.case_id == Case.id, text).exists()
    number = words.removeprefix("#")
    return or_(found, Case.id == int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else found  # noqa: PLR2004 — ids are no longer


def _lines(session: Session, cases: Sequence[Case]) -> list[Line]:
    ids = [case.id for case in cases]
    newest = select(func.max(Feedback.id)).where(col(Feedback.case_id).in_(ids)).group_by(col(Feedback.case_id))
    quotes = dict(session.exec(select(Feedback.case_id, Feedback.text).where(col(Feedback.id).in_(newest))).all())
    holding = {case.assignee_id for case in cases}
    holders = dict(session.exec(select(Person.id, Person.name).where(col(Person.id).in_(holding))).all())
    due: dict[int | None, Timer] = {}
    running = (col(Timer.case_id).in_(ids), Timer.step == "deadline", col(Timer.met_at).is_(None))
    timers = (
        select(Timer).where(*running, col(Timer.state).in_(("armed", "breached"))).order_by(col(Timer.due_at).desc())
    )
    for timer in session.exec(timers):
        due[timer.case_id] = timer  # the earliest comes last
    return [
        Line(
            case,
            holders.get(case.assignee_id, ""),
            _short(quotes.get(case.id, "")),
            due[case.id].due_at if case.id in due else None,
            case.id in due and due[case.id].state == "breached",
        )
        for case in cases
    ]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTE else f"{line[:_QUOTE]}……"
