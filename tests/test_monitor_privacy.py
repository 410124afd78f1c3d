"""Masking: what is hidden, what stays, that twice is once, and that no disguise of a mobile number slips through."""

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from privacy_cases import KEPT, MASKED

from monitor.digits import ODD_DIGIT, personal, plain
from monitor.privacy import Masked, author_hash, mask, mask_nickname
from monitor.text import clean

SALT = b"a salt of this shop"
POSITIVE = [(kind, *line.split(" => ")) for kind, block in MASKED.items() for line in block.strip().splitlines()]
NEGATIVE = [line for block in KEPT.values() for line in block.strip().splitlines()]

SEPARATORS = [
    "",
    " ",
    "  ",
    "-",
    "—",
    ".",
    "·",
    "*",
    "**",
    "_",
    "/",
    "、",
    ",",
    "～",
    "\u200b",
    "😀",
    "❤️",
    "杠",
    " - ",
    "\n",
]
FIGURES = {
    "ascii": "0123456789",
    "full-width": "０１２３４５６７８９",
    "circled": "⓪①②③④⑤⑥⑦⑧⑨",
    "black": "⓿❶❷❸❹❺❻❼❽❾",
    "bold": "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
    "chinese": "零一二三四五六七八九",
    "formal": "零壹贰叁肆伍陆柒捌玖",
    "spoken": "洞幺两三四五六拐八勾",
}


@pytest.mark.parametrize(("kind", "text", "expected"), POSITIVE)
def test_personal_data_is_masked_and_named(kind: str, text: str, expected: str) -> None:
    """Every case of the table is stored as written there, its kind is told, and a second pass changes nothing."""
    masked = mask(text)
    assert masked.text == expected
    assert kind in masked.kinds
    assert mask(expected).text == expected


@pytest.mark.parametrize(("kind", "text", "expected"), POSITIVE)
def test_cleaning_first_hides_no_less(kind: str, text: str, expected: str) -> None:
    """Intake cleans before it masks: the same is found."""
    assert kind in mask(clean(text)).kinds


@pytest.mark.parametrize("text", NEGATIVE)
def test_what_is_no_personal_data_stays(text: str) -> None:
    """Order numbers, service numbers, prices, sizes, dates, models and plain words are not touched."""
    assert mask(text) == Masked(text, ())


def test_every_kind_has_enough_cases() -> None:
    """The table is broad: 15 sentences to mask and 10 to keep for each kind."""
    assert MASKED.keys() == KEPT.keys()
    assert all(len(block.strip().splitlines()) >= 15 for block in MASKED.values())
    assert all(len(block.strip().splitlines()) >= 10 for block in KEPT.values())


def test_kinds_are_told_once_in_order_of_appearance() -> None:
    """A parcel label with everything on it keeps only what staff need."""
    masked = mask("张三 13800001111 13900002222 江苏省苏州市某某路12号3幢501室 订单号2026110112345678901 zhang@qq.com")
    assert masked.text == ("张* 138****1111 139****2222 江苏省苏州市[地址已隐去] 订单号2026110112345678901 z***@qq.com")
    assert masked.kinds == ("name", "phone", "address", "email")


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("figures", FIGURES.values(), ids=FIGURES)
def test_no_disguise_of_a_mobile_number_slips_through(separator: str, figures: str) -> None:
    """Any figures with any separator between any two of them become the same mask."""
    number = separator.join(figures[int(digit)] for digit in "13924680579")
    assert mask(f"打{number}吧").text == "打139****0579吧"


@given(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.lists(st.tuples(st.sampled_from(list(FIGURES.values())), st.sampled_from(SEPARATORS)), min_size=11, max_size=11),
)
def test_mixed_disguises_slip_through_neither(number: str, dress: list[tuple[str, str]]) -> None:
    """Each digit in its own figures with odd separators: no eleven digits in a row are left."""
    odd = [separator for _, separator in dress[:10] if separator in {"😀", "*", "杠", "❤️"}] or ["😀"]
    written = "".join(
        figures[int(digit)] + odd[place % len(odd)]
        for place, (digit, (figures, _)) in enumerate(zip(number, dress, strict=True))
    )
    left = "".join(str(int(unicodedata.numeric(char))) for char in mask(written).text if char.isdigit())
    assert not re.search(r"1[3-9]\d{9}", left)
    assert left == number[:3] + number[-4:]


