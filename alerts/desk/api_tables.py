"""``/exports``, ``/crises/{number}/buyers`` and ``/reports``: what is taken away as a file."""

import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from alerts.desk import shelf, subjects
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import Number, Since, moment
from alerts.desk.api_models import Report, Table
from alerts.desk.api_problems import HEADERS, answers
from alerts.desk.pages import Pages
from alerts.desk.records import TYPES, pieces
from monitor import db, exports, sheets
from monitor.core import Core
from monitor.shelf import Shelf

What = Literal["feedback", "cases", "crises", "timers", "events", "outbox"]
Format = Literal["jsonl", "csv", "xlsx"]
ReportName = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+$")]
PictureName = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_.-]+$")]


def _files(kinds: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "文件", "content": {kind: {} for kind in kinds}}}


_FILE = _files(TYPES.values())


def router(core: Core, access: Access, pages: Pages, kept: Shelf | None) -> APIRouter:
    """Tables and reports."""
    routes = APIRouter(tags=["tables"])
    taker = access.may("export")

    @routes.get("/exports", summary="可以取走的表", responses=answers())
    def tables(caller: Annotated[Caller, taker]) -> Sequence[Table]:
        _all_shops(caller)
        return [Table(name=name, formats=sheets.FORMATS) for name in exports.KINDS]

    @routes.get(
        "/exports/{what}.{kind}", summary="取一张表", response_class=StreamingResponse, responses=answers() | _FILE
    )
    def table(caller: Annotated[Caller, taker], what: What, kind: Format, since: Since = None) -> StreamingResponse:
        _all_shops(caller)
        rows = pieces(core, what, kind, moment(since) if since else None)
        return StreamingResponse(rows, media_type=TYPES[kind], headers=_named(f"{what}.{kind}"))

    @routes.get(
        "/crises/{number}/buyers.{kind}",
        summary="危机涉及的买家，已隐去个人信息",
        response_class=Response,
        responses=answers(404) | _FILE,
    )
    def buyers(caller: Annotated[Caller, taker], number: Number, kind: Format) -> Response:
        out = io.BytesIO()
        with db.reading(core.engine) as session:
            subjects.found(session, caller.viewer, "crisis", number)
            sheets.write(exports.buyers(session, number, core.settings.zone), kind, out)
        return Response(out.getvalue(), media_type=TYPES[kind], headers=_named(f"buyers-{number}.{kind}"))

    _add_reports(routes, access, pages, kept)
    return routes


def _add_reports(routes: APIRouter, access: Access, pages: Pages, kept: Shelf | None) -> None:
    @routes.get("/reports", summary="发过的报告，最新的在前", responses=answers())
    def reports(caller: Annotated[Caller, access.may("read")]) -> Sequence[Report]:
        shelf.whole(caller.viewer)
        return [Report.model_validate(one) for one in (kept.listing() if kept else ())]

    @routes.get("/reports/{name}", summary="一份报告", response_class=HTMLResponse, responses=answers(404))
    def report(caller: Annotated[Caller, access.may("read")], name: ReportName) -> HTMLResponse:
        shelf.whole(caller.viewer)
        page = kept.page(name, f"{pages.root}/reports/{name}/") if kept else None
        if page is None:
            raise HTTPException(404, "没有这份报告。")
        return HTMLResponse(page, headers=_named(f"{name}.html"))

    @routes.get(
        "/reports/{name}/{file}",
        summary="报告里的一张图",
        response_class=Response,
        responses=answers(404) | _files(["image/png"]),
    )
    def picture(caller: Annotated[Caller, access.may("read")], name: ReportName, file: PictureName) -> Response:
        shelf.whole(caller.viewer)
        png = kept.picture(name, file) if kept else None
        if png is None:
            raise HTTPException(404, "没有这张图。")
        return Response(png, media_type="image/png", headers=_named(file))


def _all_shops(caller: Caller) -> None:
    if not caller.leads:
        raise HTTPException(403, "这些表给主管看；只管部分店铺的人也看不了。")


def _named(name: str) -> dict[str, str]:
    return HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
