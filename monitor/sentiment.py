"""Polarity engines: how likely it is that a text complains, from its words alone."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor import words
from monitor.ngrams import GRAMS, Batch, fold
from monitor.tables import Linear, Net, Opinion, Tables

Floats = NDArray[np.float64]
BY_CHARACTERS, BY_WORDS = 3, 2  # columns of `monitor.tables.Opinion`
FEATURES = BY_WORDS + 8 * BY_CHARACTERS + 3  # that `polarity_features` gives
_A_POST = BY_WORDS + BY_CHARACTERS - 1  # the place among them of how much the row reads like a post


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


def polarity_features(opinion: Opinion, batch: Batch) -> Floats:
    """What the second stage weighs.

    The row's scores by its words; for each column of its characters the row's score and what its clauses' come to;
    sizes, and one.
    """
    grams, linear = batch.hashes(words.BITS), opinion.characters
    gathered = gather(linear, grams >> (words.BITS - linear.bits))
    said = _by_words(opinion, batch, grams)
    whole = segment_scores(linear, gathered, batch.bounds[:-1], GRAMS * np.diff(batch.bounds))
    starts = batch.clauses()
    scores = segment_scores(linear, gathered, starts, GRAMS * np.diff(np.append(starts, len(batch.points))))
    first = np.searchsorted(starts, batch.bounds)
    low, count = first[:-1], np.diff(first)
    mean = np.add.reduceat(scores, low) / count[:, None]
    spread = np.sqrt(np.maximum(np.add.reduceat(scores**2, low) / count[:, None] - mean**2, 0))
    bad = np.add.reduceat((scores > 0).astype(np.float64), low) / count[:, None]
    best, worst = np.minimum.reduceat(scores, low), np.maximum.reduceat(scores, low)
    ends = scores[low], scores[first[1:] - 1]
    sizes = np.sqrt(count), np.log(np.diff(batch.bounds)), np.ones(len(count))
    return np.hstack([said, whole, mean, worst, best, spread, bad, *ends, np.column_stack(sizes)])


def log_odds(blend: Net, features: Floats) -> Floats:
    """Of complaining, by what reviews and posts were taught, each as far as a text reads like one.

    Args:
        blend: One column by reviews, one by posts.
        features: As `polarity_features` gives them.
    """
    said, post = blend.logits(features), like_posts(features)
    odds: Floats = said[:, 0] * (1 - post) + said[:, 1] * post
    return odds


def like_posts(features: Floats) -> Floats:
    """How much each text reads like a post, in [0, 1]."""
    return sigmoid(features[:, _A_POST])


def _by_words(opinion: Opinion, batch: Batch, grams: NDArray[np.int64]) -> Floats:
    linear = opinion.words
    indices, bounds = words.hashes(batch, grams, opinion.lexicon, linear.bits)
    return segment_scores(linear, gather(linear, indices), bounds[:-1], len(indices) * np.diff(bounds))


def gather(linear: Linear, indices: NDArray[np.int64]) -> NDArray[np.int32]:
    """Integer weight of what begins at each place, shape (places, columns), from indices of shape (kinds, places)."""
    # every index is in range, and `clip` spares numpy a look at each: five times as fast as linear.table[indices]
    found = np.take(linear.table, indices[0], axis=0, mode="clip")
    total: NDArray[np.int32] = found.astype(np.int32)
    for line in indices[1:]:
        total += np.take(linear.table, line, axis=0, mode="clip", out=found)
    return total


def segment_scores(
    linear: Linear, gathered: NDArray[np.int32], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> Floats:
    """Scores of stretches of places.

    Args:
        linear: Where scale and bias come from.
        gathered: Integer weight of what begins at each place, shape (places, columns).
        starts: First place of each stretch; stretches follow one another.
        sizes: How many weights each stretch sums.
    """
    sums = np.add.reduceat(gathered, starts, axis=0)[:, : len(linear.scale)]
    scores: Floats = sums * linear.scale / np.sqrt(sizes)[:, None] + linear.bias
    return scores


class Builtin:
    """The linear model over hashed character n-grams of a weights file."""

    name = "builtin"

    def __init__(self, tables: Tables) -> None:
        self._opinion = tables.polarity
        self._blend = tables.blend
        self.version = tables.version

    def p_negative(self, texts: Sequence[str]) -> Floats:
        """See `Polarity`."""
        return self.read(texts)[0]

    def read(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Probability of each text being negative, and how much it reads like a post; both in [0, 1]."""
        if not texts:
            return np.zeros(0), np.zeros(0)
        features = polarity_features(self._opinion, fold(texts))
        return sigmoid(log_odds(self._blend, features)), like_posts(features)


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
