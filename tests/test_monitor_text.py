"""Cleaning: what is folded, what stays, and that nothing outside can break or slow it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.text import CUT_MARK, LIMIT, clean

KEPT = [
    "",
    "质量不错，物流也快！",
    "第①点：味道；第②点：包装（漏了）？",
    "面积 12m²，半价½，25℃，Ⅱ型",
    "价格<300 还>200，<iPhone 15>没货",
    "颜文字<T_T> >_< <3",
    "https://shop.example/item?a=1&copy=2&lt=3",
    "A&B；R&D；&不是实体;",
    "好评👍🎉 ~～",
    "＜b＞不是标签＜/b＞＆nbsp；",
]

CHANGED = [
    ("Ｐｒｏ１２８Ｇ，８５％", "Pro128G，85%"),
    ("ｱｲｳ ⓋⓍ 𝟏𝟑𝟖 𝐯𝐱", "アイウ VX 138 vx"),
    ("⼈品很好", "人品很好"),
    ("cafe\u0301 不错", "café 不错"),
    ("差\u200b评\u2060、\u202e差\u00ad劲", "差评、差劲"),
    ("第1\ufe0f\u20e3步", "第1步"),
    ("坏\x00的\x07\x9f", "坏的"),
    ("半\ud83d个", "半个"),
    ("  一行\r\n\t两行\u3000\u00a0三行\u2028 ", "一行 两行 三行"),
    ("<p>很<b>差</b><br/>不买了</p>", "很差 不买了"),
    ("&lt;p&gt;很&lt;b&gt;差&lt;/b&gt;&lt;/p&gt;", "很差"),
    ("&amp;lt;br&amp;gt;很差&amp;amp;nbsp;的", "很差 的"),
    ("&#24046;&#x8bc4;&quot;&unknown;", '差评"&unknown;'),
    ("好&#8203;评&zwnj;", "好评"),
    ("<script>alert('差')</script>", "alert('差')"),
    ("<!-- 其实很差 -->", "其实很差 -->"),
    ("<<b>b>粗</b>", "粗"),
    ("<DIV CLASS='x'>大写</DIV >", "大写"),
]


@pytest.mark.parametrize("text", KEPT)
def test_text_that_means_something_stays(text: str) -> None:
    """Punctuation, unit signs, list marks and things that only look like markup are not touched."""
    assert clean(text) == text


@pytest.mark.parametrize(("text", "expected"), CHANGED)
def test_width_markup_and_invisible_characters_go(text: str, expected: str) -> None:
    """Width and style are folded, markup and what cannot be seen is removed, words remain."""
    assert clean(text) == expected


def test_a_long_text_is_cut_and_says_so() -> None:
    """Up to the limit nothing is cut; beyond it the mark stands at the end, inside the limit."""
    assert clean("差" * LIMIT) == "差" * LIMIT
    long = clean("差" * (LIMIT + 1))
    assert len(long) == LIMIT
    assert long.endswith("差" + CUT_MARK)
    assert clean(long) == long


def test_a_cut_inside_much_markup_is_told_too() -> None:
    """When the raw text is cut before cleaning, the mark stands even if little text was left."""
    assert clean("<br>" * 250_000 + "差") == CUT_MARK
    assert clean("很差" + " " * 1_000_000) == "很差" + CUT_MARK


@pytest.mark.parametrize(
    "text",
    [
        "&" + "amp;" * 250_000,
        "&am&#112;" * 100_000 + ";",
        "a" + "\u0300\u0316" * 500_000,
        "<b " * 300_000,
        "<" * 400_000 + "b>" * 300_000,
        "<!--" * 250_000,
        "\u202e\x00\ud800" * 330_000,
        "<p>很差&nbsp;" * 100_000,
    ],
)
def test_a_megabyte_of_rubbish_is_quick(text: str) -> None:
    """No input makes cleaning slow, and the result is bounded and stable."""
    began = time.process_time()
    cleaned = clean(text)
    assert time.process_time() - began < 1
    assert len(cleaned) <= LIMIT
    assert clean(cleaned) == cleaned


def test_markup_nested_beyond_reason_stays_as_harmless_text() -> None:
    """What is still markup after all rounds is shown full-width instead of being taken for markup later."""
    cleaned = clean("<b" * 20 + ">" * 20 + "差")
    assert "<" not in cleaned
    assert cleaned.endswith("差")


PIECES = st.sampled_from(
    [*"&<>/;b eＡ！＜＆②ｶﾞ",
     "&amp;", "amp;", "lt;", "&lt;", "&gt;", "#38;", "#8203;", "<b>", "</b>", "<br", "!--",
     "\n", "\u0301", "\u0323", "\u200d", "\x00", "\ud800", "\u3000", "\ufe0f\u20e3", "\u212b", "差评"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """Idempotent for any text, and what comes out can be stored as UTF-8."""
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert "\x00" not in cleaned
    assert cleaned.encode().decode() == cleaned
