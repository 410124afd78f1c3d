"""Entries of RSS, Atom and JSON Feed as raw fields."""

import io
import re
from collections.abc import Iterator
from typing import Any

from crawler.bases.base import SourceError
from crawler.bases.json_pages import load

_END = re.compile(r"</(?:rss|feed|rdf:rdf)\s*>", re.IGNORECASE)
_TAIL = 500  # characters at the end in which a feed is closed
_REFERENCE = re.compile(r"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?")
_DIGITS, _CHARACTERS = 8, 0x110000  # feedparser fails at the number of a character that there is not


def entries(text: str) -> Iterator[dict[str, object]]:
    """Raw fields of each entry, see ``crawler.bases.fields``.

    Raises:
        SourceError: It is no feed, or it breaks off before the first entry.
    """
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        yield from _json_feed(load(text))
    else:
        yield from _xml_feed(text)


def _xml_feed(text: str) -> Iterator[dict[str, object]]:
    import feedparser

    # As bytes: what feedparser is given as text it may take for an address and open.
    body = io.BytesIO(_REFERENCE.sub(_possible, text).encode("utf-8", "replace"))
    feed = feedparser.parse(body, response_headers={"content-type": "application/xml; charset=utf-8"})
    if not feed.entries and (feed.bozo or not feed.version):
        raise SourceError(f"不是完整的 RSS 或 Atom：开头是 {text.strip()[:60]!r}")
    cut = bool(feed.bozo) and not _END.search(text[-_TAIL:])
    for entry in feed.entries[: -1 if cut else None]:
        content = next((part.value for part in entry.get("content", ()) if part.get("value")), "")
        yield {
            "id": entry.get("id") or entry.get("link"),
            "text": content or entry.get("summary", ""),
            "title": entry.get("title", ""),
            "author": entry.get("author", ""),
            "time": entry.get("published") or entry.get("updated"),
            "url": entry.get("link", ""),
            "stars": entry.get("im_rating"),
            "comments": entry.get("slash_comments"),
        }
    if cut:
        raise SourceError("订阅源没有传完，只读了前面完整的条目")


def _possible(found: re.Match[str]) -> str:
    number = int(found[1][:_DIGITS], 16) if found[1] else int(found[2][:_DIGITS])
    return found[0] if number < _CHARACTERS and not 0xD800 <= number < 0xE000 else "\ufffd"  # noqa: PLR2004 — surrogates


def _json_feed(feed: Any) -> Iterator[dict[str, object]]:
    if not isinstance(feed, dict) or not isinstance(feed.get("items"), list):
        raise SourceError("不是 JSON Feed：没有 items 列表")
    for entry in feed["items"]:
        if not isinstance(entry, dict):
            continue
        authors = entry.get("authors") or [entry.get("author")]
        author = authors[0] if isinstance(authors, list) and authors else None
        yield {
            "id": entry.get("id") or entry.get("url"),
            "text": entry.get("content_text") or entry.get("content_html") or entry.get("summary"),
            "title": entry.get("title"),
            "author": author.get("name") if isinstance(author, dict) else None,
            "time": entry.get("date_published") or entry.get("date_modified"),
            "url": entry.get("url"),
        }
