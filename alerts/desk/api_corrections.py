"""``/corrections``: what staff said against the model, and taking it back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from sqlmodel import Session, col

from alerts.actions import found
from alerts.desk import editing, editing_corrections
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_cases import Key, perform
from alerts.desk.api_feedback import After, Limit, Number, Word
from alerts.desk.api_models import Answer, Done, Page
from alerts.desk.api_problems import answers
from alerts.desk.editing_corrections import TOO_LATE, Filters, Line, Which
from monitor import db
from monitor.core import Core
from monitor.models import Case, Correction, Event


class CorrectionTold(Answer):
    """What somebody said against the model."""

    id: int
    at: datetime
    actor: str
    kind: str
    """false, refile, back or extortion."""
    shop: str | None
    case_id: int | None
    feedback_id: int | None
    """Null for extortion, which is said of a case."""
    text: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    undo: bool
    """It can be taken back."""


def router(core: Core, access: Access) -> APIRouter:
    """``/corrections`` and ``/corrections/{number}/undo``."""
    routes = APIRouter(tags=["corrections"])

    @routes.get("/corrections", summary="同事改正过什么，最新的在前", responses=answers())
    def listed(
        caller: Annotated[Caller, access.may("read")],
        which: Which = "",
        who: Word = "",
        category: Word = "",
        after: After = "",
        limit: Limit = 50,
    ) -> Page[CorrectionTold]:
        editing.leads(caller.viewer)
        with db.reading(core.engine) as session:
            told = _listed(session, caller, Filters(which, who, category), after, limit + 1)
        following = str(told[limit - 1].id) if len(told) > limit else None
        return Page[CorrectionTold](items=told[:limit], next=following)

    @routes.post(
        "/corrections/{number}/undo",
        summary="收回一次改正；同一个 Idempotency-Key 只做一次",
        responses=answers(404, 409),
    )
    def undo(caller: Annotated[Caller, access.may("act")], number: Number, idempotency_key: Key) -> Done:
        editing.leads(caller.viewer)
        key = f"{caller.key}:{idempotency_key}"
        with db.reading(core.engine) as session:
            line = editing_corrections.one(session, caller.viewer, number)
            known = found(session, "api", key)
        if not line.undo and known is None:
            raise HTTPException(409, TOO_LATE)
        return perform(core, caller, editing_corrections.undoing(line), key)

    return routes


def _listed(session: Session, caller: Caller, filters: Filters, after: str, most: int) -> list[CorrectionTold]:
    malice = filters.which == "extortion"
    number: Any = Event.id if malice else Correction.id
    wanted = (editing_corrections.suspected if malice else editing_corrections.wanted)(caller.viewer, filters)
    wanted = wanted.where(col(number) < int(after)) if after else wanted
    rows = session.execute(wanted.order_by(col(number).desc()).limit(most)).all()
    if malice:
        return [_suspected(event, case) for event, case in rows]
    return [_told(line) for line in editing_corrections.lines(session, rows)]


def _told(line: Line) -> CorrectionTold:
    said = line.feedback
    about = {"shop": said.shop_id, "case_id": said.case_id, "text": said.text, "kind": line.kind, "undo": line.undo}
    return CorrectionTold.model_validate(line.row.model_dump() | about)


def _suspected(event: Event, case: Case) -> CorrectionTold:
    about = {"kind": "extortion", "shop": case.shop_id, "case_id": case.id, "feedback_id": None, "undo": False}
    return CorrectionTold.model_validate(event.model_dump() | about | {"text": str(event.after.get("note", ""))})
