"""Slack's markup as HTML: everything is text until Slack itself would make it more."""

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

_ANGLE = re.compile(r"<([^<>\n]+)>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_SAFE = ("http://", "https://", "mailto:")
_MENTION = Markup('<span class="mention">{}</span>')
_BROADCAST = {"!here": "@here", "!channel": "@channel", "!everyone": "@everyone"}
_STYLES = (
    (re.compile(r"(?<![\w`])`([^`\n]+)`(?![\w`])"), "code"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]*\S)\*(?![\w*])"), "b"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]*\S)_(?![\w_])"), "i"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]*\S)~(?![\w~])"), "s"),
)


def to_html(text: str, names: Mapping[str, str]) -> Markup:
    """A mrkdwn text as safe HTML.

    Args:
        text: As sent: ``&``, ``<`` and ``>`` of plain words are entities.
        names: What people and channels are called, by id.
    """
    lines = []
    for line in text.split("\n"):
        quoted = line.startswith("&gt;")
        line_html = _line(line.removeprefix("&gt;").lstrip() if quoted else line, names)
        lines.append(Markup("<blockquote>{}</blockquote>").format(line_html) if quoted else line_html + Markup("<br>"))
    return Markup("").join(lines).removesuffix("<br>")


def _line(line: str, names: Mapping[str, str]) -> Markup:
    # links are set aside first: their addresses hold * and _ that style nothing
    kept: list[Markup] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(_angle(match[1], names))
        return f"\0{len(kept) - 1}\0"

    html = str(escape(_plain(_ANGLE.sub(keep, line.replace("\0", "\ufffd")))))
    for pattern, tag in _STYLES:
        html = pattern.sub(rf"<{tag}>\1</{tag}>", html)
    return Markup(re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], html))  # noqa: S704 — escaped above


def _angle(inside: str, names: Mapping[str, str]) -> Markup:
    address, _, label = inside.partition("|")
    if address[:1] in {"@", "#"}:
        return Markup('<span class="mention">{}</span>').format(
            address[0] + names.get(address[1:], label or address[1:])
        )
    if address.startswith("!"):
        return Markup('<span class="mention">{}</span>').format(_BROADCAST.get(address, _plain(label) or address))
    if address.lower().startswith(_SAFE):
        return Markup('<a href="{}">{}</a>').format(_plain(address), _plain(label or address))
    return escape(f"<{_plain(inside)}>")


def _plain(text: str) -> str:
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text
