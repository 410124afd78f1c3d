"""crawler.spiders.weibo: what is said to an account of one's own."""

from datetime import timedelta
from typing import Any

import pytest
from crawler_factories import NOW
from serving import Told
from store_shops import Weibo, weibo_row
from stores import opened, read

from crawler.bases.base import AttentionError, EndedError, SourceError, ThrottledError

FIRST = 5_000_000_000_000_000


def crawl(store: Weibo, mark: dict[str, Any] | None = None, **options: Any) -> Any:
    return read("weibo", store, mark, **{"url": f"{store.root}/2", "token_env": "WEIBO_TOKEN", **options})


def timeline(count: int, every: timedelta = timedelta(minutes=1)) -> list[dict[str, Any]]:
    return [weibo_row(FIRST + count - n, NOW - every * n) for n in range(count)]


def one(**values: Any) -> Any:
    with opened(store := Weibo([weibo_row(FIRST, NOW, **values)])):
        (item,) = crawl(store).items
    return item


def comment(**values: Any) -> Any:
    with opened(store := Weibo(comments=[weibo_row(FIRST + 9, NOW, **values)])):
        (item,) = crawl(store).items
    return item


def test_five_new_ones_among_10000_cost_one_request_a_list() -> None:
    """Only what is above since_id is asked for; no list needs a second page."""
    store = Weibo(timeline(10_000, timedelta(seconds=10)), comments=timeline(300, timedelta(hours=1)))
    with opened(store):
        first = crawl(store)
        assert len(first.items) == 10_300
        store.clock += timedelta(hours=3)
        store.rows[:0] = [weibo_row(FIRST + 20_000 - n, store.clock) for n in range(5)]
        second = crawl(store, first.watermark)
    assert {str(FIRST + 20_000 - n) for n in range(5)} <= set(second.ids)
    assert second.requests == 3
    asked = {entry.path: entry.query.get("since_id") for entry in store.asked[-3:]}
    assert int(asked["/2/statuses/mentions.json"] or 0) > FIRST + 9_000


def test_posts_that_come_in_during_a_crawl_move_nothing() -> None:
    """Pages go by max_id; what was written meanwhile is the next run's."""
    store = Weibo(timeline(500))

    def push(number: int) -> None:
        if number <= 10:
            store.rows[:0] = [weibo_row(FIRST + 500 + number * 20 + n, NOW) for n in range(19, -1, -1)]

    with opened(store):
        store.before = push
        first = crawl(store, page_size=50)
        assert len(first.ids) == len(set(first.ids))
        store.before = lambda _: None
        second = crawl(store, first.watermark, page_size=50)
    wanted = {str(FIRST + n) for n in [*range(1, 501), *range(520, 720)]}
    assert wanted <= {*first.ids, *second.ids}


def test_a_page_that_is_short_because_posts_are_hidden_is_not_the_last() -> None:
    """The platform counts first and hides then."""
    rows = timeline(120)
    for row in rows[3:20]:
        row["hidden"] = True
    with opened(store := Weibo(rows)):
        assert len(crawl(store, page_size=50).items) == 103


def test_a_post_shown_late_is_found_within_the_overlap() -> None:
    """since_id is the highest id that is older than the overlap, not the highest."""
    store = Weibo(timeline(300, timedelta(minutes=10)))
    late = store.rows.pop(6)
    with opened(store):
        mark = crawl(store).watermark
        store.rows.insert(6, late)
        store.clock += timedelta(minutes=5)
        run = crawl(store, mark)
    assert str(late["id"]) in run.ids
    assert len(run.items) < 20


@pytest.mark.parametrize(
    ("said", "ago"),
    [
        ("刚刚", timedelta()),
        ("3分钟前", timedelta(minutes=3)),
        ("昨天 12:30", timedelta(hours=21)),
        ("11-20 09:30", timedelta(days=2)),
        ("Sun Nov 22 09:30:00 +0800 2026", timedelta()),
        ("Sun Nov 22 01:00:00 +0000 2026", timedelta(minutes=30)),
    ],
)
def test_times_as_weibo_says_them(said: str, ago: timedelta) -> None:
    """Relative, without a year, with a zone."""
    assert one(created_at=said).created_at == NOW - ago


