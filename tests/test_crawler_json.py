"""kind = "json": paths, paging, JSONP, errors that come with HTTP 200."""

import json
from typing import Any

import pytest
from crawler_factories import make_connector, make_page
from pydantic import ValidationError

from crawler.bases.base import Fetch, SourceError
from crawler.bases.json_pages import MISSING, dig, load
from crawler.items import BadRow, FeedbackItem
from crawler.spiders.json import Options

URL = "http://api.example/comments?sku=1"
OPTIONS: dict[str, Any] = {
    "urls": [URL],
    "items": "data.comments",
    "fields": {
        "id": "id",
        "text": "content",
        "stars": "score",
        "time": "createdAt",
        "author": "user.nick",
        "url": "link",
    },
}


def answer(*comments: Any) -> str:
    return json.dumps({"data": {"comments": list(comments)}}, ensure_ascii=False)


def comment(number: int) -> dict[str, Any]:
    return {"id": number, "content": f"第{number}条", "score": 4.5, "createdAt": 1793491380000, "user": {"nick": "t**"}}


def read(text: str, options: dict[str, Any] | None = None) -> list[FeedbackItem | BadRow]:
    connector = make_connector("json", {**OPTIONS, **(options or {})})
    (fetch,) = connector.start()
    found = list(connector.read(make_page(text, URL), fetch))
    return [one for one in found if isinstance(one, (FeedbackItem, BadRow))]


def pages(options: dict[str, Any], answers: list[str]) -> tuple[list[str], list[str]]:
    """Addresses asked for and ids found, following the paging by hand."""
    connector = make_connector("json", {**OPTIONS, **options})
    queue = list(connector.start())
    asked, ids = [], []
    while queue:
        fetch = queue.pop(0)
        asked.append(fetch.url.partition("?")[2])
        for one in connector.read(make_page(answers[min(len(asked), len(answers)) - 1], fetch.url), fetch):
            if isinstance(one, Fetch):
                queue.append(one)
            elif isinstance(one, FeedbackItem):
                ids.append(one.external_id)
    return asked, ids


def test_answers_inside_items_are_items() -> None:
    """A thread that nests its replies is read whole, in its order; without the key only the first level is."""
    deep = comment(1) | {"replies": [comment(2) | {"replies": [comment(3)]}, comment(4) | {"replies": None}, "?"]}
    thread = answer(deep, comment(5))
    found = read(thread, {"children": "replies"})
    assert [one.external_id for one in found if isinstance(one, FeedbackItem)] == ["1", "2", "3", "4", "5"]
    assert len(read(thread)) == 2


def test_fields_by_path() -> None:
    """Nested values, milliseconds, half stars, an address made absolute; a missing or odd value is none."""
    first, second = read(
        answer({**comment(1), "link": "/c/1"}, {"id": 2, "content": "无星", "score": None, "user": [], "link": {}})
    )
    assert isinstance(first, FeedbackItem)
    assert isinstance(second, FeedbackItem)
    assert (first.external_id, first.text, first.stars, first.author) == ("1", "第1条", 4.5, "t**")
    assert first.url == "http://api.example/c/1"
    assert first.created_at is not None
    assert first.created_at.isoformat() == "2026-11-01T00:03:00+00:00"
    assert (second.stars, second.author, second.url, second.created_at) == (None, "", "", None)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", 1), ("im:rating.label", "5"), ("x.y", "whole key"), ("x.y.z", MISSING),
        ("list.0.n", 7), ("list.-1.n", 8),
        ("list.5", MISSING), ("list.n", MISSING), ("a.b.c", MISSING), ("@id", 3), ("p.q.r", 4), ("", ...), ("$", ...),
    ],
)  # fmt: skip
def test_dig(path: str, found: object) -> None:
    """Keys with dots, colons and @, list indexes, and the body itself."""
    body = {
        "a": {"b": 1},
        "im:rating": {"label": "5"},
        "x.y": "whole key",
        "list": [{"n": 7}, {"n": 8}],
        "@id": 3,
        "p.q": {"r": 4},
    }
    assert dig(body, path) == (body if found is ... else found)


def test_the_body_itself_may_be_the_list() -> None:
    """Without items, or with "$"."""
    text = json.dumps([comment(1), comment(2)])
    assert len(read(text, {"items": "$"})) == 2
    connector = make_connector("json", {key: value for key, value in OPTIONS.items() if key != "items"})
    assert len(list(connector.read(make_page(text, URL), next(iter(connector.start()))))) == 2


def test_one_entry_instead_of_a_list() -> None:
    """An object where a list is expected is one item; so is the body."""
    assert [
        one.text for one in read(json.dumps({"data": {"comments": comment(1)}})) if isinstance(one, FeedbackItem)
    ] == ["第1条"]
    assert len(read(json.dumps(comment(1)), {"items": "$"})) == 1


