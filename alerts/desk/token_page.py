"""``/tokens``: an admin makes tokens for programs and lets them count no more."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import col, select

from alerts.desk import bodies, tokens
from alerts.desk.entrance import homes
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer, own_form
from alerts.desk.tokens import SCOPES, Wish
from monitor import db
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import ApiToken, Person

LASTS = {"30": "30 天", "90": "90 天", "365": "一年", "": "一直有效"}
"""Days that a token may count for."""
ROLES = {"agent": "客服", "lead": "主管", "manager": "经理", "brand": "品牌（只看）", "admin": "管理员"}
"""What a program of its own may be, in words."""
Number = Annotated[int, Path(ge=1, lt=10**9)]


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/tokens`` and ``/tokens/{number}/revoke``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    known = Depends(door.viewer)

    @routes.get("/tokens", summary="程序的令牌")
    def listed(viewer: Annotated[Viewer, known]) -> HTMLResponse:
        admin(viewer)
        return _page(core, pages, viewer)

    @routes.post("/tokens", summary="新建一个令牌，只显示一次")
    async def made(viewer: Annotated[Viewer, known], request: Request) -> Response:
        fields = bodies.form(await bodies.read(request))
        own_form(viewer, fields, request, homes(core, request))
        admin(viewer)
        return await run_in_threadpool(_make, core, pages, viewer, fields)

    @routes.post("/tokens/{number}/revoke", summary="停用一个令牌")
    async def revoked(viewer: Annotated[Viewer, known], request: Request, number: Number) -> Response:
        fields = bodies.form(await bodies.read(request))
        own_form(viewer, fields, request, homes(core, request))
        admin(viewer)
        return await run_in_threadpool(_revoke, core, pages, viewer, number)

    return routes


def admin(viewer: Viewer) -> None:
    """Admins of all shops.

    Raises:
        HTTPException: 403.
    """
    if viewer.role != "admin" or viewer.shops:
        raise HTTPException(403, "令牌由管理员来管；只管部分店铺的人也不行。")


def _make(core: Core, pages: Pages, viewer: Viewer, fields: dict[str, str]) -> Response:
    kind, _, who = fields.get("who", "").partition(":")
    days = fields.get("lasts", "90")
    if days not in LASTS:
        raise HTTPException(400, "没有看懂这个请求。")
    wish = Wish(
        name=fields.get("name", "").strip(),
        scopes=[scope for scope in SCOPES if fields.get(f"scope_{scope}")],
        person=who if kind == "person" else "",
        role=who if kind == "role" else "",
        shops=fields.get("shops", "").replace("，", " ").replace(",", " ").split(),
        lasts=timedelta(days=int(days)) if days else None,
    )
    try:
        with db.writing(core.engine) as session:
            token = tokens.add(core, session, wish, viewer.name, "desk")
    except WrongCall as error:
        return _page(core, pages, viewer, 409, problem=f"{error}。", given=fields)
    return _page(core, pages, viewer, token=token, made=wish.name)


def _revoke(core: Core, pages: Pages, viewer: Viewer, number: int) -> Response:
    try:
        with db.writing(core.engine) as session:
            row = session.get(ApiToken, number)
            if row is None:
                raise HTTPException(404, "没有这个令牌。")
            tokens.revoke(core, session, row.name, viewer.name, "desk")
    except WrongCall as error:
        return _page(core, pages, viewer, 409, problem=f"{error}。")
    return RedirectResponse(f"{pages.root}/tokens", 303)


def _page(core: Core, pages: Pages, viewer: Viewer, status: int = 200, **more: Any) -> HTMLResponse:
    with db.reading(core.engine) as session:
        rows = [(*found, tokens.state(found[0], core.clock.now())) for found in tokens.listing(session)]
        people = session.exec(select(Person.name).where(col(Person.active)).order_by(Person.name)).all()
    values = {"problem": "", "given": {}, "token": "", "made": ""} | more
    return pages.render(
        "tokens",
        status,
        viewer=viewer,
        rows=rows,
        people=people,
        roles=ROLES,
        scopes=SCOPES,
        states=tokens.STATES,
        lasts=LASTS,
        shops=[shop.id for shop in core.settings.shops],
        **values,
    )
