"""Reading pages by CSS selectors."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from crawler.bases.addresses import absolute
from crawler.bases.fields import MARKUP
from crawler.parsing import plain_text

if TYPE_CHECKING:
    from parsel import Selector, SelectorList
    from scrapy.http import TextResponse

_ATTRIBUTE = re.compile(r"(.*)@([A-Za-z_][\w:.-]*)", re.DOTALL)
_LINK = "descendant-or-self::*[@href][1]/@href"
_SAYS = ("text", "stars", "followup", "deleted")
_LINKED = frozenset({"thread", "parent", "repost"})  # an id, or an address
ON_PAGE = frozenset({"product", "parent"})  # what a whole page is about, and stands on it once


def is_html(page: "TextResponse") -> bool:
    """Whether selectors mean anything on a page."""
    from scrapy.http import HtmlResponse

    return isinstance(page, HtmlResponse)


def split_field(field: str) -> tuple[str, str]:
    """``"css@attr"`` as CSS and attribute; either may be empty."""
    found = _ATTRIBUTE.fullmatch(field.strip())
    return (found[1].strip(), found[2]) if found else (field.strip(), "")


def first(node: "Selector | TextResponse", choices: Sequence[str]) -> str | None:
    """The first choice that says anything, its first match as HTML; None where none matches."""
    said = None
    for field in choices:
        found = _match(node, field)
        if found:
            return found
        said = found if said is None else said
    return said


def _match(node: "Selector | TextResponse", field: str) -> str | None:
    css, attribute = split_field(field)
    selector: Any = getattr(node, "selector", node)  # a page has one
    matches = _compiled(css)(selector.root) if css else [selector.root]
    if not matches:
        return None
    found = matches[0]
    if isinstance(found, str):  # "p::text"
        return escape(found)
    if attribute:
        return escape(found.get(attribute, ""))
    return _markup(found)


@lru_cache(maxsize=1000)
def _compiled(css: str) -> "Callable[[Any], list[Any]]":
    """A selector as lxml has it: a third of the time that parsel takes to make a Selector of every match."""
    from lxml.etree import XPath  # type: ignore[import-untyped]  # it has none
    from parsel.csstranslator import css2xpath

    evaluate: Callable[[Any], list[Any]] = XPath(css2xpath(css), smart_strings=False)
    return evaluate


def _markup(element: Any) -> str:
    from lxml.etree import tostring

    return str(tostring(element, method="html", encoding="unicode", with_tail=False))


def read_fields(item: "Selector", fields: Mapping[str, Sequence[str]], around: Mapping[str, str]) -> dict[str, object]:
    """Raw values of one item.

    Args:
        item: The element.
        fields: Selectors by field, in order of preference.
        around: What the page says for all its items, see ``read_page``; an item's own word comes first, and one that
            says nothing does not get the page's title to say.
    """
    raw: dict[str, object] = {}
    for name, choices in fields.items():
        value = first(item, choices)
        raw[name] = value if value is None or name in MARKUP else plain_text(value)
    missing = {name: value for name, value in around.items() if not raw.get(name)}
    if "title" in missing and not any(plain_text(str(raw.get(name) or "")) for name in _SAYS):
        del missing["title"]
    return raw | missing


def read_page(
    page: "TextResponse", fields: Mapping[str, Sequence[str]], page_fields: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """What stands on a page once and is true of each item, as raw values.

    Args:
        page: The page.
        fields: The items' own; ``product`` and ``parent`` are looked for on the whole page too.
        page_fields: What is looked for on the whole page.
    """
    wanted = {name: choices for name, choices in fields.items() if name in ON_PAGE} | dict(page_fields)
    found = {name: first(page, choices) for name, choices in wanted.items()}
    return {name: value if name in MARKUP else plain_text(value) for name, value in found.items() if value}


def linked(page: "TextResponse", raw: Mapping[str, object]) -> dict[str, str]:
    """What other post an item belongs to, answers or passes on: addresses made absolute, ids as they are."""
    told = {name: str(raw[name]) for name in _LINKED & raw.keys() if raw[name]}
    return {name: absolute(page, value) if "/" in value else value for name, value in told.items()}


def links(page: "TextResponse", selectors: list[str]) -> Iterator[str]:
    """Absolute http addresses of the elements matched, or of the first link inside each."""
    for css in selectors:
        matches: SelectorList[Selector] = page.css(css)
        for match in matches:
            href = match.root if isinstance(match.root, str) else match.xpath(_LINK).get()  # "a::attr(href)" too
            if url := absolute(page, href):
                yield url
