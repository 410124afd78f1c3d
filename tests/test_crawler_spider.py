"""crawler.spider: what is fetched, counted, remembered, and when it stops; without a network."""

import time
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from crawler_factories import NOW, Counts, make_page, make_spider
from scrapy.exceptions import CloseSpider, IgnoreRequest
from scrapy.http import HtmlResponse, Request, Response
from twisted.python.failure import Failure

from crawler.asking import pause_before, site, told_to_wait
from crawler.bases.base import AttentionError, Fetch, ThrottledError
from crawler.items import FeedbackItem
from crawler.ledger import Ledger
from crawler.run import _account
from crawler.secrets import MissingSecretError, Secrets
from crawler.spider import SourceSpider, fingerprint
from crawler.walls import WallError

URL = "http://shop.example/list"
OPTIONS: dict[str, Any] = {"start": [URL], "follow": ["a"], "item": "li", "fields": {"text": "p", "id": "@id"}}
ITEM = "<li id=1><p>漏水</p></li>"


async def begin(spider: SourceSpider) -> list[Any]:
    return [one async for one in spider.start()]


def feed(spider: SourceSpider, html: str, fetch: Fetch | None = None, url: str = URL) -> list[Any]:
    return list(spider.page(make_page(html, url), fetch or Fetch(url, conditional=True)))


def lose(spider: SourceSpider, error: Exception, fetch: Fetch, **meta: Any) -> None:
    failure = Failure(error)
    failure.request = Request(fetch.url, cb_kwargs={"fetch": fetch}, meta=meta)  # type: ignore[attr-defined]
    spider.lost(failure)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://a.example/x", "https://www.a.example/y", True),
        ("http://a.example:8101/", "http://a.example/", False),
        ("http://a.example/", "http://b.a.example/", False),
        ("http://a.example:443/", "http://a.example/", True),
    ],
)
def test_the_same_site(one: str, other: str, same: bool) -> None:
    """The host without www., and the port."""
    assert (site(one) == site(other)) is same


async def test_links_are_asked_for_once_and_on_the_same_site_only() -> None:
    """However often and however they are written."""
    spider = make_spider("html", OPTIONS)
    (first,) = await begin(spider)
    assert first.url == URL
    html = "<a href='/p/1'>x</a><a href='/p/1#r'>x</a><a href='http://other.example/'>x</a>"
    html += "<a href='/list'>x</a><a href='/p?b=1&a=2'>x</a><a href='/p?a=2&b=1'>x</a>"
    assert [one.url for one in feed(spider, html)] == ["http://shop.example/p/1", "http://shop.example/p?b=1&a=2"]


async def test_the_number_of_pages_is_bounded() -> None:
    """What is left out is said once."""
    spider = make_spider("html", OPTIONS, max_pages=2)
    await begin(spider)
    assert len(feed(spider, "".join(f"<a href='/p/{n}'>x</a>" for n in range(9)))) == 1
    assert len(spider.ledger.log) == 1
    assert "max_pages = 2" in spider.ledger.log[0]


async def test_a_source_that_can_go_on_ends_before_its_time_limit() -> None:
    """Its watermark says where it stopped; any other source is stopped from outside, and that is a fault."""
    for kind, left in (("jd", 0), ("html", 2)):
        options = OPTIONS if kind == "html" else {"app_key": "1", "secret_env": "S", "token_env": "T"}
        spider = make_spider(kind, options, time_limit=100.0)
        spider.connector.source = replace(spider.connector.source, begun=time.monotonic() - 81)
        spider.connector.start = lambda: [Fetch(URL), Fetch(f"{URL}?p=2")]  # type: ignore[method-assign]
        spider.connector.watermark = {"until": "2026-11-20T00:00:00+00:00"}
        assert len(await begin(spider)) == left
        assert len(spider.ledger.log) == (left == 0)
        assert spider.ledger.faults == 0


async def test_a_source_that_gets_nowhere_is_a_fault() -> None:
    """A run cut short before its first window is whole would begin with it again, for ever."""
    options = {"app_key": "1", "secret_env": "S", "token_env": "T"}
    spider = make_spider("jd", options, max_pages=1)
    spider.connector.start = lambda: [Fetch(URL), Fetch(f"{URL}?p=2")]  # type: ignore[method-assign]
    assert len(await begin(spider)) == 1
    assert "window_days" in spider.ledger.error()


