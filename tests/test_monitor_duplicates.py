"""Near-copies: which texts share a key or a group, how that scales, and how copies are told from many buyers."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.duplicates import Spread, groups, spread, text_key

SMEAR = "这家店的充电宝用了两天就鼓包了，客服还不理人，大家千万别买"
BUYERS = [
    "收到的锅底下有一道划痕，申请换货三天没人处理",
    "杯盖拧不紧，放包里漏了一书的水",
    "说好的次日达，等了一个星期才送到",
    "颜色和图片差太多，像是旧货翻新",
    "打开包装一股刺鼻的味道，晾了两天还有",
    "电池掉电特别快，半天就要充一次",
]
HAN = [chr(code) for code in range(0x4E00, 0x5200)]


def edited(text: str, share: float, seed: int) -> str:
    """The text with that share of its characters replaced."""
    rng = random.Random(seed)
    places = set(rng.sample(range(len(text)), int(len(text) * share)))
    return "".join(rng.choice(HAN) if place in places else char for place, char in enumerate(text))


@pytest.mark.parametrize(
    "copy",
    [
        "这家店的充电宝用了两天就鼓包了!客服还不理人!!大家千万别买!!!",
        " 这家店的 充电宝 用了两天就鼓包了\n客服还不理人 大家千万别买😡😡",
        "①这家店的充电宝用了两天就鼓包了②客服还不理人③大家千万千万别买".replace("千万千万", "千万"),
        "这家店的充电宝用了两天就鼓包了了了，客服还不理人，大家千万别别别买 2026",
        "这家店的充电宝用了两天就鼓\u200b包了，客服还不理⼈，大家千万别买\ud83d",
    ],
)
def test_other_dress_same_key(copy: str) -> None:
    """Punctuation, blanks, emoji, digits, width and repeated characters do not make another text."""
    assert text_key(copy) == text_key(SMEAR) != ""


def test_case_and_width_share_a_key() -> None:
    """Latin letters are compared in lower case and normal width."""
    assert text_key("ＷＩＦＩ信号很差 Router") == text_key("wifi信号很差 router")


@pytest.mark.parametrize(
    "text", ["", "好评", "好评！！！👍👍", "差差差差差差差差", "123456789", "ok ok", "\ud800" * 9, "\x00"]
)
def test_a_short_text_has_no_key(text: str) -> None:
    """Two people saying 好评 are no copies."""
    assert text_key(text) == ""


def test_different_words_have_different_keys() -> None:
    """The key is of the words."""
    assert len({text_key(text) for text in [SMEAR, *BUYERS]}) == len(BUYERS) + 1


@given(st.text())
def test_any_text_has_a_key_or_none(text: str) -> None:
    """32 hex digits or nothing, whatever comes; doubled blanks and marks change nothing."""
    key = text_key(text)
    assert len(key) in (0, 32)
    assert text_key(f" {text}！") == key


def test_groups_hold_exact_and_near_copies_only() -> None:
    """Indices ascend, groups come in order of their first text, strangers and short texts stay out."""
    texts = [BUYERS[0], SMEAR, "好评", BUYERS[1], edited(SMEAR, 0.1, 1), "好评", SMEAR + "！", BUYERS[0] + "😡"]
    assert groups(texts) == [[0, 7], [1, 4, 6]]
    assert groups(texts) == groups(texts)


@pytest.mark.parametrize("texts", [[], ["差"], [SMEAR], BUYERS, ["", "", ""]])
def test_no_copies_no_groups(texts: list[str]) -> None:
    """Nothing, one text and different texts give no group."""
    assert groups(texts) == []


def test_the_threshold_decides() -> None:
    """A copy changed by a quarter is one at 0.6 and none at 0.9."""
    pair = [SMEAR, edited(SMEAR, 0.25, 2)]
    assert groups(pair, 0.6) == [[0, 1]]
    assert groups(pair, 0.9) == []


def test_copies_are_found_among_thousands_quickly() -> None:
    """Of 500 texts with four changed copies each among 5,000, 99 % of the copies are found, and no stranger joins."""
    rng = random.Random(7)
    base = ["".join(rng.choices(HAN, k=rng.randint(25, 80))) for _ in range(500)]
    texts = base + [edited(text, 0.12, seed) for seed in range(4) for text in base]
    texts += ["".join(rng.choices(HAN, k=rng.randint(25, 80))) for _ in range(2_500)]
    began = time.process_time()
    found = groups(texts)
    assert time.process_time() - began < 5
    assert all({index % 500 for index in group} == {group[0]} and group[-1] < 2_500 for group in found)
    assert sum(len(group) - 1 for group in found) >= 0.99 * 2_000


def test_huge_and_hostile_texts_are_compared_too() -> None:
    """Texts of 100,000 characters, repeated ones and rubbish cost no more than time."""
    long = "".join(random.Random(3).choices(HAN, k=100_000))
    assert groups([long, "差" * 100_000, "\ud800\x00" * 9, long + "尾", "=cmd()'" * 9]) == [[0, 3]]


def test_one_text_from_many_accounts_is_copied() -> None:
    """Most of the texts are near-copies from different accounts."""
    texts = [edited(SMEAR, 0.08, seed) for seed in range(6)] + BUYERS[:2]
    assert spread(texts, [f"a{index}" for index in range(8)]) == Spread(6, 8, 0.75, "copied")


def test_one_batch_with_many_buyers_is_independent() -> None:
    """Different words from different accounts."""
    assert spread(BUYERS, list("abcdef")) == Spread(0, 6, 0.0, "independent")


@pytest.mark.parametrize(
    ("texts", "authors", "expected"),
    [
        ([], [], Spread(0, 0, 0.0, "unclear")),
        ([SMEAR] * 4, list("abcd"), Spread(4, 4, 1.0, "unclear")),
        ([SMEAR] * 6, ["a"] * 6, Spread(0, 1, 0.0, "unclear")),
        ([SMEAR] * 6, ["a", "b"] * 3, Spread(6, 2, 1.0, "unclear")),
        ([SMEAR] * 6, [""] * 6, Spread(0, 0, 0.0, "unclear")),
        ([SMEAR] * 2 + BUYERS[:4], list("abcdef"), Spread(2, 6, 2 / 6, "unclear")),
        (BUYERS, ["a", "a", "a", "a", "b", "c"], Spread(0, 3, 0.0, "unclear")),
    ],
)
def test_too_little_to_say(texts: list[str], authors: list[str], expected: Spread) -> None:
    """Few texts, one account copying itself, unknown accounts, or something between: unclear, with the figures."""
    assert spread(texts, authors) == expected


def test_every_text_needs_its_author() -> None:
    """Lists of different length are the caller's mistake."""
    with pytest.raises(ValueError, match="1 texts, but 2 authors"):
        spread([SMEAR], ["a", "b"])
