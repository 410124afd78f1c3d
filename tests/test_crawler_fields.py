"""crawler.bases.fields: raw values to an item, and ids for sources that give none."""

from dataclasses import replace
from typing import Any

import pytest
from crawler_factories import NOW, ZONE
from hypothesis import given
from hypothesis import strategies as st

from crawler.bases.fields import FIELDS, make_item, page_identity
from crawler.items import BadRow, FeedbackItem


def make(page: str = "", **raw: Any) -> FeedbackItem:
    item = make_item(raw, ZONE, NOW, where="here", page=page)
    assert isinstance(item, FeedbackItem)
    return item


def test_every_field_finds_its_place() -> None:
    """All fields of the vocabulary, cleaned and typed."""
    item = make(
        id=12.0, text="<p>漏水</p>", title="差", stars="1", time="2026-11-01 08:03", author="t***1",
        product="杯&amp;盖", order=10**17, url="http://x.example/1", followup="还是漏", reply="抱歉",
        deleted="否", sku="白色", batch="B1", warehouse="一号仓", courier="某通", likes="1.5万", tier="金卡",
        reposts=2, comments="", parent="帖子",
    )  # fmt: skip
    assert (item.external_id, item.text, item.title, item.stars) == ("12", "漏水", "差", 1)
    assert (item.author, item.product, item.order_ref, item.url) == (
        "t***1",
        "杯&盖",
        "1" + "0" * 17,
        "http://x.example/1",
    )
    assert (item.followup, item.reply, item.deleted) == ("还是漏", "抱歉", False)
    assert item.extra == {
        "sku": "白色", "batch": "B1", "warehouse": "一号仓", "courier": "某通", "likes": 15000, "reposts": 2,
        "parent": "帖子", "tier": "金卡",
    }  # fmt: skip
    assert item.created_at is not None


def test_nothing_to_store_is_a_bad_row() -> None:
    """An author and a time alone are no feedback; pictures only (stars without text) are."""
    assert isinstance(make_item({"author": "a", "time": "2026-11-01"}, ZONE, NOW, where="x:1"), BadRow)
    assert make(stars=5).text == ""
    assert make(id="1", deleted=True).deleted


def test_derived_ids_tell_reviews_apart_and_know_them_again() -> None:
    """Page, author, time and text make the id; a reply, an edit of the likes or the order of the fields do not."""
    base: dict[str, Any] = {"text": "漏水", "author": "t***1", "time": "2026-11-01 08:03"}
    same = make(page="p", **base, reply="抱歉", likes=3).external_id
    others = [
        make(page="q", **base),
        make(page="p", **{**base, "text": "好"}),
        make(page="p", **{**base, "author": "x"}),
    ]
    others.append(make(page="p", **{**base, "time": "2026-11-01 08:04"}))
    assert same == make(page="p", **base).external_id
    assert len({same, *(other.external_id for other in others)}) == 5


def test_a_relative_time_does_not_change_the_id_between_visits() -> None:
    """ "3分钟前" and "8分钟前" on the same day are the same review."""
    assert make(text="漏", time="3分钟前").external_id == make(text="漏", time="8分钟前").external_id


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://a.example/p/1?page=2", "http://a.example/p/1"),
        ("http://a.example/p/1/?pageNo=3&id=5#r", "http://a.example/p/1?id=5"),
        ("http://a.example/reviews/page/2/", "http://a.example/reviews"),
        ("http://a.example/reviews/page-2.html", "http://a.example/reviews.html"),
    ],
)
def test_paging_is_no_part_of_a_pages_identity(url: str, same: str) -> None:
    """A review that newer ones push on to the next page stays the same review."""
    assert page_identity(url) == page_identity(same)


def test_two_products_are_two_pages() -> None:
    """What is not paging tells pages apart."""
    assert len({page_identity(f"http://a.example{path}") for path in ("/p/1", "/p/2", "/p?id=1", "/p?id=2")}) == 4


@given(
    st.dictionaries(st.sampled_from(FIELDS), st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans()))
)
def test_any_values_make_an_item_or_a_bad_row(raw: dict[str, Any]) -> None:
    """Never an exception; the same values give the same item; an id is never empty."""
    item = make_item(raw, ZONE, NOW, where="x")
    assert item == make_item(raw, ZONE, NOW, where="x")
    assert isinstance(item, BadRow) or (item.external_id and replace(item))


def test_lone_surrogates_do_not_stop_it() -> None:
    """Half an emoji from a careless API is stored under an id like any other."""
    assert len(make(text="坏\ud83d了").external_id) == 40
