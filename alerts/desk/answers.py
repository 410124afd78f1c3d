"""What was found wrong with the shop's public answers, and what staff say of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session, col, func, or_, select

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
class Line:
    """A finding on the page.

    Attributes:
        row: The finding.
        feedback: What was answered.
        quote: The beginning of the buyer's words.
        parts: The answer as it was found, cut at the words in question: piece, and whether it is those.
        verdicts: What this person can say of it.
    """

    row: AnswerFinding
    feedback: Feedback
    quote: str
    parts: Sequence[tuple[str, bool]]
    verdicts: Sequence[tuple[Verdict, str]]


def allowed(verdict: Verdict, viewer: Viewer) -> bool:
    """Whether somebody may say so: that a fault is none, only who leads; brands look."""
    return viewer.leads or (verdict == "mended" and viewer.role == "agent")


def read(session: Session, viewer: Viewer, which: Which, shop: str, kind: str, page: int) -> tuple[list[Line], bool]:
    """A page of findings, the newest first, and whether there are more."""
    wanted = select(AnswerFinding, Feedback).join(Feedback, col(Feedback.id) == AnswerFinding.feedback_id)
    wanted = wanted.where(AnswerFinding.state == which, *_seen(viewer))
    if shop:
        wanted = wanted.where(AnswerFinding.shop_id == shop)
    if kind:
        wanted = wanted.where(AnswerFinding.kind == kind)
    newest = wanted.order_by(col(AnswerFinding.found_at).desc(), col(AnswerFinding.id).desc())
    found = session.exec(newest.limit(PAGE + 1).offset((page - 1) * PAGE)).all()
    return [_line(row, feedback, viewer) for row, feedback in found[:PAGE]], len(found) > PAGE


def _seen(viewer: Viewer) -> list[Any]:
    if not viewer.shops:
        return []
    return [or_(col(AnswerFinding.shop_id).in_(viewer.shops), col(AnswerFinding.shop_id).is_(None))]


def _line(row: AnswerFinding, feedback: Feedback, viewer: Viewer) -> Line:
    said = " ".join((feedback.text or feedback.title).split())
    quote = said if len(said) <= _QUOTE else f"{said[:_QUOTE]}……"
    verdicts: list[tuple[Verdict, str]] = [
        (one, "知道了" if one == "mended" and row.kind == "late" else told)
        for one, told in VERDICTS.items()
        if row.state in MAY_BE[one] and allowed(one, viewer)
    ]
    return Line(row, feedback, quote, _parts(row), verdicts)


def _parts(row: AnswerFinding) -> list[tuple[str, bool]]:
    before, words, after = row.answer.partition(row.mark) if row.mark else (row.answer, "", "")
    return [part for part in ((before, False), (words, True), (after, False)) if part[0]]


def counts(session: Session, viewer: Viewer) -> dict[str, int]:
    """How many open findings there are of each kind."""
    wanted = select(AnswerFinding.kind, func.count()).where(AnswerFinding.state == "open", *_seen(viewer))
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
    async def say(viewer: Annotated[Viewer, known], request: Request, number: Number, verdict: Verdict) -> Response:
        fields = bodies.form(await bodies.read(request))
        own_form(viewer, fields, request, homes(core, request))
        await run_in_threadpool(_say, core, viewer, number, verdict)
        return RedirectResponse(f"{pages.root}/answers", 303)

    return routes


def _say(core: Core, viewer: Viewer, number: int, verdict: Verdict) -> None:
    with db.writing(core.engine) as session:
        row = session.get(AnswerFinding, number)
        if row is None or not viewer.may_see(row.shop_id):
            raise HTTPException(404, "找不到这条记录。")
        if not allowed(verdict, viewer):
            raise HTTPException(403, "这一步要主管来做。" if viewer.role == "agent" else "您的角色只能看。")
        try:
            judge(session, row, verdict, core.clock.now(), viewer.name)
        except Refused as refusal:
            raise HTTPException(409, str(refusal)) from None
