"""What is likely wrong with a source's selectors or paths, told from one of its pages, in Chinese."""

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crawler.bases.base import Connector, SourceError
from crawler.bases.html_pages import first, is_html, links, split_field
from crawler.bases.json_pages import MISSING, dig, items_at, load
from crawler.parsing import plain_text
from crawler.spiders.html import HtmlConnector
from crawler.spiders.json import JsonConnector

if TYPE_CHECKING:
    from parsel import Selector, SelectorList
    from scrapy.http import TextResponse

_NAME = re.compile(r"[.#]([\w-]+)")
_ITEM_LIKE = re.compile(r"review|comment|post|feedback|reply|rate|item|card|entry|pinglun|pingjia", re.IGNORECASE)
_CLOSE = 0.6  # how like a name must be to be meant
_SHOWN = 40  # characters of a value
_NAMED = 5  # names or keys in one hint
_KEPT_AS = {"id": "external_id", "time": "created_at", "order": "order_ref"}  # field → what the item calls it


def hints(connector: Connector[Any], page: "TextResponse", filled: Mapping[str, int]) -> Iterator[str]:
    """Likely mistakes, the first the most likely.

    Args:
        connector: With its options.
        page: What it read.
        filled: How many items have each of ``FeedbackItem``'s attributes.
    """
    if isinstance(connector, HtmlConnector):
        yield from _html(connector, page, filled)
    elif isinstance(connector, JsonConnector):
        yield from _json(connector, page, filled)


def _html(connector: HtmlConnector, page: "TextResponse", filled: Mapping[str, int]) -> Iterator[str]:
    options = connector.options
    if not is_html(page):
        return  # the error itself says so
    items = page.css(options.item)
    if not items:
        yield f"item = {options.item!r} 在这一页一处也没有匹配{_meant(options.item, page.css('[class], [id]'))}"
        onward = list(dict.fromkeys(links(page, options.follow)))
        if onward:
            yield f"这一页像是列表：follow 找到 {len(onward)} 个链接，可用 --url 试其中一页，如 {onward[0]}"
        elif options.follow:
            yield f"follow = {options.follow!r} 也没有找到链接"
        return
    for name, choices in options.fields.items():
        if not filled.get(_KEPT_AS.get(name, name)):
            yield _why_empty(name, choices, items)


def _why_empty(name: str, choices: Sequence[str], items: "SelectorList[Selector]") -> str:
    said = next((value for item in items if (value := first(item, choices))), None)
    if said is not None:
        return f"fields.{name} 取到的是 {plain_text(said)[:_SHOWN]!r}，读不出这个字段要的内容"
    shown = choices[0] if len(choices) == 1 else list(choices)
    css = next((found for field in choices if (found := split_field(field)[0])), "")
    inside = items.css("[class], [id]")
    return f"fields.{name} = {shown!r} 在 {len(items)} 个条目里都没有内容{_meant(css, inside) if css else ''}"


def _meant(css: str, elements: "SelectorList[Selector]") -> str:
    """The names nearest to those of a selector; where none is near, those that look like reviews."""
    there: Counter[str] = Counter()
    for element in elements:
        there.update(f".{name}" for name in set(element.root.get("class", "").split()))
        if (own := element.root.get("id")) is not None:  # parsel's attrib fails where one attribute has an odd name
            there[f"#{own}"] += 1
    wanted = [name for name in _NAME.findall(css) if not {f".{name}", f"#{name}"} & there.keys()]
    bare = {name[1:]: name for name in reversed(there)}
    near = [bare[close] for name in wanted for close in difflib.get_close_matches(name, bare, _NAMED, _CLOSE)]
    if not near:
        near = [name for name, count in there.most_common() if count > 1 and _ITEM_LIKE.search(name)]
        near = near or [name for name, count in there.most_common(_NAMED) if count > 1]
    shown = "、".join(f"{name}（{there[name]} 处）" for name in list(dict.fromkeys(near))[:_NAMED])
    return f"；这里有的是 {shown}" if shown else ""


def _json(connector: JsonConnector, page: "TextResponse", filled: Mapping[str, int]) -> Iterator[str]:
    options = connector.options
    try:
        entries = items_at(load(page.text), options.items, {str(name): path for name, path in options.fields.items()})
    except SourceError:
        return  # the error itself says what is there
    if not entries:
        yield f"items 路径 {options.items!r} 处的列表是空的"
        return
    for name, path in options.fields.items():
        if filled.get(_KEPT_AS.get(name, name)):
            continue
        found = next((value for entry in entries if (value := dig(entry, path)) not in (MISSING, None, "")), None)
        if found is None:
            yield f"fields.{name} = {path!r} 在 {len(entries)} 个条目里都没有内容；条目里有的键是 {_paths(entries[0])}"
        else:
            yield f"fields.{name} 取到的是 {str(found)[:_SHOWN]!r}，读不出这个字段要的内容"


def _paths(entry: Mapping[str, Any]) -> str:
    """The item's keys, and those of objects in it."""
    paths: list[str] = []
    for key, value in entry.items():
        paths += [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
    return "、".join(paths[: 4 * _NAMED])
