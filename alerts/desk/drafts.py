"""Drafts on the desk: those that fit a case, a search among all, and a check of what somebody is about to answer."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from alerts import picks
from alerts.desk import bodies, subjects
from alerts.desk.entrance import homes
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer, own_form
from alerts.desk.subjects import PATHS, Kind, Shown, Subject
from alerts.drafts import About
from alerts.picks import Pick, Speaker
from monitor import db
from monitor.answers import Problem, problems
from monitor.core import Core
from monitor.judge import Text
from monitor.models import Case, Crisis
from monitor.settings import Settings

MOST_WRITTEN = 2000
"""Characters of an answer that are looked at."""
_ON_THE_CASE, _FITTING = 3, 5
Word = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Path(ge=1, lt=10**9)]


def for_subject(settings: Settings, subject: Subject, shown: Sequence[Shown], most: int = _ON_THE_CASE) -> list[Pick]:
    """Drafts for a case or crisis by its newest feedback; none for a buyer's question."""
    if getattr(subject.row, "kind", "") == "question":
        return []
    return picks.for_case(_about(settings, subject, shown), _said(shown), subject.row.categories, most)


def _about(settings: Settings, subject: Subject, shown: Sequence[Shown]) -> About:
    newest = shown[0] if shown else None
    product = subject.row.product if isinstance(subject.row, Crisis) else newest.row.product if newest else ""
    flags = newest.score.flags if newest and newest.score and isinstance(subject.row, Case) else ()
    return Speaker(settings).about(subject.row, product, flags)


def _said(shown: Sequence[Shown]) -> str:
    return next((f"{one.row.title} {one.row.text}".strip() for one in shown if one.row.text or one.row.title), "")


@dataclass(frozen=True, slots=True)
class Looked:
    """What somebody who has to answer a case or crisis looked at.

    Attributes:
        shown: Its newest feedbacks.
        picks: Drafts that fit, the best first.
        faults: What is wrong with what was written.
    """

    subject: Subject
    shown: Sequence[Shown]
    picks: Sequence[Pick]
    faults: Sequence[Problem]


@dataclass
class Picker:
    """Finds drafts and checks what was written."""

    core: Core

    @cached_property
    def judge(self) -> Any:
        """The built-in scorer, whichever engine judges feedback: words looked for are read at once and cost nothing."""
        scoring = self.core.settings.scoring
        if scoring.engine == "builtin":
            return self.core.judge
        return self.core.scorer(scoring.model_copy(update={"engine": "builtin"}))

    def look(self, viewer: Viewer, kind: Kind, number: int, words: str = "", written: str = "") -> Looked:
        """Drafts for a case or crisis, or for words; and what is wrong with an answer.

        Raises:
            HTTPException: 404, there is none for this person.
        """
        with db.reading(self.core.engine) as session:
            found = subjects.found(session, viewer, kind, number)
            shown = subjects.feedbacks(session, found, 1)
        picks = self._found(found, shown, words) if words else for_subject(self.core.settings, found, shown, _FITTING)
        faults = problems(written, _said(shown), found.row.categories) if written else []
        return Looked(found, shown, picks, faults)

    def _found(self, found: Subject, shown: Sequence[Shown], words: str) -> list[Pick]:
        verdict = self.judge.judge(Text(words))
        return picks.search(_about(self.core.settings, found, shown), words, verdict.categories)


def _page(
    picker: Picker, pages: Pages, viewer: Viewer, kind: Kind, number: int, words: str = "", written: str = ""
) -> HTMLResponse:
    looked = picker.look(viewer, kind, number, words, written)
    return pages.render(
        "drafts",
        viewer=viewer,
        subject=looked.subject,
        shown=looked.shown,
        picks=looked.picks,
        q=words,
        written=written,
        faults=looked.faults,
        may_answer="answered" in subjects.possible(looked.subject, viewer.role),
        once=secrets.token_urlsafe(12),
    )


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/cases/{number}/drafts``, ``/crises/{number}/drafts``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    picker, known = Picker(core), Depends(door.viewer)
    for plural, kind in PATHS.items():
        _add(routes, picker, pages, known, plural, kind)
    return routes


def _add(routes: APIRouter, picker: Picker, pages: Pages, known: Any, plural: str, kind: Kind) -> None:
    @routes.get(f"/{plural}/{{number}}/drafts", summary="回复建议，和按词找话术")
    def choose(viewer: Annotated[Viewer, known], number: Number, q: Word = "") -> HTMLResponse:
        return _page(picker, pages, viewer, kind, number, q.strip())

    @routes.post(f"/{plural}/{{number}}/drafts", summary="检查写好的回复，什么也不改")
    async def check(viewer: Annotated[Viewer, known], request: Request, number: Number) -> Response:
        fields = bodies.form(await bodies.read(request))
        own_form(viewer, fields, request, homes(picker.core, request))
        written = fields.get("text", "").strip()[:MOST_WRITTEN]
        return await run_in_threadpool(_page, picker, pages, viewer, kind, number, "", written)
