"""``/exports``, ``/crises/{number}/buyers`` and ``/reports``: what is taken away as a file."""

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import FileResponse, Response, StreamingResponse
from sqlmodel import Session

from alerts.desk import subjects
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import Number, Since, moment
from alerts.desk.api_models import Report, Table
from alerts.desk.api_problems import HEADERS, answers
from alerts.desk.records import TYPES, pieces
from monitor import db, exports, sheets
from monitor.core import Core

_SHOWN = {".html": "text/html; charset=utf-8", ".json": "application/json"}
What = Literal["feedback", "cases", "crises", "timers", "events", "outbox"]
Format = Literal["jsonl", "csv", "xlsx"]


def _files(kinds: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "文件", "content": {kind: {} for kind in kinds}}}


_FILE, _PAGE = _files(TYPES.values()), _files(_SHOWN.values())


def router(core: Core, access: Access) -> APIRouter:
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
            _own_crisis(session, caller, number)
            sheets.write(exports.buyers(session, number, core.settings.zone), kind, out)
        return Response(out.getvalue(), media_type=TYPES[kind], headers=_named(f"buyers-{number}.{kind}"))

    _add_reports(routes, core, access)
    return routes


def _add_reports(routes: APIRouter, core: Core, access: Access) -> None:
    @routes.get("/reports", summary="留下来的报告，最新的在前", responses=answers())
    def reports(caller: Annotated[Caller, access.may("export")]) -> Sequence[Report]:
        _all_shops(caller)
        found = [(file, file.stat()) for file in _kept(core)]
        found.sort(key=lambda one: one[1].st_mtime, reverse=True)
        return [
            Report(name=file.name, bytes=facts.st_size, at=datetime.fromtimestamp(facts.st_mtime, UTC))
            for file, facts in found
        ]

    @routes.get("/reports/{name}", summary="一份报告", response_class=FileResponse, responses=answers(404) | _PAGE)
    def report(
        caller: Annotated[Caller, access.may("export")],
        name: Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+[.](html|json)$")],
    ) -> FileResponse:
        _all_shops(caller)
        file = next((one for one in _kept(core) if one.name == name), None)
        if file is None:
            raise HTTPException(404, "没有这份报告。")
        return FileResponse(file, media_type=_SHOWN[file.suffix], headers=_named(name))


def _kept(core: Core) -> list[File]:
    """Pages and figures of reports, as ``pingshao report`` and the summaries leave them."""
    folder = core.settings.service.var_dir / "reports"
    files = folder.iterdir() if folder.is_dir() else iter(())
    return [file for file in files if file.suffix in _SHOWN and file.is_file() and not file.name.startswith(".")]


def _all_shops(caller: Caller) -> None:
    if not caller.leads:
        raise HTTPException(403, "这些表给主管看；只管部分店铺的人也看不了。")


def _own_crisis(session: Session, caller: Caller, number: int) -> None:
    found = subjects.read(session, "crisis", number)
    if found is None or not caller.viewer.may_see(found.row.shop_id):
        raise HTTPException(404, "找不到这条记录。")


def _named(name: str) -> dict[str, str]:
    return HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