async def test_items_and_bad_elements_are_counted() -> None:
    """Seen is everything; skipped has its reasons; the rest goes to the pipelines."""
    spider = make_spider("html", OPTIONS, brand=["示例", "ＥＸＡＭＰＬＥ"])
    await begin(spider)
    html = "<li id=1><p>示例真差</p></li><li id=2><p>别家真差</p></li><li id=3></li><li id=4><p>example 也差</p></li>"
    found = [one for one in feed(spider, html) if isinstance(one, FeedbackItem)]
    assert [one.external_id for one in found] == ["1", "4"]
    assert spider.crawler.stats == Counts({"pingshao/seen": 4, "pingshao/skipped": 2})  # type: ignore[comparison-overlap]
    assert len(spider.ledger.log) == 2
    assert any("品牌词" in line for line in spider.ledger.log)


async def test_a_failing_page_fails_the_run_and_nothing_else() -> None:
    """The others' items stand; the error names the page."""
    spider = make_spider("html", OPTIONS)
    await begin(spider)
    assert len(feed(spider, ITEM)) == 1
    list(
        spider.page(
            Response("http://shop.example/p/5", status=500, body=b"x"), Fetch("http://shop.example/p/5", link=True)
        )
    )
    list(
        spider.page(
            Response("http://shop.example/p/6", status=502, body=b""), Fetch("http://shop.example/p/6", link=True)
        )
    )
    assert spider.ledger.error() == "http://shop.example/p/5: HTTP 500（另有 1 处出错）"
    assert spider.ledger.pages == 1


async def test_a_link_that_is_gone_or_forbidden_by_robots_is_only_noted() -> None:
    """For a configured address both are faults."""
    for link in (True, False):
        spider = make_spider("html", OPTIONS)
        fetch = Fetch("http://shop.example/p/5", link=link)
        list(spider.page(Response(fetch.url, status=404, body=b"gone"), fetch))
        lose(spider, IgnoreRequest("Forbidden by robots.txt"), fetch)
        assert spider.ledger.faults == (0 if link else 2)
        assert len(spider.ledger.log) == 2


async def test_a_redirect_to_another_site_is_not_read() -> None:
    """Nor is a page that a second address redirects to; a configured address may lead anywhere."""
    spider = make_spider("html", OPTIONS)
    await begin(spider)
    moved = "http://www.new.example/list"
    assert len(feed(spider, ITEM, Fetch(URL, conditional=True), moved)) == 1
    assert feed(spider, ITEM, Fetch("http://shop.example/p/1", link=True), "http://evil.example/") == []
    assert feed(spider, ITEM, Fetch("http://shop.example/p/2", link=True), moved) == []
    assert (
        len(feed(spider, "<a href='/p/7'>x</a>", Fetch("http://new.example/p/1", link=True), "http://new.example/p/1"))
        == 1
    )
    assert len(spider.ledger.log) == 1


@pytest.mark.parametrize(
    "html", ["<title>登录</title>", "<p>请拖动滑块完成验证</p>", "<form><input type=password></form>"]
)
async def test_fault_41_a_wall_stops_the_crawl(html: str) -> None:
    """The first reason is kept; a page with items on it is no wall."""
    spider = make_spider("html", OPTIONS)
    await begin(spider)
    feed(spider, html + ITEM)
    with pytest.raises(CloseSpider):
        feed(spider, html, url="http://shop.example/list2")
    with pytest.raises(CloseSpider):
        list(spider.page(Response(URL, status=401), Fetch(URL)))
    assert "list2" in spider.ledger.attention
    assert _account(spider.job, spider.connector, spider.ledger, {}).status == "attention"


async def test_a_redirect_to_a_login_page_stops_the_crawl() -> None:
    """Before the login page is even asked for."""
    spider = make_spider("html", OPTIONS)
    with pytest.raises(CloseSpider):
        lose(spider, WallError("被转到登录或验证页"), Fetch("http://shop.example/login"), redirect_urls=[URL])
    assert spider.ledger.error() == f"{URL}: 被转到登录或验证页"


