"""Reply drafts on the desk: the sentences of each category, seen as whole replies and checked before they are kept."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, Response

from alerts import drafts
from alerts.desk.editing import Desk, Form, leads, manages
from alerts.desk.sessions import Viewer
from alerts.drafts import STEPS, About
from monitor import overrides
from monitor.answers import violations
from monitor.errors import WrongCall
from monitor.settings import Settings

LABELS = {"empathy": "① 先道歉、体谅", "attribution": "② 说清是我们的问题", "remedy": "③ 怎么补救"}
_LONGEST, _MOST = 300, 20  # characters of a sentence, sentences of a step
_PLACE = re.compile(r"\{[^{}]*\}?|\}")
_KNOWN = ("{shop}", "{product}")
_SAMPLES = 3


def add(routes: APIRouter, desk: Desk) -> None:
    """``/settings/drafts`` and one page for each category."""
    known = Depends(desk.door.viewer)

    @routes.get("/settings/drafts", summary="回复草稿")
    def listed(viewer: Annotated[Viewer, known], saved: bool = False) -> HTMLResponse:
        leads(viewer)
        own = desk.laid().settings.replies
        sizes = {code: sum(len(_now(desk.core.settings, code, own.get(code))[step]) for step in STEPS) for code in drafts.categories()}
        return desk.show("edit_drafts", viewer, sizes=sizes, own=own, saved=saved)

    @routes.get("/settings/drafts/{code}", summary="一类问题的回复草稿")
    def one(viewer: Annotated[Viewer, known], code: str) -> HTMLResponse:
        _known(viewer, code)
        return _page(desk, viewer, code)

    def act(viewer: Viewer, form: Form) -> Response:
        code = form.one("code")
        _known(viewer, code)
        given = {step: _lines(form, step) for step in STEPS}
        if form.one("do") == "back":
            problem = desk.save(viewer, {f"replies.{code}": _said(code, {})}, form.one("seen"))
        else:
            problem = _wrong(given)
            if problem or form.one("do") == "try":
                return _page(desk, viewer, code, problem, given)
            problem = desk.save(viewer, {f"replies.{code}": _said(code, given)}, form.one("seen"))
        return _page(desk, viewer, code, problem, given) if problem else desk.done("/settings/drafts")

    desk.post(routes, "/settings/drafts", "改一类问题的回复草稿", act)
