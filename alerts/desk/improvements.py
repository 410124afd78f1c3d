"""What was mended: entered, put right and taken back at the desk, with what came of each."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session, col, select

from alerts.desk.editing import Desk, Form
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from monitor import db, improvements
from monitor.audit import Refused
from monitor.categories import complaints
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.improvements import Effect, Entry
from monitor.models import Improvement, Product
from monitor.shelf import Shelf

_PAGE = 10
_PRODUCTS = 500  # that the page offers
_FEW = 30  # below this a share is told as counts, as in reports
_KEY = re.compile(r"--\w+: ")  # where the command line names its option
Number = Annotated[int, Path(ge=1, lt=10**9)]


@dataclass(frozen=True, slots=True)
class Line:
    """An improvement on the page.

    Attributes:
        row: What was entered.
        effect: What came of it; None where nobody keeps reports.
        mine: The person can change it.
    """

    row: Improvement
    effect: Effect | None
    mine: bool


def router(core: Core, pages: Pages, door: Doorkeeper, kept: Shelf | None) -> APIRouter:
    """``/improvements`` and ``/improvements/{number}``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    room = _Room(Desk(core, pages, door), kept)
    known = Depends(door.viewer)

    @routes.get("/improvements", summary="做过的改进，和它们有没有让差评降下来")
    def listing(
        viewer: Annotated[Viewer, known],
        category: Annotated[str, Query(max_length=50)] = "",
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        saved: bool = False,
    ) -> HTMLResponse:
        return room.listing(viewer, page, room.blank(viewer, category), saved=saved)

    @routes.get("/improvements/{number}", summary="改一项改进")
    def one(viewer: Annotated[Viewer, known], number: Number) -> HTMLResponse:
        row = found(core, viewer, number)
        return room.one(viewer, row, improvements.entered(row, core.settings.zone))

    room.desk.post(routes, "/improvements", "登记一项改进", room.add)
    room.desk.post(routes, "/improvements/change", "改或撤回一项改进", room.change)
    return routes


@dataclass(frozen=True)
class _Room:
    desk: Desk
    kept: Shelf | None

    def listing(
        self, viewer: Viewer, page: int, value: Entry, problem: str = "", *, saved: bool = False
    ) -> HTMLResponse:
        with db.reading(self.desk.core.engine) as session:
            rows = improvements.listing(session, _PAGE + 1, (page - 1) * _PAGE, viewer.shops)
        told = lines(rows[:_PAGE], viewer, self.kept)
        more = len(rows) > _PAGE
        return self._show("improvements", viewer, value, problem, lines=told, page=page, more=more, saved=saved)

    def one(self, viewer: Viewer, row: Improvement, value: Entry, problem: str = "") -> HTMLResponse:
        seen = improvements.mark(self.desk.core, row)
        return self._show("improvement", viewer, value, problem, row=row, seen=seen)

    def blank(self, viewer: Viewer, category: str) -> Entry:
        today = self.desk.core.clock.now().astimezone(self.desk.core.settings.zone).date()
        return Entry("", category, today, shop=viewer.shops[0] if len(viewer.shops) == 1 else "")

    def add(self, viewer: Viewer, form: Form) -> Response:
        value = self._entry(viewer, form)
        enters(viewer, value.shop)
        try:
            improvements.add(self.desk.core, replace(value, day=_day(form)), viewer.name, "desk")
        except WrongCall as error:
            return self.listing(viewer, 1, value, sentence(error))
        return self.desk.done("/improvements")

    def change(self, viewer: Viewer, form: Form) -> Response:
        if not re.fullmatch("[1-9][0-9]{0,8}", form.one("number")):
            raise HTTPException(400, "请刷新页面再试。")
        row = found(self.desk.core, viewer, int(form.one("number")))
        about = (self.desk.core, int(form.one("number")))
        said, value = (form.one("seen"), viewer.name, "desk"), self._entry(viewer, form)
        try:
            if form.one("do") == "withdraw":
                improvements.withdraw(*about, *said)
            else:
                enters(viewer, value.shop)
                improvements.change(*about, replace(value, day=_day(form)), *said)
        except (WrongCall, Refused) as error:
            return self.one(viewer, row, value, sentence(error))
        return self.desk.done("/improvements")

    def _entry(self, viewer: Viewer, form: Form) -> Entry:
        """What was typed; a day that is none is told when it is used."""
        day = self.blank(viewer, "").day
        with suppress(WrongCall):
            day = _day(form)
        return Entry(form.one("what"), form.one("category"), day, form.one("product"), form.one("shop"))

    def _show(self, template: str, viewer: Viewer, value: Entry, problem: str, **values: object) -> HTMLResponse:
        settings = self.desk.core.settings
        shops = [shop for shop in settings.shops if viewer.may_see(shop.id)]
        with db.reading(self.desk.core.engine) as session:
            products = _products(session, viewer)
        return self.desk.show(
            template, viewer, problem, value=value, shops=shops, products=products, codes=complaints(),
            today=self.blank(viewer, "").day, longest=improvements.LONGEST, verdicts=improvements.VERDICTS,
            share=share, points=points, **values,
        )  # fmt: skip


def found(core: Core, viewer: Viewer, number: int) -> Improvement:
    """One that the person can change.

    Raises:
        HTTPException: 403, none of theirs; 404, there is none.
    """
    with db.reading(core.engine) as session:
        row = session.get(Improvement, number)
    if row is None or (viewer.shops and row.shop_id not in viewer.shops):
        raise HTTPException(404, "没有这项改进，或者已经撤回了。")
    enters(viewer, row.shop_id or "")
    return row


def enters(viewer: Viewer, shop: str) -> None:
    """Who leads enters what was mended, for the shops that are theirs.

    Raises:
        HTTPException: 403.
    """
    if not viewer.leads:
        raise HTTPException(403, "改进由主管以上来登记。")
    if viewer.shops and shop not in viewer.shops:
        raise HTTPException(403, "只能登记自己店铺的改进，请选一家店。")


def lines(rows: Sequence[Improvement], viewer: Viewer, kept: Shelf | None) -> list[Line]:
    """Improvements with what came of them."""
    effects: Mapping[int, Effect] = kept.effects(rows) if kept else {}
    return [Line(row, effects.get(row.id or 0), viewer.leads) for row in rows]


def sentence(error: WrongCall | Refused) -> str:
    """What is wrong, as a page says it."""
    return f"{_KEY.sub('', str(error)).rstrip('。')}。"


def share(pair: tuple[int, int]) -> str:
    """``3.1% (58/1,871)``; ``2/20`` where there are too few to speak of a rate."""
    part, whole = pair
    counts = f"{part:,}/{whole:,}"
    return f"{part / whole:.1%} ({counts})" if whole >= _FEW else counts


def points(change: float) -> str:
    """A change of a rate in percentage points, ``-1.2``."""
    return f"{100 * change:+.1f}".replace("-", "−")


def _day(form: Form) -> date:
    try:
        return date.fromisoformat(form.one("day"))
    except ValueError:
        raise WrongCall(f"看不懂日期“{form.one('day')[:20]}”，应如 2026-11-01") from None


def _products(session: Session, viewer: Viewer) -> Sequence[str]:
    names = select(Product.name).distinct().order_by(Product.name).limit(_PRODUCTS)
    return session.exec(names.where(col(Product.shop_id).in_(viewer.shops)) if viewer.shops else names).all()
