"""Reading pages by CSS selectors."""

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

from crawler.bases.base import absolute
from crawler.bases.fields import MARKUP
from crawler.parsing import plain_text

if TYPE_CHECKING:
    from parsel import Selector, SelectorList
    from scrapy.http import TextResponse

_ATTRIBUTE = re.compile(r"(.*)@([A-Za-z_][\w:.-]*)", re.DOTALL)
_LINK = "descendant-or-self::*[@href][1]/@href"
ON_PAGE = frozenset({"product", "parent"})  # what a whole page is about, and stands on it once


def split_field(field: str) -> tuple[str, str]:
    """``"css@attr"`` as CSS and attribute; either may be empty."""
    found = _ATTRIBUTE.fullmatch(field.strip())
    return (found[1].strip(), found[2]) if found else (field.strip(), "")


def first(node: "Selector | TextResponse", field: str) -> str | None:
    """The first match of a field as HTML; None where nothing matches."""
    css, attribute = split_field(field)
    matches = node.css(css) if css else node.xpath(".")
    if not matches:
        return None
    if isinstance(matches[0].root, str):  # "p::text"
        return escape(matches[0].root)
    if attribute:
        return escape(matches[0].attrib.get(attribute, ""))
    return str(matches[0].get())


def read_fields(item: "Selector", page: "TextResponse", fields: Mapping[str, str]) -> dict[str, object]:
    """Raw values of one item; ``product`` and ``parent`` are looked for on the whole page if not inside it."""
    raw: dict[str, object] = {}
    for name, field in fields.items():
        value = first(item, field)
        if value is None and name in ON_PAGE:
            value = first(page, field)
        raw[name] = value if value is None or name in MARKUP else plain_text(value)
    return raw


def links(page: "TextResponse", selectors: list[str]) -> Iterator[str]:
    """Absolute http addresses of the elements matched, or of the first link inside each."""
    for css in selectors:
        matches: SelectorList[Selector] = page.css(css)
        for match in matches:
            href = match.root if isinstance(match.root, str) else match.xpath(_LINK).get()  # "a::attr(href)" too
            if url := absolute(page, href):
                yield url
