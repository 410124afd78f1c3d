"""``/settings/rotas``: who turns with whom, the week that comes of it, and who stands in for whom."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import Field
from sqlmodel import col, select

from alerts.desk import bodies, editing, editing_rotas
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_given import Given, Lines, Seen, Short
from alerts.desk.api_models import Answer, Done, OnDuty
from alerts.desk.api_problems import answers
from alerts.desk.api_settings import keep
from alerts.desk.editing import Desk
from monitor import db, overrides
from monitor import editing as config
from monitor.models import Person, Swap


class RotaGiven(Given):
    """Who is on duty when."""

    people: Lines
    shops: Lines = []
    days: Lines = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    shift: Short = "00:00-24:00"
    turn: Literal["", "day", "week"] = ""
    since: Short | None = None
    """The day on which the first of ``people`` begins; needed with ``turn``."""


class RotasTried(Given):
    """All rotas, as they are to be."""

    rotas: Annotated[list[RotaGiven], Field(max_length=200)]


class RotasGiven(RotasTried):
    """With the mark of what was seen."""

    seen: Seen


class SwapGiven(Given):
    """Somebody stands in for somebody: days, or times."""

    who: Short
    absent: Short
    start: Short
    end: Short


class SwapNow(Answer):
    """A swap that is not over."""

    who: str
    absent: str
    start: datetime
    end: datetime


class RotasNow(Answer):
    """All rotas, and the swaps to come."""

    rotas: Sequence[Mapping[str, Any]]
    swaps: Sequence[SwapNow]
    seen: str


def router(desk: Desk, access: Access) -> APIRouter:
    """``/settings/rotas``, ``/settings/rotas/try`` and ``/settings/rotas/swaps``."""
    routes = APIRouter(tags=["settings"], route_class=bodies.Bounded)
    editor = access.may("settings")

    @routes.get("/settings/rotas", summary="排班和换班", responses=answers())
    def shown(caller: Annotated[Caller, editor]) -> RotasNow:
        editing.leads(caller.viewer)
        return _now(desk)

    @routes.put("/settings/rotas", summary="改排班，写全部", responses=answers(409, 413))
    def change(caller: Annotated[Caller, editor], given: RotasGiven) -> RotasNow:
        keep(desk, caller, {"rotas": _wanted(desk, caller, given)}, given.seen)
        return _now(desk)

    @routes.post("/settings/rotas/try", summary="这样排，接下来一周谁在值班；什么也不改", responses=answers(409, 413))
    def attempt(caller: Annotated[Caller, editor], given: RotasTried) -> Sequence[OnDuty]:
        wanted = {"rotas": _wanted(desk, caller, given)}
        with db.reading(desk.core.engine) as session:
            settings = config.preview(desk.core, session, wanted).settings
            week = editing_rotas.coming(settings, session, desk.core.clock.now())
        days = chain.from_iterable(days for _, days in week)
        return [OnDuty.model_validate(duty) for day in days for duty in day.duties]

    @routes.post("/settings/rotas/swaps", summary="换班：谁替谁，从哪天到哪天", responses=answers(409, 413))
    def swap(caller: Annotated[Caller, editor], given: SwapGiven) -> Done:
        editing.leads(caller.viewer)
        editing_rotas.arrange(desk.core, caller.viewer, given.model_dump(), "api")
        return Done(done=True, words="换好了。")

    return routes


def _wanted(desk: Desk, caller: Caller, given: RotasTried) -> list[dict[str, Any]]:
    """The rotas as they are to be.

    Raises:
        HTTPException: 403, one that comes, goes or changes is of other shops.
    """
    editing.leads(caller.viewer)
    wanted = [one.model_dump() for one in given.rotas]
    now = [one.model_dump(mode="json") for one in desk.laid().settings.rotas]
    touched = [one for one in (*wanted, *now) if wanted.count(one) != now.count(one)]
    if not all(editing_rotas.within(caller.viewer, one["shops"]) for one in touched):
        raise HTTPException(403, "只能改自己店铺的值班。")
    return wanted


def _now(desk: Desk) -> RotasNow:
    settings = desk.laid().settings
    with db.reading(desk.core.engine) as session:
        names = {person.id: person.name for person in session.exec(select(Person))}
        swaps = session.exec(
            select(Swap).where(Swap.ends_at > desk.core.clock.now()).order_by(col(Swap.starts_at))
        ).all()
    return RotasNow(
        rotas=[one.model_dump(mode="json") for one in settings.rotas],
        swaps=[
            SwapNow(who=names[one.person_id], absent=names[one.absent_id], start=one.starts_at, end=one.ends_at)
            for one in swaps
        ],
        seen=overrides.mark(settings, ["rotas"]),
    )
