"""Endpoints that pages use themselves: off by default, slow, and stopped by the first sign of a wall."""

import asyncio
import json
import time
from typing import Any

import pytest
from crawler_factories import make_connector, make_job, make_page, make_source, serving
from pydantic import ValidationError

from crawler.bases.base import AttentionError, Fetch, SourceError
from crawler.connectors import kinds, load
from crawler.items import FeedbackItem
from crawler.run import crawl
from crawler.secrets import Secrets

KINDS = [kind for kind in kinds() if "observed" in load(kind).Options.model_fields]
PLACES: dict[str, dict[str, Any]] = {
    "weibo_search": {"words": ["示例杯", "示例壶"]},
    "bilibili": {"oids": [170001, "170002"]},
    "zhihu": {"questions": ["38", "39"]},
    "tieba": {"threads": ["88", "89"]},
}
COOKIE = "SUB=_2Asecretvalue; SESSDATA=another-secret"
LIMIT_S = 60


def make(kind: str, **more: Any) -> Any:
    watermark = more.pop("watermark", {})
    options = {"observed": True, "cookie_env": "COOKIE", **PLACES[kind], **more}
    return make_connector(kind, options, secrets=Secrets({"COOKIE": COOKIE}), watermark=watermark)


def fetches(outputs: Any) -> list[Fetch]:
    return [one for one in outputs if isinstance(one, Fetch)]


def test_these_are_observed() -> None:
    """The four that the shops ask for."""
    assert sorted(PLACES) == KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("observed", [{}, {"observed": False}])
def test_none_is_on_by_default(kind: str, observed: dict[str, bool]) -> None:
    """The error says why, and what has to be written; a cookie has to be named too."""
    with pytest.raises(ValidationError, match=r"不是开放接口.*observed = true.*cookie_env"):
        load(kind).Options.model_validate({"cookie_env": "COOKIE", **PLACES[kind], **observed})
    with pytest.raises(ValidationError, match="cookie_env"):
        load(kind).Options.model_validate({"observed": True, **PLACES[kind]})


@pytest.mark.parametrize("kind", KINDS)
def test_how_they_ask(kind: str) -> None:
    """Each place once, with the cookie, as a page would be asked for: no API, five seconds apart, nothing signed."""
    connector = make(kind)
    asked = fetches(connector.start())
    assert len({fetch.url for fetch in asked}) == 2
    assert all(fetch.headers == {"Cookie": COOKIE} and fetch.observed and not fetch.api for fetch in asked)
    assert connector.least_delay >= 5
    hidden = connector.source.secrets.hide(f"{COOKIE} another-secret")
    assert "secret" not in hidden


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [401, 403, 412, 418, 429, 432])
def test_a_status_that_is_a_wall_stops(kind: str, status: int) -> None:
    """Whatever the page says, a person is asked."""
    connector = make(kind)
    fetch = fetches(connector.start())[0]
    with pytest.raises(AttentionError, match=f"HTTP {status}.*Cookie"):
        list(connector.read(make_page("{}").replace(status=status), fetch))
    with pytest.raises(SourceError, match="HTTP 502"):
        list(connector.read(make_page("{}").replace(status=502), fetch))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("weibo_search", {"ok": -100, "url": "https://passport.weibo.com/"}),
        ("bilibili", {"code": -101, "message": "账号未登录"}),
        ("bilibili", {"code": -352, "message": "风控校验失败"}),
        ("bilibili", {"code": -412, "message": "请求被拦截"}),
        ("zhihu", {"error": {"code": 100, "need_login": True, "message": "请登录后再访问"}}),
        ("zhihu", {"error": {"code": 40352, "redirect": "https://www.zhihu.com/account/unhuman"}}),
    ],
)
def test_a_code_that_means_a_wall_stops(kind: str, body: dict[str, Any]) -> None:
    """Errors that come with HTTP 200, in each platform's own words."""
    connector = make(kind)
    with pytest.raises(AttentionError, match="Cookie"):
        list(connector.read(make_page(json.dumps(body)), fetches(connector.start())[0]))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("weibo_search", {"ok": 1, "data": {"card": 1}}),
        ("weibo_search", []),
        ("bilibili", {"code": 12002, "message": "评论区已关闭"}),
        ("bilibili", {"code": 0, "data": None}),
        ("zhihu", {"error": {"code": 404, "message": "资源不存在"}}),
        ("zhihu", {"data": {}}),
    ],
)
def test_other_errors_are_one_place_only(kind: str, body: Any) -> None:
    """A closed video or a question that is gone fails, and the rest goes on."""
    connector = make(kind)
    with pytest.raises(SourceError) as told:
        list(connector.read(make_page(json.dumps(body, ensure_ascii=False)), fetches(connector.start())[0]))
    assert not isinstance(told.value, AttentionError)


def answers(*ids: int) -> str:
    rows = [{"id": number, "content": f"<p>第 {number} 个</p>", "created_time": 1795000000} for number in ids]
    return json.dumps({"data": rows, "paging": {"is_end": False}})