async def test_json_that_asks_for_login_is_a_wall() -> None:
    """An endpoint that answers with words instead of data."""
    spider = make_spider("json", {"urls": [URL], "items": "data", "fields": {"text": "t"}})
    (request,) = await begin(spider)
    fetch = request.cb_kwargs["fetch"]
    with pytest.raises(CloseSpider):
        feed(spider, '{"msg": "请先登录"}', fetch)
    other = make_spider("json", {"urls": [URL], "items": "data", "fields": {"text": "t"}})
    feed(other, '{"msg": "系统繁忙"}', fetch)
    assert "系统繁忙" in other.ledger.error()


async def test_a_connector_that_breaks_is_a_fault_not_silence(caplog: pytest.LogCaptureFixture) -> None:
    """In its first pages and on a page; the log has the traceback."""
    spider = make_spider("html", OPTIONS)
    spider.connector.start = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    spider.connector.read = lambda *_: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    assert await begin(spider) == []
    feed(spider, ITEM)
    assert spider.ledger.faults == 2
    assert "ZeroDivisionError" in spider.ledger.error()
    assert "Traceback" in caplog.text


async def test_binary_and_empty_pages_are_faults() -> None:
    """Marked, with no guessed data."""
    spider = make_spider("html", OPTIONS)
    for body in (b"", b"\x00\x01"):
        list(spider.page(HtmlResponse(f"{URL}{len(body)}", body=body), Fetch(URL)))
    assert spider.ledger.faults == 2
    assert spider.ledger.pages == 2


def answer_with(etag: str, html: str) -> HtmlResponse:
    return HtmlResponse(URL, headers={"ETag": etag, "Last-Modified": "x"}, body=html.encode(), request=Request(URL))


async def test_what_has_not_changed_is_not_read_again() -> None:
    """Validators and links of a page are remembered; a 304 follows the same links."""
    spider = make_spider("html", OPTIONS)
    await begin(spider)
    list(spider.page(answer_with('"7"', f"{ITEM}<a href='/p/1'>x</a>"), Fetch(URL, conditional=True)))
    watermark = _account(spider.job, spider.connector, spider.ledger, {}).watermark
    again = make_spider("html", OPTIONS, watermark=watermark)
    (request,) = await begin(again)
    assert (request.headers["If-None-Match"], request.headers["If-Modified-Since"]) == (b'"7"', b"x")
    (link,) = again.page(Response(URL, status=304), request.cb_kwargs["fetch"])
    assert link.url == "http://shop.example/p/1"
    assert (again.ledger.pages, again.ledger.unchanged) == (1, 1)
    assert _account(again.job, again.connector, again.ledger, {}).watermark == watermark


async def test_other_options_make_everything_news() -> None:
    """A new selector must not be answered with "not modified"."""
    watermark = {"options": fingerprint(OPTIONS), "pages": {URL: {"etag": '"7"'}}, "connector": {}}
    (request,) = await begin(make_spider("html", {**OPTIONS, "item": "div"}, watermark=watermark))
    assert "If-None-Match" not in request.headers


async def test_what_is_sent_along_tells_two_requests_apart() -> None:
    """The same address with another form or body is another page; with the same it is not asked twice."""
    spider = make_spider("html", OPTIONS)
    fetches = [Fetch(URL, form={"page": str(n)}) for n in (1, 2, 1)] + [Fetch(URL, json={"页": n}) for n in (1, 2, 1)]
    spider.connector.start = lambda: fetches  # type: ignore[method-assign]
    asked = await begin(spider)
    assert [(one.method, one.body.decode()) for one in asked] == [
        ("POST", "page=1"),
        ("POST", "page=2"),
        ("POST", '{"页":1}'),
        ("POST", '{"页":2}'),
    ]
    assert asked[0].headers["Content-Type"] == b"application/x-www-form-urlencoded; charset=utf-8"
    assert asked[2].headers["Content-Type"] == b"application/json; charset=utf-8"
    assert [len(feed(spider, ITEM, request.cb_kwargs["fetch"])) for request in asked] == [1, 1, 1, 1]


