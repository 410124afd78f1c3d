"""A card as WeCom's template card: plain text in small places, each within what WeCom shows; what is left out is said.

Lengths are characters, as WeCom's documents count them.
"""

from typing import Any

from alerts.content import Button, Card, Line

_TITLE, _TEXT = 36, 160
_QUOTE = 300  # no limit is published: what a phone shows at a glance
_KEY, _VALUE = 5, 30
_LABEL = 10
_MOST_ROWS = _MOST_BUTTONS = 6
_MOST_MENU = 3
_CLAIM, _GRAVE, _OTHER = 1, 2, 4  # styles of buttons


def template(card: Card, task: str) -> dict[str, Any]:
    """The template card; it has buttons while there is something to do.

    Args:
        card: What to say; one of its buttons opens a page.
        task: The card's name, unique in the app: letters, digits and ``_-@``, at most 128 bytes.
    """
    page = next(one for one in card.buttons if one.url)
    actions = [one for one in card.buttons if not one.url]
    rows, paragraphs = _divided(card)
    first = _fitting(paragraphs)
    quotes = [line.text.strip() for line in card.lines if line.role == "quote"]
    built: dict[str, Any] = {
        "card_type": "button_interaction" if actions else "text_notice",
        "task_id": task,
        "main_title": {"title": _short(card.headline, _TITLE)},
        "sub_title_text": "\n".join(paragraphs[:first]),
        "horizontal_content_list": [*rows, _link("详情", page.label, page.url)],
        "card_action": {"type": 1, "url": page.url},
    }
    if below := [*filter(None, quotes), *paragraphs[first:]]:
        built["quote_area"] = {"type": 0, "quote_text": _gathered(below)}
    if actions:
        built["button_list"] = [_button(one, card.about) for one in actions[:_MOST_BUTTONS]]
    if more := actions[_MOST_BUTTONS : _MOST_BUTTONS + _MOST_MENU]:
        listed = [{"text": one.label, "key": key(one.action, card.about)} for one in more]
        built["action_menu"] = {"desc": "更多操作", "action_list": listed}
    return built


def key(action: str, about: str) -> str:
    """What a button sends back: the action, and what it is about."""
    return f"{action} {about}"


def _divided(card: Card) -> tuple[list[dict[str, Any]], list[str]]:
    """Short ``name：value`` lines and links as rows, as many as there is room for; the other lines as paragraphs."""
    links = [span for line in card.lines for span in line.spans if span.url]
    rows = [_link("链接", span.text, span.url) for span in links[: _MOST_ROWS - 2]]
    paragraphs = [card.headline] if len(card.headline) > _TITLE else []
    paragraphs += [" ".join(f"@{one.name}" for one in card.ping)] if card.ping else []
    for line in card.lines:
        if line.role in ("quote", "divider"):
            continue
        text = _unlinked(line)
        name, colon, value = text.partition("：")
        short = colon and 0 < len(name) <= _KEY and 0 < len(value) <= _VALUE and "\n" not in text
        if short and len(rows) < _MOST_ROWS - 1:
            rows.append({"keyname": name, "value": value})
        elif text:
            paragraphs.append(text)
    return rows, paragraphs


def _unlinked(line: Line) -> str:
    return "".join(span.text for span in line.spans if not span.url).strip(" ·\n\u3000")


def _fitting(paragraphs: list[str]) -> int:
    """How many paragraphs there is room for under the title."""
    return next(n for n in range(len(paragraphs), -1, -1) if len("\n".join(paragraphs[:n])) <= _TEXT)


def _gathered(paragraphs: list[str]) -> str:
    """As many paragraphs as there is room for in the quote, the first of them shortened at need; others are counted."""
    for kept in range(len(paragraphs), 0, -1):
        told = "\n".join([*paragraphs[:kept], *_left(len(paragraphs) - kept)])
        if len(told) <= _QUOTE:
            return told
    left = _left(len(paragraphs) - 1)
    room = _QUOTE - len("\n".join(["", *left]))
    return "\n".join([_short(paragraphs[0], room, "……（还有 {} 字，见详情）"), *left])


def _left(count: int) -> list[str]:
    return [f"……还有 {count} 段，见详情"] if count else []


def _short(text: str, most: int, told: str = "……") -> str:
    if len(text) <= most:
        return text
    keep = most - len(told.format(len(text)))
    return text[:keep] + told.format(len(text) - keep)


def _link(name: str, label: str, url: str) -> dict[str, Any]:
    return {"type": 1, "keyname": name, "value": _short(label, _VALUE), "url": url}


def _button(button: Button, about: str) -> dict[str, Any]:
    style = _CLAIM if button.action == "claim" else _GRAVE if button.confirm else _OTHER
    return {"type": 0, "text": _short(button.label, _LABEL), "style": style, "key": key(button.action, about)}