def test_an_entry_that_is_none_is_told() -> None:
    """A feed's own description among its entries, or a bare string, is a bad row; the rest goes on."""
    kinds = [type(one) for one in read(answer({"id": 9, "name": "应用本身"}, "文字", comment(1)))]
    assert kinds == [BadRow, BadRow, FeedbackItem]


@pytest.mark.parametrize("wrap", ["cb({});", "/**/ jQuery12_3.cb({})", "\ufeff{}", ")]}}',\n{}", " callback ( {} ) ; "])
def test_jsonp_and_shields(wrap: str) -> None:
    """A callback around the answer, a byte order mark, a prefix against scripts."""
    assert len(read(wrap.format(answer(comment(1))))) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error_response": {"code": 27, "sub_msg": "会话无效"}}, "data.comments.*error_response.*会话无效"),
        ({"code": 500, "msg": "系统繁忙", "data": None}, "系统繁忙"),
        ({"msg": "登录已过期", "data": {"comments": []}}, "登录已过期"),
        ({"data": {"coments": []}}, "data.comments"),
        ({"data": {"comments": "none"}}, "应是列表"),
        ({"data": {"comments": {"total": 3}}}, "total"),
        ([], "list"),
        ("text", "str"),
    ],
)
def test_an_error_with_http_200_is_an_error(body: Any, words: str) -> None:
    """The message names the path, the keys that were there, and what the other side says."""
    with pytest.raises(SourceError, match=words):
        read(json.dumps(body, ensure_ascii=False))


def test_half_a_surrogate_pair_is_left_out() -> None:
    """No address and no file can hold it; whole pairs stay."""
    assert load(r'{"a\ud800": ["\uDFFFb", "\ud83d\ude00", NaN, 1e9]}')["a"][:2] == ["b", "😀"]


def test_an_error_where_the_body_should_be_the_list() -> None:
    """An object without a single one of the fields is no item."""
    with pytest.raises(SourceError, match="no such app"):
        read(json.dumps({"message": "no such app"}), {"items": "$"})


@pytest.mark.parametrize("text", ["", "<html>", answer(comment(1))[:-9], "cb({broken)", "[" * 100_000])
def test_what_is_no_json_is_an_error(text: str) -> None:
    """Half an answer gives nothing rather than something guessed."""
    with pytest.raises(SourceError, match="JSON"):
        read(text)


def test_null_and_empty_lists_are_no_error() -> None:
    """Success without comments is success."""
    assert read(json.dumps({"msg": "成功", "data": {"comments": None}})) == []
    assert read(answer()) == []


def test_paging_ends_at_an_empty_page() -> None:
    """Pages are counted from first, and the address keeps its other parameters."""
    asked, ids = pages(
        {"page": {"param": "page", "first": 1}}, [answer(comment(1), comment(2)), answer(comment(3)), answer()]
    )
    assert asked == ["sku=1&page=1", "sku=1&page=2", "sku=1&page=3"]
    assert ids == ["1", "2", "3"]


def test_paging_ends_at_a_page_that_repeats() -> None:
    """A server that gives its last page for ever is asked once more only, and that page is not counted again."""
    asked, ids = pages(
        {"page": {"param": "page", "first": 0}}, [answer(comment(1)), answer(comment(2)), answer(comment(2))]
    )
    assert asked == ["sku=1&page=0", "sku=1&page=1", "sku=1&page=2"]
    assert ids == ["1", "2"]


def test_a_list_pushed_down_between_two_pages_does_not_end_the_paging() -> None:
    """The last review of a page comes again as the first of the next; both are handed on, storing tells them apart."""
    answers = [answer(comment(1), comment(2)), answer(comment(2), comment(3)), answer()]
    assert pages({"page": {"param": "page"}}, answers) == (
        ["sku=1&page=1", "sku=1&page=2", "sku=1&page=3"],
        ["1", "2", "2", "3"],
    )


def test_pages_of_rubbish_end_too() -> None:
    """Entries that make no item are told apart by what they are."""
    assert pages({"page": {"param": "page"}}, [answer({"a": 1})]) == (["sku=1&page=1", "sku=1&page=2"], [])


def test_offsets_and_page_sizes() -> None:
    """Step and size for endpoints that count in rows; a parameter in the address is replaced."""
    paging = {"param": "offset", "first": 0, "step": 20, "size_param": "limit", "size": 20}
    options = {"page": paging, "urls": ["http://api.example/c?offset=7&a="]}
    assert pages(options, [answer(comment(1)), answer()])[0] == ["a=&offset=0&limit=20", "a=&offset=20&limit=20"]


@pytest.mark.parametrize(
    "change",
    [{"fields": {"author": "x"}}, {"fields": {"texts": "x"}}, {"urls": []}, {"page": {"parm": "p"}}, {"item": "x"}],
)
def test_wrong_options(change: dict[str, Any]) -> None:
    """Unknown keys and fields that say nothing are refused."""
    with pytest.raises(ValidationError):
        Options.model_validate({**OPTIONS, **change})
