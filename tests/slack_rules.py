"""What Slack's reference says of blocks, elements and views, as checks: each gives an error's words, or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_INPUTS = ("plain_text_input", "static_select", "multi_static_select")
_INTERACTIVE = ("button", "overflow")


def view_problem(view: Any) -> str:
    """Why ``views.open``, or an answer that updates a view, would be refused; empty when it would not."""
    return next(_view(view), "")


def elements_problem(elements: Any) -> str:
    """Why an actions block would be refused."""
    return next(_actions(elements), "")


def _view(view: Any) -> Iterator[str]:
    if not isinstance(view, dict) or view.get("type") != "modal":
        yield "must be a modal"
        return
    known = {"type", "title", "blocks", "close", "submit", "private_metadata", "callback_id"}
    yield from (f"unknown field {name}" for name in view.keys() - known)
    yield from _text(view.get("title"), 24)
    for name in ("close", "submit"):
        if name in view:
            yield from _text(view[name], 24)
    for name, most in (("private_metadata", 3000), ("callback_id", 255)):
        if not isinstance(view.get(name, ""), str) or len(view.get(name, "")) > most:
            yield f"{name} must be a string of at most {most}"
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not 0 < len(blocks) <= 100:
        yield "must have 1 to 100 blocks"
        return
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        yield "block_id must be unique"
    if any(block.get("type") == "input" for block in blocks) and "submit" not in view:
        yield "submit is required with an input block"
    for block in blocks:
        yield from _block(block)


def _block(block: Mapping[str, Any]) -> Iterator[str]:
    if len(block.get("block_id", "")) > 255:
        yield "block_id is too long"
    if block.get("type") == "section":
        yield from _keys(block, {"type", "text", "block_id"})
        yield from _text(block.get("text"), 3000)
    elif block.get("type") == "input":
        yield from _keys(block, {"type", "label", "element", "hint", "optional", "block_id"})
        yield from _text(block.get("label"), 2000)
        if "hint" in block:
            yield from _text(block["hint"], 2000)
        if not isinstance(block.get("optional", False), bool):
            yield "optional must be true or false"
        yield from _input(block.get("element") or {})
    else:
        yield f"unsupported block {block.get('type')}"


def _input(element: Mapping[str, Any]) -> Iterator[str]:
    if element.get("type") not in _INPUTS:
        yield f"unsupported input {element.get('type')}"
        return
    yield from _id(element)
    if "placeholder" in element:
        yield from _text(element["placeholder"], 150)
    if element["type"] == "plain_text_input":
        yield from _keys(element, {"type", "action_id", "multiline", "max_length", "initial_value", "placeholder"})
        most = element.get("max_length", 3000)
        if not isinstance(most, int) or not 1 <= most <= 3000:
            yield "max_length must be between 1 and 3000"
        elif len(element.get("initial_value", "")) > most or element.get("initial_value") == "":
            yield "initial_value must have 1 to max_length characters"
    else:
        yield from _menu(element)


def _menu(element: Mapping[str, Any]) -> Iterator[str]:
    initial = "initial_option" if element["type"] == "static_select" else "initial_options"
    yield from _keys(element, {"type", "action_id", "placeholder", "options", "option_groups", initial})
    if ("options" in element) == ("option_groups" in element):
        yield "either options or option_groups"
        return
    groups = element.get("option_groups", [])
    if len(groups) > 100:
        yield "at most 100 option groups"
    everything = list(element.get("options", ()))
    for group in groups:
        yield from _text(group.get("label"), 75)
        yield from _options(group.get("options"), 100)
        everything += group["options"]
    if not groups:
        yield from _options(everything, 100)
    if len({one["value"] for one in everything}) != len(everything):
        yield "values must be unique"
    chosen = element.get(initial, [])
    for one in chosen if isinstance(chosen, list) else [chosen]:
        if one not in everything:
            yield "what is chosen at first must be an option"
    if initial == "initial_options" and element.get(initial) == []:
        yield "initial_options must not be empty"


def _options(options: Any, most: int) -> Iterator[str]:
    if not isinstance(options, Sequence) or not 0 < len(options) <= most:
        yield f"must have 1 to {most} options"
        return
    for one in options:
        yield from _keys(one, {"text", "value"})
        yield from _text(one.get("text"), 75)
        if not isinstance(one.get("value"), str) or not 0 < len(one["value"]) <= 150:
            yield "value must be a string of 1 to 150"


def _actions(elements: Any) -> Iterator[str]:
    if not isinstance(elements, list) or not 0 < len(elements) <= 25:
        yield "must have 1 to 25 elements"
        return
    ids = [element.get("action_id") for element in elements]
    if len(ids) != len(set(ids)):
        yield "action_id must be unique"
    for element in elements:
        if element.get("type") not in _INTERACTIVE:
            yield f"unsupported element {element.get('type')}"
            return
        yield from _id(element)
        yield from _button(element) if element["type"] == "button" else _options(element.get("options"), 5)


def _button(button: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys(button, {"type", "action_id", "text", "value", "url", "style", "confirm"})
    yield from _text(button.get("text"), 75)
    if len(button.get("value", "")) > 2000 or len(button.get("url", "")) > 3000:
        yield "value or url is too long"
    if button.get("style", "primary") not in ("primary", "danger"):
        yield "style must be primary or danger"
    if "confirm" in button:
        for name, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            yield from _text(button["confirm"].get(name), most)


def _id(element: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(element.get("action_id"), str) or not 0 < len(element["action_id"]) <= 255:
        yield "action_id must be a string of 1 to 255"


def _text(text: Any, most: int) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") != "plain_text" or not isinstance(text.get("text"), str):
        yield "must be a plain_text object"
    elif not 0 < len(text["text"]) <= most:
        yield f"must have 1 to {most} characters: {text['text'][:30]!r}"


def _keys(given: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    yield from (f"unknown field {name}" for name in given.keys() - known)
