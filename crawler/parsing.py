"""Dates, counts, stars and HTML as shops and forums write them. What is not understood is None, never a guess."""

import re
import unicodedata
from collections.abc import Mapping

from crawler.text import plain_text
from crawler.times import is_relative, parse_time

__all__ = ["is_relative", "parse_count", "parse_stars", "parse_time", "plain_text"]

_COUNT = re.compile(r"(?<![\d.])(-?)(\d{1,3}(?:,\d{3})+|\d{1,15})(\.\d{1,6})?\s*(亿|万|千|百|[kKwWmM](?![a-zA-Z]))?")
_MOST = 2**53  # whole numbers beyond are no count of anything
_FACTORS = {"亿": 10**8, "万": 10**4, "w": 10**4, "千": 1000, "k": 1000, "百": 100, "m": 10**6}
_LOWEST, _HIGHEST = 1.0, 5.0
_NUMBER = r"(\d{1,3}(?:\.\d{1,4})?)"
_PERCENT = re.compile(rf"(?<![\d.]){_NUMBER}\s*%")
_OF = re.compile(rf"(?<![\d./-]){_NUMBER}\s*(?:/|out of|分制)\s*(\d{{1,3}})(?![\d./-])", re.IGNORECASE)
_ALONE = re.compile(_NUMBER)
_NAMED = re.compile(
    rf"(?<![\d.]){_NUMBER}\s*(?:颗星|星|分(?![钟之])|stars?\b)(半?)"
    rf"|(?:评分|打分|星级|得分|rating|score|stars?)[\s:_-]*{_NUMBER}(?![\d.%])",
    re.IGNORECASE,
)
_STARS_IN_WORDS = re.compile(r"([一二两三四五])\s*颗?星(半?)")
_NUMERALS = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5}
_VERDICTS = {
    "好评": 5.0,
    "中评": 3.0,
    "差评": 1.0,
    "good": 5.0,
    "neutral": 3.0,
    "bad": 1.0,
}  # 淘宝's three, in its page and its API


def parse_count(value: object) -> int | None:
    """A count: ``"1.5万"`` is 15000, ``"10万+"`` 100000, ``"1,234"`` 1234; None where no number is said."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value) if 0 <= value <= _MOST else None
    found = _COUNT.search(unicodedata.normalize("NFKC", value)) if isinstance(value, str) else None
    if not found or found[1]:
        return None
    return round(float(found[2].replace(",", "") + (found[3] or "")) * _FACTORS.get((found[4] or "").lower(), 1))


def parse_stars(value: object, words: Mapping[str, float] | None = None) -> float | None:
    """Stars from 1 to 5 in halves: numbers, ``4/5``, ``80%``, ``★★★☆☆``, ``四星半``, 好评/中评/差评, or ``words``.

    Args:
        value: A number, the text of a field, a class or a style attribute.
        words: The source's own words, such as ``{"Three": 3}`` for ``class="star-rating Three"``; they come first.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _in_range(value)
    if not isinstance(value, str) or not (text := unicodedata.normalize("NFKC", value).strip()):
        return None
    if words and (found := [word for word in words if word and _has_word(text, word)]):
        return _in_range(words[max(found, key=len)])
    if drawn := text.count("★") + text.count("⭐") + text.count("🌟"):
        return _in_range(drawn + (0.5 if "½" in value or "⯨" in text else 0.0))
    return _said(text)


def _has_word(text: str, word: str) -> bool:
    if not word.isascii():
        return word in text
    return re.search(rf"(?<![a-z0-9]){re.escape(word.casefold())}(?![a-z0-9])", text.casefold()) is not None


def _said(text: str) -> float | None:
    if found := _ALONE.fullmatch(text):
        return _in_range(float(found[1]))
    if found := _PERCENT.search(text):
        return _in_range(float(found[1]) / 20)
    if (found := _OF.search(text)) and float(found[2]):
        return _in_range(float(found[1]) / float(found[2]) * _HIGHEST)
    if found := _STARS_IN_WORDS.search(text):
        return _in_range(_NUMERALS[found[1]] + (0.5 if found[2] else 0.0))
    if found := _NAMED.search(text):
        return _in_range(float(found[1] or found[3]) + (0.5 if found[2] else 0.0))
    return _VERDICTS.get(text.casefold())


def _in_range(stars: float) -> float | None:
    if not _LOWEST <= stars <= _HIGHEST:  # also refuses NaN
        return None
    return int(stars * 2 + 0.5) / 2
