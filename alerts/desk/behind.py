"""The feedbacks behind a number of a report: chosen as the report counts them, so that there are exactly as many."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import String, cast
from sqlmodel import Session, col, func, or_, select

from alerts.desk import subjects
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from monitor import db
from monitor.categories import complaints
from monitor.core import Core
from monitor.models import Case, Feedback, Score

_WORD = 200
_MOST_COUNTED = 10_000  # more are told as "more than"


class Wanted(BaseModel):
    """Which feedbacks; what is empty does not matter.

    Attributes:
        since: First local day.
        until: Last local day.
        bad: Only negatives that nobody called a false alarm.
        category: Code of one of their categories.
    """

    model_config = ConfigDict(extra="ignore")
    since: date | None = None
    until: date | None = None
    bad: bool = False
    kind: Literal["", "review", "mention"] = ""
    category: Annotated[str, Query(max_length=_WORD)] = ""
    shop: Annotated[str, Query(max_length=_WORD)] = ""
    platform: Annotated[str, Query(max_length=_WORD)] = ""
    product: Annotated[str, Query(max_length=_WORD)] = ""

    def address(self, page: int) -> str:
        """The query of a page of them."""
        told = {name: value for name, value in self.model_dump(mode="json").items() if value}
        return urlencode(told | ({"page": page} if page > 1 else {}))


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/feedback``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    known = Depends(door.viewer)

    @routes.get("/feedback", summary="报告里一个数背后的评价")
    def listing(
        viewer: Annotated[Viewer, known],
        wanted: Annotated[Wanted, Query()],
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> HTMLResponse:
        with db.reading(core.engine) as session:
            where = _where(core, viewer, wanted)
            count = _count(session, where)
            shown = subjects.shown(session, _rows(session, where, page))
        more = page * subjects.PAGE < count
        return pages.render(
            "feedback", viewer=viewer, shown=shown, wanted=wanted, page=page, more=more, count=count,
            most=_MOST_COUNTED, category=complaints().get(wanted.category, wanted.category),
        )  # fmt: skip

    return routes


def _where(core: Core, viewer: Viewer, wanted: Wanted) -> list[Any]:
    def starts(day: date) -> datetime:
        return datetime.combine(day, time(), core.settings.zone)

    where: list[Any] = []
    if wanted.since:
        where.append(col(Feedback.happened_at) >= starts(wanted.since))
    if wanted.until:
        where.append(col(Feedback.happened_at) < starts(wanted.until + timedelta(1)))
    same = {"kind": wanted.kind, "platform": wanted.platform, "product": wanted.product, "shop_id": wanted.shop}
    where += [getattr(Feedback, name) == said for name, said in same.items() if said]
    if wanted.bad or wanted.category:
        where += [col(Score.negative), or_(col(Case.state).is_(None), Case.state != "false_alarm")]
    if wanted.category:  # codes are fixed words, so the JSON list can be searched as text on every database
        where.append(cast(col(Score.categories), String).contains(f'"{wanted.category}"', autoescape=True))
    if viewer.shops:
        where.append(or_(col(Feedback.shop_id).in_(viewer.shops), col(Feedback.shop_id).is_(None)))
    return where


def _chosen(*columns: Any, where: list[Any]) -> Any:
    joined = select(*columns).select_from(Feedback).join(Score, isouter=True)
    return joined.join(Case, col(Case.id) == Feedback.case_id, isouter=True).where(*where)


def _count(session: Session, where: list[Any]) -> int:
    some = _chosen(Feedback.id, where=where).limit(_MOST_COUNTED + 1).subquery()
    count: int = session.execute(select(func.count()).select_from(some)).scalar_one()
    return count


def _rows(session: Session, where: list[Any], page: int) -> list[Any]:
    newest = (col(Feedback.happened_at).desc(), col(Feedback.id).desc())
    found = _chosen(Feedback, Score, where=where).order_by(*newest)
    return list(session.exec(found.limit(subjects.PAGE).offset((page - 1) * subjects.PAGE)).all())
