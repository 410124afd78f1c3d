"""``/settings``: what is said in place of the file and the way back; ``/settings/routes``: which channels hear what."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from alerts import routing
from alerts.desk import bodies, editing, editing_people, editing_routes
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_given import Seen, Short
from alerts.desk.api_models import Done
from alerts.desk.api_problems import answers
from alerts.desk.api_setting_models import (
    Changed,
    ChannelGiven,
    RoutesGiven,
    RoutesNow,
)
from alerts.desk.editing import Desk
from alerts.desk.editing_fields import ROUTES
from monitor import overrides
from monitor.editing import FILE


def router(desk: Desk, access: Access) -> APIRouter:
    """``/settings`` and ``/settings/routes``."""
    routes = APIRouter(tags=["settings"], route_class=bodies.Bounded)
    editor = access.may("settings")

    @routes.get("/settings", summary="改过的设置", responses=answers())
    def changed(caller: Annotated[Caller, editor]) -> Sequence[Changed]:
        editing.leads(caller.viewer)
        return [Changed.model_validate(asdict(one) | {"seen": one.mark}) for one in editing.changed(desk)]

    @routes.delete("/settings", summary="让一项设置回到配置文件的值", responses=answers(404, 409))
    def back(caller: Annotated[Caller, editor], key: Annotated[Short, Query()], seen: Annotated[Seen, Query()]) -> Done:
        _back(desk, caller, key, seen)
        return Done(done=True, words="回到配置文件的值了。")

    _add_routes(routes, desk, editor)
    return routes


def keep(desk: Desk, caller: Caller, wanted: Mapping[str, Any], seen: str) -> None:
    """Say something else than the file, as the desk does.

    Raises:
        HTTPException: 409 with why it cannot be.
    """
    if problem := desk.save(caller.viewer, wanted, seen, "api"):
        raise HTTPException(409, problem)


def _back(desk: Desk, caller: Caller, key: str, seen: str) -> None:
    """Whoever may change a setting may take it back."""
    part = key.partition(".")[0]
    editing.manages(caller.viewer, lead=part == "replies")
    if not key.startswith(overrides.PARTS):
        raise HTTPException(404, "没有这一项，或者它只能在配置文件里改。")
    if part == "people":
        editing_people.put(desk.core, caller.viewer, key.removeprefix("people."), FILE, seen, "api")
    else:
        keep(desk, caller, {key: FILE}, seen)


def _add_routes(routes: APIRouter, desk: Desk, editor: Any) -> None:
    @routes.get("/settings/routes", summary="哪些渠道收什么", responses=answers())
    def shown(caller: Annotated[Caller, editor]) -> RoutesNow:
        editing.manages(caller.viewer)
        return _routes(desk)

    @routes.put("/settings/routes", summary="改路由", responses=answers(409, 413))
    def change(caller: Annotated[Caller, editor], given: RoutesGiven) -> RoutesNow:
        editing.manages(caller.viewer)
        now = desk.laid().settings.routes
        keep(desk, caller, {f"routes.{one}": given.routes.get(one, getattr(now, one)) for one in ROUTES}, given.seen)
        return _routes(desk)

    @routes.post("/settings/routes/try", summary="给一个渠道发一条试试", responses=answers(409, 413))
    def attempt(caller: Annotated[Caller, editor], given: ChannelGiven) -> Done:
        editing.manages(caller.viewer)
        if not editing_routes.send_test(desk.core, given.channel, caller.viewer.name, "api"):
            raise HTTPException(409, f"渠道 {given.channel!r} 没有能发到的地方。")
        return Done(done=True, words="测试消息排上队了。")


def _routes(desk: Desk) -> RoutesNow:
    settings = desk.laid().settings
    return RoutesNow(
        routes={one: getattr(settings.routes, one) for one in ROUTES},
        file={one: getattr(desk.core.file.routes, one) for one in ROUTES},
        channels=editing_routes.channels(settings),
        silent=routing.silent_routes(settings),
        seen=overrides.mark(settings, [f"routes.{one}" for one in ROUTES]),
    )
