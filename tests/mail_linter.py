"""What mail programs can show, as caniemail.com lists it for what our mails use: faults of a page, one sentence each.

The narrowest of Outlook's Word engine, Gmail, QQ 邮箱, 163 and Apple Mail counts. What only some of them understand,
such as dark mode in ``@media``, may stand in the one style block of the head: the others leave it out.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

MOST_BYTES = 100 * 1024  # Gmail cuts at 102 KB
MOST_STYLE = 16 * 1024  # characters of a style block that Gmail still reads


def _words(told: str) -> frozenset[str]:
    return frozenset(told.split())


TAGS = _words("""
    html head meta title style body table tbody tr td th p h1 h2 h3 a img span b br hr div
""")
PLAIN = _words("""
    color background background-color font font-family font-size font-weight line-height text-align
    text-decoration vertical-align white-space width height border border-collapse border-top border-right
    border-bottom border-left margin margin-top margin-bottom
""")
"""Inline properties that every one of them understands on any element."""
CELLS = PLAIN | {"padding", "padding-top", "padding-right", "padding-bottom", "padding-left"}
"""And on ``td`` and ``th``; elsewhere Outlook leaves paddings out, unless it is told of another."""
HARMLESS = _words("""
    max-width display border-radius word-break overflow-wrap overflow opacity max-height mso-hide
    mso-padding-alt table-layout font-variant-numeric letter-spacing
""")
"""Left out by some without harm, as pages are laid out without them."""
VALUE = re.compile(r"\b(?:calc|var|url|clamp|min|max)\(|\b\d*\.?\d+(?:rem|vw|vh|ch)\b|(?<![\w-])-\d", re.IGNORECASE)
ADDRESS = re.compile(r"(?:https?://|mailto:|cid:)", re.IGNORECASE)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.styles: list[str] = []
        self.metas: list[dict[str, str]] = []
        self.lang = ""
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        if tag not in TAGS:
            self.faults.append(f"<{tag}>: not shown everywhere")
        self.faults += [f"<{tag} {name}>: runs something" for name in told if name.startswith("on")]
        self.faults += list(_inline(tag, told.get("style", "")))
        if tag == "html":
            self.lang = told.get("lang", "")
        if tag == "meta":
            self.metas.append(told)
        if tag == "img":
            self.faults += [f"<img>: without {name}" for name in ("alt", "width", "height", "src") if name not in told]
        if tag == "table" and not {"cellpadding", "cellspacing"} <= told.keys():
            self.faults.append("<table>: without cellpadding and cellspacing Outlook adds its own")
        for name in ("href", "src", "background"):
            if name in told and not ADDRESS.match(told[name]):
                self.faults.append(f"<{tag} {name}={told[name][:40]!r}>: a mail has no folder or site of its own")

    def handle_endtag(self, _tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)


def _inline(tag: str, style: str) -> Iterator[str]:
    known = (CELLS if tag in {"td", "th"} or "mso-padding-alt" in style else PLAIN) | HARMLESS
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        name, _, value = declaration.partition(":")
        if name.strip() not in known:
            yield f"<{tag} style={name.strip()!r}>: not understood everywhere"
        if VALUE.search(value):
            yield f"<{tag} style={declaration!r}>: a value that is not understood everywhere"


def faults(page: str) -> list[str]:
    """What some mail program would not show as it is meant."""
    reader = _Reader()
    reader.feed(page)
    found = reader.faults
    if (size := len(page.encode())) > MOST_BYTES:
        found.append(f"{size:,} bytes: Gmail cuts it")
    if len(reader.styles) > 1 or any(len(style) > MOST_STYLE for style in reader.styles):
        found.append("more style than one block that Gmail reads")
    if any(sign in style for style in reader.styles for sign in ("@import", "@font-face", "url(")):
        found.append("the style block loads something")
    if not reader.lang:
        found.append("<html>: without lang")
    if not any(meta.get("charset") for meta in reader.metas):
        found.append("<head>: without charset")
    if not any(meta.get("name") == "color-scheme" for meta in reader.metas):
        found.append("<head>: dark mode is not declared")
    return list(dict.fromkeys(found))
