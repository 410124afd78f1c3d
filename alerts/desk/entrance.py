"""Logging in and out."""

from datetime import datetime
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerts.desk import accounts, bodies, company_entrance
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, NotLoggedIn, inside, own_form
from monitor import db
from monitor.core import Core

_WRONG = "名字或密码不对。"


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/login`` and ``/logout``, and the way through the company's own login where there is one."""
    routes = APIRouter(default_response_class=HTMLResponse)
    oidc = core.settings.desk.oidc
    if oidc is not None:
        routes.include_router(company_entrance.router(core, pages, door, oidc))

    def page(status: int, problem: str, person: str, where: str) -> HTMLResponse:
        company = oidc.label if oidc else ""
        return pages.render("login", status, problem=problem, person=person, next=where, company=company)

    @routes.get("/login", summary="登录页")
    def ask(next: str = "/") -> HTMLResponse:  # noqa: A002 — the name in the address
        return page(200, "", "", inside(next))

    @routes.post("/login", summary="登录")
    async def enter(request: Request) -> Response:
        fields = bodies.form(await bodies.read(request))
        if not ours(core, request):
            raise HTTPException(403, "请从评哨自己的登录页登录。")
        return await run_in_threadpool(_enter, request, fields)

    def _enter(request: Request, fields: dict[str, str]) -> Response:
        name, now = fields.get("name", "").strip(), core.clock.now()
        address = request.client.host if request.client else ""
        where = inside(fields.get("next", "/"))
        try:
            with db.writing(core.engine) as session:
                account = accounts.log_in(session, name, fields.get("password", ""), address, now)
        except accounts.Resting as resting:
            said = f"试错太多次了，请在 {_clock(core, resting.until)} 以后再试。"
            return page(429, said, name, where)
        if account is None:
            return page(401, _WRONG, name, where)
        answer = RedirectResponse(f"{pages.root}{where}", 303)
        door.let_in(answer, account)
        return answer

    @routes.post("/logout", summary="退出")
    async def leave(request: Request) -> Response:
        fields = bodies.form(await bodies.read(request))
        viewer = await run_in_threadpool(door.viewer, request)
        own_form(viewer, fields, request, homes(core, request))
        answer = RedirectResponse(f"{pages.root}/login", 303)
        door.let_out(answer)
        return answer

    return routes


def send_to_login(app: FastAPI, pages: Pages) -> None:
    """Whoever is not logged in is led to the door, and from there to where he wanted to go."""

    @app.exception_handler(NotLoggedIn)
    def to_the_door(request: Request, _error: NotLoggedIn) -> Response:
        if request.method != "GET":
            return pages.problem(401, "请先登录。")
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{pages.root}/login?next={quote(asked, safe='')}", 303)


def homes(core: Core, request: Request) -> set[str]:
    """Origins that are ours: what links begin with, and the address asked."""
    public = urlsplit(core.settings.service.public_url)
    return {f"{public.scheme}://{public.netloc}", f"{request.url.scheme}://{request.url.netloc}"}


def ours(core: Core, request: Request) -> bool:
    """Whether a form without a key came from our own pages, as far as the browser says."""
    return request.headers.get("origin", "null") in {"null", *homes(core, request)}


def _clock(core: Core, at: datetime) -> str:
    return f"{at.astimezone(core.settings.zone):%H:%M:%S}"
