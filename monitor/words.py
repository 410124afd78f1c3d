"""Words of a whole batch at once: the longest known one at each place, hashed alone, with the next and the one after.

Which n-grams are words is learned from the texts that a model is trained on; at run time it is one bit for each hash.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.ngrams import ORDERS, Batch, fold

BITS = 22  # of the indices that n-grams are known by
GRAMS = 3  # a word, the pair with the next, the pair with the one after
_FEWEST = 3  # times a word occurs, to be known
_CHINESE = 0x2E80
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_FOLD = np.uint64(31)
_BATCH = 2048


def lexicon(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which indices are words of the texts, of 2 to 4 characters; needs rjieba."""
    import rjieba

    seen: Counter[str] = Counter()
    for start in range(0, len(texts), _BATCH):
        seen.update(rjieba.cut(fold(texts[start : start + _BATCH]).string()))
    known = np.zeros(1 << BITS, dtype=np.bool_)
    for order in range(1, ORDERS):
        words = [word for word, times in seen.items() if times >= _FEWEST and len(word) == order + 1]
        words = [word for word in words if min(word) >= chr(_CHINESE)]
        if words:
            batch = fold(words)
            known[batch.hashes(BITS)[order][batch.bounds[:-1] + 1]] = True
    known[0] = False  # what does not fit in its row
    return known


def cut(
    batch: Batch, grams: NDArray[np.int64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First point of every word of the batch, and what each is known by.

    Args:
        batch: The texts.
        grams: Its `hashes(BITS)`.
        known: Which of them are words.
    """
    size = len(batch.points)
    here = np.arange(size, dtype=np.int32)
    latin = _latin(batch.points)
    run = np.minimum.accumulate(np.where(latin, np.int32(size), here)[::-1])[::-1] - here
    length, key = np.ones(size, dtype=np.int32), grams[0].copy()
    for order in range(1, ORDERS):
        word = np.take(known, grams[order], mode="clip") | (run > order)
        np.copyto(length, order + 1, where=word)
        np.copyto(key, grams[order] + (order << BITS), where=word)
    np.copyto(length, run, where=latin)
    after = np.append(np.minimum(here + length, size), np.int32(size))
    reached = np.append((batch.points < _CHINESE) & ~latin, True)  # a sign is never part of a word
    longest = int(np.diff(np.flatnonzero(reached)).max(initial=1))
    for _ in range(longest.bit_length()):  # from each word to the one so many words on
        reached[after[reached]] = True
        after = after[after]
    starts = np.flatnonzero(reached[:-1])
    return starts, key[starts]


def _latin(points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return ((points >= ord("a")) & (points <= ord("z"))) | ((points >= ord("0")) & (points <= ord("9")))


def hashes(
    batch: Batch, grams: NDArray[np.int64], known: NDArray[np.bool_], bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Table indices of words and pairs of words, shape (GRAMS, words), and the bounds of rows among them.

    0 stands where a pair does not fit in its row.
    """
    starts, named = cut(batch, grams, known)
    bounds = np.searchsorted(starts, batch.bounds)
    keys = named.astype(np.uint64)
    shift = np.uint64(64 - bits)
    out = np.zeros((GRAMS, len(keys)), dtype=np.int64)
    out[0] = _mixed(keys * _STEP) >> shift
    for gap in (1, 2):
        line = out[gap]
        line[:-gap] = _mixed((keys[:-gap] * _STEP + np.uint64(gap)) * _STEP + keys[gap:]) >> shift
        for back in range(1, gap + 1):
            line[np.maximum(bounds[1:] - back, bounds[:-1])] = 0
    return out, bounds


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    once = (keys ^ (keys >> _FOLD)) * _MIX
    return once ^ (once >> _FOLD)
