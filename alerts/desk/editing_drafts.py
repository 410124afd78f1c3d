"""Reply drafts on the desk: the sentences of each set, seen as whole replies and checked before they are kept."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, Response

from alerts import drafts
from alerts.desk.editing import Desk, Form, manages
from alerts.desk.sessions import Viewer
from alerts.drafts import STEPS, About
from monitor import overrides
from monitor.answers import violations
from monitor.editing import FILE
from monitor.settings import Settings, Voice

LABELS = {"empathy": "① 先道歉、体谅", "attribution": "② 说清是我们的问题", "remedy": "③ 怎么补救"}
_LONGEST, _MOST = 300, 20  # characters of a sentence, sentences of a step
_PLACE = re.compile(r"\{[^{}]*\}?|\}")
_KNOWN = ("{shop}", "{product}")
_SAMPLES = 3

Given = Mapping[str, Sequence[str]]  # step → sentences


def add(routes: APIRouter, desk: Desk) -> None:
    """``/settings/drafts`` and one page for each category."""
    known = Depends(desk.door.viewer)

    @routes.get("/settings/drafts", summary="回复草稿")
    def listed(viewer: Annotated[Viewer, known], saved: bool = False) -> HTMLResponse:
        manages(viewer, lead=True)
        settings, groups = desk.laid().settings, dict[str, list[str]]()
        for code in drafts.all_keys():
            groups.setdefault(code.partition(":")[0], []).append(code)
        sizes = {code: sum(map(len, counts(settings, code).values())) for code in drafts.all_keys()}
        own, title = settings.replies, drafts.title
        return desk.show("edit_drafts", viewer, groups=groups, sizes=sizes, own=own, title=title, saved=saved)

    @routes.get("/settings/drafts/{code}", summary="一类问题的回复草稿")
    def one(viewer: Annotated[Viewer, known], code: str) -> HTMLResponse:
        manages(viewer, lead=True)
        return _page(desk, viewer, category(code))

    desk.post(routes, "/settings/drafts", "改一类问题的回复草稿", lambda viewer, form: _act(desk, viewer, form))


def _act(desk: Desk, viewer: Viewer, form: Form) -> Response:
    manages(viewer, lead=True)
    code, do = category(form.one("code")), form.one("do")
    given = {step: _lines(form, step) for step in STEPS}
    problem = "" if do == "back" else wrong(given)
    if problem or do == "try":
        return _page(desk, viewer, code, problem, given)
    wanted = FILE if do == "back" else kept(desk, code, given)
    if problem := desk.save(viewer, {f"replies.{code}": wanted}, form.one("seen")):
        return _page(desk, viewer, code, problem, given)
    return desk.done("/settings/drafts")


def category(code: str) -> str:
    """The key of a set of drafts.

    Raises:
        HTTPException: 404.
    """
    if code not in drafts.all_keys():
        raise HTTPException(404, "没有这一类。")
    return code


def _lines(form: Form, step: str) -> list[str]:
    """One sentence a line."""
    return list(dict.fromkeys(filter(None, map(str.strip, form.long(step).splitlines()))))


def wrong(given: Given) -> str:
    """Why these sentences cannot be kept; empty where they can."""
    for step, sentences in given.items():
        if not sentences or len(sentences) > _MOST:
            return f"{LABELS[step]}：要写 1 到 {_MOST} 句，一行一句。"
        for said in sentences:
            if len(said) > _LONGEST or not said.isprintable():
                return f"{LABELS[step]}：一句最多 {_LONGEST} 个字，不能有看不见的字符。"
            if strange := [place for place in _PLACE.findall(said) if place not in _KNOWN]:
                return f"{LABELS[step]}：只能用 {{shop}} 和 {{product}}，没有 {strange[0]}。"
            if banned := violations(said):
                return f"{LABELS[step]}：「{banned[0][1]}」不能这么说：{banned[0][0]}。"
    return ""


def kept(desk: Desk, code: str, given: Given) -> Any:
    """What the config would say; a step left as it is shipped follows what is shipped."""
    shipped = drafts.plain(code)
    own = {step: [] if list(given[step]) == list(shipped[step]) else list(given[step]) for step in STEPS}
    return own if any(own.values()) or code in desk.core.file.replies else FILE


def counts(settings: Settings, code: str) -> Given:
    """The sentences that count now."""
    return drafts.chosen(About("", 0, "", own=settings.replies), code)


def _page(desk: Desk, viewer: Viewer, code: str, problem: str = "", given: Given | None = None) -> HTMLResponse:
    settings = desk.laid().settings
    said = given or counts(settings, code)
    return desk.show(
        "edit_draft",
        viewer,
        problem,
        code=code,
        title=drafts.title(code),
        formal=drafts.is_formal(code),
        said=said,
        labels_=LABELS,
        samples=[] if problem else samples(settings, code, said),
        own=code in settings.replies,
        tried=given is not None and not problem,
        seen=overrides.mark(settings, [f"replies.{code}"]),
        most=_LONGEST,
    )


def samples(settings: Settings, code: str, said: Given) -> list[str]:
    """Whole replies out of these sentences, in the first shop's voice; none where a step has none."""
    if not all(said[step] for step in STEPS):
        return []
    shop = next((shop for shop in settings.shops), None)
    about = About(code, 0, shop.name if shop else "本店", "保温杯", voice=shop.voice if shop else Voice())
    return [drafts.compose(about, said, turn) for turn in range(_SAMPLES)]
