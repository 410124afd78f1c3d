"""People on the desk: who they are, where they are reached, what is theirs."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session, col, select

from alerts.desk.editing import Desk, Form, manages
from alerts.desk.sessions import Viewer
from alerts.desk.token_page import ROLES
from monitor import db, editing, overrides
from monitor.audit import Refused
from monitor.categories import complaints
from monitor.core import Core
from monitor.editing import CONTACTS, FILE, RANKS
from monitor.errors import WrongCall
from monitor.models import Account, Override, Person

_BETWEEN = re.compile(r"[、,，;；\n]+")
_TABLE = {"role", "shops", "categories", "tiers", "most_open", *CONTACTS}


@dataclass(frozen=True, slots=True)
class Line:
    """Somebody in the list.

    Attributes:
        enters: Has an account of the desk.
        changed: What the desk said of him and when; None where the file's word counts.
    """

    person: Person
    enters: bool
    changed: Override | None


def add(routes: APIRouter, desk: Desk) -> None:
    """``/settings/people`` and ``/settings/people/one``."""
    known = Depends(desk.door.viewer)

    @routes.get("/settings/people", summary="人员")
    def listed(viewer: Annotated[Viewer, known], saved: bool = False) -> HTMLResponse:
        manages(viewer)
        return _list(desk, viewer, saved=saved)

    @routes.get("/settings/people/one", summary="一个人的资料；没有名字就是新加一个")
    def one(viewer: Annotated[Viewer, known], name: Annotated[str, Query(max_length=100)] = "") -> HTMLResponse:
        manages(viewer)
        return _form(desk, viewer, name)

    desk.post(routes, "/settings/people", "加、改、移除一个人", lambda viewer, form: _act(desk, viewer, form))


def _act(desk: Desk, viewer: Viewer, form: Form) -> Response:
    manages(viewer)
    who, given = form.one("who"), _given(form)
    name = who or form.one("name")
    wanted = {"remove": None, "back": FILE}.get(form.one("do"), given)
    try:
        put(desk.core, viewer, name, wanted, form.one("seen") if who else None)
    except (Refused, WrongCall) as error:
        if form.one("do") == "back":
            return _list(desk, viewer, f"{error}。")
        return _form(desk, viewer, who, f"{error}。", given | {"name": name})
    return desk.done("/settings/people")


def put(core: Core, viewer: Viewer, name: str, wanted: Any, seen: str | None, door: str = "desk") -> None:
    """Add, change or remove somebody, as `monitor.editing.person` does; ``seen`` is None for somebody new.

    Raises:
        Refused: the viewer may not, or somebody was faster.
        WrongCall: it does not fit.
    """
    with db.writing(core.engine) as session:
        known = session.get(Person, viewer.person_id) if viewer.person_id else None
        editor = known or Person(name=viewer.name, role=viewer.role, shops=list(viewer.shops))  # a program is nobody
        mark = _new(core, session, name) if seen is None else seen
        editing.person(core, session, name, wanted, mark, editor, door)
    overrides.refresh(core)


def _new(core: Core, session: Session, name: str) -> str:
    """The mark of somebody who is not there yet."""
    if session.exec(select(Person).where(Person.name == name, Person.active)).first() is not None:
        raise WrongCall(f"已经有叫 {name!r} 的人")
    return overrides.mark(overrides.lay(core.file, overrides.said(session)).settings, [f"people.{name}"])


def _given(form: Form) -> dict[str, Any]:
    return {
        "role": form.one("role"),
        **{contact: form.one(contact) for contact in CONTACTS},
        "shops": form.all("shops"),
        "categories": form.all("categories"),
        "tiers": [tier for one in _BETWEEN.split(form.one("tiers")) if (tier := one.strip())],
        "most_open": form.one("most_open") or "0",
    }


def _list(desk: Desk, viewer: Viewer, problem: str = "", **values: Any) -> HTMLResponse:
    with db.reading(desk.core.engine) as session:
        people = session.exec(select(Person).where(col(Person.active)).order_by(col(Person.id))).all()
        accounts = set(session.exec(select(Account.name)))
        said = {
            row.key.removeprefix("people."): row for row in overrides.rows(session) if row.key.startswith("people.")
        }
    laid = desk.laid()
    lines = [Line(one, one.name in accounts, said.get(one.name)) for one in people]
    gone = [row for name, row in said.items() if row.value["value"] is None and name in _file_names(desk)]
    marks = {row.key: overrides.mark(laid.settings, [row.key]) for row in said.values()}
    told = {"lines": lines, "gone": gone, "marks": marks, "left_out": laid.left_out, "in_file": _file_names(desk)}
    return desk.show("edit_people", viewer, problem, roles=ROLES, contacts=CONTACTS, **told, **values)


def _file_names(desk: Desk) -> set[str]:
    return {person.name for person in desk.core.file.people}


def _form(
    desk: Desk, viewer: Viewer, name: str, problem: str = "", given: dict[str, Any] | None = None
) -> HTMLResponse:
    with db.reading(desk.core.engine) as session:
        row = session.exec(select(Person).where(Person.name == name, Person.active)).first()
    if name and row is None and not problem:
        raise HTTPException(404, "没有这个人。")
    settings = desk.laid().settings
    there = row.model_dump(include=_TABLE) if row else dict.fromkeys(CONTACTS, "") | {"role": "agent"}
    return desk.show(
        "edit_person",
        viewer,
        problem,
        who=name,
        value={"name": name, "shops": [], "categories": [], "tiers": [], "most_open": 0, **there, **(given or {})},
        seen=overrides.mark(settings, [f"people.{name}"]) if name else "",
        roles={role: ROLES[role] for role in RANKS if RANKS.index(role) <= RANKS.index(viewer.role)},
        above=row is not None and RANKS.index(row.role) > RANKS.index(viewer.role),
        contacts=CONTACTS,
        shops=settings.shops,
        codes=complaints(),
        in_file=name in _file_names(desk),
    )
