"""The rota on the desk: the coming week as a table, who turns with whom, and who stands in for whom."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session, col, select

from alerts.desk.editing import Desk, Form, leads
from alerts.desk.sessions import Viewer
from monitor import db, editing, overrides, rota
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Person, Swap
from monitor.policies import Rota
from monitor.rota import Duty
from monitor.settings import Settings

WEEKDAYS = {"mon": "一", "tue": "二", "wed": "三", "thu": "四", "fri": "五", "sat": "六", "sun": "日"}
TURNS = {"": "一起值班", "day": "每天轮一个人", "week": "每周轮一个人"}
_BETWEEN = re.compile(r"[、,，;；\n]+")
_DAYS = 7
_SWAP = ("who", "absent", "start", "end")


@dataclass(frozen=True, slots=True)
class Day:
    """One day of some shops: its spans and who is on duty in each."""

    day: date
    duties: Sequence[Duty]


def add(routes: APIRouter, desk: Desk) -> None:
    """``/settings/rotas`` and ``/settings/rotas/swap``."""

    @routes.get("/settings/rotas", summary="值班")
    def shown(viewer: Annotated[Viewer, Depends(desk.door.viewer)], saved: bool = False) -> HTMLResponse:
        leads(viewer)
        return _page(desk, viewer, saved=saved)

    desk.post(routes, "/settings/rotas", "加、改、删一条值班", lambda viewer, form: _act(desk, viewer, form))
    desk.post(routes, "/settings/rotas/swap", "换班", lambda viewer, form: _swap(desk, viewer, form))


def _act(desk: Desk, viewer: Viewer, form: Form) -> Response:
    leads(viewer)
    rotas = [one.model_dump(mode="json") for one in desk.laid().settings.rotas]
    place, do, given = form.one("place"), form.one("do"), _given(form)
    number = int(place) if place in map(str, range(len(rotas))) else len(rotas)
    touched = [*rotas[number : number + 1], *([] if do == "remove" else [given])]
    if not all(within(viewer, one["shops"]) for one in touched):
        raise HTTPException(403, "只能改自己店铺的值班。")
    rotas[number : number + 1] = [] if do == "remove" else [given]
    if do == "try":
        try:
            with db.reading(desk.core.engine) as session:
                settings = editing.preview(desk.core, session, {"rotas": rotas}).settings
        except WrongCall as error:
            return _page(desk, viewer, f"{error}。", at=place, given=given)
        return _page(desk, viewer, at=place, given=given, tried=settings)
    problem = desk.save(viewer, {"rotas": rotas}, form.one("seen"))
    if problem:
        return _page(desk, viewer, problem, at=place, given=given)
    return desk.done("/settings/rotas")


def _swap(desk: Desk, viewer: Viewer, form: Form) -> Response:
    leads(viewer)
    try:
        arrange(desk.core, viewer, {name: form.one(name) for name in _SWAP})
    except WrongCall as error:
        return _page(desk, viewer, f"{error}。", swap={name: form.one(name) for name in _SWAP})
    return desk.done("/settings/rotas")


def arrange(core: Core, viewer: Viewer, given: Mapping[str, str], door: str = "desk") -> None:
    """Let somebody stand in for somebody: ``who``, ``absent``, ``start``, ``end``.

    Raises:
        HTTPException: 403, one of them is of other shops.
        WrongCall: an unknown person, or no span of the future.
    """
    who, absent = given["who"], given["absent"]
    with db.reading(core.engine) as session:
        asked = session.exec(select(Person).where(col(Person.name).in_((who, absent)))).all()
    if not all(within(viewer, person.shops) for person in asked):
        raise HTTPException(403, "只能给自己店铺的人换班。")
    rota.swap(core, who, absent, given["start"], given["end"], viewer.name, door)


def within(viewer: Viewer, shops: Collection[str]) -> bool:
    """Whether something of these shops (all when empty) is the person's to change."""
    return not viewer.shops or (bool(shops) and set(shops) <= set(viewer.shops))


def _given(form: Form) -> dict[str, Any]:
    return {
        "people": [name for one in _BETWEEN.split(form.one("people")) if (name := one.strip())],
        "shops": form.all("shops"),
        "days": form.all("days"),
        "shift": form.one("shift"),
        "turn": form.one("turn"),
        "since": form.one("since") or None,
    }


def _page(
    desk: Desk, viewer: Viewer, problem: str = "", *, tried: Settings | None = None, **values: Any
) -> HTMLResponse:
    core = desk.core
    settings, now = desk.laid().settings, core.clock.now()
    with db.reading(core.engine) as session:
        people = session.exec(select(Person).where(col(Person.active)).order_by(col(Person.id))).all()
        names = {person.id: person.name for person in session.exec(select(Person))}
        swaps = session.exec(select(Swap).where(Swap.ends_at > now).order_by(col(Swap.starts_at))).all()
        week = coming(tried or settings, session, now)
    blank = Rota(people=["?"]).model_dump(mode="json") | {"people": []}
    rotas = [one.model_dump(mode="json") for one in settings.rotas]
    told = {"at": "", "given": {}, "swap": dict.fromkeys(_SWAP, "")} | values
    return desk.show(
        "edit_rotas",
        viewer,
        problem,
        week=week,
        tried=tried is not None,
        rotas=[(str(n), one, within(viewer, one["shops"])) for n, one in enumerate(rotas)],
        blank=blank,
        seen=overrides.mark(settings, ["rotas"]),
        people=[person.name for person in people if within(viewer, person.shops)],
        swaps=[(one, names.get(one.person_id, ""), names.get(one.absent_id, "")) for one in swaps],
        shops=[shop for shop in settings.shops if viewer.may_see(shop.id)],
        weekdays=WEEKDAYS,
        turns=TURNS,
        **told,
    )


def coming(settings: Settings, session: Session, now: datetime) -> list[tuple[tuple[str | None, ...], list[Day]]]:
    """For shops with the same rotas, the coming days."""
    today = now.astimezone(settings.zone).date()
    found: dict[tuple[str | None, ...], list[Day]] = {}
    for day in (today + timedelta(days=n) for n in range(_DAYS)):
        start, end = (datetime.combine(one, time(), settings.zone) for one in (day, day + timedelta(days=1)))
        mine: dict[tuple[str | None, ...], list[Duty]] = {}
        for duty in rota.duties(settings, session, start, end):
            mine.setdefault(duty.shops, []).append(duty)
        for shops, duties in mine.items():
            found.setdefault(shops, []).append(Day(day, duties))
    return list(found.items())
