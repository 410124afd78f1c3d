"""crawler.parsing: counts and stars."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.parsing import parse_count, parse_stars

WORDS = {"One": 1, "Two": 2, "Three": 3, "Four": 4, "Five": 5, "力荐": 5, "还行": 3, "allstar40": 4}


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("1.5万", 15000),
        ("10万+", 100000),
        ("1.2亿", 120000000),
        ("3千", 3000),
        ("2k", 2000),
        ("1.2w", 12000),
        ("1.2M", 1200000),
        ("1,234", 1234),
        ("999+", 999),
        ("１２", 12),
        ("赞(12)", 12),
        (7, 7),
        (7.9, 7),
        ("0", 0),
        ("赞", None),
        ("", None),
        (None, None),
        (True, None),
        (-1, None),
        ("-3", None),
        (float("inf"), None),
        ([1], None),
        ("3 months", 3),
    ],
)
def test_counts(said: object, count: int | None) -> None:
    """Chinese and English units, separators, a plus sign; no number is no count."""
    assert parse_count(said) == count


@pytest.mark.parametrize(
    ("said", "stars"),
    [
        (4, 4),
        (4.5, 4.5),
        ("4.5", 4.5),
        ("4.3", 4.5),
        ("１", 1),
        ("4/5", 4),
        ("8/10", 4),
        ("4 out of 5", 4),
        ("80%", 4),
        ("width: 70%", 3.5),
        ("★★★☆☆", 3),
        ("★★★★½", 4.5),
        ("⭐⭐", 2),
        ("好评", 5),
        ("中评", 3),
        ("差评", 1),
        ("bad", 1),
        ("五星", 5),
        ("四星半", 4.5),
        ("4星半", 4.5),
        ("4.5星", 4.5),
        ("3颗星", 3),
        ("5分", 5),
        ("评分：4", 4),
        ("rating-4", 4),
        ("star5", 5),
        ("2 stars", 2),
        ("star-rating Three", 3),
        ("rating three-of-five", 3),
        ("力荐", 5),
        ("allstar40 rating", 4),
    ],
)
def test_stars(said: object, stars: float) -> None:
    """Numbers, shares, drawings, words, class names and widths."""
    assert parse_stars(said, WORDS) == stars


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        True,
        0,
        0.5,
        6,
        "0",
        "90分",
        "3人觉得有用",
        "star-rating",
        "Threesome",
        "☆☆☆☆☆",
        "0%",
        "5/0",
        float("nan"),
        "用了5分钟",
        "不错",
        [5],
        "2026-11-01",
    ],
)
def test_what_is_no_rating_is_none(said: object) -> None:
    """Out of range, unrelated or empty gives None, never the nearest star."""
    assert parse_stars(said, WORDS) is None


def test_the_longest_word_counts_and_must_be_in_range() -> None:
    """ "非常满意" is not "满意", and a word that promises seven stars says nothing."""
    assert parse_stars("非常满意", {"满意": 4, "非常满意": 5}) == 5
    assert parse_stars("seven", {"seven": 7, "": 3}) is None


@given(st.one_of(st.text(max_size=60), st.floats(), st.integers()))
def test_anything_gives_a_half_star_or_none(said: Any) -> None:
    """Never an exception, always within 1 to 5 in halves; counts never negative."""
    stars = parse_stars(said, WORDS)
    assert stars is None or (1 <= stars <= 5 and (stars * 2).is_integer())
    count = parse_count(said)
    assert count is None or count >= 0
