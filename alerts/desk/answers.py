"""What was found wrong with the shop's public answers, and what staff say of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session, col, func, select

from alerts.desk import bodies
from alerts.desk.entrance import homes
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer, own_form
from monitor import db
from monitor.answers import KINDS
from monitor.answers_found import MAY_BE, VERDICTS, Verdict, judge
from monitor.audit import Refused
from monitor.core import Core
from monitor.models import AnswerFinding, Feedback

PAGE = 30
_QUOTE = 120  # characters of the buyer's words
WHICH = {"open": "要改的", "mended": "改好了", "dismissed": "不算的", "lapsed": "过期的"}
Which = Literal["open", "mended", "dismissed", "lapsed"]
Number = Annotated[int, Path(ge=1, lt=10**9)]
Page = Annotated[int, Query(ge=1, le=1_000_000)]
Word = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class Fault:
    """A finding on the page.

    Attributes:
        row: The finding.
        verdicts: What this person can say of it alone.
    """

    row: AnswerFinding
    verdicts: Sequence[tuple[Verdict, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """An answer on the page.

    Attributes:
        feedback: What was answered.
        quote: The beginning of the buyer's words.
        parts: The answer as it was found, cut at words that may not be said: piece, and whether it is those.
        faults: What is wrong with it, the gravest first.
        mended: The finding by which the person can say that the answer was mended; None where that cannot be said.
    """

    feedback: Feedback
    quote: str
    parts: Sequence[tuple[str, bool]]
    faults: Sequence[Fault]
    mended: AnswerFinding | None


def allowed(verdict: Verdict, viewer: Viewer) -> bool:
    """Whether somebody may say so: that a fault is none, only who leads; brands look."""
    return viewer.leads or (verdict == "mended" and viewer.role == "agent")


def read(session: Session, viewer: Viewer, which: Which, shop: str, kind: str, page: int) -> tuple[list[Line], bool]:
    """A page of findings, the newest first, and whether there are more."""
    wanted = select(AnswerFinding, Feedback).join(Feedback, col(Feedback.id) == AnswerFinding.feedback_id)
    wanted = wanted.where(AnswerFinding.state == which, *viewer.sees(AnswerFinding.shop_id))
    if shop:
        wanted = wanted.where(AnswerFinding.shop_id == shop)
    if kind:
        wanted = wanted.where(AnswerFinding.kind == kind)
    newest = wanted.order_by(col(AnswerFinding.found_at).desc(), col(AnswerFinding.id).desc())
    found = session.exec(newest.limit(PAGE + 1).offset((page - 1) * PAGE)).all()
    answers: dict[int | None, tuple[Feedback, list[AnswerFinding]]] = {}
    for row, feedback in found[:PAGE]:
        answers.setdefault(feedback.id, (feedback, []))[1].append(row)
    return [_line(feedback, rows, viewer) for feedback, rows in answers.values()], len(found) > PAGE


def _line(feedback: Feedback, rows: list[AnswerFinding], viewer: Viewer) -> Line:
    said = " ".join((feedback.text or feedback.title).split())
    quote = said if len(said) <= _QUOTE else f"{said[:_QUOTE]}……"
    rows.sort(key=lambda row: [*KINDS].index(row.kind))  # type: ignore[arg-type]
    mended = next((row for row in rows if _can(viewer, "mended", row)), None)
    return Line(feedback, quote, _parts(rows), [Fault(row, _verdicts(viewer, row)) for row in rows], mended)


def _verdicts(viewer: Viewer, row: AnswerFinding) -> list[tuple[Verdict, str]]:
    return [(one, told) for one, told in VERDICTS.items() if one != "mended" and _can(viewer, one, row)]


def _can(viewer: Viewer, verdict: Verdict, row: AnswerFinding) -> bool:
    return row.state in MAY_BE[verdict] and allowed(verdict, viewer)


def _parts(rows: Sequence[AnswerFinding]) -> list[tuple[str, bool]]:
    answer, marks = rows[0].answer, [re.escape(row.mark) for row in rows if row.mark]
    pieces = re.split(f"({'|'.join(marks)})", answer) if marks else [answer]
    return [(piece, n % 2 == 1) for n, piece in enumerate(pieces) if piece]


def counts(session: Session, viewer: Viewer) -> dict[str, int]:
    """How many open findings there are of each kind."""
    mine = (AnswerFinding.state == "open", *viewer.sees(AnswerFinding.shop_id))
    wanted = select(AnswerFinding.kind, func.count()).where(*mine)
    found = dict(session.exec(wanted.group_by(AnswerFinding.kind)).all())
    return {kind: found[kind] for kind in KINDS if kind in found}


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/answers``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    known = Depends(door.viewer)

    @routes.get("/answers", summary="公开回复的质检")
    def answers(
        viewer: Annotated[Viewer, known], which: Which = "open", shop: Word = "", kind: Word = "", page: Page = 1
    ) -> HTMLResponse:
        with db.reading(core.engine) as session:
            lines, more = read(session, viewer, which, shop, kind, page)
            number = counts(session, viewer)
        chosen = {"which": which, "shop": shop, "kind": kind}
        shops = [one for one in core.settings.shops if viewer.may_see(one.id)]
        facts: dict[str, Any] = {"whiches": WHICH, "kinds": KINDS, "counts": number, "shops": shops, "chosen": chosen}
        return pages.render("answers", viewer=viewer, lines=lines, more=more, page=page, **facts)

    @routes.post("/answers/{number}/{verdict}", summary="说一条质检怎么样了")
    async def said(viewer: Annotated[Viewer, known], request: Request, number: Number, verdict: Verdict) -> Response:
        fields = bodies.form(await bodies.read(request))
        own_form(viewer, fields, request, homes(core, request))
        await run_in_threadpool(say, core, viewer, number, verdict)
        return RedirectResponse(f"{pages.root}/answers", 303)

    return routes


def say(core: Core, viewer: Viewer, number: int, verdict: Verdict, door: str = "desk") -> None:
    """Write down what somebody says of a finding.

    Raises:
        HTTPException: 404, there is none for them; 403, their role may not; 409, somebody was faster.
    """
    with db.writing(core.engine) as session:
        row = session.get(AnswerFinding, number)
        if row is None or not viewer.may_see(row.shop_id):
            raise HTTPException(404, "找不到这条记录。")
        if not allowed(verdict, viewer):
            raise HTTPException(403, "这一步要主管来做。" if viewer.role == "agent" else "您的角色只能看。")
        others = (
            AnswerFinding.feedback_id == row.feedback_id,
            AnswerFinding.state == "open",
            AnswerFinding.id != number,
        )
        more = session.exec(select(AnswerFinding).where(*others)).all() if verdict == "mended" else ()
        try:
            for one in (row, *more):
                judge(session, one, verdict, core.clock.now(), viewer.name, door)
        except Refused as refusal:
            raise HTTPException(409, str(refusal)) from None
