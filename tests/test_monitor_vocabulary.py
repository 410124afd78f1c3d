"""What counts as a word of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.vocabulary import holds, tokens


def test_what_did_not_arrive_is_not_confiscated() -> None:
    """没收到 is one word: cut in two it would say that something was taken away."""
    assert "没收到" in tokens("显示签收，可我没收到")
    assert "没收" not in tokens("等了九天还没收到货")


def test_marks_and_fillers_are_no_words() -> None:
    """Marks of intake, digits, single characters and punctuation are left out; Latin is folded."""
    assert tokens("【追评】BOSE耳机 [电话] 漏音 12345 不") == {"bose", "耳机", "漏音"}


@given(st.text(max_size=300))
def test_any_text_gives_words(text: str) -> None:
    """Whatever is written, words come out, and only such."""
    assert all(2 <= len(word) <= 20 for word in tokens(text))


@pytest.mark.parametrize("text", ["杯子漏水，漏水了两次", "还没收到货，Cup 也碎了", "【追评】[怒]不好"])
def test_a_text_holds_its_words_and_no_others(text: str) -> None:
    """One word is looked for as all are cut: parts of words, single characters and marks are none."""
    mine = tokens(text)
    pieces = {text.lower()[start:end] for start in range(len(text)) for end in range(start + 1, len(text) + 1)}
    assert mine
    assert {piece for piece in pieces if holds(text, piece)} == mine


@given(st.text(alphabet="没收到货了漏水，。!? aB客服不回", max_size=40))
def test_words_are_found_as_they_are_cut(text: str) -> None:
    """However a text is cut, one that is asked for is there exactly if it is among all."""
    found = tokens(text)
    assert all(holds(text, word) for word in found)
    assert not [
        word
        for word in ("漏水", "没收", "没收到", "收到", "客服", "不回", "到货")
        if holds(text, word) != (word in found)
    ]