async def test_an_api_is_asked_by_its_own_rules() -> None:
    """No robots.txt, no redirects, headers sent; its refusals and its empty lists are the connector's to judge."""
    spider = make_spider("html", OPTIONS)
    fetch = Fetch(URL, api=True, headers={"Authorization": "Bearer abcdef"})
    spider.connector.start = lambda: [fetch]  # type: ignore[method-assign]
    (request,) = await begin(spider)
    assert request.meta == {"dont_obey_robotstxt": True, "dont_redirect": True}
    assert (request.method, request.headers["Authorization"]) == ("GET", b"Bearer abcdef")
    read: list[int] = []
    spider.connector.read = lambda page, _: read.append(page.status) or iter(())  # type: ignore[method-assign, func-returns-value]
    for status, text in ((200, "请先登录"), (401, "x"), (302, "x"), (500, "x")):
        list(spider.page(make_page(text).replace(status=status), fetch))
    assert read == [200, 401, 302, 500]
    list(spider.page(Response(f"{URL}?sign=1", status=502), fetch))
    assert spider.ledger.error() == f"{URL}: HTTP 502"


async def test_an_api_without_news_is_no_silence() -> None:
    """Its empty list counts as unchanged; a page on which nothing is found does not."""
    for api in (True, False):
        spider = make_spider("html", OPTIONS)
        feed(spider, "<p>x</p>" * 300, Fetch(URL, api=api))
        assert spider.ledger.unchanged == api
        feed(spider, ITEM, Fetch(f"{URL}2", api=api), f"{URL}2")
        assert spider.ledger.unchanged == api


def refusing(spider: SourceSpider, error: Exception) -> None:
    def read(*_: Any) -> Any:
        raise error
        yield

    spider.connector.read = read  # type: ignore[method-assign]


async def test_a_connector_may_ask_for_a_person() -> None:
    """The run stops as at a login wall."""
    spider = make_spider("html", OPTIONS)
    refusing(spider, AttentionError("授权已过期，请更新 SHOP_TOKEN"))
    with pytest.raises(CloseSpider):
        feed(spider, ITEM, Fetch(URL, api=True))
    assert spider.ledger.attention.endswith("请更新 SHOP_TOKEN")


async def test_a_throttled_request_waits_as_told_and_not_for_ever() -> None:
    """Longer each time, or as long as was named; made anew by the connector; given up after four times."""
    spider = make_spider("html", OPTIONS)
    spider.connector.again = lambda fetch: replace(fetch, form={"sign": str(fetch.tries)})  # type: ignore[method-assign]
    fetch, pauses = Fetch(URL, api=True, carry=7), []
    for told in (0, 30, 0, 0):
        refusing(spider, ThrottledError("太快", told))
        (request,) = feed(spider, ITEM, fetch)
        pauses.append(request.meta["pause"])
        fetch = request.cb_kwargs["fetch"]
        assert (fetch.carry, request.body) == (7, f"sign={fetch.tries - 1}".encode())
    assert pauses == [1, 30, 4, 8]
    assert feed(spider, ITEM, fetch) == []
    assert "等过 4 次" in spider.ledger.error()
    refusing(spider, ThrottledError("今天的次数用完了", 33_000))
    assert feed(spider, ITEM, Fetch(URL, api=True)) == []
    assert pause_before(0, 301) is None


@pytest.mark.parametrize(
    ("status", "after", "wait"),
    [
        (429, "", 0),
        (429, "7", 7),
        (429, "Sun, 22 Nov 2026 01:31:00 GMT", 60),
        (429, "Sun, 22 Nov 2026 01:00:00 GMT", 0),
        (429, "soon", 0),
        (503, "2", 2),
        (503, "", None),
        (200, "9", None),
    ],
)
def test_a_site_says_how_long_to_wait(status: int, after: str, wait: float | None) -> None:
    """In seconds or as a date; only where it refuses."""
    assert told_to_wait(Response(URL, status=status, headers={"Retry-After": after}), NOW) == wait


async def test_too_many_requests_are_asked_again_later() -> None:
    """For pages as for APIs; the second answer is read."""
    spider = make_spider("html", OPTIONS)
    await begin(spider)
    (again,) = spider.page(Response(URL, status=429, headers={"Retry-After": "3"}), Fetch(URL))
    assert again.meta["pause"] == 3
    assert len(feed(spider, ITEM, again.cb_kwargs["fetch"])) == 1
    assert spider.ledger.faults == 0