def test_counts_as_weibo_says_them() -> None:
    """1.5万 is a number; a word in a number's place is none."""
    item = one(attitudes_count="1.5万", reposts_count="转发", comments_count=0)
    assert item.extra == {"likes": 15_000, "comments": 0}
    assert item.url == f"https://m.weibo.cn/status/{FIRST}"


def test_a_long_post_is_whole_and_a_repost_names_what_it_passes_on() -> None:
    """The long text replaces the cut one; HTML becomes text."""
    item = one(
        text="@好杯子 漏水…全文",
        longText={"longTextContent": '@好杯子 漏水，<a href="/t">#话题#</a>客服不理&amp;推诿'},
        retweeted_status={"id": 4_999, "text": "原微博"},
    )
    assert item.text == "@好杯子 漏水，#话题#客服不理&推诿"
    assert item.extra.items() >= {"repost": "4999", "thread": "4999"}.items()


def test_a_comment_stands_in_its_thread() -> None:
    """Its parent is the post, or the comment it answers; its id cannot be taken for a post's."""
    plain = comment(status={"id": FIRST, "text": "上新"})
    assert (plain.external_id, plain.url) == (f"c{FIRST + 9}", f"https://m.weibo.cn/status/{FIRST}")
    assert plain.extra.items() >= {"parent": str(FIRST), "thread": str(FIRST)}.items()
    reply = comment(status={"id": FIRST}, reply_comment={"id": 77, "text": "楼上"}, like_count="12")
    assert reply.extra.items() >= {"parent": "c77", "thread": str(FIRST), "likes": 12}.items()


def test_a_deleted_post_and_a_gone_author() -> None:
    """No user, no original: the rest stays."""
    gone = one(deleted="1", text="抱歉，此微博已被作者删除", user=None)
    assert (gone.deleted, gone.author) == (True, "")
    orphan = comment(status=None)
    assert (orphan.external_id, orphan.url) == (f"c{FIRST + 9}", "")
    with opened(store := Weibo(refusals=[Told({"statuses": [{"text": "@好杯子 没有编号", "status": None}]})])):
        assert crawl(store, lists=["statuses/mentions"]).error is None


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        (Told({"error": "expired_token", "error_code": 21327}, 403), EndedError, "WEIBO_TOKEN"),
        (Told({"error": "auth by Null spi!", "error_code": 21301}), EndedError, "21301"),
        (Told({"error": "Insufficient app permissions!", "error_code": 10014}, 403), AttentionError, "权限"),
        (Told({"error": "miss required parameter", "error_code": 10016}, 400), SourceError, "10016"),
        (Told({"message": "nothing here"}), SourceError, "没有 items 路径 'statuses'"),
        (Told(b"<html>", 502), SourceError, "HTTP 502"),
    ],
)
def test_what_a_refusal_means(told: Told, kind: type[SourceError], says: str) -> None:
    """An error may come with HTTP 200; an expired token stops the run and names the variable."""
    with opened(store := Weibo(refusals=[told])):
        run = crawl(store, lists=["statuses/mentions"])
    assert type(run.error) is kind
    assert says in str(run.error)


def test_out_of_rate_limit_the_same_is_asked_again() -> None:
    """A 403 that is no lack of rights."""
    told = Told({"error": "User requests out of rate limit!", "error_code": 10023}, 403)
    with opened(store := Weibo(timeline(3), refusals=[told])):
        run = crawl(store)
    assert (run.error, len(run.items), run.pauses) == (None, 3, [0.0])
    assert issubclass(ThrottledError, SourceError)


@pytest.mark.parametrize("body", [[], {"statuses": [], "total_number": 0}, {"statuses": None}])
def test_nothing_said(body: Any) -> None:
    """An empty list in each of the platform's ways of saying so."""
    with opened(store := Weibo(refusals=[Told(body)])):
        run = crawl(store, lists=["statuses/mentions"])
    assert (run.error, run.items) == (None, [])
    assert run.watermark["statuses/mentions"]["since"] == 0
