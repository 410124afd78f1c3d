"""The feedbacks behind a number of a report: chosen as the report counts them, so that there are exactly as many."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import String, cast
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, func, or_, select

from alerts.desk import subjects
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from monitor import db
from monitor.categories import complaints
from monitor.core import Core
from monitor.models import Case, Feedback, Score

_WORD = 200
_LAST = 4_102_444_800  # 2100, in seconds since 1970
MOST_COUNTED = 10_000
"""More are told as "more than"."""


class Wanted(BaseModel):
    """Which feedbacks; what is empty does not matter.

    Attributes:
        since: First local day.
        until: Last local day.
        seen: What came in after this second, since 1970, was not there yet when it was counted.
        bad: Only negatives that nobody called a false alarm.
        category: Code of one of their categories.
    """

    model_config = ConfigDict(extra="ignore")
    since: date | None = None
    until: date | None = None
    seen: Annotated[int, Field(ge=0, le=_LAST)] = 0
    bad: bool = False
    kind: Literal["", "review", "mention"] = ""
    category: Annotated[str, Query(max_length=_WORD)] = ""
    shop: Annotated[str, Query(max_length=_WORD)] = ""
    platform: Annotated[str, Query(max_length=_WORD)] = ""
    product: Annotated[str, Query(max_length=_WORD)] = ""
    sku: Annotated[str, Query(max_length=_WORD)] = ""
    warehouse: Annotated[str, Query(max_length=_WORD)] = ""
    courier: Annotated[str, Query(max_length=_WORD)] = ""

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
            where = conditions(core, viewer, wanted)
            count = counted(session, where)
            shown = subjects.shown(session, rows(session, where, page))
        more = page * subjects.PAGE < count
        return pages.render(
            "feedback", viewer=viewer, shown=shown, wanted=wanted, page=page, more=more, count=count,
            most=MOST_COUNTED, category=complaints().get(wanted.category, wanted.category),
        )  # fmt: skip

    return routes


def conditions(core: Core, viewer: Viewer | None, wanted: Wanted) -> list[Any]:
    """What chooses them, of the viewer's shops; of all where a link says what may be seen."""

    def starts(day: date) -> datetime:
        return datetime.combine(day, time(), core.settings.zone)

    where: list[Any] = []
    if wanted.since:
        where.append(col(Feedback.happened_at) >= starts(wanted.since))
    if wanted.until:
        where.append(col(Feedback.happened_at) < starts(wanted.until + timedelta(1)))
    if wanted.seen:
        where.append(col(Feedback.first_seen_at) <= datetime.fromtimestamp(wanted.seen, UTC))
    same = {"kind": wanted.kind, "product": wanted.product, "shop_id": wanted.shop}
    where += [getattr(Feedback, name) == said for name, said in same.items() if said]
    told = {"sku": wanted.sku, "warehouse": wanted.warehouse, "courier": wanted.courier}
    extra: Any = col(Feedback.extra)
    where += [cast(extra[name].as_string(), String) == said for name, said in told.items() if said]
    if wanted.platform:  # what names none was written where its shop is
        homes = [shop.id for shop in core.settings.shops if shop.platform == wanted.platform]
        unnamed = and_(col(Feedback.platform) == "", col(Feedback.shop_id).in_(homes))
        where.append(or_(col(Feedback.platform) == wanted.platform, unnamed))
    if wanted.bad or wanted.category:
        mine = aliased(Score)  # SQLite would begin with all that was ever negative
        where.append(select(mine.feedback_id).where(mine.feedback_id == Feedback.id, mine.negative).exists())
        where.append(or_(col(Case.state).is_(None), Case.state != "false_alarm"))
    if wanted.category:  # codes are fixed words, so the JSON list can be searched as text on every database
        where.append(cast(col(Score.categories), String).contains(f'"{wanted.category}"', autoescape=True))
    if viewer and viewer.shops:
        where.append(or_(col(Feedback.shop_id).in_(viewer.shops), col(Feedback.shop_id).is_(None)))
    return where


def chosen(*columns: Any, where: list[Any]) -> Any:
    """Columns of feedbacks, scores and cases under such conditions."""
    joined = select(*columns).select_from(Feedback).join(Score, isouter=True)
    return joined.join(Case, col(Case.id) == Feedback.case_id, isouter=True).where(*where)


def counted(session: Session, where: list[Any]) -> int:
    """How many there are; no further than one above `MOST_COUNTED`."""
    some = chosen(Feedback.id, where=where).limit(MOST_COUNTED + 1).subquery()
    count: int = session.execute(select(func.count()).select_from(some)).scalar_one()
    return count


def rows(session: Session, where: list[Any], page: int) -> list[Any]:
    """A page of them with their scores, the newest first; pages count from 1."""
    newest = (col(Feedback.happened_at).desc(), col(Feedback.id).desc())
    found = chosen(Feedback, Score, where=where).order_by(*newest)
    return list(session.exec(found.limit(subjects.PAGE).offset((page - 1) * subjects.PAGE)).all())