async def test_a_missing_secret_is_a_fault_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """It names what to set."""
    spider = make_spider("html", OPTIONS)

    def start() -> Any:
        raise MissingSecretError("token_env = 'T'：环境变量 T 没有设置")
        yield

    spider.connector.start = start  # type: ignore[method-assign]
    assert await begin(spider) == []
    assert spider.ledger.error() == "site: token_env = 'T'：环境变量 T 没有设置"
    assert "Traceback" not in caplog.text


async def test_secrets_stay_out_of_ledger_and_watermark() -> None:
    """By value and by name; and a page is remembered under the same name when its signature changes."""
    secrets = Secrets({"S": "very-secret"})
    secrets.read("secret_env", "S")
    spider = make_spider("html", OPTIONS)
    spider.ledger = Ledger(secrets.hide)
    url = f"{URL}?key=very-secret&sign=%s"
    list(spider.page(answer_with('"7"', ITEM), Fetch(url % "A1", conditional=True)))
    spider.ledger.fail(url % "A2", "very-secret 不对")
    assert list(spider.ledger.validators) == [f"{URL}?key=***&sign=***"]
    assert spider.ledger.error() == f"{URL}?key=***&sign=***: *** 不对"
    watermark = _account(spider.job, spider.connector, Ledger(), {}).watermark | {"pages": spider.ledger.validators}
    again = make_spider("html", OPTIONS, watermark=watermark)
    again.ledger = Ledger(secrets.hide)
    again.connector.start = lambda: [Fetch(url % "A3", conditional=True)]  # type: ignore[method-assign]
    (request,) = await begin(again)
    assert request.headers["If-None-Match"] == b'"7"'


def test_new_credentials_do_not_make_everything_news() -> None:
    """A renewed authorization leaves the watermark; another page size does not."""
    options = {"app_key": "1", "token_env": "A", "expires": date(2026, 12, 1), "page_size": 20}
    assert fingerprint(options) == fingerprint({**options, "token_env": "B", "expires": date(2027, 12, 1)})
    assert fingerprint(options) != fingerprint({**options, "page_size": 10})


@pytest.mark.parametrize(
    ("expires", "said"),
    [("2026-11-27", "授权 2026-11-27 到期（还有 5 天），请续期"), ("2026-11-20", "（已过期）"), ("2027-01-01", "")],
)
def test_an_authorization_that_ends_soon_is_told_days_ahead(expires: str, said: str) -> None:
    """In the run's log, and as a date in its result."""
    options = {"app_key": "1", "secret_env": "S", "token_env": "T", "expires": expires}
    spider = make_spider("jd", options)
    result = _account(spider.job, spider.connector, spider.ledger, {})
    assert (result.status, result.expires) == ("ok", expires)
    assert said in "".join(result.log)
    assert bool(result.log) is bool(said)


def test_only_a_run_that_ended_well_moves_the_watermark() -> None:
    """A failed, a stopped and a broken-off one give the old one back."""
    old = {"options": "x", "pages": {}, "connector": {}}
    spider = make_spider("html", OPTIONS, watermark=old)
    assert _account(spider.job, spider.connector, Ledger(), {"finish_reason": "finished"}).watermark != old
    told = _account(spider.job, spider.connector, Ledger(), {"finish_reason": "shutdown"})
    assert (told.status, told.watermark) == ("failed", old)
    told = _account(spider.job, spider.connector, Ledger(), {"pingshao/error": "disk full"})
    assert (told.status, told.error, told.watermark) == ("failed", "site: disk full", old)


def test_the_ledger_stays_small() -> None:
    """A thousand reasons of a megabyte each are kept to fifty short lines."""
    ledger = Ledger()
    for number in range(1000):
        ledger.fail(f"page {number}", "x\n" * 500_000 if not number else "x")
    assert len(ledger.log) == len(ledger.errors) == 50
    assert len(ledger.error()) < 330
    assert "另有 999 处" in ledger.error()
    ledger.stop("here", "wall")
    assert ledger.error() == "here: wall（另有 1000 处出错）"
