"""kind = "html": selectors, links, what stands where on a page."""

import pytest
from crawler_factories import FIXTURES, URL, make_connector, make_page, read_items
from pydantic import ValidationError

from crawler.bases.base import Fetch
from crawler.bases.html_pages import split_field
from crawler.items import BadRow
from crawler.spiders.html import Options

OPTIONS = {
    "start": [URL],
    "follow": ["article h3 a", "li.next", "nav a::attr(href)"],
    "item": "article.review",
    "fields": {
        "text": "p.body",
        "title": "h3",
        "author": ".author",
        "stars": "p.star@class",
        "time": ".when",
        "id": "@id",
        "product": "h1",
        "reply": ".reply",
        "url": "a.more@href",
    },
    "stars": {"One": 1, "Two": 2, "Three": 3, "Four": 4, "Five": 5},
}


def test_a_saved_page() -> None:
    """Every review of the page with every field, the first match of each."""
    page = make_page((FIXTURES / "product.html").read_text(encoding="utf-8"))
    first, second, third = read_items(make_connector("html", OPTIONS), page)
    assert (first.external_id, first.stars, first.author, first.title) == ("r1", 1, "李**明", "漏水")
    assert first.text == "盖子漏水，<script>不是</script>我拧的\n第二天就坏了 & 没人理"
    assert first.created_at is not None
    assert first.created_at.isoformat() == "2026-11-01T08:03:00+08:00"
    assert (first.reply, first.product, first.url) == ("您好，已为您补发", "示例保温杯", "http://shop.example/r/1")
    assert (second.reply, second.stars, second.url) == ("", None, URL)
    assert second.product == "示例保温杯"
    assert (third.text, third.stars) == ("", 5)


def test_what_is_empty_is_told() -> None:
    """An element that matches but says nothing is a bad row."""
    (bad,) = make_connector("html", OPTIONS).read(make_page("<article class=review id=x></article>"), Fetch(URL))
    assert isinstance(bad, BadRow)
    assert bad.where == URL


def test_links() -> None:
    """Absolute addresses of links, of what holds a link, and of attributes; nothing but http."""
    html = (
        "<article><h3><a href='/p/2'>x</a></h3></article><li class=next><a href='?page=2'>n</a></li>"
        "<a href='/no'>no</a>"
        "<nav><a href='/p/3'>x</a><a href='javascript:void(0)'>x</a>"
        "<a href='mailto:a@b.example'>x</a><a href='http://[x'>x</a><a href='http://a:99999/'>x</a></nav>"
        "<li class=next></li>"
    )
    found = list(make_connector("html", OPTIONS).read(make_page(html), Fetch(URL)))
    assert [one.url for one in found if isinstance(one, Fetch)] == [
        "http://shop.example/p/2",
        "http://shop.example/p/1?page=2",
        "http://shop.example/p/3",
    ]
    assert all(isinstance(one, Fetch) and one.link for one in found)


def test_ids_without_an_id_field_survive_a_longer_list() -> None:
    """A review keeps its derived id when newer ones push it on to the next page."""
    options = {**OPTIONS, "fields": {"text": "p.body", "author": ".author", "time": ".when"}}
    html = "<article class=review><p class=body>漏</p><i class=author>t**</i><i class=when>11月1日 8:03</i></article>"
    connector = make_connector("html", options)
    (before,) = read_items(connector, make_page(html, "http://shop.example/p/1"))
    (after,) = read_items(connector, make_page(html, "http://shop.example/p/1?page=2"))
    (other,) = read_items(connector, make_page(html, "http://shop.example/p/2"))
    assert before.external_id == after.external_id != other.external_id


@pytest.mark.parametrize(
    ("field", "split"),
    [
        ("p.body", ("p.body", "")),
        ("@id", ("", "id")),
        ("a.x@data-id", ("a.x", "data-id")),
        ('a[href*="@"]', ('a[href*="@"]', "")),
        ("", ("", "")),
        ("svg@xlink:href", ("svg", "xlink:href")),
    ],
)
def test_fields(field: str, split: tuple[str, str]) -> None:
    """CSS and attribute are told apart by the last @ before a name."""
    assert split_field(field) == split


def test_a_field_may_be_the_item_itself() -> None:
    """An empty selector takes the item's own text."""
    options = {**OPTIONS, "item": "li", "fields": {"text": ""}}
    assert [item.text for item in read_items(make_connector("html", options), make_page("<li>好<b>评</b></li>"))] == [
        "好评"
    ]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"start": []}, "start"),
        ({"start": ["ftp://x.example"]}, "start"),
        ({"start": ["http://"]}, "start"),
        ({"start": ["http://[x"]}, "start"),
        ({"item": "div["}, "item"),
        ({"follow": ["a>>b"]}, "follow"),
        ({"fields": {"text": "p["}}, "fields"),
        ({"fields": {"author": "p"}}, "fields"),
        ({"fields": {"texts": "p"}}, "fields"),
        ({"stars": {"Six": 6}}, "stars"),
        ({"itme": "x"}, "itme"),
    ],
)
def test_wrong_options_name_the_key(change: dict[str, object], where: str) -> None:
    """A selector that is none, an address that is none, a key that is none."""
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({**OPTIONS, **change})
    assert caught.value.errors()[0]["loc"][0] == where
