"""``/cases`` and ``/crises``: lists, one with all that belongs to it, and what is done to it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from alerts.actions import Click, handle, tidy
from alerts.desk import bodies, inbox, subjects
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_case_models import CaseInFull, CaseLine, CrisisInFull, CrisisLine
from alerts.desk.api_feedback import After, Limit, Number, Severity, Word, in_full, of_crisis
from alerts.desk.api_house import happened
from alerts.desk.api_models import Clock, Done, Page
from alerts.desk.api_problems import answers
from alerts.desk.drafts import for_subject
from alerts.desk.inbox import Filters, Which
from monitor import db, queries
from monitor.core import Core
from monitor.models import Crisis, Feedback, Inbound, Person, Timer
from monitor.moves import Action
from monitor.states import CRISIS_OPEN
from monitor.transitions import ACTIONS

_NEWEST = 50
_LONGEST = 2000
Key = Annotated[str, Header(min_length=1, max_length=120, pattern="^[!-~]+$")]
Text = Annotated[str, Field(max_length=_LONGEST)]


class Asked(BaseModel):
    """What is to be done.

    ``to`` is a person's name (assign), a crisis's number (merge) or codes with commas between (refile).
    """

    model_config = ConfigDict(extra="forbid")
    action: Literal[tuple(ACTIONS)]  # type: ignore[valid-type] # whatever the table of actions holds
    note: Text = ""
    to: Annotated[str, Field(max_length=200)] = ""
    members: Text = ""
    facts: Text = ""


def router(core: Core, access: Access) -> APIRouter:
    """Lists, details and actions of cases and crises."""
    routes = APIRouter(tags=["cases"], route_class=bodies.Bounded)
    reader = access.may("read")

    @routes.get("/cases", summary="工单，按收件箱的条件选；最新的在前", responses=answers())
    def cases(
        caller: Annotated[Caller, reader],
        which: Which = "open",
        shop: Word = "",
        category: Word = "",
        severity: Severity = "",
        q: Word = "",
        after: After = "",
        limit: Limit = 50,
    ) -> Page[CaseLine]:
        if which == "mine" and caller.program:
            return Page[CaseLine](items=[], next=None)
        with db.reading(core.engine) as session:
            lines, following = inbox.listing(
                session, caller.viewer, Filters(which, shop, category, severity, q), after, limit
            )
            return Page[CaseLine](items=[_case_line(line) for line in lines], next=following)

    @routes.get("/cases/{number}", summary="一个工单：反馈、版本、时限、经过、可用的回复", responses=answers(404))
    def case(caller: Annotated[Caller, reader], number: Number) -> CaseInFull:
        with db.reading(core.engine) as session:
            found = subjects.found(session, caller.viewer, "case", number)
            where = [Feedback.case_id == number]
            return CaseInFull.model_validate(_in_full(core, session, caller, found, where), from_attributes=True)

    @routes.get("/crises", summary="危机，最新的在前", responses=answers())
    def crises(
        caller: Annotated[Caller, reader],
        which: Literal["open", "done", "all"] = "open",
        after: After = "",
        limit: Limit = 50,
    ) -> Page[CrisisLine]:
        where = caller.viewer.sees(Crisis.shop_id)
        where += [col(Crisis.state).in_(CRISIS_OPEN)] if which == "open" else []
        where += [col(Crisis.state).not_in(CRISIS_OPEN)] if which == "done" else []
        where += [col(Crisis.id) < int(after)] if after else []
        with db.reading(core.engine) as session:
            rows = session.exec(select(Crisis).where(*where).order_by(col(Crisis.id).desc()).limit(limit + 1)).all()
            following = str(rows[limit - 1].id) if len(rows) > limit else None
            return Page[CrisisLine](items=_crisis_lines(session, rows[:limit]), next=following)

    @routes.get("/crises/{number}", summary="一个危机", responses=answers(404))
    def crisis(caller: Annotated[Caller, reader], number: Number) -> CrisisInFull:
        with db.reading(core.engine) as session:
            found = subjects.found(session, caller.viewer, "crisis", number)
            where = [of_crisis(number)]
            return CrisisInFull.model_validate(_in_full(core, session, caller, found, where), from_attributes=True)

    for plural, kind in subjects.PATHS.items():
        _add_actions(routes, core, access, plural, kind)
    return routes


def _add_actions(routes: APIRouter, core: Core, access: Access, plural: str, kind: subjects.Kind) -> None:
    @routes.post(
        f"/{plural}/{{number}}/actions",
        summary=f"对一个{'工单' if kind == 'case' else '危机'}做一件事；同一个 Idempotency-Key 只做一次",
        responses=answers(404, 409, 413),
    )
    def act(caller: Annotated[Caller, access.may("act")], number: Number, asked: Asked, idempotency_key: Key) -> Done:
        more = {name: said for name in ("members", "facts") if (said := getattr(asked, name))}
        action = Action(asked.action, kind, number, asked.note.strip(), asked.to, more or None)
        with db.reading(core.engine) as session:
            subjects.require(session, caller.viewer, action)
        return perform(core, caller, action, f"{caller.key}:{idempotency_key}")


def perform(core: Core, caller: Caller, action: Action, key: str) -> Done:
    """Do what is asked through the one handler, once for each key.

    Raises:
        HTTPException: 409, it cannot be done now, or the key was another request's; 403, the role may not.
    """
    role = caller.viewer.role if caller.program else ""
    outcome = handle(core, Click("api", key, caller.viewer.name, action, role))
    with db.reading(core.engine) as session:
        row = session.exec(select(Inbound).where(Inbound.door == "api", Inbound.key == key)).one()
    known, meant = (row.action, row.subject, row.subject_id), tidy(action)
    if known != (action.what, action.subject, action.subject_id) or (row.payload["note"], row.payload["to"]) != (
        meant.note,
        meant.to,
    ):
        raise HTTPException(409, "这个 Idempotency-Key 用过了，那次要做的是另一件事。")
    if outcome.done:
        return Done(done=True, words=outcome.text)
    if not ACTIONS[action.what].allowed(action.subject, caller.viewer.role):
        raise HTTPException(403, outcome.text)
    raise HTTPException(409, outcome.text)


def _in_full(
    core: Core, session: Session, caller: Caller, found: subjects.Subject, where: Sequence[Any]
) -> dict[str, Any]:
    row, shown = found.row, subjects.feedbacks(session, found, 1)
    return {
        **row.model_dump(),
        "shop": row.shop_id,
        "categories": row.categories,
        "assignee": found.assignee.name if found.assignee else None,
        "clocks": clocks(found.clocks),
        "feedback": in_full(session, where, _NEWEST),
        "feedback_count": found.count,
        "events": [happened(event) for event in found.events],
        "drafts": [pick.text for pick in for_subject(core.settings, found, shown)],
        "actions": subjects.possible(found, caller.viewer.role),
    }


def clocks(timers: Mapping[str, Timer]) -> list[Clock]:
    """Deadlines, the next first."""
    return [Clock.model_validate(one) for one in sorted(timers.values(), key=lambda one: one.due_at)]


def _case_line(line: inbox.Line) -> CaseLine:
    told = {**line.case.model_dump(), "shop": line.case.shop_id, "assignee": line.holder or None}
    return CaseLine.model_validate(told | {"quote": line.quote, "due_at": line.due_at, "late": line.late})


def _crisis_lines(session: Session, rows: Sequence[Crisis]) -> list[CrisisLine]:
    holding = {row.assignee_id for row in rows}
    names = dict(session.exec(select(Person.id, Person.name).where(col(Person.id).in_(holding))).all())
    stages = queries.clocks_of_crises(session, [row.id for row in rows if row.id is not None])
    return [
        CrisisLine.model_validate(
            row.model_dump()
            | {
                "shop": row.shop_id,
                "categories": row.categories,
                "assignee": names.get(row.assignee_id),
                "clocks": clocks(stages.get(row.id or 0, {})),
            }
        )
        for row in rows
    ]
