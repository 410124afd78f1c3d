"""Ready keys for forums, and what they are made of: alternatives, what a page says once, what is left out."""

from typing import Any

import pytest
from crawler_factories import URL, make_connector, make_page, read_items
from pydantic import ValidationError

from crawler.bases import presets
from crawler.bases.json_pages import filled
from crawler.connectors import load

PLAIN = {"start": [URL], "item": "li", "fields": {"text": "p"}}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ("html", "json") for name in presets.names(kind)])
def test_every_preset_is_complete(kind: str, name: str) -> None:
    """With an address it is a whole source, and its text, author and time are read."""
    address = {"start" if kind == "html" else "urls": [URL]}
    options = load(kind).Options.model_validate({"preset": name, **address})
    assert options.fields.keys() >= {"text", "author", "time"}  # type: ignore[attr-defined]


def test_the_forums_there_are() -> None:
    """Discuz, Discourse and NodeBB as pages; the two that have one by their interface too."""
    assert presets.names("html") == ["discourse", "discuz", "nodebb"]
    assert presets.names("json") == ["discourse", "nodebb"]
    assert presets.names("feed") == []


def test_every_key_can_be_written_over() -> None:
    """A key replaces the preset's, a table only the fields it names."""
    given = {"preset": "discuz", "start": [URL], "follow": ["a.mine"], "item": "div", "fields": {"author": ".me"}}
    options: Any = load("html").Options.model_validate(given)
    assert (options.follow, options.item, options.fields["author"]) == (["a.mine"], "div", [".me"])
    assert options.fields["id"] == ["@id"]


@pytest.mark.parametrize("kind", ["html", "json"])
def test_an_unknown_preset_is_told_with_those_there_are(kind: str) -> None:
    """As is a kind that has no such preset."""
    with pytest.raises(ValidationError, match=r"discourse、(discuz、)?nodebb"):
        load(kind).Options.model_validate({"preset": "phpbb"})


def test_the_first_choice_that_says_anything_counts() -> None:
    """An attribute that is not there, or empty, gives way to the next."""
    fields = {"text": "p", "time": ["i@title", "i", "b"]}
    html = (
        "<li><p>一</p><i title='2026-11-20 08:00'>2 天前</i></li><li><p>二</p><i title=''>2026-11-19 07:00</i></li>"
        "<li><p>三</p><b>2026-11-18 06:00</b></li><li><p>四</p></li>"
    )
    found = read_items(make_connector("html", {**PLAIN, "fields": fields}), make_page(html))
    assert [item.created_at and item.created_at.isoformat()[:13] for item in found] == [
        "2026-11-20T08",
        "2026-11-19T07",
        "2026-11-18T06",
        None,
    ]


def test_what_the_page_says_once() -> None:
    """An item's own word comes first; one that says nothing does not live on the page's title."""
    options = {**PLAIN, "fields": {"text": "p", "title": "h3"}, "page_fields": {"title": "h1", "thread": "link@href"}}
    html = (
        "<html><head><link href='/t/9'></head><h1>主题</h1><ul><li><p>一</p></li><li><p>二</p><h3>自己的</h3></li>"
        "<li><p> </p></li></ul></html>"
    )
    outputs = list(read_items(make_connector("html", options), make_page(html)))
    assert [(item.text, item.title, item.extra["thread"]) for item in outputs] == [
        ("一", "主题", "http://shop.example/t/9"),
        ("二", "自己的", "http://shop.example/t/9"),
    ]


def test_what_is_left_out_of_a_page() -> None:
    """Quotes and signatures go, the text behind them stays; links in them are still followed."""
    options = {**PLAIN, "drop": ["blockquote", "blockquote b", ".sign"], "follow": ["a"]}
    html = "<li><p>我<blockquote>别人<b>说</b><a href='/2'>x</a></blockquote>后面<span class=sign>签名</span></p></li>"
    page = make_page(f"<ul>{html.replace('<p>', '<div>').replace('</p>', '</div>')}</ul>")
    connector = make_connector("html", {**options, "fields": {"text": "div"}})
    outputs = list(connector.read(page, next(iter(connector.start()))))  # type: ignore[arg-type]
    assert [getattr(one, "text", getattr(one, "url", "")) for one in outputs] == ["我后面", "http://shop.example/2"]


def test_what_is_left_out_is_no_item_and_may_stand_before_a_control_character() -> None:
    """An advertisement that is marked up as a post goes; lxml itself takes nothing away before such a character."""
    connector = make_connector("html", {**PLAIN, "drop": [".ad", "q"]})
    page = make_page("<ul><li class=ad><p>广告</p></li><li><p>漏<q>别人说</q>水\x0b了</p></li></ul>")
    outputs = list(read_items(connector, page))
    assert [item.text for item in outputs] == ["漏水 了"]


@pytest.mark.parametrize("change", [{"drop": ["p::text"]}, {"fields": {"text": []}}, {"fields": {"text": ["p", "p["]}}])
def test_mistakes_are_told(change: dict[str, Any]) -> None:
    """Only elements can be dropped; a field needs a selector, and each must be one."""
    with pytest.raises(ValidationError, match=next(iter(change))):
        make_connector("html", {**PLAIN, **change})


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("/post/{pid}", "/post/35"),
        ("/t/{topic.id}/{n}", "/t/a%2Fb/2"),
        ("/fixed", "/fixed"),
        ("/post/{gone}", ""),
        ("/post/{topic}", ""),
        ("", ""),
    ],
)
def test_an_address_is_made_of_what_the_item_holds(template: str, address: str) -> None:
    """Values are escaped; where one is missing or no value there is no address."""
    assert filled(template, {"pid": 35, "n": "2", "topic": {"id": "a/b"}}) == address
