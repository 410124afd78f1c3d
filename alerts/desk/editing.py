"""Settings that the desk may change: what it changed so far, and the parts that lead to each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerts.desk import bodies, editing_fields
from alerts.desk.entrance import homes
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer, own_form
from monitor import db, editing, overrides
from monitor.audit import Refused
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.overrides import Laid

_MOST_FIELDS = 300
_LONGEST = 2000  # characters of one field


@dataclass(frozen=True)
class Form:
    """What was sent, field by field."""

    values: Mapping[str, list[str]]

    def one(self, name: str) -> str:
        """The first value without blanks around it; empty where there is none.

        Raises:
            HTTPException: 400, nobody types so much.
        """
        value = self.long(name)
        if len(value) > _LONGEST:
            raise HTTPException(400, f"一格里最多写 {_LONGEST} 个字。")
        return value

    def long(self, name: str) -> str:
        """The first value, whatever its length."""
        return next(iter(self.values.get(name, [])), "").strip()

    def all(self, name: str) -> list[str]:
        """All values, each once."""
        return list(dict.fromkeys(self.values.get(name, [])))


@dataclass(frozen=True)
class Desk:
    """What every page of settings needs."""

    core: Core
    pages: Pages
    door: Doorkeeper

    def laid(self) -> Laid:
        """What counts now, by the store and not by what this process last heard of."""
        with db.reading(self.core.engine) as session:
            return overrides.lay(self.core.file, overrides.said(session))

    def save(self, viewer: Viewer, wanted: Mapping[str, Any], seen: str, door: str = "desk") -> str:
        """Say something else than the file; gives why it could not be, or nothing."""
        try:
            with db.writing(self.core.engine) as session:
                editing.save(self.core, session, wanted, seen, viewer.name, door)
        except (Refused, WrongCall) as error:
            return f"{editing_fields.in_words(str(error))}。"
        overrides.refresh(self.core)
        return ""

    def show(self, template: str, viewer: Viewer, problem: str = "", **values: Any) -> HTMLResponse:
        """A page; with a problem, as one that could not be done."""
        shown = {"saved": False, **values}
        return self.pages.render(template, 409 if problem else 200, viewer=viewer, problem=problem, **shown)

    def done(self, path: str) -> Response:
        """Back to a page that says so."""
        return RedirectResponse(f"{self.pages.root}{path}?saved=1", 303)

    def post(self, routes: APIRouter, path: str, summary: str, act: Callable[[Viewer, Form], Response]) -> None:
        """A form of one of our own pages, handled in a thread."""
        known = Depends(self.door.viewer)

        @routes.post(path, summary=summary)
        async def handle(viewer: Annotated[Viewer, known], request: Request) -> Response:
            values = bodies.lists(await bodies.read(request), _MOST_FIELDS)
            first = {name: found[0] for name, found in values.items()}
            own_form(viewer, first, request, homes(self.core, request))
            return await run_in_threadpool(act, viewer, Form(values))


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that the desk says in place of the file, in words.

    Attributes:
        left_out: Why it does not count; empty where it does.
    """

    key: str
    label: str
    file: str
    desk: str
    actor: str
    at: Any
    mark: str
    left_out: str = field(default="")


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/settings`` and what lies below it, and ``/corrections``."""
    from alerts.desk import (
        editing_corrections,
        editing_drafts,
        editing_people,
        editing_rotas,
        editing_routes,
        editing_rules,
    )

    routes = APIRouter(default_response_class=HTMLResponse)
    desk = Desk(core, pages, door)
    known = Depends(door.viewer)

    @routes.get("/settings", summary="工作台上改过的设置")
    def home(viewer: Annotated[Viewer, known], saved: bool = False) -> HTMLResponse:
        leads(viewer)
        return desk.show("edit_home", viewer, says=changed(desk), saved=saved, may=may(viewer))

    def back(viewer: Viewer, form: Form) -> Response:
        key = form.one("key")
        manages(viewer)
        if not key.startswith(overrides.PARTS) or key.startswith(
            "people."
        ):  # people have a page and rules of their own
            raise HTTPException(400, "没有看懂这个请求。")
        problem = desk.save(viewer, {key: editing.FILE}, form.one("seen"))
        if problem:
            return desk.show("edit_home", viewer, problem, says=changed(desk), may=may(viewer))
        return desk.done("/settings")

    desk.post(routes, "/settings/back", "回到配置文件的值", back)
    for part in (editing_people, editing_rotas, editing_routes, editing_rules, editing_drafts, editing_corrections):
        part.add(routes, desk)
    return routes


def leads(viewer: Viewer) -> None:
    """Leads and above.

    Raises:
        HTTPException: 403.
    """
    if not viewer.leads:
        raise HTTPException(403, "设置给主管和经理看。")


def manages(viewer: Viewer, *, lead: bool = False) -> None:
    """Managers, of all shops: what is set here holds for the whole house.

    Args:
        viewer: Who asks.
        lead: Leads may too.

    Raises:
        HTTPException: 403.
    """
    if viewer.role not in ("manager", "admin", *(("lead",) if lead else ())):
        raise HTTPException(403, "这里由经理或管理员来改。")
    if viewer.shops:
        raise HTTPException(403, "这里管着所有店铺，只管部分店铺的人改不了。")


def may(viewer: Viewer) -> set[str]:
    """Which parts the person can change."""
    whole = not viewer.shops
    parts = {"rotas", "corrections"} | ({"drafts"} if whole else set())
    return parts | ({"people", "routes", "rules"} if whole and viewer.role in ("manager", "admin") else set())


def changed(desk: Desk) -> list[Said]:
    """What the desk says in place of the file, by key."""
    with db.reading(desk.core.engine) as session:
        rows = overrides.rows(session)
    laid = overrides.lay(desk.core.file, {row.key: row.value["value"] for row in rows})
    return [
        Said(
            row.key,
            editing_fields.label(row.key),
            editing_fields.told(row.key, overrides.value_of(desk.core.file, row.key)),
            editing_fields.told(row.key, row.value["value"]),
            row.actor,
            row.at,
            overrides.mark(laid.settings, [row.key]),
            laid.left_out.get(row.key, ""),
        )
        for row in rows
    ]
