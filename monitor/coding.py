"""From words to codes: categories, flags and severity of negative texts, each with the place that made it.

Two stages. The first scores every clause and the whole row with hashed n-grams; the second weighs, for every code,
the row's score, its best clause's and the rules that hit (`monitor.categories`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.categories import Hit
from monitor.ngrams import GRAMS, Batch
from monitor.sentiment import Floats, gather, segment_scores
from monitor.tables import Tables

CATEGORIES = (
    "quality", "mismatch", "authenticity", "wrong_missing", "damage", "logistics", "service",
    "aftersales", "price", "installation", "safety", "privacy", "other",
)  # fmt: skip
FLAGS = ("churn", "fraud", "legal_threat", "media_threat", "refund_demand", "extortion", "sarcasm")
STEPS = ("severity>=medium", "severity>=high")
OF_A_SHOP = "of a shop"  # what a post complains of; the rest is anger about something else
COLUMNS = (*CATEGORIES, *FLAGS, *STEPS, OF_A_SHOP)
RULED = (*CATEGORIES, *FLAGS)  # columns a rule can speak for
FEATURES = 4 * len(COLUMNS) + len(RULED) + 4  # that `features` gives
DOUBT = 3.5  # log-odds of being negative nearer to 0 than this are judged again with the codes at hand
CERTAIN = 3.5  # a rule that weighs more than this decides by itself


@dataclass(frozen=True, slots=True)
class Clauses:
    """Clauses of a batch.

    Attributes:
        starts: first point of every clause of the batch.
        scores: of every clause, shape (clauses, columns).
        first: first clause of every row; one more entry than rows.
    """

    starts: NDArray[np.int64]
    scores: Floats
    first: NDArray[np.int64]

    def place(self, batch: Batch, row: int, column: int) -> tuple[int, int]:
        """Points of the row's clause that speaks most for a column."""
        low, high = self.first[row], self.first[row + 1]
        best = int(low + np.argmax(self.scores[low:high, column]))
        end = self.starts[best + 1] if best + 1 < len(self.starts) else len(batch.points)
        return int(self.starts[best]), int(end)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the second stage found in a batch.

    Attributes:
        logits: shape (rows, columns); above 0 means yes.
        again: log-odds of each row being negative, by its words and codes together.
        clauses: What it was found in.
    """

    logits: Floats
    again: Floats
    clauses: Clauses


def features(tables: Tables, batch: Batch, hits: Sequence[Sequence[Hit]], log_odds: Floats) -> tuple[Floats, "Clauses"]:
    """Second-stage features and the clauses they came from.

    For each column the row's score and its clauses' best, sum of what is above 0, and mean; for each code the rules
    that hit; then clauses, points, log-odds of being negative, and one.
    """
    linear = tables.codes
    gathered = gather(linear, batch.hashes(linear.bits))
    whole = segment_scores(linear, gathered, batch.bounds[:-1], GRAMS * np.diff(batch.bounds))
    starts = batch.clauses()
    scores = segment_scores(linear, gathered, starts, GRAMS * np.diff(np.append(starts, len(batch.points))))
    first = np.searchsorted(starts, batch.bounds)
    low, count = first[:-1], np.diff(first)
    best = np.maximum.reduceat(scores, low, axis=0)
    total = np.add.reduceat(np.maximum(scores, 0), low, axis=0)
    mean = np.add.reduceat(scores, low, axis=0) / count[:, None]
    extras = np.column_stack([np.sqrt(count), np.log(np.diff(batch.bounds)), log_odds, np.ones(len(log_odds))])
    return np.hstack([whole, best, total, mean, ruled(hits), extras]), Clauses(starts, scores, first)


def read(tables: Tables, batch: Batch, hits: Sequence[Sequence[Hit]], log_odds: Floats) -> Reading:
    """Codes of a batch of at least one row."""
    table, clauses = features(tables, batch, hits, log_odds)
    logits = tables.mix.logits(table)
    spoken = logits[:, : len(RULED)]
    np.maximum(spoken, ruled(hits) - CERTAIN, out=spoken)
    return Reading(logits[:, :-1], logits[:, -1], clauses)


def ruled(hits: Sequence[Sequence[Hit]]) -> Floats:
    """Greatest weight of the rules that hit, shape (rows, len(RULED))."""
    out = np.zeros((len(hits), len(RULED)))
    place = {code: column for column, code in enumerate(RULED)}
    for row, found in enumerate(hits):
        for hit in found:
            column = place.get(hit.rule.code)
            if column is not None:  # a tone names no code
                out[row, column] = max(out[row, column], hit.rule.weight)
    return out
