"""Near-copies: one text from many accounts, told from one trouble told by many buyers.

A text's letters alone count: case, width, punctuation, blanks, emoji, digits and repeated characters are
folded away. Equal letters share a key. Among the rest, MinHash bands of letter pairs propose candidates and
rapidfuzz verifies them, so the work grows with the number of texts, not with that of pairs.
"""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.text import clean

MIN_LETTERS = 6
"""A text with fewer letters has no key: 好评 from two people is no copy."""
MIN_TEXTS = 5
"""Fewer texts than this tell nothing about their spread."""

_BANDS, _ROWS = 32, 3  # finds 9 of 10 pairs that share 40 % of their letter pairs, all that share 60 %
_NEAREST = 3  # in a band's bucket, ordered by length, a text is compared with so many before it
_COMPARED = 2_000  # letters of a text that are compared

_not_letter = re.compile(r"[\W\d_]+")
_repeated = re.compile(r"(.)\1+")


def _letters(text: str) -> str:
    """What is compared: letters in NFKC and lower case, a repeated one once."""
    # Marks go before NFKC, which takes quadratic time on long runs of them.
    folded = unicodedata.normalize("NFKC", _not_letter.sub("", clean(text))).casefold()
    return _repeated.sub(r"\1", _not_letter.sub("", folded))


def letters(text: str) -> int:
    """How many letters of a text count."""
    return len(_letters(text))


def text_key(text: str) -> str:
    """The key that copies share, 32 hex digits; "" for a text of fewer than `MIN_LETTERS` letters."""
    kept = _letters(text)
    return hashlib.blake2b(kept.encode(), digest_size=16).hexdigest() if len(kept) >= MIN_LETTERS else ""


def groups(texts: Sequence[str], threshold: float = 0.8) -> list[list[int]]:
    """Find near-copies among some thousands of texts.

    Args:
        texts: As stored or as written.
        threshold: Least similarity of two texts' letters, 0–1 (rapidfuzz's ratio). The bands are laid out for
            0.8; much below it pairs are missed.

    Returns:
        Indices of texts that are near-copies, two or more a group, ascending; groups by their first index.
        A group is closed by chains: its ends may be less alike than the threshold.
    """
    same: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        kept = _letters(text)[:_COMPARED]
        if len(kept) >= MIN_LETTERS:
            same.setdefault(kept, []).append(index)
    unique = list(same)
    merged: dict[int, list[int]] = {}
    for position, root in enumerate(_joined(len(unique), _similar(unique, threshold))):
        merged.setdefault(root, []).extend(same[unique[position]])
    return sorted(sorted(group) for group in merged.values() if len(group) > 1)


def _similar(unique: list[str], threshold: float) -> NDArray[np.int64]:
    """Pairs of positions, shape (n, 2), whose texts are at least as similar as the threshold."""
    from rapidfuzz import fuzz
    from rapidfuzz.process import cpdist

    pairs = _candidates(unique)
    first, second = ([unique[position] for position in side] for side in pairs.T)
    scores = cpdist(first, second, scorer=fuzz.ratio, score_cutoff=100 * threshold) if first else np.empty(0)
    found: NDArray[np.int64] = pairs[scores >= 100 * threshold]
    return found


def _candidates(unique: list[str]) -> NDArray[np.int64]:
    """Pairs of positions that share a band, each once; shape (n, 2)."""
    if len(unique) < 2:  # noqa: PLR2004 — a pair takes two
        return np.empty((0, 2), dtype=np.int64)
    lengths = np.fromiter(map(len, unique), dtype=np.int64, count=len(unique))
    packed = []
    for band in _bands(unique, lengths):
        order = np.lexsort((lengths, band))
        for step in range(1, _NEAREST + 1):
            near = band[order[step:]] == band[order[:-step]]
            one, other = order[step:][near], order[:-step][near]
            packed.append(np.minimum(one, other) * len(unique) + np.maximum(one, other))
    pairs = np.unique(np.concatenate(packed))
    return np.stack((pairs // len(unique), pairs % len(unique)), axis=1)


def _bands(unique: list[str], lengths: NDArray[np.int64]) -> Iterable[NDArray[np.uint64]]:
    """One number a text for each band: equal where the band's least hashes of letter pairs are equal."""
    codes = np.frombuffer("".join(unique).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    shingles = codes * np.uint64(0x1F_FFFF) + np.append(codes[1:], np.uint64(0))
    ends = starts + lengths - 1
    shingles[ends] = shingles[ends - 1]  # a text's last letter begins no pair
    shingles *= np.uint64(0x9E37_79B9_7F4A_7C15)
    factors = np.random.default_rng(20_261_111).integers(1, 2**63, size=(_BANDS, _ROWS), dtype=np.uint64)
    for band in factors:
        key = np.zeros(len(unique), dtype=np.uint64)
        for factor in band:
            hashed = (shingles ^ (shingles >> np.uint64(29))) * (factor | np.uint64(1))
            key = key * np.uint64(0x100_0000_01B3) + np.minimum.reduceat(hashed, starts)
        yield key


def _joined(count: int, pairs: NDArray[np.int64]) -> list[int]:
    """The root of every position after joining the pairs: the least position of its group."""
    root = list(range(count))

    def find(position: int) -> int:
        while root[position] != position:
            root[position] = root[root[position]]
            position = root[position]
        return position

    for one, other in pairs.tolist():
        low, high = sorted((find(one), find(other)))
        root[high] = low
    return [find(position) for position in range(count)]


class Spread(NamedTuple):
    """How a set of texts is spread over accounts.

    Attributes:
        copies: Texts of which another account has a near-copy.
        authors: Different known accounts.
        share: ``copies`` by the number of texts, 0–1.
        verdict: "copied": one text, many accounts. "independent": different words from different accounts, as
            when one batch hits many buyers. "unclear": too few texts, or neither.
    """

    copies: int
    authors: int
    share: float
    verdict: Literal["copied", "independent", "unclear"]


_COPIED_SHARE, _COPIED_AUTHORS = 0.5, 3
_INDEPENDENT_SHARE, _INDEPENDENT_AUTHORS = 0.2, 0.6  # the second: different accounts by texts


def spread(texts: Sequence[str], authors: Sequence[str]) -> Spread:
    """Tell copies from many accounts from one trouble told by many buyers.

    Args:
        texts: The texts of one burst, crisis or time.
        authors: Their accounts (hashes will do), in the same order; "" where unknown, which counts as none.

    Raises:
        ValueError: The two differ in length.
    """
    if len(texts) != len(authors):
        raise ValueError(f"{len(texts)} texts, but {len(authors)} authors")
    known = len(set(authors) - {""})
    shared = [group for group in groups(texts) if len({authors[index] for index in group} - {""}) > 1]
    copiers = {authors[index] for index in itertools.chain(*shared)} - {""}
    copies = sum(map(len, shared))
    share = copies / len(texts) if texts else 0.0
    verdict: Literal["copied", "independent", "unclear"] = "unclear"
    if len(texts) >= MIN_TEXTS and share >= _COPIED_SHARE and len(copiers) >= _COPIED_AUTHORS:
        verdict = "copied"
    elif len(texts) >= MIN_TEXTS and share <= _INDEPENDENT_SHARE and known >= _INDEPENDENT_AUTHORS * len(texts):
        verdict = "independent"
    return Spread(copies, known, share, verdict)
