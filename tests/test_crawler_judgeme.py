"""crawler.spiders.judgeme: Judge.me's rows as items, and what its refusals mean; the list itself is newest's."""

import asyncio
from typing import Any

import pytest
from crawler_factories import NOW, make_job
from serving import Told
from store_shops import Judge, judge_row
from stores import ENV, opened, read

from crawler.bases.base import AttentionError, SourceError
from crawler.items import FeedbackItem
from crawler.run import crawl

OPTIONS = {"shop_domain": "cup.myshopify.com", "token_env": "JUDGEME_TOKEN"}


def one(**values: Any) -> FeedbackItem:
    options = {name: values.pop(name) for name in ("hidden_is_deleted",) if name in values}
    store = Judge([judge_row(1, NOW, **values)])
    with opened(store) as root:
        return read("judgeme", store, url=f"{root}/api/v1", **OPTIONS, **options).items[0]


def test_a_review_with_markup() -> None:
    """HTML and entities, some twice escaped, become what a reader would see; no mail address gets in."""
    item = one(body="<p>漏水&amp;amp;掉漆<br>差评😡</p>", title="不&quot;保温&quot;", rating=1.5)
    assert (item.title, item.text, item.stars) == ('不"保温"', "漏水&掉漆\n差评😡", 1.5)
    assert (item.author, item.product, item.extra) == ("王小明", "保温杯", {"sku": "8595686588594"})
    assert item.created_at == NOW
    assert "example.com" not in repr(item)


@pytest.mark.parametrize("reviewer", [None, {}, {"name": None}, "?", {"name": {"first": "x"}}])
def test_an_anonymous_author(reviewer: Any) -> None:
    """Nobody's name is no fault."""
    assert one(reviewer=reviewer).author == ""


def test_hidden_reviews_stay_unless_the_config_says_otherwise() -> None:
    """A shop that hides its bad reviews still has them; spam counts as deleted."""
    assert not one(hidden=True, published=False).deleted
    assert one(hidden=True, hidden_is_deleted=True).deleted
    assert one(curated="spam").deleted


def test_no_stars_and_no_text_is_left_out_with_a_reason() -> None:
    """Nothing can be stored of it; the rest goes on."""
    store = Judge([judge_row(2, NOW, body=None, rating=None), judge_row(1, NOW, rating=None)])
    with opened(store) as root:
        run = read("judgeme", store, url=f"{root}/api/v1", **OPTIONS)
    assert [(item.external_id, item.stars) for item in run.items] == [("1", None)]
    assert [bad.where for bad in run.bad] == ["评价 2"]


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        (Told({"error": "unauthorized"}, 401), AttentionError, "HTTP 401；对方说：unauthorized"),
        (Told({"message": "Shop not found"}, 404), SourceError, "HTTP 404；对方说：Shop not found"),
        (Told({"error": "invalid shop_domain"}), SourceError, "没有 items 路径 'reviews'"),
        (Told(b"<html>gateway</html>", 502), SourceError, "HTTP 502"),
        (Told(b'{"reviews": [{"id": 1, "bo'), SourceError, "不是完整的 JSON"),
        (Told({"reviews": "none"}), SourceError, "应是列表"),
    ],
)
def test_what_is_no_list_of_reviews(told: Told, kind: type[SourceError], says: str) -> None:
    """An expired token stops the run, all else fails it; an error that comes with HTTP 200 is one."""
    store = Judge(refusals=[told])
    with opened(store) as root:
        run = read("judgeme", store, url=f"{root}/api/v1", **OPTIONS)
    assert type(run.error) is kind
    assert says in str(run.error)
    assert run.items == []


@pytest.mark.slow
def test_throttled_the_crawl_waits_and_the_token_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole crawl process: 429 with Retry-After is waited for; then an expired token sets "attention", unseen."""
    monkeypatch.setenv("JUDGEME_TOKEN", ENV["JUDGEME_TOKEN"])
    store = Judge([judge_row(n, NOW) for n in range(130, 0, -1)])
    store.refusals = [Told({"error": "slow down"}, 429, {"Retry-After": "1"})]
    with opened(store) as root:
        job = make_job("judgeme", {**OPTIONS, "url": f"{root}/api/v1"}, allow_private_hosts=["127.0.0.1"])
        result = asyncio.run(crawl(job, 60))
        assert (result.status, result.seen, result.pages, len(store.asked)) == ("ok", 130, 2, 3)
        monkeypatch.setenv("JUDGEME_TOKEN", "an-expired-token")
        ended = asyncio.run(crawl(job, 60))
    assert ended.status == "attention"
    assert "请检查密钥、令牌是否过期" in ended.error
    for secret in (ENV["JUDGEME_TOKEN"], "an-expired-token"):
        assert secret not in result.to_json() + ended.to_json()
