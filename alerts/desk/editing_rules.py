"""Rules on the desk: what makes a crisis, clocks and quiet hours, tried on the last week; limits and targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session, col, select

from alerts.desk import editing_fields
from alerts.desk.editing import Desk, Form, manages
from alerts.desk.editing_fields import GROUPS, Field
from alerts.desk.sessions import Viewer
from monitor import db, editing, foresight, hindsight, overrides
from monitor.errors import WrongCall
from monitor.foresight import Outlook
from monitor.models import Feedback
from monitor.settings import Settings

CAUSES = {"critical": "一条危急的评价", "burst": "扎堆的差评", "copies": "同一段话", "spread": "传开的帖子"}
_QUOTES = 2  # of each crisis that would have opened
_SHOWN = 20  # such crises


@dataclass(frozen=True, slots=True)
class Shown:
    """A field as the page shows it.

    Attributes:
        value: What stands in it.
        now: What counts now.
        file: What the config file says.
    """

    field: Field
    value: str
    now: str
    file: str


def add(routes: APIRouter, desk: Desk) -> None:
    """``/settings/rules``."""

    @routes.get("/settings/rules", summary="规则和时限")
    def shown(viewer: Annotated[Viewer, Depends(desk.door.viewer)], saved: bool = False) -> HTMLResponse:
        manages(viewer)
        return _page(desk, viewer, saved=saved)

    desk.post(routes, "/settings/rules", "试一试或保存规则", lambda viewer, form: _act(desk, viewer, form))


def _act(desk: Desk, viewer: Viewer, form: Form) -> Response:
    manages(viewer)
    group = form.one("group")
    if group not in GROUPS:
        raise HTTPException(400, "没有看懂这个请求。")
    given = {one.key: form.one(one.key) for one in GROUPS[group][1]}
    wanted = {one.key: editing_fields.typed(one, given[one.key]) for one in GROUPS[group][1]}
    if form.one("do") == "try":
        if group not in editing_fields.TRIED:
            raise HTTPException(400, "没有看懂这个请求。")
        return _tried(desk, viewer, group, given, wanted)
    problem = desk.save(viewer, wanted, form.one("seen"))
    if problem:
        return _page(desk, viewer, problem, given=given, at=group)
    return desk.done("/settings/rules")


def _tried(desk: Desk, viewer: Viewer, group: str, given: Mapping[str, str], wanted: Mapping[str, Any]) -> Response:
    """What the rules would have made of the last week; nothing is written."""
    try:
        with db.reading(desk.core.engine) as session:
            tried = editing.preview(desk.core, session, wanted).settings
            seen = looked(desk, session, group, tried)
    except WrongCall as error:
        return _page(desk, viewer, f"{editing_fields.in_words(str(error))}。", given=given, at=group)
    return _page(desk, viewer, given=given, at=group, **seen)


def looked(desk: Desk, session: Session, group: str, tried: Settings) -> dict[str, Any]:
    """What a group of rules would have made of the last week: ``outlook``, ``quiet`` or ``deadlines``, as it is."""
    now = desk.core.clock.now()
    if group == "detect":
        outlook = foresight.outlook(session, tried, now)
        return {"outlook": outlook, "quotes": _quotes(session, outlook)}
    if group == "quiet":
        return {"quiet": hindsight.quiet(session, tried, now)}
    found = hindsight.deadlines(session, desk.laid().settings, tried, "case" if group == "case" else "crisis", now)
    first = sorted(found.moved, key=lambda one: one.was_late == one.would_be_late)  # what it would have changed
    return {"deadlines": found, "moved": first[:_SHOWN]}


def _quotes(session: Session, seen: Outlook) -> dict[int, str]:
    """Feedback → its text, of the first of each crisis that is shown."""
    ids = [n for one in seen.foreseen[-_SHOWN:] for n in one.feedback_ids[:_QUOTES]]
    rows = session.exec(select(Feedback.id, Feedback.text).where(col(Feedback.id).in_(ids)))
    return {n: text for n, text in rows if n is not None}


def _page(
    desk: Desk, viewer: Viewer, problem: str = "", *, given: Mapping[str, str] | None = None, **values: Any
) -> HTMLResponse:
    now, file = desk.laid().settings, desk.core.file
    groups = {
        name: (
            label,
            overrides.mark(now, [one.key for one in fields]),
            [_shown(one, now, file, given or {}) for one in fields],
        )
        for name, (label, fields) in GROUPS.items()
    }
    told = {"outlook": None, "deadlines": None, "quiet": None, "at": "", "saved": False} | values
    told["tried"] = editing_fields.TRIED
    return desk.show("edit_rules", viewer, problem, groups=groups, causes=CAUSES, most=_SHOWN, quoted=_QUOTES, **told)


def _shown(one: Field, now: Any, file: Any, given: Mapping[str, str]) -> Shown:
    counts = editing_fields.spelled(now, one.key)
    return Shown(one, given.get(one.key, counts), counts, editing_fields.spelled(file, one.key))
