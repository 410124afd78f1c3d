"""The words of a text, as reports count them and as the desk finds the texts that hold one."""

import re
from collections.abc import Iterator
from itertools import pairwise

NEWEST = 10_000
"""Texts of a span that are read, the newest first: more would move no rank and cost seconds."""
_CHARACTERS = 400  # of one text: a single essay must not fill the cloud
_WORD = re.compile(r"[㐀-鿿]{2,8}|[A-Za-z]{3,20}")
_MARKS = re.compile(r"[，。！？；：、,!?;\s]+")
_ADDED = re.compile(r"【[^】]{0,12}】|\[[^\]]{0,12}\]")  # marks that intake set, not words of the writer


def tokens(text: str) -> set[str]:
    """The different words of a text: Chinese of two characters and more, Latin of three and more in lower case."""
    return {word.lower() for word in _cut(_read(text)) if _WORD.fullmatch(word)}


def holds(text: str, word: str) -> bool:
    """Whether one of its `tokens` is this; cut is only what stands between the marks around it, for words end there."""
    if not _WORD.fullmatch(word):
        return False
    parts = (part for part in _MARKS.split(_read(text)) if word in part.lower())
    return any(word == one.lower() for part in parts for one in _cut(part))


def _read(text: str) -> str:
    return _ADDED.sub(" ", text[:_CHARACTERS])


def _cut(text: str) -> Iterator[str]:
    import rjieba

    for word, following in pairwise([*rjieba.cut(text), ""]):
        yield f"{word}到" if word.endswith("收") and following.startswith("到") else word
