"""What is looked up rather than worked on: posts and how they spread, the audit, tables to take away."""

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sqlalchemy import literal
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from alerts.desk import subjects
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from alerts.desk.subjects import Shown
from monitor import db, exports, search, sheets
from monitor.core import Core
from monitor.models import Event, Feedback, Score

_PAGE = 50
_MOST_ASKED = 100
_PIECE = 1 << 16
TYPES = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""What each format of a table is called."""
Page = Annotated[int, Query(ge=1, le=1_000_000)]


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/mentions``, ``/audit``, ``/export``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    known = Depends(door.viewer)

    @routes.get("/mentions", summary="网上的帖子和它们的传播")
    def mentions(
        viewer: Annotated[Viewer, known], page: Page = 1, only: Literal["bad", "all"] = "bad", q: str = ""
    ) -> HTMLResponse:
        words = q[:_MOST_ASKED].strip()
        with db.reading(core.engine) as session:
            shown, more = _mentions(session, viewer, page, only, words)
            filling = bool(words) and search.filling(session)
        return pages.render(
            "mentions", viewer=viewer, shown=shown, page=page, more=more, only=only, q=words, filling=filling
        )

    @routes.get("/audit", summary="谁在什么时候做了什么")
    def audit(
        viewer: Annotated[Viewer, known],
        page: Page = 1,
        who: Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")] = "",
    ) -> HTMLResponse:
        _leads(viewer)
        with db.reading(core.engine) as session:
            events, more = _events(session, page, who)
        return pages.render("audit", viewer=viewer, events=events, page=page, more=more, who=who)

    @routes.get("/export", summary="可以下载的表")
    def tables(viewer: Annotated[Viewer, known]) -> HTMLResponse:
        _leads(viewer)
        return pages.render("export", viewer=viewer, kinds=exports.KINDS, formats=sheets.FORMATS)

    @routes.get("/export/{what}.{kind}", summary="下载一张表", response_class=StreamingResponse)
    def download(viewer: Annotated[Viewer, known], what: str, kind: str) -> Response:
        _leads(viewer)
        if what not in exports.KINDS or kind not in sheets.FORMATS:
            raise HTTPException(404, "没有这张表。")
        headers = {"Content-Disposition": f'attachment; filename="{what}.{kind}"', "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(pieces(core, what, kind), media_type=TYPES[kind], headers=headers)

    return routes


def _leads(viewer: Viewer) -> None:
    if not viewer.leads or viewer.shops:  # these tables are of all shops
        raise HTTPException(403, "这一页给主管看；只管部分店铺的人也看不了。")


def pieces(core: Core, what: str, kind: str, since: datetime | None = None) -> Iterator[bytes]:
    """A table of `monitor.exports` as a file, piece by piece."""
    with tempfile.TemporaryFile() as file:
        with db.reading(core.engine, long=True) as session:
            sheets.write(exports.export(session, what, since, core.settings.zone), kind, file)
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _events(session: Session, page: int, who: str) -> tuple[Sequence[Event], bool]:
    wanted = select(Event).where(*([Event.actor == who] if who else [])).order_by(col(Event.id).desc())
    rows = session.exec(wanted.limit(_PAGE + 1).offset((page - 1) * _PAGE)).all()
    return rows[:_PAGE], len(rows) > _PAGE


def _mentions(session: Session, viewer: Viewer, page: int, only: str, words: str) -> tuple[list[Shown], bool]:
    kind = literal("mention", literal_execute=True)  # or PostgreSQL does not see that the partial index will do
    wanted = select(Feedback, Score).join(Score, isouter=True)
    wanted = wanted.where(Feedback.kind == kind, *viewer.sees(Feedback.shop_id))
    found = search.find(session, words, "mention") if words else None
    if found:
        wanted = wanted.where(found.says if found.ids is None else col(Feedback.id).in_(found.ids))
    if only == "bad":
        mine = aliased(Score)  # SQLite would begin with all that is negative
        wanted = wanted.where(select(mine.feedback_id).where(mine.feedback_id == Feedback.id, mine.negative).exists())
    newest = wanted.order_by(col(Feedback.happened_at).desc(), col(Feedback.id).desc())
    rows = session.exec(newest.limit(subjects.PAGE + 1).offset((page - 1) * subjects.PAGE)).all()
    return subjects.shown(session, rows[: subjects.PAGE], found.words if found else ()), len(rows) > subjects.PAGE
