"""The desk's application: status page, signed links, Slack's clicks, health; every error is one Chinese sentence."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from alerts.desk import (
    answers,
    api,
    behind,
    deadlines,
    dingtalk,
    doors,
    drafts,
    editing,
    entrance,
    feishu,
    guests,
    hooks,
    improvements,
    indicators,
    language,
    live,
    records,
    rooms,
    shelf,
    slack,
    status,
    token_page,
    vitals,
    wecom,
)
from alerts.desk.pages import HERE, Pages
from alerts.desk.proxies import believe
from alerts.desk.sessions import Doorkeeper
from alerts.links import Expired, Forged, Links
from monitor.core import Core
from monitor.shelf import Shelf

_AGAIN = ("数据库这会儿用不了，请稍后刷新。", "数据库这会儿用不了，这一步没有记下，请再点一次。")
_log = structlog.get_logger()
_SENTENCES = {"Not Found": "没有这个页面。", "Method Not Allowed": "这个地址不接受这种请求。"}


def create_app(core: Core, links: Links, kept: Shelf | None = None, proxies: str = "127.0.0.1") -> FastAPI:
    """The web application; all it holds are the open pages that listen, in ``state.live``.

    Args:
        core: The common ground.
        links: Reads the links people come with and makes the ones they go on with.
        kept: Where the reports are that were sent.
        proxies: Whose word for who asks is taken: see `alerts.desk.proxies.believe`.
    """
    app = FastAPI(title="评哨", docs_url=None, redoc_url=None)  # FastAPI's pages load scripts from elsewhere
    pages = Pages(core)
    _add_errors(app, pages)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(doors.router(core, links, pages))
    app.include_router(guests.router(core, links, pages))
    app.include_router(slack.router(core, links))
    app.include_router(feishu.router(core))
    app.include_router(wecom.router(core, links))
    app.include_router(dingtalk.router(core, links))
    app.include_router(hooks.router(core))
    door = Doorkeeper(core)
    entrance.send_to_login(app, pages)
    app.include_router(entrance.router(core, pages, door))
    app.include_router(drafts.router(core, pages, door))  # before the actions, whose addresses would take its
    app.include_router(answers.router(core, pages, door))
    app.include_router(rooms.router(core, pages, door))
    app.include_router(records.router(core, pages, door))
    app.include_router(behind.router(core, pages, door))
    app.include_router(deadlines.router(core, pages, door))
    app.include_router(improvements.router(core, pages, door, kept))
    app.include_router(indicators.router(core, pages, door))
    app.include_router(editing.router(core, pages, door))
    app.include_router(token_page.router(core, pages, door))
    if kept is not None:
        app.include_router(shelf.router(kept, pages, door))
    api.add(app, core, pages, door, kept)
    app.include_router(vitals.router(core))
    app.add_middleware(language.Chosen, secure=core.settings.service.public_url.startswith("https:"))
    app.add_middleware(vitals.Timed, meters=core.meters)
    app.state.live = live.Live(core)
    app.include_router(live.router(app.state.live, door))
    app.include_router(status.router(core, links, pages, door))
    believe(app, proxies)
    return app


def _add_errors(app: FastAPI, pages: Pages) -> None:
    @app.exception_handler(Expired)
    def expired(_request: Request, error: Expired) -> HTMLResponse:
        return pages.problem(410, str(error))

    @app.exception_handler(Forged)
    def forged(_request: Request, error: Forged) -> HTMLResponse:
        return pages.problem(403, str(error))

    @app.exception_handler(HTTPException)
    def refused(_request: Request, error: HTTPException) -> HTMLResponse:
        return pages.problem(error.status_code, _SENTENCES.get(error.detail, error.detail))

    @app.exception_handler(RequestValidationError)
    def unreadable(_request: Request, _error: RequestValidationError) -> HTMLResponse:
        return pages.problem(400, "没有看懂这个请求。")

    @app.exception_handler(OperationalError)
    def refused_by_the_store(request: Request, error: OperationalError) -> HTMLResponse:
        _log.error("store_refused", path=getattr(request.scope.get("route"), "path", ""), error=str(error.orig))
        return pages.problem(503, _AGAIN[request.method == "POST"])

    @app.exception_handler(Exception)
    def broken(request: Request, _error: Exception) -> HTMLResponse:
        with language.spoken(request.scope):
            return pages.problem(500, "评哨出了点问题，已经记进日志。请稍后再试。")
