"""A card as Slack's Block Kit: literal text escaped, every limit kept, nothing cut."""

import re
from collections.abc import Iterator
from typing import Any

from alerts.channel import SendError
from alerts.content import Button, Card, Line, Ping, Span
from alerts.forms import asks

MOST_BLOCKS = 50
LONGEST_TEXT = 3000
"""Characters of a section, after escaping."""
_LONGEST_LABEL = 75
_BUTTONS_A_ROW = 5
_MOST_OPTIONS = 5
MENU = "more"
"""The action of the menu; its choice's value is the action proper and what it is about."""
_GAP = "\u200b"  # Slack sees bold marks only at a word's edge, and Chinese has none: invisible blanks make one
_MARKS = re.compile(r"((?<![A-Za-z0-9])[*_~`]|[*_~`](?![A-Za-z0-9]))")  # snake_case is no markup
_USER = re.compile(r"[UW][A-Z0-9]+")


class TooLong(SendError):
    """The card does not fit one message; it should have been paged."""


def blocks(card: Card) -> list[dict[str, Any]]:
    """The card's blocks.

    Raises:
        TooLong: more than `MOST_BLOCKS`.
    """
    head = f"{_GAP}*{_escape(card.headline)}*{_GAP}"
    built = [_section(text) for text in _pieces([head])]
    if card.ping:
        built.append(_section(pings(card.ping)))
    for line in card.lines:
        built += _line(line)
    elements = [_button(button, card.about) for button in card.buttons]
    elements += [_menu(card)] if card.more else []
    for start in range(0, len(elements), _BUTTONS_A_ROW):
        built.append({"type": "actions", "elements": elements[start : start + _BUTTONS_A_ROW]})
    if len(built) > MOST_BLOCKS:
        raise TooLong(f"一条消息最多 {MOST_BLOCKS} 块，这条有 {len(built)} 块", permanent=True)
    return built


def preview(card: Card) -> str:
    """The words of the phone's notification: title, who is called on, first line."""
    first = card.lines[0].text if card.lines else ""
    called = f"{pings(card.ping)} " if card.ping else ""
    return f"{called}{_escape(card.headline)}\n{_escape(first[:200])}".strip()


def pings(people: tuple[Ping, ...]) -> str:
    """People called on: by Slack id where there is one, else by name."""
    return " ".join(f"<@{one.id}>" if _USER.fullmatch(one.id) else _escape(f"@{one.name}") for one in people)


def _line(line: Line) -> Iterator[dict[str, Any]]:
    if line.role == "divider":
        yield {"type": "divider"}
        return
    for text in _pieces([_markup(part) for span in line.spans for part in _short(span)]):
        if line.role == "small":
            yield {"type": "context", "elements": [_text(text)]}
        else:
            yield _section(text)


def _short(span: Span) -> Iterator[Span]:
    """A span in parts that fit a section however much escaping lengthens them."""
    size = LONGEST_TEXT // 6
    if span.url or len(span.text) <= size:
        yield span
        return
    for start in range(0, len(span.text), size):
        yield Span(span.text[start : start + size], span.bold)


def _pieces(parts: list[str]) -> Iterator[str]:
    """Parts put together into texts of legal length, none empty."""
    text = ""
    for part in parts:
        if text and len(text) + len(part) > LONGEST_TEXT:
            yield text
            text = ""
        text += part
    if text.strip():
        yield text


def _markup(span: Span) -> str:
    text = _escape(span.text)
    if span.url:
        return f"<{_escape(span.url)}|{text}>"
    return f"{_GAP}*{text}*{_GAP}" if span.bold and text.strip() and "\n" not in text else text


def _escape(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(rf"\1{_GAP}", text)


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def _menu(card: Card) -> dict[str, Any]:
    if len(card.more) > _MOST_OPTIONS:
        raise TooLong(f"“更多”里最多 {_MOST_OPTIONS} 项，这里有 {len(card.more)} 项", permanent=True)
    options = [
        {"text": {"type": "plain_text", "text": one.label[:_LONGEST_LABEL]}, "value": f"{one.action} {card.about}"}
        for one in card.more
    ]
    return {"type": "overflow", "action_id": MENU, "options": options}


def _button(button: Button, about: str) -> dict[str, Any]:
    label = {"type": "plain_text", "text": button.label[:_LONGEST_LABEL]}
    built: dict[str, Any] = {"type": "button", "action_id": button.action, "text": label, "value": about}
    if button.url:
        built["url"] = button.url
    if button.action == "claim":
        built["style"] = "primary"
    if button.confirm and not asks(button.action, about.partition(":")[0]):  # a form asks once more by itself
        built["confirm"] = {
            "title": {"type": "plain_text", "text": label["text"]},
            "text": {"type": "plain_text", "text": button.confirm},
            "confirm": {"type": "plain_text", "text": "是"},
            "deny": {"type": "plain_text", "text": "取消"},
        }
    return built
