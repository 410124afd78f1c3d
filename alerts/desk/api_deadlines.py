"""``/deadlines``: the deadlines behind a number of a report, exactly as many as it counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from alerts.desk import deadline_rows
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import After, Limit
from alerts.desk.api_models import Answer
from alerts.desk.api_problems import answers
from alerts.desk.deadline_rows import Deadlines
from monitor import db
from monitor.core import Core


class Deadline(Answer):
    """A deadline of a case or crisis; ``met_at`` after ``due_at`` was late."""

    id: int
    subject: str
    subject_id: int
    stage: str
    shop: str | None
    opened_at: datetime
    due_at: datetime
    met_at: datetime | None
    person: str | None
    """Who looked after it at the moment ``seen``."""


class Counted(Answer):
    """Some of them; ``next`` asked for as ``after`` gives those that follow, null where there are none."""

    count: int
    """How many there are; no further than one above 10,000."""
    items: Sequence[Deadline]
    next: str | None


class _Asked(deadline_rows.Wanted):
    after: After = ""
    limit: Limit = 50


def router(core: Core, access: Access) -> APIRouter:
    """``/deadlines``."""
    routes = APIRouter(tags=["cases"])

    @routes.get("/deadlines", summary="报告里一个数背后的时限，最晚到期的在前", responses=answers())
    def found(caller: Annotated[Caller, access.may("read")], wanted: Annotated[_Asked, Query()]) -> Counted:
        with db.reading(core.engine) as session:
            listed = Deadlines(core, session, caller.viewer, wanted)
            rows = listed.rows(wanted.limit + 1, after=int(wanted.after or 0))
            items = [_told(row) for row in rows[: wanted.limit]]
            following = str(items[-1].id) if len(rows) > wanted.limit else None
            return Counted(count=listed.count(), items=items, next=following)

    return routes


def _told(row: deadline_rows.Deadline) -> Deadline:
    timer = row.timer
    return Deadline(
        id=timer.id or 0,
        subject=row.subject,
        subject_id=row.subject_id,
        stage=timer.stage,
        shop=row.shop,
        opened_at=row.opened_at,
        due_at=timer.due_at,
        met_at=timer.met_at,
        person=row.person,
    )
