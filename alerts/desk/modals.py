"""Slack's modals: a form for what an action needs, or a word on why it cannot be done; every limit of Slack's kept."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlmodel import Session

from alerts import forms
from alerts.desk import subjects
from alerts.desk.labels import SUBJECTS
from alerts.forms import LONGEST, Field
from alerts.words import code
from monitor.categories import complaints
from monitor.core import Core
from monitor.moves import Action
from monitor.transitions import ACTIONS

CALLBACK = "pingshao"
"""The name by which our modals' submissions are known."""
_TITLE, _TEXT, _OPTION, _PLACEHOLDER = 24, 3000, 75, 150  # characters
_A_GROUP, _GROUPS = 100, 100  # options of a menu, or of one of its groups
_PREFILLED = {
    ("plan", "members"): "members",
    ("plan", "facts"): "facts",
    ("plan", "note"): "plan",
    ("review", "note"): "review",
    ("resolved", "note"): "result",
}  # columns of a crisis that hold what was written before
Choices = Sequence[tuple[str, str]]


def form(core: Core, session: Session, action: Action, metadata: str, problem: str = "") -> dict[str, Any]:
    """The form for an action, or what stands in its way.

    Args:
        core: The common ground.
        session: Where its subject and choices are read.
        action: What is to be done, with what was written so far.
        metadata: What the submission brings back to us.
        problem: Why it was not done when it was submitted.
    """
    subject = subjects.read(session, action.subject, action.subject_id)
    if subject is None:
        return told(action, "找不到这条记录")
    blocks = [_section(f"没有办成：{problem}")] if problem else []
    blocks.append(_section(_about(core, subject)))
    for field in forms.asks(action.what, action.subject):
        choices = _choices(session, subject, action.what) if field.kind in ("one", "several") else ()
        if field.kind in ("one", "several") and not choices:
            return told(action, f"没有可以“{ACTIONS[action.what].label}”的对象")
        blocks.append(_input(field, choices, forms.said(action, field) or _before(action, field, subject)))
    view = {"type": "modal", "callback_id": CALLBACK, "private_metadata": metadata, "blocks": blocks}
    label = _plain(ACTIONS[action.what].label, _TITLE)
    return view | {"title": label, "submit": label, "close": _plain("取消", _TITLE)}


def told(action: Action, text: str) -> dict[str, Any]:
    """A modal that only says something."""
    title = _plain(ACTIONS[action.what].label, _TITLE)
    return {"type": "modal", "title": title, "close": _plain("知道了", _TITLE), "blocks": [_section(text)]}


def written(action: Action, values: dict[str, Any]) -> Action:
    """The action with what was written into its form.

    Raises:
        KeyError, TypeError: it is not shaped as Slack's are.
    """
    got = {field.name: _value(values[field.name][field.name]) for field in forms.asks(action.what, action.subject)}
    note, to = got.pop("note", ""), got.pop("to", "")
    return replace(action, note=note, to=to, more=got or None)


def _value(state: dict[str, Any]) -> str:
    if state["type"] == "multi_static_select":
        return ",".join(str(one["value"]) for one in state.get("selected_options") or ())
    if state["type"] == "static_select":
        return str((state.get("selected_option") or {}).get("value", ""))
    return str(state.get("value") or "").strip()


def _about(core: Core, subject: subjects.Subject) -> str:
    row = subject.row
    what = "、".join(map(code, row.categories)) or "未说明原因"
    return f"{SUBJECTS[subject.kind]} #{row.id} · {core.settings.shop_name(row.shop_id)} · {what}"


def _choices(session: Session, subject: subjects.Subject, what: str) -> Choices:
    if what == "false_alarm":
        return list(complaints().items())
    return subjects.choices(session, subject, what)


def _before(action: Action, field: Field, subject: subjects.Subject) -> str:
    """What was written into the field before, or holds now; empty where it is too long to be edited here."""
    if action.what == "refile":
        return ",".join(subject.row.categories)
    column = _PREFILLED.get((action.what, field.name))
    text = str(getattr(subject.row, column, "")) if column else ""
    return text if len(text) <= LONGEST else ""


def _input(field: Field, choices: Choices, value: str) -> dict[str, Any]:
    element: dict[str, Any] = {"action_id": field.name}
    if field.kind in ("one", "several"):
        element |= _menu(field, choices, value)
    else:
        element |= {"type": "plain_text_input", "multiline": field.kind == "text", "max_length": LONGEST}
        element |= {"initial_value": value} if value else {}
    built = {"type": "input", "block_id": field.name, "label": _plain(field.label, _TEXT), "element": element}
    if field.hint and field.kind in ("line", "text"):
        built["hint"] = _plain(field.hint, _TEXT)
    return built | {"optional": field.optional}


def _menu(field: Field, choices: Choices, value: str) -> dict[str, Any]:
    options = [{"text": _plain(words, _OPTION), "value": name} for name, words in choices[: _A_GROUP * _GROUPS]]
    menu: dict[str, Any] = {"type": "static_select" if field.kind == "one" else "multi_static_select"}
    menu["placeholder"] = _plain(field.hint or "请选择", _PLACEHOLDER)
    if len(options) <= _A_GROUP:
        menu["options"] = options
    else:
        menu["option_groups"] = [
            {"label": _plain(f"第 {start + 1} 个起", _OPTION), "options": options[start : start + _A_GROUP]}
            for start in range(0, len(options), _A_GROUP)
        ]
    by_name = {one["value"]: one for one in options}
    chosen = [by_name[name] for name in value.split(",") if name in by_name]
    if chosen:
        menu |= {"initial_options": chosen} if field.kind == "several" else {"initial_option": chosen[0]}
    return menu


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text, _TEXT)}


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": text if len(text) <= most else f"{text[: most - 1]}…"}
