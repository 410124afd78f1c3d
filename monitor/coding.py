"""From words to codes: categories, flags and severity of negative texts, each with the place that made it.

Two stages. The first scores every clause and the whole row with hashed n-grams; the second weighs, for every code,
the row's score, its best clause's and the rules that hit (`monitor.categories`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.categories import Hit
from monitor.ngrams import Batch
from monitor.sentiment import Floats, gather, segment_scores
from monitor.tables import Tables

CATEGORIES = (
    "quality", "mismatch", "authenticity", "wrong_missing", "damage", "logistics", "service",
    "aftersales", "price", "installation", "safety", "privacy", "other",
)  # fmt: skip
FLAGS = ("churn", "fraud", "legal_threat", "media_threat", "refund_demand", "extortion", "sarcasm")
STEPS = ("severity>=medium", "severity>=high")
COLUMNS = (*CATEGORIES, *FLAGS, *STEPS)
RULED = (*CATEGORIES, *FLAGS)  # columns a rule can speak for
CERTAIN = 3.5  # a rule that weighs more than this decides by itself
EXTRAS = 3  # root of the number of clauses, log-odds of being negative, one


@dataclass(frozen=True, slots=True)
class Reading:
    """What the second stage found in a batch.

    Attributes:
        logits: shape (rows, columns); above 0 means yes.
        starts: first point of every clause of the batch.
        clauses: scores of every clause, shape (clauses, columns).
        first: first clause of every row; one more entry than rows.
    """

    logits: Floats
    starts: NDArray[np.int64]
    clauses: Floats
    first: NDArray[np.int64]

    def place(self, batch: Batch, row: int, column: int) -> tuple[int, int]:
        """Points of the row's clause that speaks most for a column."""
        low, high = self.first[row], self.first[row + 1]
        best = int(low + np.argmax(self.clauses[low:high, column]))
        end = self.starts[best + 1] if best + 1 < len(self.starts) else len(batch.points)
        return int(self.starts[best]), int(end)


def features(tables: Tables, batch: Batch, hits: Sequence[Sequence[Hit]], log_odds: Floats) -> tuple[Floats, Reading]:
    """Second-stage features, shape (rows, len(columns) * 2 + len(RULED) + EXTRAS), and the clauses they came from."""
    linear = tables.codes
    gathered = gather(linear, batch)
    whole = segment_scores(linear, gathered, batch.bounds[:-1], np.diff(batch.bounds))
    starts = batch.clauses()
    clauses = segment_scores(linear, gathered, starts, np.diff(np.append(starts, len(batch.points))))
    first = np.searchsorted(starts, batch.bounds)
    best = np.maximum.reduceat(clauses, first[:-1], axis=0)
    extras = np.column_stack([np.sqrt(np.diff(first)), log_odds, np.ones(len(log_odds))])
    reading = Reading(whole, starts, clauses, first)
    return np.hstack([whole, best, ruled(hits), extras]), reading


def read(tables: Tables, batch: Batch, hits: Sequence[Sequence[Hit]], log_odds: Floats) -> Reading:
    """Codes of a batch of at least one row."""
    table, reading = features(tables, batch, hits, log_odds)
    logits = np.einsum("rf,fc->rc", table, tables.mix)  # not @: its rounding depends on the number of rows
    spoken = logits[:, : len(RULED)]
    np.maximum(spoken, ruled(hits) - CERTAIN, out=spoken)
    return Reading(logits, reading.starts, reading.clauses, reading.first)


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
