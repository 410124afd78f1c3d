"""crawler.bases.recounting: known posts asked for once more, one by one, for their counts alone."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from crawler_driving import ask
from crawler_factories import NOW, make_connector, make_job, make_page, make_spider, serving
from crawler_grants import Grants
from cryptography.fernet import Fernet
from serving import Asked, Told
from store_shops import Weibo, weibo_row
from stores import ENV, opened

from crawler.bases.base import AttentionError, Fetch
from crawler.bases.recounting import Post, RecountOptions
from crawler.connectors import kinds, load
from crawler.items import FeedbackItem
from crawler.run import crawl
from crawler.secrets import Secrets
from crawler.vault import Vault

COOKIE = "SUB=_2Asecretvalue"
POST = Post("77", "http://x.example/77", "88")
FLOOR = '<div class="l_post" data-field=\'{"content": {"post_id": %d, "comment_num": %d}}\'></div>'
OBSERVED: dict[str, tuple[dict[str, Any], str, str, dict[str, int]]] = {
    "weibo_search": (
        {"words": ["示例杯"]},
        "https://m.weibo.cn/statuses/show?id=77",
        '{"ok": 1, "data": {"id": "77", "text": "…", "attitudes_count": "1.5万", "reposts_count": 3}}',
        {"likes": 15_000, "reposts": 3},
    ),
    "bilibili": (
        {"oids": [88], "type": 12},
        "https://api.bilibili.com/x/v2/reply/info?type=12&oid=88&rpid=77",
        '{"code": 0, "data": {"reply": {"rpid": 77, "like": 9, "rcount": 2}}}',
        {"likes": 9, "comments": 2},
    ),
    "zhihu": (
        {"questions": [88]},
        "https://www.zhihu.com/api/v4/answers/77?include=voteup_count,comment_count",
        '{"id": 77, "voteup_count": 5, "comment_count": 0}',
        {"likes": 5, "comments": 0},
    ),
    "tieba": (
        {"threads": [88]},
        "https://tieba.baidu.com/p/88?pid=77",
        FLOOR % (76, 1) + FLOOR % (77, 4),
        {"comments": 4},
    ),
}
GONE = {
    "weibo_search": '{"ok": 0, "msg": "微博不存在或暂无查看权限"}',
    "bilibili": '{"code": 12022, "message": "已经被删除了"}',
    "zhihu": '{"error": {"code": 404, "message": "资源不存在"}}',
    "tieba": FLOOR % (76, 1),
}
WALLS = {
    "weibo_search": '{"ok": -100}',
    "bilibili": '{"code": -352, "message": "风控校验失败"}',
    "zhihu": '{"error": {"need_login": true}}',
}


def make(kind: str, **more: Any) -> Any:
    options = {"observed": True, "cookie_env": "COOKIE", **OBSERVED[kind][0], **more}
    return make_connector(kind, options, secrets=Secrets({"COOKIE": COOKIE}))


def only(connector: Any, post: Post = POST) -> Fetch:
    (fetch,) = connector.recount([post])
    assert isinstance(fetch, Fetch)
    return fetch


@pytest.mark.parametrize("kind", OBSERVED)
def test_an_observed_post_by_itself(kind: str) -> None:
    """With the cookie and the slowness of the list, on the same site only; its counts and nothing else."""
    _, url, body, counts = OBSERVED[kind]
    connector = make(kind)
    fetch = only(connector)
    assert (fetch.url, fetch.observed, fetch.link, fetch.headers) == (url, True, True, {"Cookie": COOKIE})
    (item,) = connector.read(make_page(body, url), fetch)
    assert item == FeedbackItem("77", "", extra=counts, counts_only=True)
    assert connector.watermark == {}


@pytest.mark.parametrize("kind", OBSERVED)
def test_one_that_is_gone_is_no_fault(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Deleted, hidden or in trouble: noted in the log, and the run goes on."""
    caplog.set_level("INFO")
    connector = make(kind)
    fetch = only(connector)
    for page in (make_page(GONE[kind]), make_page("{}").replace(status=404), make_page("{}").replace(status=502)):
        assert list(connector.read(page, fetch)) == []
    assert caplog.text.count("was not counted again") == 3


