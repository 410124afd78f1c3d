"""Changing the config from the desk: checked as the file is, written down with an event, effective within seconds."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlmodel import Session, select

from monitor import audit, changes, known, overrides
from monitor.audit import Refused
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Override, Person
from monitor.overrides import Laid

FILE = object()
"""In place of a value: what the file says counts again."""
RANKS = ("brand", "agent", "lead", "manager", "admin")
CONTACTS = {"slack": "Slack", "dingtalk": "钉钉", "wecom": "企业微信", "feishu": "飞书", "email": "邮箱"}
_LONGEST_NAME = 50


def save(core: Core, session: Session, wanted: Mapping[str, Any], seen: str, actor: str, door: str = "desk") -> Laid:
    """Say something else than the file; what is said already, or by the file, is not said again.

    Editors do this one after another, whatever they change, so that each is checked against what then counts.

    Args:
        core: The common ground; its settings follow with the next `overrides.refresh`.
        session: The caller's transaction.
        wanted: Key → value, or `FILE`.
        seen: `overrides.mark` of these keys as the editor saw them.
        actor: Who.
        door: Where.

    Raises:
        Refused: somebody changed one of the keys meanwhile.
        WrongCall: it does not fit; the sentence is the one that the file would get.
    """
    now = core.clock.now()
    known.hold(session, "overrides", now)
    says = overrides.said(session)
    stood = overrides.lay(core.file, says)
    before = stood.settings
    if overrides.mark(before, wanted) != seen:
        raise Refused("刚刚被别人改过，请看一眼最新的再改")
    asked = {key: value for key, value in wanted.items() if value is not FILE}
    rest = {key: value for key, value in says.items() if key not in wanted}
    laid = _tried(core, rest | asked, stood.left_out.keys() - wanted)
    told: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    for key in wanted:
        old, new = overrides.value_of(before, key), overrides.value_of(laid.settings, key)
        own = key in asked and new != overrides.value_of(core.file, key)
        _write(session, key, {"value": new} if own else {}, now, actor)
        if old != new:
            told["before"][key], told["after"][key] = old, new
    if told["after"]:
        audit.note(session, now, "config", 0, "changed", actor, door, **told)
    if any(key.startswith("people.") for key in told["after"]):
        changes.people(session, laid.settings, now, actor, door)
    return laid


def preview(core: Core, session: Session, wanted: Mapping[str, Any]) -> Laid:
    """What would count if this were said too.

    Raises:
        WrongCall: it does not fit.
    """
    says = overrides.said(session)
    return _tried(core, says | dict(wanted), overrides.lay(core.file, says).left_out.keys() - wanted)


def _tried(core: Core, says: Mapping[str, Any], known_bad: Collection[str]) -> Laid:
    """All of it together: nothing that stood before may fall by what is said now."""
    laid = overrides.lay(core.file, says)
    for key, why in laid.left_out.items():
        if key not in known_bad:
            raise WrongCall(why)
    return laid


def _write(session: Session, key: str, value: dict[str, Any], now: Any, actor: str) -> None:
    row = session.get(Override, key)
    if row is None:
        if value:
            session.add(Override(key=key, value=value, at=now, actor=actor))
    elif row.value != value:
        row.value, row.version, row.at, row.actor = value, row.version + 1, now, actor
        session.add(row)
    session.flush()


def person(core: Core, session: Session, name: str, wanted: Any, seen: str, editor: Person, door: str = "desk") -> Laid:
    """Add or change somebody, or take him away with None.

    Raises:
        Refused: the editor may not: for himself another role, other shops or the way out, or anybody above himself.
        WrongCall: it does not fit.
    """
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise WrongCall(f"名字要有 1 到 {_LONGEST_NAME} 个字，不能有看不见的字符")
    now = session.exec(select(Person).where(Person.name == name, Person.active)).one_or_none()
    value = overrides.value_of(core.file, f"people.{name}") if wanted is FILE else wanted
    roles = [now.role if now else "brand", (value or {}).get("role", "agent")]
    if any(role in RANKS and RANKS.index(role) > RANKS.index(editor.role) for role in roles):
        raise Refused("不能改角色比自己高的人，也不能把别人的角色调到比自己高")
    if name == editor.name and (value is None or (value["role"], sorted(value["shops"])) != _place(editor)):
        raise Refused("不能改自己的角色、店铺，也不能移除自己；请让别人来改")
    for contact, label in CONTACTS.items():
        if taken := _whose(session, name, contact, (value or {}).get(contact, "")):
            raise WrongCall(f"{label} {value[contact]} 已经是{taken}的")
    laid = save(core, session, {f"people.{name}": wanted}, seen, editor.name, door)
    if value is None and now is not None and now.active:  # the config never knew of him
        now.active = False
        session.add(now)
        told = {"name": name, "role": now.role}
        audit.note(session, core.clock.now(), "person", now.id or 0, "left", editor.name, door, after=told)
    return laid


def _place(editor: Person) -> tuple[str, list[str]]:
    return editor.role, sorted(editor.shops)


def _whose(session: Session, name: str, contact: str, given: str) -> str:
    """Who else is known by an id: a click must be one person's."""
    column: Any = getattr(Person, contact)
    others = select(Person.name).where(column == given, Person.name != name, Person.active)
    return (session.exec(others).first() or "") if given else ""
