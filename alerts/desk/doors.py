"""The pages behind signed links: confirm and do one action, or look at a case or crisis."""

import io
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from alerts.actions import Click, Outcome, found, handle, lacks
from alerts.desk import bodies, subjects
from alerts.desk.pages import Pages
from alerts.links import Link, Links
from monitor import db, exports, sheets
from monitor.core import Core
from monitor.moves import Action
from monitor.transitions import ACTIONS

_MAX_NOTE = 2000
_MAX_PAGE = 1_000_000
_MORE = {"plan": ("members", "facts")}  # what is asked for besides the note


def router(core: Core, links: Links, pages: Pages) -> APIRouter:
    """``/a/<token>`` and ``/v/<token>``."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/a/{token}", summary="确认页：打开它什么都不会变")
    def confirm(token: str) -> HTMLResponse:
        link = links.read(token)
        with db.reading(core.engine) as session:
            if outcome := found(session, "link", link.nonce):
                return _told(pages, links, link, outcome)
            return _ask(session, pages, links, link)

    @routes.post("/a/{token}", summary="执行链接上的操作，只执行一次")
    async def perform(token: str, request: Request) -> HTMLResponse:
        fields = bodies.form(await bodies.read(request))
        return await run_in_threadpool(_perform, core, links, pages, token, fields)

    @routes.get("/v/{token}", summary="查看工单或危机，只读")
    def view(token: str, page: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 1) -> HTMLResponse:
        seen = links.read_view(token)
        with db.reading(core.engine) as session:
            subject = subjects.found(session, None, seen.subject, seen.subject_id)
            shown = subjects.feedbacks(session, subject, page)
        last = max(1, -(-subject.count // subjects.PAGE))
        listed = f"{links.view(seen.subject, seen.subject_id)}/buyers.csv"
        return pages.render("subject", subject=subject, shown=shown, page=page, last=last, buyers=listed)

    @routes.get("/v/{token}/buyers.csv", summary="危机涉及的买家，已隐去个人信息", response_class=Response)
    def listed(token: str) -> Response:
        seen = links.read_view(token)
        if seen.subject != "crisis":
            raise HTTPException(404, "没有这张表。")
        out = io.BytesIO()
        with db.reading(core.engine) as session:
            subjects.found(session, None, seen.subject, seen.subject_id)
            sheets.write(exports.buyers(session, seen.subject_id, core.settings.zone), "csv", out)
        return pages.file(out.getvalue(), "text/csv; charset=utf-8", f"buyers-{seen.subject_id}.csv")

    return routes


def _perform(core: Core, links: Links, pages: Pages, token: str, fields: dict[str, str]) -> HTMLResponse:
    link = links.read(token)
    note = fields.get("note", "").strip()
    more = {name: fields.get(name, "").strip() for name in _MORE.get(link.action, ())}
    action = Action(link.action, link.subject, link.subject_id, note, fields.get("to", ""), more)
    problem = ""
    if any(len(said) > _MAX_NOTE for said in (note, *more.values())):
        problem = f"说明请控制在 {_MAX_NOTE} 字以内。"
    elif lacks(action):
        problem = "还差一项没有填。"
    if problem:
        with db.reading(core.engine) as session:
            return _ask(session, pages, links, link, problem, note, more)
    outcome = handle(core, Click("link", link.nonce, link.person, action))
    return _told(pages, links, link, outcome)


def _ask(
    session: Session,
    pages: Pages,
    links: Links,
    link: Link,
    problem: str = "",
    note: str = "",
    more: Mapping[str, str] | None = None,
) -> HTMLResponse:
    if link.action not in ACTIONS:
        raise HTTPException(404, "没有这个操作。")
    subject = subjects.found(session, None, link.subject, link.subject_id)
    return pages.render(
        "confirm",
        400 if problem else 200,
        link=link,
        info=ACTIONS[link.action],
        subject=subject,
        choices=subjects.choices(session, subject, link.action),
        view=links.view(link.subject, link.subject_id),
        problem=problem,
        note=note,
        more=more or {name: getattr(subject.row, name) for name in _MORE.get(link.action, ())},
    )


def _told(pages: Pages, links: Links, link: Link, outcome: Outcome) -> HTMLResponse:
    title = "办好了" if outcome.done else "没有办成"
    view = links.view(link.subject, link.subject_id)
    return pages.render("message", title=title, text=outcome.text, good=outcome.done, view=view)
