"""The feedbacks behind a number of a report: chosen as the report counts them, so that there are exactly as many."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import String, cast, false, not_
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, func, or_, select

from alerts.desk import subjects
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from monitor import db, first_contact
from monitor.categories import complaints
from monitor.core import Core
from monitor.indicators import SERVED
from monitor.models import Case, Feedback, Indicator, Score

_WORD = 200
_FIRST, _LATEST = date(1970, 1, 2), date(2100, 1, 1)  # the earliest and latest days that mean anything here
_LAST = 4_102_444_800  # 2100, in seconds since 1970
MOST_COUNTED = 10_000
"""More are told as "more than"."""


class Wanted(BaseModel):
    """Which feedbacks; what is empty does not matter.

    Attributes:
        since: First local day.
        until: Last local day.
        seen: What came in after this second, since 1970, was not there yet when it was counted.
        settled: The first feedback of each case that was settled from ``since`` to ``until``: of all of them, of those
            that took one contact, or of those that took more.
        served: Only on days of which is known how many customers the shop served.
        bad: Only negatives that nobody called a false alarm.
        category: Code of one of their categories.
    """

    model_config = ConfigDict(extra="ignore")
    since: date | None = None
    until: date | None = None
    seen: Annotated[int, Field(ge=0, le=_LAST)] = 0
    settled: Literal["", "all", "once", "again"] = ""
    served: bool = False
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
            where = conditions(core, session, viewer, wanted)
            count = counted(session, where)
            shown = subjects.shown(session, rows(session, where, page))
        more = page * subjects.PAGE < count
        return pages.render(
            "feedback", viewer=viewer, shown=shown, wanted=wanted, page=page, more=more, count=count,
            most=MOST_COUNTED, category=complaints().get(wanted.category, wanted.category),
        )  # fmt: skip

    return routes


def conditions(core: Core, session: Session, viewer: Viewer | None, wanted: Wanted) -> list[Any]:
    """What chooses them, of the viewer's shops; of all where a link says what may be seen."""
    since, until = wanted.since or _FIRST, min(wanted.until or _LATEST, _LATEST)
    start, end = (datetime.combine(day, time(), core.settings.zone) for day in (since, until + timedelta(1)))
    where: list[Any] = []
    if wanted.settled:
        where += _settled(wanted, start, end)
    else:
        where += [col(Feedback.happened_at) >= start] if wanted.since else []
        where += [col(Feedback.happened_at) < end] if wanted.until else []
    if wanted.served:
        where.append(_served(core, session, since, until))
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
    if wanted.bad or (wanted.category and not wanted.settled):
        mine = aliased(Score)  # SQLite would begin with all that was ever negative
        where.append(select(mine.feedback_id).where(mine.feedback_id == Feedback.id, mine.negative).exists())
        where.append(or_(col(Case.state).is_(None), Case.state != "false_alarm"))
    if wanted.category:  # codes are fixed words, so the JSON list can be searched as text on every database
        named = Case.categories if wanted.settled else Score.categories
        where.append(cast(col(named), String).contains(f'"{wanted.category}"', autoescape=True))
    if viewer and viewer.shops:
        where.append(or_(col(Feedback.shop_id).in_(viewer.shops), col(Feedback.shop_id).is_(None)))
    return where


def _settled(wanted: Wanted, start: datetime, end: datetime) -> list[Any]:
    mine = aliased(Feedback)
    earliest = select(func.min(col(mine.id))).where(mine.case_id == Feedback.case_id).scalar_subquery()
    where = [first_contact.settled(start, end), col(Feedback.id) == earliest]
    well = first_contact.once(start, end)
    return where if wanted.settled == "all" else [*where, well if wanted.settled == "once" else not_(well)]


def _served(core: Core, session: Session, since: date, until: date) -> Any:
    """On days of which a shop's customers are known; days that follow each other as one span."""
    days = select(col(Indicator.shop_id), col(Indicator.day)).where(Indicator.name == SERVED)
    days = days.where(col(Indicator.day).between(since, until))
    spans: list[tuple[str, date, date]] = []
    for shop_id, day in session.exec(days.order_by(col(Indicator.shop_id), col(Indicator.day))):
        goes_on = spans and spans[-1][0] == shop_id and spans[-1][2] == day
        first = spans.pop()[1] if goes_on else day
        spans.append((shop_id, first, day + timedelta(1)))
    zone, at = core.settings.zone, col(Feedback.happened_at)
    edges = [(shop_id, *(datetime.combine(day, time(), zone) for day in ends)) for shop_id, *ends in spans]
    return or_(false(), *(and_(Feedback.shop_id == one, at >= start, at < end) for one, start, end in edges))


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
