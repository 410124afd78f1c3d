"""``/answers``: what was found wrong with the shop's public answers, and what is said of it."""

from typing import Annotated, Any

from fastapi import APIRouter
from sqlmodel import col, select

from alerts.desk import answers as room
from alerts.desk.answers import Which
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import After, Limit, Number, Word
from alerts.desk.api_models import Done, Fault, Page
from alerts.desk.api_problems import answers
from monitor import db
from monitor.answers_found import VERDICTS, Verdict
from monitor.core import Core
from monitor.models import AnswerFinding


def router(core: Core, access: Access) -> APIRouter:
    """``/answers`` and ``/answers/{number}/{verdict}``."""
    routes = APIRouter(tags=["answers"])

    @routes.get("/answers", summary="公开回复的质检，最新的在前", responses=answers())
    def found(
        caller: Annotated[Caller, access.may("read")],
        which: Which = "open",
        shop: Word = "",
        kind: Word = "",
        after: After = "",
        limit: Limit = 50,
    ) -> Page[Fault]:
        where: list[Any] = [AnswerFinding.state == which, *caller.viewer.sees(AnswerFinding.shop_id)]
        where += [AnswerFinding.shop_id == shop] if shop else []
        where += [AnswerFinding.kind == kind] if kind else []
        where += [col(AnswerFinding.id) < int(after)] if after else []
        wanted = select(AnswerFinding).where(*where).order_by(col(AnswerFinding.id).desc()).limit(limit + 1)
        with db.reading(core.engine) as session:
            rows = session.exec(wanted).all()
        told = [Fault.model_validate(row.model_dump() | {"shop": row.shop_id}) for row in rows[:limit]]
        return Page[Fault](items=told, next=str(rows[limit - 1].id) if len(rows) > limit else None)

    @routes.post("/answers/{number}/{verdict}", summary="说一条质检怎么样了", responses=answers(404, 409))
    def say(caller: Annotated[Caller, access.may("act")], number: Number, verdict: Verdict) -> Done:
        room.say(core, caller.viewer, number, verdict, "api")
        return Done(done=True, words=VERDICTS[verdict])

    return routes
