"""crawler.spiders.appstore: the public RSS with its holes, and App Store Connect with its tokens."""

import json
from datetime import timedelta
from typing import Any

import pytest
from crawler_factories import NOW, make_connector, make_page
from pydantic import ValidationError
from serving import Told
from store_apps import Apple, Connect, apple_row, connect_row, with_reply
from stores import ENV, opened, read

from crawler.bases.base import AttentionError, SourceError
from crawler.secrets import Secrets

KEY = {"key_env": "APPSTORE_KEY", "key_id": "2X9R4HXF34", "issuer": "57246542-96fe-1a63-e053-0824d011072a"}


def feed(store: Apple, mark: dict[str, Any] | None = None, **options: Any) -> Any:
    return read("appstore", store, mark, app=123456, url=store.root, **options)


def connect(store: Connect, mark: dict[str, Any] | None = None, **options: Any) -> Any:
    return read("appstore", store, mark, app=123456, connect_url=store.root, **{**KEY, **options})


def shelf(count: int, make: Any = apple_row) -> list[dict[str, Any]]:
    return [make(count - n, NOW - timedelta(hours=1) * n) for n in range(count)]


def test_the_rss_is_read_ten_pages_deep() -> None:
    """It has no more; a second run costs one request."""
    store = Apple(shelf(700))
    with opened(store):
        run = feed(store)
        assert (run.error, len(run.items), run.requests) == (None, 500, 10)
        store.rows.insert(0, apple_row(701, NOW, stars="2"))
        again = feed(store, run.watermark)
        assert (again.items[0].external_id, again.items[0].stars, again.requests) == ("701", 2, 2)
        assert feed(store, again.watermark).requests == 1


def test_json_and_xml_say_the_same() -> None:
    """All fields, with HTML as text, Pacific time as time, the app's version as the batch."""
    rows = [apple_row(n, NOW, text=f"更新后 <b>闪退</b> &amp; 白屏 {n}", name="a&amp;b") for n in (2, 1)]
    told = []
    for hollow in (set(), {1}):
        with opened(store := Apple(rows, hollow=hollow)):
            told.append(feed(store, product="记账").items)
    assert told[0] == told[1]
    item = told[0][0]
    assert (item.title, item.text, item.author) == ("闪退", "更新后 闪退 & 白屏 2", "a&b")
    assert (item.created_at, item.product, item.extra) == (NOW, "记账", {"likes": 2, "batch": "8.1.0"})
    assert item.url == "https://itunes.apple.com/cn/review?id=2"


@pytest.mark.parametrize("hollow", [{1}, {2}, set(range(1, 11))])
def test_empty_json_pages_while_the_xml_is_full(hollow: set[int]) -> None:
    """An empty page of JSON is asked for again as XML, and the pages after it too."""
    with opened(store := Apple(shelf(120), hollow=hollow)):
        run = feed(store)
    assert run.error is None
    assert run.ids == [str(n) for n in range(120, 0, -1)]


def test_one_entry_instead_of_a_list() -> None:
    """As an object; and the first of several entries may be the app itself."""
    with opened(store := Apple(shelf(1))):
        assert feed(store).ids == ["1"]
    app = {"id": {"label": "https://itunes.apple.com/cn/app/id123456"}, "im:name": {"label": "记账"}}
    review = {
        "id": {"label": "9"},
        "im:rating": {"label": "1"},
        "link": [{"attributes": {"href": "https://a.example/9"}}],
    }
    first = Told({"feed": {"entry": [app, review]}})
    with opened(store := Apple(refusals=[first])):
        (item,) = feed(store).items
    assert (item.external_id, item.stars, item.url) == ("9", 1, "https://a.example/9")


def test_countries_are_read_side_by_side() -> None:
    """Each has its own watermark; one that is empty is no fault while another is not."""
    rows = [apple_row(1, NOW), apple_row(2, NOW, country="hk")]
    with opened(store := Apple(rows)):
        run = feed(store, countries=["cn", "hk", "mo", "cn"])
    assert (sorted(run.ids), run.error) == (["1", "2"], None)
    assert set(run.watermark) == {"cn", "hk", "mo"}


def test_a_feed_that_is_empty_everywhere_is_a_fault_and_not_silence() -> None:
    """Apple may stop the feed, or the app's id may be wrong: nobody must read that as "no bad reviews"."""
    with opened(store := Apple()):
        run = feed(store, countries=["cn", "hk"])
    assert "一条评价也没有读到" in str(run.error)
    assert "App Store Connect" in str(run.error)


