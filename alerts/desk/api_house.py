"""What concerns the house rather than one case: sources, messages, the audit, people, who is on duty, who asks."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from sqlmodel import col, select

from alerts import outbox
from alerts.desk import labels
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import After, Limit, Number, Since, Word, moment
from alerts.desk.api_models import Audited, Done, Happened, Health, Letter, Me, OnDuty, Page, Someone
from alerts.desk.api_problems import answers
from monitor import db, health, rota
from monitor.core import Core
from monitor.models import Event, Outbox, Person
from monitor.privacy import mask

_MOST_DAYS = 31
State = Literal["", "pending", "sending", "sent", "uncertain", "dead", "folded"]


def router(core: Core, access: Access) -> APIRouter:
    """``/me``, ``/sources``, ``/outbox``, ``/audit``, ``/people``, ``/rota``."""
    routes = APIRouter(tags=["house"])
    reader = access.may("read")

    @routes.get("/me", summary="我是谁，能做什么", responses=answers())
    def me(caller: Annotated[Caller, access.may()]) -> Me:
        viewer = caller.viewer
        return Me(
            name=viewer.name,
            role=viewer.role,
            shops=viewer.shops,
            scopes=list(caller.scopes),
            form_key=viewer.form_key,
        )

    @routes.get("/sources", summary="来源的状况", responses=answers())
    def sources(caller: Annotated[Caller, reader]) -> Sequence[Health]:
        with db.reading(core.engine) as session:
            found = health.overview(session, core.settings, core.clock.now())
        return [_health(one) for one in found if caller.viewer.may_see(one.shop_id)]

    @routes.get("/people", summary="会收到提醒、会处理的人", responses=answers(), dependencies=[reader])
    def people() -> Sequence[Someone]:
        with db.reading(core.engine) as session:
            found = session.exec(select(Person).order_by(Person.name)).all()
        return [Someone.model_validate(one) for one in found]

    @routes.get("/rota", summary="谁在值班", responses=answers())
    def on_duty(
        caller: Annotated[Caller, reader], since: Since = None, days: Annotated[int, Query(ge=1, le=_MOST_DAYS)] = 7
    ) -> Sequence[OnDuty]:
        start = moment(since or core.clock.now())
        with db.reading(core.engine) as session:
            found = rota.duties(core.settings, session, start, start + timedelta(days=days))
        shown = [one for one in found if any(map(caller.viewer.may_see, one.shops))]
        return [OnDuty.model_validate(one) for one in shown]

    _add_messages(routes, core, access)
    _add_audit(routes, core, access)
    return routes


def _add_messages(routes: APIRouter, core: Core, access: Access) -> None:
    @routes.get("/outbox", summary="消息，最新的在前", responses=answers(), dependencies=[access.may("read")])
    def messages(state: State = "", after: After = "", limit: Limit = 50) -> Page[Letter]:
        wanted = select(Outbox).order_by(col(Outbox.id).desc()).limit(limit + 1)
        wanted = wanted.where(Outbox.state == state) if state else wanted
        wanted = wanted.where(col(Outbox.id) < int(after)) if after else wanted
        with db.reading(core.engine) as session:
            rows = session.exec(wanted).all()
        return Page[Letter](items=[_letter(row) for row in rows[:limit]], next=_next(rows, limit))

    @routes.post("/outbox/{number}/retry", summary="重发一条消息", responses=answers(404))
    def retry(caller: Annotated[Caller, access.may("admin")], number: Number) -> Done:
        if not caller.viewer.leads:
            raise HTTPException(403, "重发消息要主管来做。")
        if not outbox.retry(core, [number], caller.viewer.name, "api"):
            raise HTTPException(404, "没有这条消息，或者它不用重发。")
        return Done(done=True, words="马上重发。")


def _add_audit(routes: APIRouter, core: Core, access: Access) -> None:
    @routes.get("/audit", summary="谁在什么时候做了什么，最新的在前", responses=answers())
    def audit(
        caller: Annotated[Caller, access.may("admin")], who: Word = "", after: After = "", limit: Limit = 50
    ) -> Page[Audited]:
        if not caller.leads:
            raise HTTPException(403, "经过给主管看；只管部分店铺的人也看不了。")
        wanted = select(Event).order_by(col(Event.id).desc()).limit(limit + 1)
        wanted = wanted.where(Event.actor == who) if who else wanted
        wanted = wanted.where(col(Event.id) < int(after)) if after else wanted
        with db.reading(core.engine) as session:
            rows = session.exec(wanted).all()
        told = [
            Audited.model_validate(_event(row) | {"before": row.before, "after": row.after}) for row in rows[:limit]
        ]
        return Page[Audited](items=told, next=_next(rows, limit))


def happened(row: Event) -> Happened:
    """An event as cases and crises show it."""
    return Happened.model_validate(_event(row))


def _event(row: Event) -> dict[str, Any]:
    return {**row.model_dump(), "words": labels.event(row), "note": str(row.after.get("note", ""))}


def _health(one: health.SourceHealth) -> Health:
    names = [name for name in Health.model_fields if name not in ("shop", "error")]
    told = {name: getattr(one, name) for name in names}
    return Health(**told, shop=one.shop_id, error=mask(one.error).text)


def _letter(row: Outbox) -> Letter:
    return Letter.model_validate(row.model_dump() | {"last_error": mask(row.last_error).text})


def _next(rows: Sequence[Outbox | Event], limit: int) -> str | None:
    return str(rows[limit - 1].id) if len(rows) > limit else None
