"""Shop indicators at the desk: how they stand beside the industry's values and limits, and tables to bring them."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from alerts.desk import bodies, indicators_chart
from alerts.desk.entrance import homes
from alerts.desk.indicators_chart import Chart
from alerts.desk.indicators_upload import Upload
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer, own_form
from crawler.items import BadRow
from monitor import db, indicators
from monitor.core import Core
from monitor.indicators import KINDS
from monitor.models import Indicator
from monitor.policies import IndicatorPolicy

_DAYS = 60  # that are drawn
_SHOWN = 14  # values that the page lists
_MOST = 20_000  # values of one table
_TOLD = 100  # bad rows


@dataclass(frozen=True, slots=True)
class Line:
    """An indicator on the page.

    Attributes:
        rows: Its values of the last 60 days, the newest first.
        limit: What it is held to; None where that is the industry's value.
        bad: The newest is on the wrong side.
    """

    name: str
    rows: Sequence[Indicator]
    limit: float | None
    bad: bool
    chart: Chart | None

    @property
    def label(self) -> str:
        """Its name in back ends."""
        return KINDS[self.name].label


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a table: so many values were read, so many of them were new or other than before."""

    values: int
    changed: int
    bad: Sequence[BadRow]
    cut: bool


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/indicators``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    known = Depends(door.viewer)

    def page(viewer: Viewer, shop: str, problem: str = "", brought: Brought | None = None) -> HTMLResponse:
        shops = [one for one in core.settings.shops if viewer.may_see(one.id)]
        chosen = next((one.id for one in shops if one.id == shop), shops[0].id if shops else "")
        lines = _lines(core, chosen) if chosen else []
        return pages.render(
            "indicators", 409 if problem else 200, viewer=viewer, shops=shops, chosen=chosen, lines=lines,
            problem=problem, brought=brought, told=indicators.shown, listed=_SHOWN, most=_MOST, bad_rows=_TOLD,
            kilobytes=bodies.LIMIT // 1000,
        )  # fmt: skip

    @routes.get("/indicators", summary="店铺指标的走势和界限")
    def listing(viewer: Annotated[Viewer, known], shop: Annotated[str, Query(max_length=100)] = "") -> HTMLResponse:
        return page(viewer, shop)

    @routes.post("/indicators", summary="导入店铺指标，CSV 或 XLSX")
    async def bring(viewer: Annotated[Viewer, known], request: Request) -> HTMLResponse:
        upload = Upload.of(await bodies.read(request), request.headers.get("content-type", ""))
        own_form(viewer, upload.fields, request, homes(core, request))
        if not viewer.leads:
            raise HTTPException(403, "店铺指标由主管以上来导入。")
        return await run_in_threadpool(_bring, viewer, upload)

    def _bring(viewer: Viewer, upload: Upload) -> HTMLResponse:
        from crawler.bases.base import SourceError

        shop = upload.fields.get("shop", "")
        if not upload.file:
            return page(viewer, shop, "请先选一个文件。")
        try:
            brought = read(core, viewer, upload, shop)
        except SourceError as error:
            return page(viewer, shop, f"{error}。")
        return page(viewer, shop, "" if brought.values else "一个值也没有读到。", brought)

    return routes


def read(core: Core, viewer: Viewer, upload: Upload, shop: str) -> Brought:
    """Keep what a table says of shops that are the viewer's; what cannot be read is told, the rest is kept.

    Raises:
        SourceError: The file cannot be read, or has no such header.
    """
    from monitor.indicator_files import read_indicators

    mine = [one for one in core.settings.shops if viewer.may_see(one.id)]
    names, ids = {name: one.id for one in mine for name in (one.id, one.name)}, {one.id for one in mine}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / upload.name
        file.write_bytes(upload.file)
        zone, now = core.settings.zone, core.clock.now()
        rows = list(islice(read_indicators(file, names, shop if shop in ids else "", zone, now), _MOST + 1))
    values = [row for row in rows[:_MOST] if not isinstance(row, BadRow)]
    bad = [row for row in rows[:_MOST] if isinstance(row, BadRow)]
    return Brought(len(values), indicators.store(core, values, viewer.name, "desk"), bad, len(rows) > _MOST)


def _lines(core: Core, shop_id: str) -> list[Line]:
    policy, today = core.settings.policy.indicators, core.clock.now().astimezone(core.settings.zone).date()
    with db.reading(core.engine) as session:
        rows = indicators.history(session, shop_id, today - timedelta(_DAYS))
    found = {name: [row for row in rows if row.name == name] for name in KINDS}
    return [_line(name, mine, policy) for name, mine in found.items() if mine]


def _line(name: str, rows: Sequence[Indicator], policy: IndicatorPolicy) -> Line:
    limit = indicators.limit_of(name, policy)
    return Line(name, rows[::-1], limit, indicators.bad(rows[-1], policy), indicators_chart.draw(rows, limit))
