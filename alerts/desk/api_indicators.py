"""``/indicators``: what platforms' back ends say of a shop; a program brings it as a table would."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import Field

from alerts.desk import bodies
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import Word
from alerts.desk.api_given import Given, Short
from alerts.desk.api_models import Answer
from alerts.desk.api_problems import answers
from monitor import db, indicators
from monitor.core import Core
from monitor.indicators import KINDS, Value
from monitor.models import Indicator

_Row = Annotated[dict[str, Annotated[str, Field(max_length=200)] | int | float | None], Field(max_length=100)]
_ABOUT = """列名和导入的表格一样，如 日期、店铺、指标、数值、行业；百分数写成 0.12%。

读不了的逐行说明，其余收下。"""
_MOST_DAYS = 400
_LONGEST = 200  # characters of a reason, which may quote what was sent


class IndicatorRows(Given):
    """Rows as a table would have them: keys are names of columns."""

    shop: Short = ""
    """Id or name of the shop where a row names none."""
    rows: Annotated[list[_Row], Field(min_length=1, max_length=5000)]


class IndicatorTold(Answer):
    """A value of a day."""

    shop: str
    name: str
    label: str
    unit: str
    day: date
    value: float
    industry: float | None
    above: float | None
    """By how many percent the back end says it is above the industry's."""
    limit: float | None
    """What it is held to; null where that is the industry's value."""
    bad: bool
    """On the wrong side."""


class BadIndicator(Answer):
    """A value that could not be read; the others were kept."""

    row: int
    """From 1."""
    why: str


class IndicatorsKept(Answer):
    """What became of the rows."""

    values: int
    """Read."""
    changed: int
    """New, or other than before."""
    bad: Sequence[BadIndicator]


def router(core: Core, access: Access) -> APIRouter:
    """``/indicators``."""
    routes = APIRouter(tags=["indicators"], route_class=bodies.Bounded)

    @routes.get("/indicators", summary="店铺指标和行业值、界限，最早的在前", responses=answers())
    def listed(
        caller: Annotated[Caller, access.may("read")],
        shop: Word = "",
        days: Annotated[int, Query(ge=1, le=_MOST_DAYS)] = 60,
    ) -> Sequence[IndicatorTold]:
        mine = [one.id for one in core.settings.shops if caller.viewer.may_see(one.id) and shop in ("", one.id)]
        first = core.clock.now().astimezone(core.settings.zone).date() - timedelta(days)
        with db.reading(core.engine) as session:
            return [_told(core, row) for one in mine for row in indicators.history(session, one, first)]

    @routes.post(
        "/indicators",
        summary="送店铺指标，一行一个值或一列一个指标；同一天再送就是更正",
        description=_ABOUT,
        responses=answers(409, 413),
    )
    def bring(caller: Annotated[Caller, access.may("indicators")], given: IndicatorRows) -> IndicatorsKept:
        return _bring(core, caller, given)

    return routes


def _bring(core: Core, caller: Caller, given: IndicatorRows) -> IndicatorsKept:
    from monitor.indicator_files import read_rows

    viewer, settings = caller.viewer, core.settings
    if not viewer.leads:
        raise HTTPException(403, "店铺指标由主管以上来送。")
    mine = [one for one in settings.shops if viewer.may_see(one.id)]
    shops = {name: one.id for one in mine for name in (one.id, one.name)}
    if given.shop and given.shop not in shops:
        raise HTTPException(409, f"没有“{given.shop}”这家店，应为 {'、'.join(shops)}。")
    rows = list(read_rows(given.rows, shops, shops.get(given.shop, ""), settings.zone, core.clock.now()))
    bad = [BadIndicator(row=int(one.where), why=one.reason[:_LONGEST]) for one in rows if not isinstance(one, Value)]
    values = [one for one in rows if isinstance(one, Value)]
    changed = indicators.store(core, values, viewer.name, "api")
    return IndicatorsKept(values=len(values), changed=changed, bad=bad)


def _told(core: Core, row: Indicator) -> IndicatorTold:
    policy, kind = core.settings.policy.indicators, KINDS[row.name]
    about = {"shop": row.shop_id, "label": kind.label, "unit": kind.unit}
    held = {"limit": indicators.limit_of(row.name, policy), "bad": indicators.bad(row, policy)}
    return IndicatorTold.model_validate(row.model_dump() | about | held)
