"""Routes on the desk: which channels hear what, and a message to see whether one is heard."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerts import routing
from alerts.channel import MAIL
from alerts.desk.editing import Desk, Form, manages
from alerts.desk.editing_fields import ROUTES
from alerts.desk.sessions import Viewer
from monitor import audit, db, overrides
from monitor.core import Core
from monitor.settings import Settings


def add(routes: APIRouter, desk: Desk) -> None:
    """``/settings/routes`` and ``/settings/routes/try``."""

    @routes.get("/settings/routes", summary="哪些渠道收什么")
    def shown(
        viewer: Annotated[Viewer, Depends(desk.door.viewer)], saved: bool = False, sent: str = ""
    ) -> HTMLResponse:
        manages(viewer)
        return _page(desk, viewer, saved=saved, sent=sent if sent in channels(desk.core.settings) else "")

    desk.post(routes, "/settings/routes", "改路由", lambda viewer, form: _save(desk, viewer, form))
    desk.post(routes, "/settings/routes/try", "发一条试试", lambda viewer, form: _try(desk, viewer, form))


def _save(desk: Desk, viewer: Viewer, form: Form) -> Response:
    manages(viewer)
    wanted: dict[str, Any] = {f"routes.{route}": form.all(route) for route in ROUTES}
    problem = desk.save(viewer, wanted, form.one("seen"))
    if problem:
        return _page(desk, viewer, problem, given={route: form.all(route) for route in ROUTES})
    return desk.done("/settings/routes")


def _try(desk: Desk, viewer: Viewer, form: Form) -> Response:
    """Queue a test for one channel: through the outbox, as everything else goes."""
    manages(viewer)
    name = form.one("channel")
    if not send_test(desk.core, name, viewer.name):
        return _page(desk, viewer, f"渠道 {name!r} 没有能发到的地方。")
    return RedirectResponse(f"{desk.pages.root}/settings/routes?sent={quote(name, safe='')}", 303)


def send_test(core: Core, name: str, actor: str, door: str = "desk") -> bool:
    """Queue a test for one channel; gives whether it has a place to go to."""
    now = core.clock.now()
    with db.writing(core.engine) as session:
        queued = routing.enqueue_test(session, core.settings, name, actor, now)
        if queued:
            audit.note(session, now, "outbox", 0, "tested", actor, door, after={"channel": name})
    return bool(queued)


def channels(settings: Settings) -> dict[str, str]:
    """Name of a channel → its kind; mail by its own name."""
    named = {channel.name: channel.kind for channel in settings.channels}
    return named | ({MAIL: "email"} if settings.smtp else {})


def _page(desk: Desk, viewer: Viewer, problem: str = "", **values: Any) -> HTMLResponse:
    settings = desk.laid().settings
    now = {route: getattr(settings.routes, route) for route in ROUTES}
    told = {"given": now, "sent": ""} | values
    return desk.show(
        "edit_routes",
        viewer,
        problem,
        routes=ROUTES,
        channels=channels(settings),
        file={route: getattr(desk.core.file.routes, route) for route in ROUTES},
        silent=routing.silent_routes(settings),
        seen=overrides.mark(settings, [f"routes.{route}" for route in ROUTES]),
        **told,
    )