def test_pages_are_turned_until_nothing_is_new() -> None:
    """At most as many as allowed; what an earlier run has read ends the list and is remembered for the next."""
    connector = make("zhihu", questions=["38"], pages=3, watermark={"38": ["7", "6"]})
    (first,) = fetches(connector.start())
    (second,) = fetches(connector.read(make_page(answers(9, 8)), first))
    assert "offset=0" in first.url
    assert "offset=20" in second.url
    assert fetches(connector.read(make_page(answers(7, 6)), second)) == []
    assert connector.watermark == {"38": ["9", "8", "7", "6"]}
    fresh = make("zhihu", questions=["38"], pages=2)
    (first,) = fetches(fresh.start())
    (second,) = fetches(fresh.read(make_page(answers(9)), first))
    assert fetches(fresh.read(make_page(answers(8)), second)) == []


def test_an_item_pushed_on_to_the_next_page_is_given_once_more_only() -> None:
    """New ones push a list down while it is read: the page after may repeat, and reading goes on while some are new."""
    connector = make("zhihu", questions=["38"])
    (first,) = fetches(connector.start())
    (second,) = fetches(connector.read(make_page(answers(5, 4)), first))
    outputs = list(connector.read(make_page(answers(4, 3)), second))
    assert [one.external_id for one in outputs if isinstance(one, FeedbackItem)] == ["4", "3"]
    assert len(fetches(outputs)) == 1


def test_a_thread_goes_on_while_its_page_says_so() -> None:
    """Only where a link says 下一页."""
    post = '<div class="l_post" data-field=\'{}\' data-pid="1"><div class="d_post_content">好</div></div>'
    connector = make("tieba", threads=["88"])
    (first,) = fetches(connector.start())
    assert len(fetches(connector.read(make_page(f"{post}<a href='?pn=2'> 下一页 </a>"), first))) == 1
    rubbish = post.replace("{}", "[1]").replace('data-pid="1"', 'data-pid="2"')
    (item,) = list(connector.read(make_page(rubbish), first))
    assert isinstance(item, FeedbackItem)
    assert (item.external_id, item.text) == ("2", "好")


def test_a_missing_cookie_is_told() -> None:
    """With the key and the variable."""
    source = make_source(secrets=Secrets({}))
    options = load("zhihu").Options.model_validate({"observed": True, "cookie_env": "ZC", "questions": ["1"]})
    with pytest.raises(LookupError, match=r"cookie_env.*ZC"):
        list(load("zhihu")(options, source).start())


def job(url: str, host: str, *others: str, **more: Any) -> Any:
    options = {"observed": True, "cookie_env": "TEST_COOKIE", "questions": ["1", "2"], "url": url}
    return make_job("zhihu", options, allow_private_hosts=[host, *others], **more)


WALLS: tuple[Any, ...] = (
    (403, {"Content-Type": "application/json"}, b'{"error": {"code": 40352}}'),
    (200, {"Content-Type": "text/html"}, "<title>安全验证</title><p>请完成验证</p>".encode()),
    (302, {"Location": "/signin?next=%2F"}, b""),
    (429, {"Retry-After": "0"}, b"{}"),
)
BUSY = (503, {"Content-Type": "text/html", "Retry-After": "0"}, b"busy")


@pytest.mark.slow
async def test_real_crawls_stop_at_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request and no second try, also where others wait for their turn; the cookie is in no message.

    A platform in mere trouble is asked for the other places too, five seconds apart, but for none twice.
    """
    monkeypatch.setenv("TEST_COOKIE", COOKIE)

    async def one(answer: Any, status: str, asked: list[str]) -> None:
        begun = time.monotonic()
        with serving({f"/a?q={n}": answer for n in (1, 2)}) as site:
            result = await crawl(job(site.url("/a?q={id}"), site.host), LIMIT_S)
            assert (result.status, site.paths()) == (status, asked), (answer, result)
        assert "secret" not in result.to_json()
        assert result.watermark == {}
        assert time.monotonic() - begun > 5 * len(asked)  # robots.txt is asked first

    walls = (one(answer, "attention", ["/a?q=1"]) for answer in WALLS)
    await asyncio.gather(*walls, one(BUSY, "failed", ["/a?q=1", "/a?q=2"]))


@pytest.mark.slow
async def test_the_cookie_goes_to_no_other_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the platform redirects somewhere else."""
    monkeypatch.setenv("TEST_COOKIE", COOKIE)
    with serving({"/b": answers(1)}) as other, serving({}) as site:
        elsewhere = other.url("/b").replace("127.0.0.1", "localhost")
        site.answers.update({f"/a?q={n}": (302, {"Location": elsewhere}, b"") for n in (1, 2)})
        options = job(site.url("/a?q={id}"), site.host, "localhost", max_pages=1)
        await crawl(options, LIMIT_S)
        assert [headers.get("Cookie") for path, headers in site.asked if path != "/robots.txt"] == [COOKIE]
        assert other.paths() == ["/b"]
        assert not [headers for _, headers in other.asked if "Cookie" in headers]


@pytest.mark.slow
async def test_robots_txt_is_asked_and_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """An observed endpoint is a page like any other, without the cookie for robots.txt."""
    monkeypatch.setenv("TEST_COOKIE", COOKIE)
    with serving({"/robots.txt": "User-agent: *\nDisallow: /"}) as site:
        result = await crawl(job(site.url("/a?q={id}"), site.host), LIMIT_S)
        assert (result.status, site.paths()) == ("failed", [])
        assert not [headers for _, headers in site.asked if "Cookie" in headers]
    assert "robots.txt" in result.error
