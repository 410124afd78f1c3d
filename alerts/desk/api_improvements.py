"""``/improvements``: what was mended, what came of it, and entering, changing and taking it back."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints

from alerts.desk import bodies
from alerts.desk import improvements as room
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import After, Limit, Number
from alerts.desk.api_given import Given, Seen, Short
from alerts.desk.api_models import Answer, Done, Page
from alerts.desk.api_problems import answers
from alerts.desk.improvements import Line
from monitor import db, improvements
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.improvements import Entry
from monitor.shelf import Shelf


class EffectTold(Answer):
    """A complaint before and after; complaints and all feedback of 28 days at most."""

    days: int
    """How many days after it are counted."""
    before: tuple[int, int]
    after: tuple[int, int]
    interval: tuple[float, float]
    """95 % interval of the change of the rate, 0.01 being a percentage point."""
    verdict: str
    """fell, rose, same or early."""


class ImprovementTold(Answer):
    """What was mended."""

    id: int
    what: str
    category: str
    since: date
    product: str
    """Empty for all."""
    shop: str
    """Empty for all."""
    actor: str
    effect: EffectTold | None
    """Null where nobody counted it; the list does."""
    seen: str


class ImprovementGiven(Given):
    """What was mended; an empty product or shop is all of them."""

    what: Annotated[Short, Field(min_length=1)]
    category: Short
    """Code or Chinese name of the complaint that it is to end."""
    since: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    """Since when it is in place."""
    product: Short = ""
    shop: Short = ""


class ImprovementPut(ImprovementGiven):
    """With the mark of what was seen; empty where that does not matter."""

    seen: Seen = ""


def router(core: Core, access: Access, kept: Shelf | None) -> APIRouter:
    """``/improvements`` and ``/improvements/{number}``."""
    routes = APIRouter(tags=["improvements"], route_class=bodies.Bounded)
    worker = access.may("act")

    @routes.get("/improvements", summary="做过的改进，和它们有没有让差评降下来", responses=answers())
    def listed(
        caller: Annotated[Caller, access.may("read")], after: After = "", limit: Limit = 50
    ) -> Page[ImprovementTold]:
        skip = int(after or 0)
        with db.reading(core.engine) as session:
            rows = improvements.listing(session, limit + 1, skip, caller.viewer.shops)
        told = [_told(core, line) for line in room.lines(rows[:limit], caller.viewer, kept)]
        return Page[ImprovementTold](items=told, next=str(skip + limit) if len(rows) > limit else None)

    @routes.post("/improvements", summary="登记一项改进", status_code=201, responses=answers(409, 413))
    def add(caller: Annotated[Caller, worker], given: ImprovementGiven) -> ImprovementTold:
        room.enters(caller.viewer, given.shop)
        row = improvements.add(core, _entry(given), caller.viewer.name, "api")
        return _told(core, Line(row, None, mine=True))

    @routes.put("/improvements/{number}", summary="改一项改进", responses=answers(404, 409, 413))
    def change(caller: Annotated[Caller, worker], number: Number, given: ImprovementPut) -> ImprovementTold:
        room.found(core, caller.viewer, number)
        room.enters(caller.viewer, given.shop)
        row = improvements.change(core, number, _entry(given), given.seen, caller.viewer.name, "api")
        return _told(core, Line(row, None, mine=True))

    @routes.delete("/improvements/{number}", summary="撤回一项改进", responses=answers(404, 409))
    def withdraw(caller: Annotated[Caller, worker], number: Number, seen: Annotated[Seen, Query()]) -> Done:
        room.found(core, caller.viewer, number)
        improvements.withdraw(core, number, seen, caller.viewer.name, "api")
        return Done(done=True, words="撤回了。")

    return routes


def _entry(given: ImprovementGiven) -> Entry:
    try:
        day = date.fromisoformat(given.since)
    except ValueError:
        raise WrongCall(f"看不懂日期“{given.since}”，应如 2026-11-01") from None
    return Entry(given.what, given.category, day, given.product, given.shop)


def _told(core: Core, line: Line) -> ImprovementTold:
    entry = improvements.entered(line.row, core.settings.zone)
    said = {name: getattr(entry, name) for name in ("what", "category", "product", "shop")} | {"since": entry.day}
    about = {"id": line.row.id, "actor": line.row.actor, "effect": line.effect}
    return ImprovementTold.model_validate(
        said | about | {"seen": improvements.mark(core, line.row)}, from_attributes=True
    )
