"""Corrections: what staff said against the model, found again, taken back, and what it is good for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import String, cast
from sqlmodel import Session, col, func, or_, select

from alerts.actions import Click, handle
from alerts.desk.editing import Desk, Form, leads
from alerts.desk.sessions import Viewer
from monitor import corrections, db
from monitor.categories import complaints
from monitor.models import Case, Correction, Event, Feedback
from monitor.moves import Action
from monitor.states import CASE_OPEN

TOO_LATE = "后来又改过了，收不回。"
WHICH = {"": "全部", "false": "误报", "refile": "改类别", "back": "收回误报", "extortion": "疑似恶意"}
Which = Literal["", "false", "refile", "back", "extortion"]
_PAGE = 30
Page = Annotated[int, Query(ge=1, le=1_000_000)]
Number = Annotated[int, Path(ge=1, lt=10**9)]


@dataclass(frozen=True, slots=True)
class Line:
    """One correction.

    Attributes:
        kind: A key of `WHICH`.
        undo: It stands and can be taken back: the case has not moved on.
    """

    row: Correction
    feedback: Feedback
    kind: str
    undo: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the corrections is wanted; empty means all."""

    which: Which = ""
    who: str = ""
    category: str = ""


def add(routes: APIRouter, desk: Desk) -> None:
    """``/corrections`` and taking one back."""

    @routes.get("/corrections", summary="同事改正过什么")
    def shown(
        viewer: Annotated[Viewer, Depends(desk.door.viewer)],
        which: Which = "",
        who: Annotated[str, Query(max_length=100)] = "",
        category: Annotated[str, Query(max_length=50)] = "",
        page: Page = 1,
        saved: bool = False,
    ) -> HTMLResponse:
        leads(viewer)
        return _page(desk, viewer, Filters(which, who, category), page, saved=saved)

    desk.post(routes, "/corrections/undo", "收回一次改正", lambda viewer, form: _undo(desk, viewer, form))


def _undo(desk: Desk, viewer: Viewer, form: Form) -> Response:
    """Through the one handler, as the case's own buttons do."""
    leads(viewer)
    number, once = form.one("number"), form.one("once")
    if not (number.isascii() and number.isdigit() and len(number) < 10) or not once:  # noqa: PLR2004 — ids are no longer
        raise HTTPException(400, "请刷新页面再试。")
    with db.reading(desk.core.engine) as session:
        line = one(session, viewer, int(number))
    if not line.undo:
        return _page(desk, viewer, Filters(), 1, TOO_LATE)
    outcome = handle(desk.core, Click("desk", f"{viewer.name}:{once}"[:200], viewer.name, undoing(line)))
    return desk.done("/corrections") if outcome.done else _page(desk, viewer, Filters(), 1, outcome.text)


def one(session: Session, viewer: Viewer, number: int) -> Line:
    """A correction of the viewer's shops.

    Raises:
        HTTPException: 404, there is none.
    """
    found = session.execute(wanted(viewer, Filters()).where(Correction.id == number)).all()
    if not found:
        raise HTTPException(404, "找不到这条更正。")
    return lines(session, found)[0]


def undoing(line: Line) -> Action:
    """What takes a correction back, as somebody would do it on the case."""
    before = ",".join(line.row.before.get("categories", []))
    what = ("reopen", "收回误报", "") if line.kind == "false" else ("refile", "", before)
    return Action(what[0], "case", line.feedback.case_id or 0, what[1], what[2])


def wanted(viewer: Viewer, filters: Filters) -> Any:
    """The statement that finds corrections with their feedbacks, in no order yet."""
    found = select(Correction, Feedback).join(Feedback, col(Feedback.id) == Correction.feedback_id)
    said, before = cast(col(Correction.after), String), cast(col(Correction.before), String)
    found = found.where(*viewer.sees(Feedback.shop_id))
    if filters.who:
        found = found.where(Correction.actor == filters.who)
    if filters.category:
        code = f'"{filters.category}"'
        found = found.where(or_(said.contains(code, autoescape=True), before.contains(code, autoescape=True)))
    told = {"false": said.contains('"negative": false'), "back": said.contains('"severity"')}
    told["refile"] = said.contains('"negative": true') & ~told["back"]
    return found.where(told[filters.which]) if filters.which in told else found


def lines(session: Session, rows: Sequence[Any]) -> list[Line]:
    """Corrections that were found, each with whether it can be taken back."""
    last = corrections.standing(session, [feedback.id for _, feedback in rows])
    return [_line(session, row, feedback, last) for row, feedback in rows]


def _line(session: Session, row: Correction, feedback: Feedback, standing: Mapping[int, Correction]) -> Line:
    kind = "false" if not row.after.get("negative", True) else "back" if "severity" in row.after else "refile"
    case = session.get(Case, feedback.case_id) if feedback.case_id else None
    last = standing.get(row.feedback_id)
    undo = case is not None and last is not None and last.id == row.id
    if undo and case is not None and kind == "false":
        undo = case.state == "false_alarm"
    elif undo and case is not None:
        was = row.before.get("categories", [])
        undo = (
            kind == "refile" and case.state in CASE_OPEN and case.categories == row.after.get("categories") != was != []
        )
    return Line(row, feedback, kind, undo)


def suspected(viewer: Viewer, filters: Filters) -> Any:
    """The statement that finds cases taken for malicious, with what is known: an event, no correction."""
    found = select(Event, Case).join(Case, col(Case.id) == Event.subject_id)
    found = found.where(Event.subject == "case", Event.what == "extortion", *viewer.sees(Case.shop_id))
    return found.where(Event.actor == filters.who) if filters.who else found


def _page(
    desk: Desk, viewer: Viewer, filters: Filters, page: int, problem: str = "", *, saved: bool = False
) -> HTMLResponse:
    with db.reading(desk.core.engine) as session:
        malice = filters.which == "extortion"
        found = suspected(viewer, filters) if malice else wanted(viewer, filters)
        newest = found.order_by(col(Event.id if malice else Correction.id).desc())
        rows = session.execute(newest.limit(_PAGE + 1).offset((page - 1) * _PAGE)).all()
        shown = rows[:_PAGE] if malice else lines(session, rows[:_PAGE])
        labels = session.exec(select(func.count(func.distinct(Correction.feedback_id)))).one()
    return desk.show(
        "corrections",
        viewer,
        problem,
        saved=saved,
        lines=[] if malice else shown,
        suspected=shown if malice else [],
        more=len(rows) > _PAGE,
        page=page,
        which=WHICH,
        filters=filters,
        codes=complaints(),
        labelled=labels,
    )
