"""What is asked for before an action is done, where a channel can show a form of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from monitor.moves import Action

LONGEST = 2000
"""Characters of what somebody writes into one field."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked for.

    Attributes:
        name: Where it goes in an `Action`: ``note``, ``to``, or a name in ``more``.
        label: What it is called.
        kind: A short or a long text, one choice, or several.
        optional: It may stay empty.
        hint: What is said below it, or in it where it is a choice.
        subject: Only asked for about a ``case``, or a ``crisis``; empty for both.
    """

    name: str
    label: str
    kind: Literal["line", "text", "one", "several"] = "text"
    optional: bool = False
    hint: str = ""
    subject: str = ""


_FORMS: Mapping[str, tuple[Field, ...]] = {
    "plan": (
        Field("members", "应急小组成员", "line", optional=True),
        Field("facts", "已知事实", optional=True, hint="只写核实过的，还没核实的请写明"),
        Field("note", "初步方案", hint="先做什么，谁来做，什么时候做完"),
    ),
    "resolved": (Field("note", "怎么解决的", optional=True, hint="做了什么，怎么答复买家的"),),
    "review": (Field("note", "复盘", hint="原因，处理得怎样，以后怎么避免"),),
    "false_alarm": (
        Field("to", "其实是", "one", optional=True, hint="不选，就是：不是差评", subject="case"),
        Field("note", "为什么是误报", optional=True),
    ),
    "assign": (Field("to", "转给", "one"),),
    "refile": (Field("to", "改成", "several", hint="最主要的放在最前面"),),
    "merge": (Field("to", "合并到", "one"),),
    "extortion": (Field("note", "依据", hint="对方说了什么、要了什么；只记事实，不指责买家"),),
    "reopen": (Field("note", "为什么重新打开"),),
    "note": (Field("note", "备注"),),
}


def asks(what: str, subject: str) -> tuple[Field, ...]:
    """What is asked for before this is done to a case or a crisis; nothing for what a click alone says."""
    return tuple(one for one in _FORMS.get(what, ()) if one.subject in ("", subject))


def said(action: Action, field: Field) -> str:
    """What the action has for a field."""
    if field.name in ("note", "to"):
        return action.note if field.name == "note" else action.to
    return (action.more or {}).get(field.name, "")


def problems(action: Action) -> dict[str, str]:
    """What is wrong with what was written, by name of the field."""
    found = {}
    for field in asks(action.what, action.subject):
        text = said(action, field).strip()
        if not text and not field.optional:
            found[field.name] = "请选一个" if field.kind in ("one", "several") else "请写上这一项"
        elif len(text) > LONGEST:
            found[field.name] = f"请控制在 {LONGEST} 字以内，现在是 {len(text)} 字"
    return found
