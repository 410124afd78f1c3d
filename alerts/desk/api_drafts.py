"""Drafts: those that fit a case or crisis, a check of an answer, and the sentences of each category."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import Field, StringConstraints

from alerts import drafts
from alerts.desk import bodies, editing, editing_drafts, subjects
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import Number, Word
from alerts.desk.api_given import Given, Name, Seen
from alerts.desk.api_models import Answer
from alerts.desk.api_problems import answers
from alerts.desk.api_settings import keep
from alerts.desk.drafts import MOST_WRITTEN, Picker
from alerts.desk.editing import Desk
from alerts.drafts import STEPS
from monitor import overrides
from monitor.settings import Settings

_Sentences = Annotated[list[Annotated[str, StringConstraints(max_length=1000)]], Field(max_length=100)]


class Drafts(Answer):
    """The sentences of a set: of a category, a topic of it, what is grave, threats."""

    code: str
    label: str
    own: bool
    """The desk or the file says something else than what is shipped."""
    steps: Mapping[str, Sequence[str]]
    samples: Sequence[str]
    """Whole replies out of them."""
    seen: str


class DraftsTried(Given):
    """_Sentences by step; ``{shop}`` and ``{product}`` are filled in."""

    empathy: _Sentences
    attribution: _Sentences
    remedy: _Sentences


class DraftsGiven(DraftsTried):
    """With the mark of what was seen."""

    seen: Seen


class Picked(Answer):
    """A reply to take over and edit."""

    name: str
    """Which trouble it is for."""
    text: str
    banned: Sequence[str]
    """Why it must not be said as it is."""


class Written(Given):
    """An answer that somebody is about to give."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=MOST_WRITTEN, pattern=r"^[^\x00]*$")]


class WrongWith(Answer):
    """Something wrong with an answer."""

    kind: str
    words: str
    why: str


def router(desk: Desk, access: Access) -> APIRouter:
    """``/cases/{number}/drafts``, ``/crises/{number}/drafts`` and ``/settings/drafts``."""
    routes = APIRouter(tags=["drafts"], route_class=bodies.Bounded)
    picker = Picker(desk.core)
    for plural, kind in subjects.PATHS.items():
        _add_picker(routes, picker, access.may("read"), plural, kind)
    _add_settings(routes, desk, access.may("settings"))
    return routes


def _add_picker(routes: APIRouter, picker: Picker, reader: Any, plural: str, kind: subjects.Kind) -> None:
    @routes.get(f"/{plural}/{{number}}/drafts", summary="回复建议；带 q 就按词找话术", responses=answers(404))
    def choose(caller: Annotated[Caller, reader], number: Number, q: Word = "") -> Sequence[Picked]:
        found = picker.look(caller.viewer, kind, number, q.strip()).picks
        return [Picked(name=one.name, text=one.text, banned=[why for why, _ in one.problems]) for one in found]

    @routes.post(
        f"/{plural}/{{number}}/drafts/check", summary="检查写好的回复；什么也不改", responses=answers(404, 413)
    )
    def check(caller: Annotated[Caller, reader], number: Number, given: Written) -> Sequence[WrongWith]:
        return [
            WrongWith.model_validate(one) for one in picker.look(caller.viewer, kind, number, "", given.text).faults
        ]


def _add_settings(routes: APIRouter, desk: Desk, editor: Any) -> None:
    @routes.get("/settings/drafts", summary="各类问题的回复草稿", responses=answers())
    def listed(caller: Annotated[Caller, editor]) -> Sequence[Drafts]:
        editing.manages(caller.viewer, lead=True)
        settings = desk.laid().settings
        return [_told(settings, code, editing_drafts.counts(settings, code)) for code in drafts.all_keys()]

    @routes.get("/settings/drafts/{code}", summary="一类问题的回复草稿", responses=answers(404))
    def one(caller: Annotated[Caller, editor], code: Name) -> Drafts:
        editing.manages(caller.viewer, lead=True)
        settings = desk.laid().settings
        return _told(settings, code, editing_drafts.counts(settings, editing_drafts.category(code)))

    @routes.put("/settings/drafts/{code}", summary="改一类问题的回复草稿", responses=answers(404, 409, 413))
    def change(caller: Annotated[Caller, editor], code: Name, given: DraftsGiven) -> Drafts:
        said = _checked(caller, code, given)
        keep(desk, caller, {f"replies.{code}": editing_drafts.kept(desk, code, said)}, given.seen)
        settings = desk.laid().settings
        return _told(settings, code, editing_drafts.counts(settings, code))

    @routes.post("/settings/drafts/{code}/try", summary="看看整段回复；什么也不改", responses=answers(404, 409, 413))
    def attempt(caller: Annotated[Caller, editor], code: Name, given: DraftsTried) -> Drafts:
        return _told(desk.laid().settings, code, _checked(caller, code, given))


def _checked(caller: Caller, code: str, given: DraftsTried) -> dict[str, list[str]]:
    """The sentences by step.

    Raises:
        HTTPException: 403, the role may not; 404, there is no such category; 409, they must not be said.
    """
    editing.manages(caller.viewer, lead=True)
    editing_drafts.category(code)
    said = {step: list(dict.fromkeys(filter(None, map(str.strip, getattr(given, step))))) for step in STEPS}
    if problem := editing_drafts.wrong(said):
        raise HTTPException(409, problem)
    return said


def _told(settings: Settings, code: str, said: editing_drafts.Given) -> Drafts:
    return Drafts(
        code=code,
        label=drafts.title(code),
        own=code in settings.replies,
        steps={step: said[step] for step in STEPS},
        samples=editing_drafts.samples(settings, code, said),
        seen=overrides.mark(settings, [f"replies.{code}"]),
    )
