"""Entries of RSS, Atom and JSON Feed as raw fields."""

import io
from collections.abc import Iterator
from typing import Any

from crawler.bases.base import SourceError
from crawler.bases.json_pages import load


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
    feed = feedparser.parse(
        io.BytesIO(text.encode("utf-8", "replace")), response_headers={"content-type": "application/xml; charset=utf-8"}
    )
    if not feed.entries and (feed.bozo or not feed.version):
        raise SourceError(f"不是 RSS 或 Atom：开头是 {text.strip()[:60]!r}")
    for entry in feed.entries:
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
    if feed.bozo and _cut_off(text):
        raise SourceError("订阅源没有传完，只读到前面的条目")


def _cut_off(text: str) -> bool:
    return not text.rstrip().lower().endswith((">",)) or not any(
        end in text[-200:].lower() for end in ("</rss>", "</feed>", "</rdf:rdf>")
    )


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
