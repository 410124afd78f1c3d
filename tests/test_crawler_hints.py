"""What is said of selectors and paths that find nothing, or something else than they should."""

from typing import Any

import pytest
from crawler_factories import URL, make_connector, make_page

from crawler.hints import hints

PAGE = """<html><body>
<ul class="menu"><li class="entry"><a href="/a">a</a></li><li class="entry"><a href="/b">b</a></li></ul>
<div id="reviews"><article class="review big"><p class="body">漏水</p>
<b class="stars">Two</b><i class="when">前不久</i></article>
<article class="review"><p class="body">不错</p><b class="stars">Five</b></article></div>
<a class="next" href="?page=2">n</a>
</body></html>"""
JSON = '{"data": {"list": [{"id": 1, "body": "漏水", "user": {"nick": "小雨"}, "score": "差"}]}, "msg": "ok"}'


def of_html(filled: dict[str, int] | None = None, **options: Any) -> list[str]:
    given = {"start": [URL], "item": "article.review", "fields": {"text": ".body"}, **options}
    return list(hints(make_connector("html", given), make_page(PAGE), filled or {}))


def of_json(text: str = JSON, **options: Any) -> list[str]:
    given = {"urls": [URL], "items": "data.list", "fields": {"text": "body"}, **options}
    return list(hints(make_connector("json", given), make_page(text), {"text": 1}))


def test_an_item_selector_that_matches_nothing() -> None:
    """The nearest names of the page, with how often they are there."""
    (hint,) = of_html(item="article.reveiw")
    assert "article.reveiw" in hint
    assert "一处也没有匹配" in hint
    assert ".review（2 处）" in hint


def test_a_name_like_no_other() -> None:
    """Then those that look like reviews; where none does, those that are there more than once."""
    assert ".review（2 处）" in of_html(item=".xyzzy")[0]
    bare = make_page("<div class=aa></div><div class=aa></div>")
    (hint,) = hints(make_connector("html", {"start": [URL], "item": ".q", "fields": {"text": "p"}}), bare, {})
    assert ".aa（2 处）" in hint
    (hint,) = hints(
        make_connector("html", {"start": [URL], "item": "p", "fields": {"text": "p"}}), make_page("<b>"), {}
    )
    assert hint.endswith("一处也没有匹配")


def test_a_list_page_names_a_page_to_try() -> None:
    """Links that are followed lead to the items; none at all is a mistake of its own."""
    assert any(
        "http://shop.example/a" in hint and "--url" in hint for hint in of_html(item=".none", follow=[".menu a"])
    )
    assert any("也没有找到链接" in hint for hint in of_html(item=".none", follow=[".nowhere"]))


def test_a_field_that_finds_nothing() -> None:
    """The nearest names inside the items, not elsewhere on the page."""
    (hint,) = of_html({"text": 2}, fields={"text": ".body", "stars": ".star"})
    assert "fields.stars = '.star' 在 2 个条目里都没有内容" in hint
    assert ".stars（2 处）" in hint
    assert "entry" not in hint
    (hint,) = of_html({"text": 2}, fields={"text": ".body", "author": ["@data-author", "@title"]})
    assert hint.endswith("都没有内容")


def test_a_field_that_finds_the_wrong_thing() -> None:
    """It is shown, so that one sees what to name instead."""
    said = of_html({"text": 2}, fields={"text": ".body", "stars": ".stars", "time": ".when"})
    assert [hint.partition(" 取到的是 ")[0::2] for hint in said] == [
        ("fields.stars", "'Two'，读不出这个字段要的内容"),
        ("fields.time", "'前不久'，读不出这个字段要的内容"),
    ]


def test_nothing_is_said_of_what_is_well() -> None:
    """Nor of kinds that have no selectors."""
    assert of_html({"text": 2}) == []
    assert list(hints(make_connector("feed", {"urls": [URL]}), make_page("<rss/>"), {})) == []


def test_json_paths() -> None:
    """The keys that are there, inner ones too; what was found instead; an empty list; nothing to add to an error."""
    (hint,) = of_json(fields={"text": "body", "author": "nick"})
    assert "fields.author = 'nick'" in hint
    assert "id、body、user.nick、score" in hint
    assert of_json(fields={"text": "body", "stars": "score"}) == ["fields.stars 取到的是 '差'，读不出这个字段要的内容"]
    assert of_json('{"data": {"list": []}}') == ["items 路径 'data.list' 处的列表是空的"]
    assert of_json("{}") == of_json("<html>") == of_json() == []


@pytest.mark.parametrize(
    "text", ["<p class=>", "<" * 5000, "<div class='" + "x " * 5000 + "'>", "<a href='http://[x'>"]
)
def test_rubbish_is_borne(text: str) -> None:
    """Whatever stands on a page, there is an answer, and soon."""
    connector = make_connector("html", {"start": [URL], "item": ".review", "follow": ["a"], "fields": {"text": "p"}})
    assert len(list(hints(connector, make_page(f"<html>{text}"), {}))) >= 1
