"""What people see and do once they are in: the inbox, cases and crises with their actions, messages that got stuck."""

import io
import secrets
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from alerts import outbox
from alerts.actions import Click, handle
from alerts.desk import bodies, drafts, inbox, subjects
from alerts.desk.entrance import homes
from alerts.desk.inbox import WHICH, Filters, Which
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer, own_form
from alerts.desk.subjects import PATHS, Kind
from monitor import categories, db, exports, queries, search, sheets
from monitor.core import Core
from monitor.models import Crisis
from monitor.moves import Action
from monitor.transitions import ACTIONS, NOTICE_WAYS

_MAX_PAGE = 1_000_000
_MAX_NOTE = 2000
_MOST_STUCK = 200
_MOST_ASKED = 100
Page = Annotated[int, Query(ge=1, le=_MAX_PAGE)]
Word = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]  # PostgreSQL takes no NUL
Number = Annotated[int, Path(ge=1, lt=10**9)]


@dataclass(frozen=True, slots=True)
class Option:
    """An action as the page offers it.

    Attributes:
        choices: What ``to`` may be; value and words.
    """

    code: str
    label: str
    needs: str
    choices: list[tuple[str, str]]


@dataclass(frozen=True)
class _Rooms:
    core: Core
    pages: Pages

    def cases(self, viewer: Viewer, filters: Filters, page: int) -> HTMLResponse:
        with db.reading(self.core.engine) as session:
            lines, more = inbox.read(session, viewer, filters, page)
            filling = bool(filters.words) and search.filling(session)
        return self.pages.render(
            "inbox",
            viewer=viewer,
            lines=lines,
            more=more,
            filters=filters,
            filling=filling,
            page=page,
            which=WHICH,
            shops=[one for one in self.core.settings.shops if viewer.may_see(one.id)],
            codes=categories.complaints(),
            once=secrets.token_urlsafe(12),
        )

    def crises(self, viewer: Viewer) -> HTMLResponse:
        with db.reading(self.core.engine) as session:
            lines = [line for line in queries.open_crises(session) if viewer.may_see(line.crisis.shop_id)]
        return self.pages.render("board", viewer=viewer, lines=lines)

    def stuck(self, viewer: Viewer) -> HTMLResponse:
        with db.reading(self.core.engine) as session:
            rows = outbox.listing(session, ("uncertain", "dead"), _MOST_STUCK)
            counts = queries.unsent_counts(session)
        return self.pages.render("outbox", viewer=viewer, rows=rows[::-1], counts=counts)

    def show(self, viewer: Viewer, kind: Kind, number: int, page: int = 1, problem: str = "") -> HTMLResponse:
        with db.reading(self.core.engine) as session:
            found = subjects.found(session, viewer, kind, number)
            shown = subjects.feedbacks(session, found, page)
            return self.pages.render(
                "subject",
                409 if problem else 200,
                viewer=viewer,
                subject=found,
                shown=shown,
                picks=drafts.for_subject(self.core.settings, found, shown),
                page=page,
                last=max(1, -(-found.count // subjects.PAGE)),
                options=_options(session, viewer, found),
                once=secrets.token_urlsafe(12),
                problem=problem,
                buyers=f"{self.pages.root}/crises/{number}/buyers.csv",
            )

    def act(self, viewer: Viewer, plural: str, number: int, action: str, fields: dict[str, str]) -> Response:
        kind, once, note = PATHS[plural], fields.get("once", ""), fields.get("note", "").strip()
        if action not in ACTIONS:
            raise HTTPException(404, "没有这个操作。")
        if not once:
            raise HTTPException(400, "请刷新页面再试。")
        if len(note) > _MAX_NOTE:
            return self.show(viewer, kind, number, problem=f"说明请控制在 {_MAX_NOTE} 字以内。")
        more = {name: fields[name] for name in ("members", "facts") if fields.get(name)}
        asked = Action(action, kind, number, note, fields.get("to", ""), more or None)
        with db.reading(self.core.engine) as session:
            subjects.require(session, viewer, asked)
        outcome = handle(self.core, Click("desk", f"{viewer.name}:{once}"[:200], viewer.name, asked))
        if outcome.done:
            return RedirectResponse(f"{self.pages.root}/{plural}/{number}", 303)
        return self.show(viewer, kind, number, problem=outcome.text)

    def buyers(self, viewer: Viewer, number: int) -> Response:
        out = io.BytesIO()
        with db.reading(self.core.engine) as session:
            subjects.found(session, viewer, "crisis", number)
            sheets.write(exports.buyers(session, number, self.core.settings.zone), "csv", out)
        return self.pages.file(out.getvalue(), "text/csv; charset=utf-8", f"buyers-{number}.csv")


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/cases``, ``/crises``, ``/outbox``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    rooms = _Rooms(core, pages)
    known = Depends(door.viewer)

    @routes.get("/cases", summary="工单列表")
    def cases(
        viewer: Annotated[Viewer, known],
        which: Which = "open",
        shop: Word = "",
        category: Word = "",
        severity: Word = "",
        q: str = "",
        page: Page = 1,
    ) -> HTMLResponse:
        return rooms.cases(viewer, Filters(which, shop, category, severity, q[:_MOST_ASKED]), page)

    @routes.get("/crises", summary="危机看板")
    def crises(viewer: Annotated[Viewer, known]) -> HTMLResponse:
        return rooms.crises(viewer)

    @routes.get("/outbox", summary="没发出去的消息")
    def stuck(viewer: Annotated[Viewer, known]) -> HTMLResponse:
        return rooms.stuck(viewer)

    @routes.post("/outbox/{number}/retry", summary="重发一条消息")
    async def retry(viewer: Annotated[Viewer, known], request: Request, number: Number) -> Response:
        own_form(viewer, bodies.form(await bodies.read(request)), request, homes(core, request))
        if not viewer.leads:
            raise HTTPException(403, "重发消息要主管来做。")
        await run_in_threadpool(outbox.retry, core, [number], viewer.name, "desk")
        return RedirectResponse(f"{pages.root}/outbox", 303)

    @routes.get("/crises/{number}/buyers.csv", summary="危机涉及的买家，已隐去个人信息", response_class=Response)
    def buyers(viewer: Annotated[Viewer, known], number: Number) -> Response:
        return rooms.buyers(viewer, number)

    for plural, kind in PATHS.items():
        _add_subjects(routes, rooms, known, plural, kind)
    return routes


def _add_subjects(routes: APIRouter, rooms: _Rooms, known: Any, plural: str, kind: Kind) -> None:
    @routes.get(f"/{plural}/{{number}}", summary="一条记录，和能对它做的事")
    def subject(viewer: Annotated[Viewer, known], number: Number, page: Page = 1) -> HTMLResponse:
        return rooms.show(viewer, kind, number, page)

    @routes.post(f"/{plural}/{{number}}/{{action}}", summary="对一条记录做一件事")
    async def act(viewer: Annotated[Viewer, known], request: Request, number: Number, action: str) -> Response:
        fields = bodies.form(await bodies.read(request))
        own_form(viewer, fields, request, homes(rooms.core, request))
        return await run_in_threadpool(rooms.act, viewer, plural, number, action, fields)


def _options(session: Session, viewer: Viewer, subject: subjects.Subject) -> list[Option]:
    """What this person can do with it now."""
    return [
        Option(code, ACTIONS[code].label, ACTIONS[code].needs, subjects.choices(session, subject, code))
        for code in subjects.possible(subject, viewer.role)
        if not _done(subject, code)
    ]


def _done(subject: subjects.Subject, code: str) -> bool:
    """Whether it is done already: somebody holds it, or that way of telling is ticked."""
    row = subject.row
    if code == "claim":
        return row.assignee_id is not None
    return isinstance(row, Crisis) and NOTICE_WAYS[row.kind].get(code) in row.notices
