"""The API under ``/api/v1``: an application of its own, so its errors are problems and its OpenAPI has no pages."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from alerts.desk import (
    api_answers,
    api_behind,
    api_cases,
    api_corrections,
    api_deadlines,
    api_drafts,
    api_feedback,
    api_house,
    api_improvements,
    api_indicators,
    api_people,
    api_problems,
    api_rotas,
    api_rules,
    api_settings,
    api_tables,
    api_tokens,
)
from alerts.desk.api_access import Access
from alerts.desk.editing import Desk
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from monitor.core import Core
from monitor.shelf import Shelf

PATH = "/api/v1"
"""Where it is."""
_ABOUT = """工作台能做的，程序也能做；角色和店铺的限制一样。

请求带上 `Authorization: Bearer psh_…`。处理工单和危机的请求还要有 `Idempotency-Key`：
同一个键只做一次，再发得到同样的回答。改设置的请求要带上读到的 `seen`：中间别人改过，就是 409。
出错时回答 `application/problem+json`，`detail` 是一句中文。
列表的 `next` 不为空时，作为 `after` 再问，得到后面的。"""


def add(app: FastAPI, core: Core, pages: Pages, door: Doorkeeper, kept: Shelf | None = None) -> None:
    """Put the API and the page about it into the desk's application."""
    api = create_api(core, pages, door, kept)
    app.mount(PATH, api)

    @app.get("/api", summary="接口说明", response_class=HTMLResponse)
    def about(viewer: Annotated[Viewer, Depends(door.viewer)]) -> HTMLResponse:
        return pages.render("api", viewer=viewer, path=f"{pages.root}{PATH}", operations=_operations(api))


def create_api(core: Core, pages: Pages, door: Doorkeeper, kept: Shelf | None = None) -> FastAPI:
    """The API by itself."""
    api = FastAPI(
        title="评哨",
        version="1",
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_name,
    )
    api_problems.add_handlers(api)
    access = Access(core, door)
    for part in (
        api_cases,
        api_feedback,
        api_behind,
        api_deadlines,
        api_answers,
        api_corrections,
        api_house,
        api_indicators,
        api_tokens,
    ):
        api.include_router(part.router(core, access))
    api.include_router(api_tables.router(core, access, pages, kept))
    api.include_router(api_improvements.router(core, access, kept))
    desk = Desk(core, pages, door)
    for place in (api_settings, api_people, api_rotas, api_rules, api_drafts):
        api.include_router(place.router(desk, access))

    @api.get("/openapi.json", include_in_schema=False, dependencies=[access.may()])
    def described() -> dict[str, Any]:
        return api.openapi() | {"servers": [{"url": f"{core.settings.service.public_url.rstrip('/')}{PATH}"}]}

    return api


def _name(route: APIRoute) -> str:
    """An operation's id: its path and method in words."""
    method = next(iter(route.methods or {"GET"})).lower()
    return f"{method}{route.path_format.replace('/', '_').replace('{', '').replace('}', '').replace('.', '_')}"


def _operations(api: FastAPI) -> list[dict[str, Any]]:
    """What the page lists: method, path, what it is for, its parameters."""
    return [
        {"method": method.upper(), "path": path, **operation}
        for path, methods in api.openapi()["paths"].items()
        for method, operation in methods.items()
    ]