@pytest.mark.parametrize("kind", OBSERVED)
def test_a_wall_stops_here_too(kind: str) -> None:
    """By status, and by what the platform says with HTTP 200."""
    connector = make(kind)
    fetch = only(connector)
    pages = [make_page("{}").replace(status=418)]
    pages += [make_page(WALLS[kind])] if kind in WALLS else []
    for page in pages:
        with pytest.raises(AttentionError, match="Cookie"):
            list(connector.read(page, fetch))


@pytest.mark.parametrize("kind", ["bilibili", "tieba"])
def test_without_its_thread_it_cannot_be_found(kind: str) -> None:
    """Then it is not asked for."""
    assert list(make(kind).recount([Post("77")])) == []


def test_ids_are_no_part_of_an_address() -> None:
    """Whatever a source called its post."""
    assert Post("7/../8?x", "", "a&b").fill("/p/{id}.json?t={thread}") == "/p/7%2F..%2F8%3Fx.json?t=a%26b"


def test_which_kinds_can() -> None:
    """The others' pages say so; every one that can lets it be bounded and switched off."""
    able = [kind for kind in kinds() if issubclass(load(kind).Options, RecountOptions)]
    assert able == ["bilibili", "html", "json", "tieba", "weibo", "weibo_search", "zhihu"]
    assert all(load(kind).Options.model_fields["recount"].default == 20 for kind in able)


@pytest.mark.parametrize(
    ("preset", "url", "body", "counts"),
    [
        ("discourse", "https://f.example/posts/77.json", {"id": 77, "cooked": "x", "reply_count": 3}, {"comments": 3}),
        ("nodebb", "https://f.example/api/v3/posts/77", {"response": {"pid": 77, "upvotes": 8}}, {"likes": 8}),
    ],
)
def test_forums_by_their_json(preset: str, url: str, body: dict[str, Any], counts: dict[str, int]) -> None:
    """As the presets have it, from the root of the configured address."""
    connector = make_connector("json", {"preset": preset, "urls": ["https://f.example/api/list?x=1"]})
    assert connector.options.recounts == 20
    fetch = only(connector)
    assert (fetch.url, fetch.link) == (url, True)
    (item,) = connector.read(make_page(json.dumps(body)), fetch)
    assert item == FeedbackItem("77", "", extra=counts, counts_only=True)
    for nothing in ("<html>", "[]", '{"response": []}', '{"response": {"pid": 77}, "id": 77}'):
        assert list(connector.read(make_page(nothing), fetch)) == []


async def test_so_many_at_most_and_only_where_it_makes_sense() -> None:
    """The crawl keeps to the bound itself; each address once."""
    options = {"urls": ["https://f.example/list"], "fields": {"text": "t", "id": "i"}, "recount": 3}
    known = [{"id": str(number), "url": "", "thread": ""} for number in (1, 1, 2, 3, 4)]
    spider = make_spider("json", {**options, "recount_url": "/p/{id}"}, recount=known)
    asked = [request.url async for request in spider.start()]
    assert asked == ["https://f.example/list", "https://f.example/p/1", "https://f.example/p/2"]
    assert [request.url async for request in make_spider("json", options, recount=known).start()] == asked[:1]


async def test_counts_are_no_sign_of_life() -> None:
    """They are not among what was read, whose shape and number are watched; and they need no brand's name."""
    spider = make_spider("json", {"urls": ["https://f.example/"], "fields": {"text": "t"}}, brand=["示例"])
    item = FeedbackItem("1", "", extra={"likes": 2}, counts_only=True)
    assert spider._take(item) is item
    assert (dict(spider.ledger.fills), spider.crawler.stats) == ({}, {})