PIECES = st.sampled_from(
    ["13800001111", "138****1381", "****", "*", "1381", "0000000", "0512-", "65430021", "6222000000000009", "X", "一",
     "零", "①", "320500190001010000", "订单号", "订单", "快递单号",
     "SF", "微信", "：", "QQ", "旺旺号", "tb", "zhang", "@",
     "qq.com", "点com", " at ", "张三", "收货人：", "我叫", "地址：", "江苏省", "苏州市", "某某路", "12号", "3幢501室",
     "[已隐去]", "[地址已隐去]", " ", "，", "。", "😀"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=14).map("".join)))
def test_masking_twice_is_masking_once(text: str) -> None:
    """Idempotent for any text, also for one that holds masks and halves of them; empty kinds mean no change."""
    masked = mask(text)
    assert mask(masked.text).text == masked.text
    assert (masked.text == text) or masked.kinds


@pytest.mark.parametrize(
    "text",
    ["1 " * 10_000, "13800001111 " * 1_700, "一" * 20_000, "a" * 20_000 + "@", "1.1a" * 5_000, "江苏省" * 6_000,
     "a.@" * 6_000, "某某路1" * 5_000, "地址：" + "路1" * 9_000, "微信：" * 6_000, "1381 0001390 " * 1_500,
     "姓名：" * 6_000, "张三 北京" * 4_000, "6222 " * 4_000, "1@a." * 5_000,
     "=cmd|' /C calc'!A0\x00\ud800\u202e" * 500]
)  # fmt: skip
def test_no_text_makes_masking_slow(text: str) -> None:
    """The longest text intake keeps, made to hurt, takes little time."""
    began = time.process_time()
    masked = mask(text)
    assert time.process_time() - began < 1.5
    assert mask(masked.text).text == masked.text


def test_plain_reads_every_way_to_write_a_digit() -> None:
    """Separators vanish, figures become ASCII, a final X stays."""
    assert plain("1 ２-③四拐Ｘ") == "12347X"
    assert len(plain("".join(char for char in ODD_DIGIT if char != "-"))) == len(ODD_DIGIT.replace("-", ""))


@pytest.mark.parametrize(
    "text",
    ["13800001111****6222 0000", "****13800001111", "138****13800001111", "13800001111weibo@某某", "13800001111 @张三"],
)
def test_stars_and_signs_beside_a_number_do_not_shield_it(text: str) -> None:
    """What only looks like a mask or an email leaves no number readable."""
    assert "13800001111" not in mask(text).text
    assert mask(text).kinds == ("phone",)


def test_service_numbers_shield_their_own_digits() -> None:
    """A 400 number is not read as part of a phone, and the phone behind it is found."""
    assert [found.kind for found in personal("400-135-8888 13800001111")] == ["phone"]
    assert mask("400-135-8888 1234").kinds == ()


def test_author_hash_is_keyed_and_stable() -> None:
    """The same author has one pseudonym per shop salt and platform; nobody has none; no salt is refused."""
    first = author_hash("李小明", "tmall", SALT)
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert author_hash(" 李小明 ", "tmall", SALT) == first
    assert (
        len(
            {
                first,
                author_hash("李小明", "jd", SALT),
                author_hash("李小明", "tmall", b"b"),
                author_hash("李", "tmall", SALT),
            }
        )
        == 4
    )
    assert author_hash("坏\ud800", "tmall", SALT) != first
    assert author_hash("  ", "tmall", SALT) == ""
    with pytest.raises(ValueError, match="salt"):
        author_hash("李小明", "tmall", b"")


@pytest.mark.parametrize(
    ("author", "shown"),
    [
        ("李小明", "李**明"),
        ("欧阳小明", "欧**明"),
        ("李明", "李*"),
        ("李", "*"),
        ("", "匿名"),
        (" \u200b\x00", "匿名"),
        ("匿名", "匿名"),
        ("李**明", "李**明"),
        ("t***5(匿名)", "t***5(匿名)"),
        ("138****5678", "138****5678"),
        ("13800001111", "1**1"),
        ("13800001111*", "1***"),
        ("zhang@qq.com", "z**m"),
        ("😀😀😀", "😀**😀"),
        ("😀\ud83d", "*"),
        ("<b>李小明</b>", "李**明"),
    ],
)
def test_a_nickname_shows_no_more_than_its_ends(author: str, shown: str) -> None:
    """Recognisable for staff, useless for a search; what a platform masked already stays."""
    assert mask_nickname(author) == shown


@given(st.text(max_size=40))
def test_any_nickname_can_be_stored_and_masked_again(author: str) -> None:
    """Never empty, never with lone surrogates, and stable."""
    shown = mask_nickname(author)
    assert shown.encode()
    assert mask_nickname(shown) == shown
