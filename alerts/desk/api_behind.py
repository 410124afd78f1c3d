"""``/behind``: the feedbacks behind a number of a report, exactly as many as it counts."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import union_all
from sqlmodel import col

from alerts.desk import api_feedback, behind, choosing
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import After, Limit
from alerts.desk.api_models import Answer, Said
from alerts.desk.api_problems import answers
from alerts.desk.behind import Wanted
from monitor import db
from monitor.core import Core
from monitor.models import Feedback


class Behind(Answer):
    """Some of them; ``next`` asked for as ``after`` gives those that follow, null where there are none."""

    count: int
    """How many there are; no further than one above 10,000."""
    items: Sequence[Said]
    next: str | None


class _Asked(Wanted):
    after: After = ""
    limit: Limit = 50


def router(core: Core, access: Access) -> APIRouter:
    """``/behind``."""
    routes = APIRouter(tags=["feedback"])

    @routes.get("/behind", summary="报告里一个数背后的评价，最新入库的在前", responses=answers())
    def found(caller: Annotated[Caller, access.may("read")], wanted: Annotated[_Asked, Query()]) -> Behind:
        with db.reading(core.engine, lookups=True) as session:
            parts = behind.parts(core, session, caller.viewer, wanted)
            chosen = union_all(*(choosing.chosen(Feedback.id, part=part).correlate(None) for part in parts))
            items, following = api_feedback.page(session, [col(Feedback.id).in_(chosen)], wanted.after, wanted.limit)
            return Behind(count=len(behind.found(session, parts)), items=items, next=following)

    return routes
