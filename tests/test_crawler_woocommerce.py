"""crawler.spiders.woocommerce: a shop's own API and its recycle bin."""

from datetime import timedelta
from typing import Any

import pytest
from crawler_factories import NOW
from serving import Told
from store_shops import Woo, woo_row
from stores import opened, read, while_200_come_in

from crawler.bases.base import AttentionError, SourceError

OPTIONS = {"key_env": "WOO_KEY", "secret_env": "WOO_SECRET"}


def crawl(store: Woo, mark: dict[str, Any] | None = None, **options: Any) -> Any:
    return read("woocommerce", store, mark, **{"url": store.root, **OPTIONS, **options})


def shop(count: int, every: timedelta = timedelta(minutes=45)) -> Woo:
    return Woo([woo_row(count - n, NOW - timedelta(minutes=1) - every * n) for n in range(count)])


def test_five_new_ones_among_10000_cost_at_most_three_requests() -> None:
    """Two pages, and the recycle bin, however busy the shop."""
    store = shop(10_000, timedelta(seconds=10))
    with opened(store):
        first = crawl(store)
        assert len(first.items) == 10_000
        store.clock += timedelta(hours=6)
        store.rows += [woo_row(10_000 + n, store.clock - timedelta(minutes=n)) for n in range(1, 6)]
        second = crawl(store, first.watermark)
    assert {str(n) for n in range(10_001, 10_006)} <= set(second.ids)
    assert second.requests <= 3


def test_200_reviews_come_in_during_a_crawl_and_none_is_missed_over_two_runs() -> None:
    """They push the list down while it is paged; no review is given twice."""
    store = shop(1000, timedelta(minutes=5))

    def add(numbers: range) -> None:
        store.rows += [woo_row(number, NOW + timedelta(seconds=number - 1000)) for number in numbers]

    while_200_come_in(store, crawl, add)


@pytest.mark.parametrize("auth", ["header", "query"])
def test_the_key_by_header_or_by_address(auth: str) -> None:
    """Some servers drop the header; the address is hidden wherever it is told."""
    store = shop(1)
    with opened(store):
        assert crawl(store, auth=auth).ids == ["1"]
        refused = crawl(store, auth=auth, secret_env="WRONG")
    assert isinstance(refused.error, AttentionError)
    assert "对方说：抱歉，您不能列出资源。" in str(refused.error)
    assert ("consumer_key" in store.asked[0].query) == (auth == "query")


def test_time_zones_of_shop_and_service() -> None:
    """The GMT field counts, wherever the shop is; where it is missing the time is the service's."""
    at = NOW.replace(microsecond=0)
    store = Woo([woo_row(1, at), woo_row(2, at - timedelta(days=1), date_created_gmt=None)])
    with opened(store):
        run = crawl(store)
    assert {item.external_id: item.created_at for item in run.items} == {"1": at, "2": at - timedelta(days=1)}


def test_html_no_stars_and_an_anonymous_author() -> None:
    """Tags and entities go; 0 stars are none."""
    row = woo_row(1, NOW, review="<p>漏水 &#8220;严重&#8221;<br />\n掉漆</p>\n", rating=0, reviewer="")
    with opened(store := Woo([row])):
        (item,) = crawl(store).items
    assert (item.text, item.stars, item.author) == ("漏水 “严重”\n掉漆", None, "")
    assert (item.product, item.url, item.extra) == ("保温杯", "https://shop.example/p/7", {"sku": "7"})
    assert "example.com" not in repr(item)


def test_an_edited_and_a_deleted_review() -> None:
    """An edit is read with the day's further reading, a deletion with the next run; what awaits approval at once."""
    store = shop(40, timedelta(days=1))
    store.rows[3] |= {"status": "hold"}
    with opened(store):
        mark = crawl(store).watermark
        store.rows[20] |= {"status": "trash"}
        store.rows[6] |= {"review": "<p>改过了</p>"}
        store.clock += timedelta(hours=1)
        soon = crawl(store, mark)
        assert [item.external_id for item in soon.items if item.deleted] == ["20"]
        store.clock += timedelta(hours=24)
        late = crawl(store, soon.watermark)
        assert [item.external_id for item in late.items if item.text == "改过了"] == ["34"]
        assert not [item for item in crawl(store, mark, trash=False).items if item.deleted]
        assert "37" not in crawl(store, status="approved").ids


def test_a_recycle_bin_of_several_pages() -> None:
    """All of it is read."""
    store = Woo([woo_row(n, NOW - timedelta(days=n), status="trash") for n in range(1, 6)])
    with opened(store):
        run = crawl(store, page_size=2)
    assert [item.deleted for item in run.items] == [True] * 5


def test_without_the_header_of_pages_a_short_page_is_the_last() -> None:
    """Proxies may drop X-WP-TotalPages."""

    class Bare(Woo):
        def answer(self, asked: Any) -> Told:
            return Told(super().answer(asked).body)

    store = Bare(shop(5).rows)
    with opened(store):
        run = crawl(store, page_size=2, trash=False)
    assert (len(run.items), run.requests) == (5, 3)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (Told({"code": "rest_no_route", "message": "未找到匹配的路由"}, 404), "HTTP 404；对方说：未找到匹配的路由"),
        (Told({"code": "rest_invalid_param", "message": "无效的参数"}), "items 路径 '$' 处应是列表"),
        (Told(b"<html>Just a moment</html>"), "不是完整的 JSON"),
    ],
)
def test_what_is_no_list_of_reviews(told: Told, says: str) -> None:
    """The run fails with the shop's own words, and the watermark stays."""
    store = Woo(refusals=[told])
    with opened(store):
        run = crawl(store)
    assert type(run.error) is SourceError
    assert says in str(run.error)
    assert "all" not in run.watermark


def test_one_entry_instead_of_a_list() -> None:
    """A plugin that unwraps a single review does no harm."""
    with opened(store := Woo(refusals=[Told({"id": 3, "review": "好", "rating": 5})])):
        assert crawl(store).ids == ["3"]
