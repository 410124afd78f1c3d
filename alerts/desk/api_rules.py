"""``/settings/rules``: what makes a crisis, clocks and quiet hours; tried on what came in before they count."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException

from alerts.desk import api_previews, bodies, editing, editing_fields, editing_rules
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_previews import Preview
from alerts.desk.api_problems import answers
from alerts.desk.api_setting_models import Rule, RuleGroup, RulesGiven, RulesTried
from alerts.desk.api_settings import keep
from alerts.desk.editing import Desk
from alerts.desk.editing_fields import GROUPS, TRIED, Field
from monitor import db, overrides
from monitor import editing as config
from monitor.durations import spell_duration
from monitor.settings import Settings


def router(desk: Desk, access: Access) -> APIRouter:
    """``/settings/rules`` and ``/settings/rules/{group}``, ``…/try``."""
    routes = APIRouter(tags=["settings"], route_class=bodies.Bounded)
    editor = access.may("settings")

    @routes.get("/settings/rules", summary="规则和时限", responses=answers())
    def rules(caller: Annotated[Caller, editor]) -> Sequence[RuleGroup]:
        editing.manages(caller.viewer)
        return [_group(desk, name) for name in GROUPS]

    @routes.put("/settings/rules/{group}", summary="改一组规则", responses=answers(409, 413))
    def change(
        caller: Annotated[Caller, editor],
        group: Literal[tuple(GROUPS)],  # type: ignore[valid-type] # whatever groups there are
        given: RulesGiven,
    ) -> RuleGroup:
        editing.manages(caller.viewer)
        keep(desk, caller, _wanted(desk, group, given.values), given.seen)
        return _group(desk, group)

    @routes.post("/settings/rules/{group}/try", summary="先拿过去 7 天试试；什么也不改", responses=answers(409, 413))
    def attempt(
        caller: Annotated[Caller, editor],
        group: Literal[TRIED],  # type: ignore[valid-type] # whatever groups there are
        given: RulesTried,
    ) -> Preview:
        editing.manages(caller.viewer)
        wanted = _wanted(desk, group, given.values)
        with db.reading(desk.core.engine) as session:
            settings = config.preview(desk.core, session, wanted).settings
            return api_previews.told(editing_rules.looked(desk, session, group, settings))

    return routes


def _group(desk: Desk, name: str) -> RuleGroup:
    now, file = desk.laid().settings, desk.core.file
    label, fields = GROUPS[name]
    rules = [
        Rule(key=one.key, label=one.label, kind=one.kind, hint=one.hint, value=_plain(now, one), file=_plain(file, one))
        for one in fields
    ]
    return RuleGroup(group=name, label=label, rules=rules, seen=overrides.mark(now, [one.key for one in fields]))


def _plain(settings: Settings, one: Field) -> Any:
    value = attrgetter(one.key)(settings)
    return spell_duration(value) if isinstance(value, timedelta) else value


def _wanted(desk: Desk, group: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All figures of a group: those given, the others as they are.

    Raises:
        HTTPException: 409, there is no such figure, or a switch is no switch.
    """
    fields, now = {one.key: one for one in GROUPS[group][1]}, desk.laid().settings
    for key, value in given.items():
        if key not in fields:
            raise HTTPException(409, f"“{GROUPS[group][0]}”里没有 {key[:80]} 这一项。")
        if isinstance(value, bool) != (fields[key].kind == "switch"):
            raise HTTPException(409, f"{editing_fields.label(key)}：开关写 true 或 false，别的不这样写。")
    return {key: given.get(key, overrides.value_of(now, key)) for key in fields}
