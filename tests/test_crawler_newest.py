"""crawler.bases.newest: lists read newest first, with Judge.me's as one; that nothing is missed, and at what cost."""

import json
from datetime import timedelta
from typing import Any

import pytest
from crawler_factories import NOW, make_connector, make_page
from hypothesis import given
from hypothesis import strategies as st
from serving import Told
from store_apps import connect_row, play_row
from store_shops import Judge, judge_row, weibo_row, woo_row
from stores import ENV, opened, read, while_200_come_in

from crawler.bases.base import Fetch
from crawler.items import BadRow, FeedbackItem
from crawler.secrets import Secrets

OPTIONS = {"shop_domain": "cup.myshopify.com", "token_env": "JUDGEME_TOKEN"}


def crawl(store: Judge, mark: dict[str, Any] | None = None, **options: Any) -> Any:
    return read("judgeme", store, mark, url=f"{store.root}/api/v1", **OPTIONS, **options)


def shelf(count: int, every: timedelta = timedelta(minutes=30)) -> list[dict[str, Any]]:
    return [judge_row(count - n, NOW - every * n) for n in range(count)]


def add(store: Judge, *numbers: int) -> None:
    """New reviews on top, a second apart."""
    store.rows[:0] = [judge_row(n, store.clock - timedelta(seconds=len(numbers) - at)) for at, n in enumerate(numbers)]


def test_five_new_ones_among_10000_cost_at_most_three_requests() -> None:
    """However busy the shop: the first page that was read before ends it; nothing new costs one request."""
    for every in (timedelta(seconds=10), timedelta(minutes=40)):
        store = Judge(shelf(10_000, every))
        with opened(store):
            first = crawl(store)
            assert (len(first.items), first.requests) == (10_000, 101)
            store.clock += timedelta(hours=6)
            add(store, 10_001, 10_002, 10_003, 10_004, 10_005)
            second = crawl(store, first.watermark)
            assert {"10001", "10002", "10003", "10004", "10005"} <= set(second.ids)
            assert second.requests <= 3
            assert crawl(store, second.watermark).requests == 1


def test_the_same_review_on_two_pages_while_new_ones_push_the_list_down() -> None:
    """200 come in during a crawl, each page turned: none twice in a run, none missed over two."""
    store = Judge(shelf(1000))
    while_200_come_in(store, crawl, lambda numbers: add(store, *numbers))


def test_a_page_that_repeats_for_ever_ends() -> None:
    """A server that answers every page with the same rows."""

    class Stuck(Judge):
        def answer(self, asked: Any) -> Told:
            asked.query["page"] = "1"
            return super().answer(asked)

    store = Stuck(shelf(200))
    with opened(store):
        run = crawl(store)
    assert run.error is None
    assert (len(run.items), run.requests) == (100, 21)


def test_a_list_that_stays_where_it_is_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor that leads to itself: what lies behind it was not read, so the watermark stays."""
    from crawler.spiders.judgeme import JudgemeConnector

    monkeypatch.setattr(JudgemeConnector, "rows", lambda *_: ([judge_row(1, NOW)], 2))
    store = Judge(shelf(1))
    with opened(store):
        run = crawl(store)
    assert "停在原处" in str(run.error)
    assert run.watermark == {}


def test_only_a_run_that_ended_well_moves_the_watermark() -> None:
    """An answer that fails, or pages that nobody asked for any more, leave it where it was."""
    store = Judge(shelf(500))
    with opened(store):
        store.before = lambda number: store.refusals.append(Told({"error": "boom"}, 500)) if number == 3 else None
        failed = crawl(store)
        assert "HTTP 500；对方说：boom" in str(failed.error)
        assert failed.watermark == {}
        store.before = lambda _: None
        assert len(crawl(store).items) == 500


def test_an_edited_and_a_deleted_review_are_found_once_a_day() -> None:
    """They lie below the overlap; the day's further reading finds them, at most as old as again_days."""
    store = Judge(shelf(1500))
    with opened(store):
        mark = crawl(store).watermark
        store.rows[800] |= {"body": "改过了"}
        store.rows[801] |= {"curated": "spam"}
        store.clock += timedelta(hours=23)
        soon = crawl(store, mark)
        assert not [item for item in soon.items if item.text == "改过了"]
        store.clock += timedelta(hours=2)
        late = crawl(store, soon.watermark)
        assert [item.external_id for item in late.items if item.text == "改过了"] == ["700"]
        assert [item.external_id for item in late.items if item.deleted] == ["699"]
        assert late.requests == 15
        assert crawl(store, late.watermark).requests == 1
        assert crawl(store, mark, again_days=0).requests == 1


