"""Polarity engines: how likely it is that a text complains, from its words alone."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.ngrams import GRAMS, Batch, fold
from monitor.tables import Linear, Tables

Floats = NDArray[np.float64]


class Polarity(Protocol):
    """What tells complaints from the rest."""

    name: str
    version: str

    def p_negative(self, texts: Sequence[str]) -> Floats:
        """Probability of each text being negative, in [0, 1]."""
        ...


def logit(p: Floats) -> Floats:
    """Log-odds, finite for 0 and 1."""
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def sigmoid(z: Floats) -> Floats:
    """Inverse of `logit`."""
    return 1 / (1 + np.exp(-np.clip(z, -40, 40)))


def polarity_features(linear: Linear, batch: Batch) -> Floats:
    """What the second stage weighs, shape (rows, 11): the row's score, what its clauses' come to, sizes, and one."""
    gathered = gather(linear, batch)
    whole = segment_scores(linear, gathered, batch.bounds[:-1], np.diff(batch.bounds))[:, 0]
    starts = batch.clauses()
    scores = segment_scores(linear, gathered, starts, np.diff(np.append(starts, len(batch.points))))[:, 0]
    first = np.searchsorted(starts, batch.bounds)
    low, count = first[:-1], np.diff(first)
    mean = np.add.reduceat(scores, low) / count
    spread = np.sqrt(np.maximum(np.add.reduceat(scores**2, low) / count - mean**2, 0))
    bad = np.add.reduceat((scores > 0).astype(np.float64), low) / count
    best, worst = np.minimum.reduceat(scores, low), np.maximum.reduceat(scores, low)
    ends = scores[low], scores[first[1:] - 1]
    sizes = np.sqrt(count), np.log(np.diff(batch.bounds))
    return np.column_stack([whole, mean, worst, best, spread, bad, *ends, *sizes, np.ones_like(whole)])


def gather(linear: Linear, batch: Batch) -> NDArray[np.int32]:
    """Integer weight of the n-grams that begin at each point, shape (points, columns)."""
    first, *others = batch.hashes(linear.bits)
    # every index is in range, and `clip` spares numpy a look at each: five times as fast as linear.table[indices]
    found = np.take(linear.table, first, axis=0, mode="clip")
    total: NDArray[np.int32] = found.astype(np.int32)
    for indices in others:
        total += np.take(linear.table, indices, axis=0, mode="clip", out=found)
    return total


def segment_scores(
    linear: Linear, gathered: NDArray[np.int32], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> Floats:
    """Scores of stretches of points.

    Args:
        linear: Where scale and bias come from.
        gathered: Integer weight of each point's n-grams, shape (points, columns).
        starts: First point of each stretch; stretches follow one another.
        sizes: Points of each stretch.
    """
    sums = np.add.reduceat(gathered, starts, axis=0)
    scores: Floats = sums * linear.scale / np.sqrt(GRAMS * sizes)[:, None] + linear.bias
    return scores


class Builtin:
    """The linear model over hashed character n-grams of a weights file."""

    name = "builtin"

    def __init__(self, tables: Tables) -> None:
        self._linear = tables.polarity
        self._blend = tables.blend
        self.version = tables.version

    def p_negative(self, texts: Sequence[str]) -> Floats:
        """See `Polarity`."""
        if not texts:
            return np.zeros(0)
        return sigmoid(self._blend.logits(polarity_features(self._linear, fold(texts)))[:, 0])


class SnowNlp:
    """SnowNLP's naive Bayes, as it ships; seconds and hundreds of megabytes to load."""

    name = "snownlp"

    def __init__(self) -> None:
        from snownlp import SnowNLP

        self._score = SnowNLP
        self.version = "snownlp-0.12.3"

    def p_negative(self, texts: Sequence[str]) -> Floats:
        """See `Polarity`."""
        return np.array([self._one(text) for text in texts], dtype=np.float64)

    def _one(self, text: str) -> float:
        clean = text.encode("utf-8", "ignore").decode("utf-8")
        if not clean.strip():
            return 0.5
        try:
            return 1 - float(self._score(clean).sentiments)
        except ZeroDivisionError:  # it finds no word in the text
            return 0.5
