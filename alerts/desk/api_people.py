"""``/settings/people``: who people are, where they are reached, what is theirs."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlmodel import col, select

from alerts.desk import bodies, editing, editing_people
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_given import WHOLE, Given, Lines, Name, Seen, Short
from alerts.desk.api_models import Answer, Done
from alerts.desk.api_problems import answers
from alerts.desk.editing import Desk
from monitor import db, overrides
from monitor.models import Account, Person
from monitor.settings import Role


class PersonNow(Answer):
    """Somebody with all that is set of him."""

    name: str
    role: str
    slack: str
    dingtalk: str
    wecom: str
    feishu: str
    email: str
    shops: Sequence[str]
    categories: Sequence[str]
    tiers: Sequence[str]
    most_open: int
    enters: bool
    """Has an account of the desk."""
    in_file: bool
    changed: bool
    """The desk says something else than the file."""
    seen: str


class People(Answer):
    """Who is there, and who stands in the file but was taken away."""

    people: Sequence[PersonNow]
    removed: Mapping[str, str]
    """Names with the mark for the way back."""


class PersonGiven(Given):
    """Somebody as he is to be; what is left out is empty."""

    role: Role
    slack: Short = ""
    dingtalk: Short = ""
    wecom: Short = ""
    feishu: Short = ""
    email: Short = ""
    shops: Lines = []
    categories: Lines = []
    tiers: Lines = []
    most_open: Annotated[int, Field(ge=0, lt=10**9), WHOLE] = 0
    seen: Seen | None = None
    """Null for somebody new."""


def router(desk: Desk, access: Access) -> APIRouter:
    """``/settings/people`` and ``/settings/people/{name}``."""
    routes = APIRouter(tags=["settings"], route_class=bodies.Bounded)
    editor = access.may("settings")

    @routes.get("/settings/people", summary="人员：角色、联系方式、店铺、类别", responses=answers())
    def people(caller: Annotated[Caller, editor]) -> People:
        editing.manages(caller.viewer)
        return _people(desk)

    @routes.put("/settings/people/{name:path}", summary="加或改一个人", responses=answers(404, 409, 413))
    def put(caller: Annotated[Caller, editor], name: Name, given: PersonGiven) -> Done:
        editing.manages(caller.viewer)
        wanted = given.model_dump(exclude={"seen"})
        editing_people.put(desk.core, caller.viewer, name, wanted, given.seen, "api")
        return Done(done=True, words="记下了。")

    @routes.delete("/settings/people/{name:path}", summary="移除一个人", responses=answers(404, 409))
    def remove(caller: Annotated[Caller, editor], name: Name, seen: Annotated[Seen, Query()]) -> Done:
        editing.manages(caller.viewer)
        editing_people.put(desk.core, caller.viewer, name, None, seen, "api")
        return Done(done=True, words="移除了。")

    return routes


def _people(desk: Desk) -> People:
    settings, file = desk.laid().settings, {person.name for person in desk.core.file.people}
    with db.reading(desk.core.engine) as session:
        rows = session.exec(select(Person).where(col(Person.active)).order_by(col(Person.id))).all()
        accounts = set(session.exec(select(Account.name)))
        said = {key.removeprefix("people."): value for key, value in overrides.said(session).items()}
    marks = {name: overrides.mark(settings, [f"people.{name}"]) for name in (*file, *said, *(row.name for row in rows))}
    told = [
        PersonNow.model_validate(
            row.model_dump()
            | {
                "enters": row.name in accounts,
                "in_file": row.name in file,
                "changed": row.name in said,
                "seen": marks[row.name],
            }
        )
        for row in rows
    ]
    gone = {name: marks[name] for name, value in said.items() if value is None and name in file}
    return People(people=told, removed=gone)
