"""Reports that were sent, to be read again at the desk; the pages come from whoever makes reports."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, Response

from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from monitor.shelf import Shelf

# the page bears its styles in itself, as mails do, and runs nothing
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'none'"
_SEALED = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "private"}


def router(shelf: Shelf, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/reports``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    known = Depends(door.viewer)

    @routes.get("/reports", summary="发过的日报、周报和月报")
    def listing(viewer: Annotated[Viewer, known]) -> HTMLResponse:
        whole(viewer)
        return pages.render("reports", viewer=viewer, entries=shelf.listing())

    @routes.get("/reports/{name}", summary="一份报告")
    def page(viewer: Annotated[Viewer, known], name: str) -> HTMLResponse:
        whole(viewer)
        shown = shelf.page(name, f"{pages.root}/reports/{name}/")
        if shown is None:
            raise HTTPException(404, "没有这份报告。")
        return HTMLResponse(shown, headers=_SEALED)

    @routes.get("/reports/{name}/{file}", summary="报告里的图", response_class=Response)
    def picture(viewer: Annotated[Viewer, known], name: str, file: str) -> Response:
        whole(viewer)
        png = shelf.picture(name, file)
        if png is None:
            raise HTTPException(404, "没有这张图。")
        return Response(png, media_type="image/png", headers=_SEALED)

    return routes


def whole(viewer: Viewer) -> None:
    """Reports are about all shops.

    Raises:
        HTTPException: 403, the viewer's business are some of them.
    """
    if viewer.shops:
        raise HTTPException(403, "报告是全部店铺的，只管部分店铺的人看不了。")