@pytest.mark.parametrize(
    "refusals",
    [
        [Told({"error": "x"})],
        [Told(b"<html>")],
        [Told({"feed": []})],
        [Told({"feed": {}}), Told(b"<html>no feed</html>")],
    ],
)
def test_what_is_no_feed(refusals: list[Told]) -> None:
    """Neither as JSON nor as XML."""
    with opened(store := Apple(refusals=refusals)):
        run = feed(store)
    assert type(run.error) is SourceError
    assert "一条评价也没有" not in str(run.error)
    source = make_connector("appstore", {"app": "1", "url": "http://a.example"})
    (first,) = source.start()
    _, at = source.rows(make_page('{"feed": {"entry": null}}'), first.carry)
    assert at == (1, "xml")


def test_a_hostile_xml_is_read_as_what_it_is() -> None:
    """Entities are not expanded and files not opened; half a page gives what is whole."""
    bomb = '<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY f SYSTEM "file:///etc/passwd">]><feed><entry><id>1</id>'
    bomb += "<rating>1</rating><title>&f;</title><content>&a;</content></entry><entry><id>2</id><rating>2</rating>"
    refusals = [Told({"feed": {}}), Told(bomb.encode())]
    with opened(store := Apple(refusals=refusals)):
        run = feed(store)
    assert run.ids == ["1", "2"]
    assert "root" not in repr(run.items)


def test_connect_is_read_with_replies() -> None:
    """ES256 tokens that verify, cursors, the shop's answer once it is published; five new ones cost two requests."""
    rows = shelf(450, connect_row)
    rows[0] = with_reply(rows[0], "抱歉，已修复")
    rows[1] = with_reply(rows[1], "还没发", "PENDING_PUBLISH")
    store = Connect(rows)
    with opened(store):
        run = connect(store)
        assert (run.error, len(run.items), run.requests) == (None, 450, 3)
        assert [item.reply for item in run.items[:3]] == ["抱歉，已修复", "", ""]
        item = run.items[0]
        assert (item.title, item.text, item.stars, item.author) == ("闪退", "第450条", 1, "用户A")
        assert item.created_at == NOW
        assert len({asked.headers["Authorization"] for asked in store.asked}) == 1
        store.rows[:0] = [connect_row(n, NOW) for n in range(455, 450, -1)]
        again = connect(store, run.watermark)
    assert again.ids[:5] == [f"{n:08}-aaaa" for n in range(455, 450, -1)]
    assert again.requests == 2


def test_an_individual_key_has_no_issuer() -> None:
    """It says "user" instead."""
    with opened(store := Connect(shelf(1, connect_row), issuer=None)):
        assert connect(store, issuer="").error is None


def test_a_token_that_nears_its_end_is_made_anew() -> None:
    """Twenty minutes are all the platform allows; a long crawl signs again, a short one does not."""
    connector = make_connector("appstore", {"app": 1, **KEY}, secrets=Secrets(ENV))
    first = connector._signed()
    assert connector._signed() == first
    connector._ends = connector.source.clock() + timedelta(minutes=2)
    assert connector._signed() != first


@pytest.mark.parametrize(("minutes", "sound"), [(14, True), (-16, False)])
def test_connect_refuses_an_expired_token(minutes: int, sound: bool) -> None:
    """The platform's clock counts: a host whose clock is wrong is told to look at its key, and stops."""
    store = Connect(shelf(1, connect_row))
    with opened(store):
        store.before = lambda _: setattr(store, "clock", NOW + timedelta(minutes=abs(minutes)))
        run = connect(store)
    assert isinstance(run.error, AttentionError) is not sound


def test_a_wrong_key_stops_the_run() -> None:
    """No PEM, or a key that the platform does not know."""
    store = Connect(shelf(1, connect_row))
    with opened(store):
        with pytest.raises(AttentionError, match="环境变量 WRONG"):
            connect(store, key_env="WRONG")
        assert store.asked == []


def test_a_next_link_elsewhere_is_not_followed() -> None:
    """The token goes to the configured address only."""
    body = {"data": [connect_row(1, NOW)], "links": {"next": "http://evil.example/v1/apps?cursor=abc"}}
    connector = make_connector("appstore", {"app": 1, **KEY}, secrets=Secrets(ENV))
    (first,) = connector.start()
    following = [one for one in connector.read(make_page(json.dumps(body)), first) if hasattr(one, "headers")]
    assert [fetch.url.split("?")[0] for fetch in following] == [first.url.split("?")[0]]
    assert "cursor=abc" in following[0].url


@pytest.mark.parametrize("options", [{"key_env": "K"}, {"key_id": "2X"}, {"countries": ["china"]}, {"countries": []}])
def test_options_that_do_not_fit_are_refused(options: dict[str, Any]) -> None:
    """With the key named."""
    with pytest.raises(ValidationError, match=r"key_env|countries"):
        make_connector("appstore", {"app": "1", **options})
    with pytest.raises(ValidationError, match="app"):
        make_connector("appstore", {"app": "id123"})