class Shown(Weibo):
    """微博 with single posts."""

    def answer(self, asked: Asked) -> Told:
        if asked.path != "/2/statuses/show.json":
            return super().answer(asked)
        if self.grants and not self.grants.holds(asked.query["access_token"], self.clock):
            return Told({"error": "expired_token", "error_code": 21327}, 403)
        found = [row for row in self.rows if str(row["id"]) == asked.query["id"]]
        return Told(found[0]) if found else Told({"error": "target weibo does not exist!", "error_code": 20101}, 400)


def weibo(store: Weibo, **more: Any) -> Any:
    source = {"vault": more.pop("vault", Vault())}
    options = {"token_env": "WEIBO_TOKEN", "url": f"{store.root}/2", "lists": ["statuses/mentions"], **more}
    env = Secrets(ENV | {"REFRESH": "refresh-0", "SECRET": "app-secret"})
    return make_connector("weibo", options, now=store.clock, secrets=env, **source)


def test_weibo_posts_by_number() -> None:
    """Comments are not asked for; a post that is gone, or an app without the right, is no fault."""
    store = Shown([weibo_row(77, NOW, attitudes_count=41)])
    with opened(store):
        connector = weibo(store)
        posts = [Post("77"), Post("c5"), Post("78")]
        fetches = list(connector.recount(posts))
        assert [fetch.carry.id for fetch in fetches] == ["77", "78"]
        found = [list(connector.read(ask(fetch), fetch)) for fetch in fetches]
        assert found == [
            [FeedbackItem("77", "", extra={"likes": 41, "reposts": 3, "comments": 2}, counts_only=True)],
            [],
        ]
        store.refusals.append(Told({"error": "Insufficient app permissions!", "error_code": 10014}, 403))
        assert list(connector.read(ask(fetches[0]), fetches[0])) == []


def test_a_weibo_token_that_ends_meanwhile_is_exchanged(tmp_path: Path) -> None:
    """As for a list."""
    grants = Grants({}, {"refresh-0": NOW + timedelta(days=9)}, {"client_id": "1"}, {"error": "x"})
    store = Shown([weibo_row(77, NOW)], grants=grants)
    with opened(store):
        vault = Vault(tmp_path / "shop", Fernet.generate_key().decode())
        renewing = {"refresh_token_env": "REFRESH", "app_key": "1", "secret_env": "SECRET"}
        connector = weibo(store, vault=vault, token_url=f"{store.root}/oauth2/access_token", **renewing)
        fetch = only(connector, Post("77"))
        (exchange,) = connector.read(ask(fetch), fetch)
        (again,) = connector.read(ask(exchange), exchange)
        (item,) = connector.read(ask(again), again)
    assert (item.external_id, item.counts_only) == ("77", True)


@pytest.mark.slow
async def test_a_whole_crawl_counts_again(tmp_path: Path) -> None:
    """One request a post, a gone one noted, nothing counted as read, the status unmoved by any of it."""
    answers: dict[str, Any] = {"/list": '[{"i": 9, "t": "示例杯漏水", "l": 1}]', "/p/1": '{"i": 1, "l": 5, "t": "x"}'}
    with serving(answers) as site:
        options: dict[str, Any] = {"urls": [site.url("/list")], "fields": {"text": "t", "id": "i", "likes": "l"}}
        known = [{"id": str(number), "url": "", "thread": ""} for number in (1, 2)]
        out = tmp_path / "items"
        told = {"pipelines": ["crawler_pipelines.Keep"], "context": {"out": str(out)}, "recount": known}
        options["recount_url"] = "/p/{id}"
        result = await crawl(make_job("json", options, allow_private_hosts=[site.host], **told), 60)
        assert sorted(site.paths()) == ["/list", "/p/1", "/p/2"]
    assert (result.status, result.seen) == ("ok", 1), result
    # posts are asked for beside the pages: whichever answer comes first
    assert sorted(json.loads(line.split("\t")[0]) for line in out.read_text().splitlines()) == ["1", "9"]
