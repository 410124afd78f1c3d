"""Polarity engines: how likely it is that a text complains, from its words alone."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.ngrams import ORDERS, Batch, fold
from monitor.tables import Linear, Tables

Floats = NDArray[np.float64]


class Engine(Protocol):
    """What every polarity engine offers."""

    name: str
    version: str

    def p_negative(self, texts: Sequence[str]) -> Floats:
        """Probability of each text being negative, in [0, 1]; .5 where there is nothing to go by."""
        ...


def logit(p: Floats) -> Floats:
    """Log-odds, finite for 0 and 1."""
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def sigmoid(z: Floats) -> Floats:
    """Inverse of `logit`."""
    return 1 / (1 + np.exp(-np.clip(z, -40, 40)))


def row_scores(linear: Linear, batch: Batch) -> Floats:
    """Scores of whole rows, shape (rows, columns): weights of a row's n-grams over the root of their number."""
    return segment_scores(linear, gather(linear, batch), batch.bounds[:-1], np.diff(batch.bounds))


def gather(linear: Linear, batch: Batch) -> NDArray[np.int32]:
    """Integer weight of the n-grams that begin at each point, shape (points, columns)."""
    first, *others = batch.hashes(linear.bits)
    total = linear.table[first].astype(np.int32)
    for indices in others:
        total += linear.table[indices]
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
    scores: Floats = sums * linear.scale / np.sqrt(ORDERS * sizes)[:, None] + linear.bias
    return scores


class Builtin:
    """The linear model over hashed character n-grams of a weights file."""

    name = "builtin"

    def __init__(self, tables: Tables) -> None:
        self._linear = tables.polarity
        self.version = tables.version

    def p_negative(self, texts: Sequence[str]) -> Floats:
        """See `Engine`."""
        if not texts:
            return np.zeros(0)
        batch = fold(texts)
        p = sigmoid(row_scores(self._linear, batch)[:, 0])
        p[np.diff(batch.bounds) == 2] = 0.5  # noqa: PLR2004 — two edges, nothing between
        return p


class SnowNlp:
    """SnowNLP's naive Bayes, as it ships; seconds and hundreds of megabytes to load."""

    name = "snownlp"

    def __init__(self) -> None:
        from snownlp import SnowNLP

        self._score = SnowNLP
        self.version = "snownlp-0.12.3"

    def p_negative(self, texts: Sequence[str]) -> Floats:
        """See `Engine`."""
        return np.array([self._one(text) for text in texts], dtype=np.float64)

    def _one(self, text: str) -> float:
        clean = text.encode("utf-8", "ignore").decode("utf-8")
        if not clean.strip():
            return 0.5
        try:
            return 1 - float(self._score(clean).sentiments)
        except ZeroDivisionError:  # it finds no word in the text
            return 0.5


def make_engine(name: str, tables: Tables) -> Engine:
    """The engine of a name.

    Raises:
        ValueError: No engine has this name.
    """
    if name == "builtin":
        return Builtin(tables)
    if name == "snownlp":
        return SnowNlp()
    raise ValueError(f"engine {name!r}: expected builtin or snownlp")
