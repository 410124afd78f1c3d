"""What mentions need of a crawl: what is no mention is left out, known posts are looked at again, links are whole."""

from typing import Any

import pytest
from crawler_factories import make_connector, make_page, make_spider, read_items
from pydantic import ValidationError

from crawler.bases.base import Fetch
from crawler.items import FeedbackItem
from monitor.settings import Source

URL = "http://forum.example/latest"
FIELDS = {"text": "p", "id": "@id", "author": "b", "parent": "a.up@href", "repost": "i"}
OPTIONS: dict[str, Any] = {"start": [URL], "item": "li", "fields": FIELDS, "page_fields": {"thread": "h1 a@href"}}


async def asked(options: dict[str, Any], *known: str, kind: str = "html") -> list[str]:
    spider = make_spider(kind, options, recount=[{"id": "7", "url": url, "thread": "3"} for url in known])
    return [request.url async for request in spider.start()]


async def test_known_posts_are_looked_at_again() -> None:
    """After the connector's own pages, each once and on the same site only."""
    again = ["http://forum.example/t/1", "http://forum.example/t/1", URL, "http://other.example/t/2"]
    assert await asked(OPTIONS, *again) == [URL, "http://forum.example/t/1"]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("html", {**OPTIONS, "fields": {"text": "p", "url": "a@href"}}),
        ("feed", {"urls": [URL]}),
    ],
)
async def test_posts_that_would_not_be_known_again_are_not(kind: str, options: dict[str, Any]) -> None:
    """Where another page would derive another id, or the address is no page of this kind."""
    assert await asked(options, "http://forum.example/t/1", kind=kind) == [URL]


def test_thread_parent_and_repost() -> None:
    """Addresses are whole, ids stay as they are; the thread stands on the page once."""
    page = make_page(
        "<h1><a href='/t/1'>x</a></h1><li id=7><p>漏水</p><a class=up href='/t/1#3'>y</a><i>42</i></li>", URL
    )
    (item,) = read_items(make_connector("html", OPTIONS), page)
    told = {"thread": "http://forum.example/t/1", "parent": "http://forum.example/t/1#3", "repost": "42"}
    assert item.extra == told


async def test_a_crawl_counts_what_was_filled() -> None:
    """Of all items, those of other brands too, so that a page's shape is judged by the whole page."""
    spider = make_spider("html", OPTIONS, brand=["晨星"], brand_not=["晨星号"])
    [_ async for _ in spider.start()]
    posts = "<li id=1><p>晨星漏水</p><b>张</b></li><li id=2><p>晨星号升空</p></li><li id=3></li>"
    found = list(spider.page(make_page(posts, URL), Fetch(URL)))
    assert [one.external_id for one in found if isinstance(one, FeedbackItem)] == ["1"]
    assert spider.ledger.fills == {"items": 2, "id": 2, "text": 2, "author": 1}


def test_exclusions_need_a_brand() -> None:
    """For a shop's reviews they would mean nothing."""
    with pytest.raises(ValidationError, match="brand_not 要和 brand 一起写"):
        Source(name="x", kind="html", shop="demo", brand_not=["晨星号"])