def test_a_page_of_edited_rows_is_not_a_known_page() -> None:
    """Where edits move rows to the top, a row with other words or another time is news."""
    store = Judge(shelf(300))
    with opened(store):
        mark = crawl(store).watermark
        store.rows = [row | {"body": "改过了"} for row in store.rows[:150]] + store.rows[150:]
        run = crawl(store, mark)
    assert len([item for item in run.items if item.text == "改过了"]) == 150


def test_a_review_that_is_shown_late_is_found_within_a_day() -> None:
    """It was written before what is known, and stands below it."""
    store = Judge(shelf(1000))
    with opened(store):
        mark = crawl(store).watermark
        store.rows.insert(250, judge_row(5000, NOW - timedelta(hours=125)))
        store.clock += timedelta(hours=25)
        assert "5000" in crawl(store, mark).ids


def test_an_old_review_pinned_on_top_does_not_end_the_list() -> None:
    """Only a page that is old or known as a whole does; a row without a time is never old."""
    store = Judge(shelf(600, timedelta(seconds=1)))
    store.rows[0] |= {"created_at": "2019-01-01T00:00:00+00:00"}
    with opened(store):
        mark = crawl(store).watermark
        for row in store.rows:
            row["body"] += "！"
        assert len(crawl(store, mark).items) == 600
        assert crawl(store, mark, history_days=1, again_days=0, overlap_hours=1).requests == 7
        for row in store.rows[1:]:
            row["created_at"] = "2020-01-01T00:00:00+00:00"
        assert crawl(store, mark).requests == 1
        store.rows[5] |= {"created_at": None}
        assert crawl(store, mark).requests == 2


def test_a_list_of_unknown_order_is_read_to_its_end() -> None:
    """newest_first = false: where the platform's word is not good enough."""
    store = Judge(shelf(350))
    store.rows.reverse()
    with opened(store):
        mark = crawl(store, newest_first=False).watermark
        add(store)
        store.rows.append(judge_row(999, NOW))
        assert "999" in crawl(store, mark, newest_first=False).ids


ROWS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "woocommerce": (
        {"url": "https://a.example", "key_env": "WOO_KEY", "secret_env": "WOO_SECRET"},
        "",
        woo_row(1, NOW),
    ),
    "judgeme": (OPTIONS, "reviews", judge_row(1, NOW)),
    "googleplay": ({"package": "a.b", "key_env": "PLAY_KEY"}, "reviews", play_row(1, NOW)),
    "appstore": ({"app": 1, "key_env": "APPSTORE_KEY", "key_id": "k"}, "data", connect_row(1, NOW)),
    "weibo": ({"token_env": "WEIBO_TOKEN", "lists": ["statuses/mentions"]}, "statuses", weibo_row(1, NOW)),
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", ROWS)
@given(data=st.data())
def test_whatever_a_row_holds_it_is_an_item_or_left_out(kind: str, data: st.DataObject) -> None:
    """Values of any type in any place are no reason to lose the rest of a page."""
    options, path, row = ROWS[kind]
    connector = make_connector(kind, options, secrets=Secrets(ENV))
    if kind == "googleplay":  # as if it had its token
        vars(connector)["_ends"] = NOW + timedelta(days=1)
    fetch = next(one for one in connector.start() if isinstance(one, Fetch))
    row = json.loads(json.dumps({name: value for name, value in row.items() if name != "at"}))
    for holder in (row, row.get("attributes"), row.get("user")):
        for name in data.draw(st.lists(st.sampled_from(sorted(holder)), max_size=4)) if holder else ():
            holder[name] = data.draw(VALUES)
    body = json.dumps([row, row] if not path else {path: [row, row]})
    given_back = [one for one in connector.read(make_page(body), fetch) if not isinstance(one, Fetch)]
    assert given_back
    assert all(isinstance(one, (FeedbackItem, BadRow)) for one in given_back)
