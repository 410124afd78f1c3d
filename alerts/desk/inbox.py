"""The inbox: cases as lines, chosen by state, shop, category, severity, holder and words; a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import String, cast
from sqlalchemy import case as sql_case
from sqlmodel import Session, col, func, or_, select

from alerts.desk.sessions import Viewer
from monitor import clocks, search
from monitor.models import Case, Feedback, Person, Timer
from monitor.search import Found
from monitor.states import CASE_OPEN, SEVERITIES

PAGE = 30
_QUOTE = 120  # characters of a feedback
_BEFORE = 40  # of them before the words that were looked for
_LONGEST_ID = 9
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
        quote: From its newest feedback, or the newest that has the words looked for.
        words: Those words, see `monitor.search.words`.
        due_at: Its next deadline, or the first that was missed; None where no clock runs.
        late: That deadline has passed.
    """

    case: Case
    holder: str
    quote: str
    due_at: datetime | None
    late: bool
    words: Sequence[str] = ()

    @property
    def parts(self) -> list[tuple[str, bool]]:
        """The quote in parts, each with whether it was looked for."""
        return search.cut(self.quote, self.words)


def read(session: Session, viewer: Viewer, filters: Filters, page: int) -> tuple[list[Line], bool]:
    """A page of lines, the worst and oldest first (done ones: the latest first), and whether there are more."""
    order: tuple[Any, ...] = (_RANK.desc(), col(Case.opened_at), col(Case.id))
    if filters.which in ("done", "all"):
        order = (col(Case.updated_at).desc(), col(Case.id).desc())
    found = _find(session, filters)
    wanted = select(Case).where(*_where(viewer, filters, found)).order_by(*order)
    cases = session.exec(wanted.limit(PAGE + 1).offset((page - 1) * PAGE)).all()
    return _lines(session, cases[:PAGE], found), len(cases) > PAGE


def listing(
    session: Session, viewer: Viewer, filters: Filters, after: str, limit: int
) -> tuple[list[Line], str | None]:
    """Lines for programs, the newest case first, and what to ask for ``after`` these; None where there are no more."""
    found = _find(session, filters)
    where = [*_where(viewer, filters, found), *([col(Case.id) < int(after)] if after else [])]
    cases = session.exec(select(Case).where(*where).order_by(col(Case.id).desc()).limit(limit + 1)).all()
    return _lines(session, cases[:limit], found), str(cases[limit - 1].id) if len(cases) > limit else None


def _find(session: Session, filters: Filters) -> Found | None:
    return search.find(session, filters.words, "case") if filters.words.strip() else None


def _where(viewer: Viewer, filters: Filters, found: Found | None) -> list[Any]:
    where = [*_which(viewer, filters.which), *viewer.sees(Case.shop_id)]
    if filters.shop:
        where.append(Case.shop_id == filters.shop)
    if filters.severity:
        where.append(Case.severity == filters.severity)
    if filters.category:  # codes are fixed words, so the JSON list can be searched as text on every database
        where.append(cast(col(Case.categories), String).contains(f'"{filters.category}"', autoescape=True))
    if found is not None:
        where.append(_says(found, filters.words.strip().removeprefix("#")))
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
        missed = (Timer.case_id == Case.id, clocks.UNMET, Timer.state == "breached")
        where.append(select(Timer.id).where(*missed).exists())
    return where


def _says(found: Found, number: str) -> Any:
    """Cases one of whose feedbacks was found, and that very case by its number."""
    if found.ids is None:
        cases: Any = select(Feedback.id).where(Feedback.case_id == Case.id, found.says).exists()
    else:
        cases = col(Case.id).in_(select(Feedback.case_id).where(col(Feedback.id).in_(found.ids)))
    meant = number.isascii() and number.isdigit() and len(number) <= _LONGEST_ID
    return or_(cases, Case.id == int(number)) if meant else cases


def _lines(session: Session, cases: Sequence[Case], found: Found | None) -> list[Line]:
    ids = [case.id for case in cases]
    quotes = _quotes(session, ids)
    words = found.words if found else ()
    if found:
        quotes |= _quotes(session, ids, found.says)
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
            _short(quotes.get(case.id, ""), words),
            due[case.id].due_at if case.id in due else None,
            case.id in due and due[case.id].state == "breached",
            words,
        )
        for case in cases
    ]


def _quotes(session: Session, ids: Sequence[int | None], *says: Any) -> dict[int | None, str]:
    """By case, what its newest feedback says, of those that meet the conditions."""
    newest = select(func.max(Feedback.id)).where(col(Feedback.case_id).in_(ids), *says).group_by(col(Feedback.case_id))
    return dict(session.exec(select(Feedback.case_id, Feedback.text).where(col(Feedback.id).in_(newest))).all())


def _short(text: str, words: Sequence[str]) -> str:
    """The beginning of a text, or what stands around the first of the words."""
    line = " ".join(text.split())
    parts = search.cut(line, words)
    hit = 0 if len(parts) < 2 or parts[0][1] else len(parts[0][0])  # noqa: PLR2004 — one part is a text without them
    start = max(0, hit - _BEFORE) if hit > _QUOTE - _BEFORE else 0
    end = start + _QUOTE
    return f"{'……' if start else ''}{line[start:end]}{'……' if len(line) > end else ''}"
