"""Training of the scorer from labelled JSON lines: polarity, and the codes where rows carry them.

A row is `{"text", "negative": bool}` or `{"text", "label": 0 | 1}` (1 is positive), and may carry `categories`,
`severity` and `flags`, and a `weight` from 0 to 1: how far its label is to be trusted. One row in ten, by the hash of
its folded text, is never trained on and gives the figures.
Needs the `train` extra.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.categories import SEVERITIES, Hit, Rulebook, codes
from monitor.coding import CATEGORIES, COLUMNS, FLAGS, RULED, STEPS, features
from monitor.fitting import Floats, design, fit, fit_mix, quantise
from monitor.judge import Judge, Text
from monitor.ngrams import fold
from monitor.sentiment import Builtin, logit, polarity_features
from monitor.tables import Linear, Tables, load, save

VERSION = "2026.11.1"
POLARITY_BITS = 20
CODE_BITS = 17
FEWEST_ROWS = 50  # labelled rows of either class without which there is nothing to learn
FEWEST_CODED = 500  # rows with categories below which the built-in codes are kept
FEWEST_OF_CODE = 80  # rows of a code below which its rules alone decide
RULE_BAR = 2.0  # rule weight such a code needs
RECALL = {"safety": 0.88}  # a missed one costs more than a false alarm
_FOLDS = 4
_POLARITY = (10.0, 0.2)  # strength and floor, chosen on held-out rows
_CODES = (3.0, 0.2, 80)  # and iterations


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text; `codes` is None where the row carries no categories."""

    text: str
    negative: bool
    codes: frozenset[str] | None
    held: bool
    weight: float = 1.0
    severity: str | None = None


def held_out(folded: str) -> bool:
    """Whether a text belongs to the tenth that is never trained on."""
    return int(hashlib.sha1(folded.encode(), usedforsecurity=False).hexdigest(), 16) % 10 == 0


def read_rows(files: Iterable[Path], complain: Callable[[str], None]) -> list[Row]:
    """Rows of JSON-lines files (`.gz` too), each text once; a bad line is told with file and line and left out.

    Raises:
        OSError: A file cannot be read.
    """
    rows: dict[str, Row] = {}
    for path in files:
        for where, line in _lines(path):
            try:
                row, key = _row(json.loads(line))
            except (ValueError, TypeError) as error:
                complain(f"{where}: {error}")
                continue
            if key and (key not in rows or (row.codes is not None and rows[key].codes is None)):
                rows[key] = row
    return list(rows.values())


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"{path}:{number}", line


def _row(raw: Any) -> tuple[Row, str]:
    if not isinstance(raw, dict) or not isinstance(raw.get("text"), str):
        raise TypeError('expected an object with "text"')
    negative = raw.get("negative", {0: True, 1: False}.get(raw.get("label", -1)))
    if not isinstance(negative, bool):
        raise TypeError('expected "negative": true or false, or "label": 1 (positive) or 0 (negative)')
    key = fold([raw["text"]]).string()[1:-1].replace(" ", "")
    weight = raw.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
        raise TypeError("weight: expected a number from 0 to 1")
    return Row(raw["text"], negative, _codes(raw), held_out(key), float(weight), raw.get("severity")), key


def _codes(raw: dict[str, Any]) -> frozenset[str] | None:
    if "categories" not in raw:
        return None
    said = [*raw["categories"], *raw.get("flags", [])]
    if unknown := set(said) - set(CATEGORIES) - set(FLAGS):
        raise ValueError(f"unknown code {min(unknown)!r}, expected one of {', '.join((*CATEGORIES, *FLAGS))}")
    severity = raw.get("severity")
    if severity is not None and severity not in SEVERITIES:
        raise ValueError(f"severity {severity!r}, expected one of {', '.join(SEVERITIES)} or null")
    level = SEVERITIES.index(severity) if severity else 0
    return frozenset(said) | set(STEPS[:level])


def train(files: Sequence[Path], out: Path, complain: Callable[[str], None] = print) -> dict[str, Any]:
    """Trains a weights file and measures it on the rows held out.

    Args:
        files: JSON-lines files.
        out: Where the weights go.
        complain: Told of every bad line.

    Returns:
        Rows used, and held-out figures with their counts.

    Raises:
        ValueError: Too few rows to learn from.
    """
    rows = read_rows(files, complain)
    known = [row for row in rows if not row.held]
    if min(sum(row.negative for row in known), sum(not row.negative for row in known)) < FEWEST_ROWS:
        raise ValueError(
            f"expected at least {FEWEST_ROWS} negative and {FEWEST_ROWS} positive rows, got {len(known)} rows"
        )
    polarity, blend = fit_polarity(known)
    coded = [row for row in known if row.codes is not None]
    if len(coded) >= FEWEST_CODED:
        linear, mix = fit_codes(coded, polarity, blend)
    else:
        base = load()
        linear, mix = base.codes, base.mix
    tables = Tables(f"{out.stem}-{VERSION}", polarity, blend, linear, COLUMNS, mix, {})
    held = [row for row in rows if row.held]
    notes = {"trained": len(known), "coded": len(coded), "held_out": figures(tables, held)}
    save(Tables(tables.version, polarity, blend, linear, COLUMNS, mix, notes), out)
    return {"model": tables.version, **notes, "held_out_codes": code_figures(Judge(weights=out), held)}


def code_figures(judge: Judge, held: Sequence[Row]) -> dict[str, Any]:
    """Micro-F1 of the categories on held-out rows that carry them."""
    rows = [row for row in held if row.codes is not None]
    right = said = true = 0
    for row, verdict in zip(rows, judge.judge_many([Text(row.text) for row in rows]), strict=True):
        truth = set(CATEGORIES) & (row.codes or frozenset())
        right += len(truth & set(verdict.categories))
        said += len(verdict.categories)
        true += len(truth)
    return {"rows": len(rows), "micro_f1": round(2 * right / (said + true), 4) if said + true else None}


def fit_polarity(rows: Sequence[Row]) -> tuple[Linear, Floats]:
    """The polarity column, and its blend, calibrated on a tenth that a first fit did not see."""
    matrix = design([row.text for row in rows], POLARITY_BITS)
    targets = np.array([[float(row.negative)] for row in rows])
    weights = np.array([row.weight for row in rows])
    aside = np.arange(len(rows)) % 10 == 0
    first = quantise(*fit(matrix[~aside], targets[~aside], weights[~aside], *_POLARITY))
    sure = np.flatnonzero(aside & (weights == 1))
    table = polarity_features(first, fold([rows[int(place)].text for place in sure]))
    blend = fit_mix(table, targets[sure], 1e3)[:, 0]
    return quantise(*fit(matrix, targets, weights, *_POLARITY)), blend


def fit_codes(rows: Sequence[Row], polarity: Linear, blend: Floats) -> tuple[Linear, Floats]:
    """Both stages of the codes; the second learns from scores of rows its first stage did not see."""
    texts = [row.text for row in rows]
    matrix = design(texts, CODE_BITS)
    targets = np.array([[float(column in (row.codes or ())) for column in COLUMNS] for row in rows])
    weights = np.ones(len(rows))
    fold_of = np.arange(len(rows)) % _FOLDS
    parts: list[Floats] = []
    order: list[int] = []
    for number in range(_FOLDS):
        seen = fold_of != number
        linear = quantise(*fit(matrix[seen], targets[seen], weights[seen], *_CODES))
        aside = np.flatnonzero(~seen)
        parts.append(
            second_stage(Tables("", polarity, blend, linear, COLUMNS, np.zeros((0, 0)), {}), [texts[i] for i in aside])
        )
        order.extend(aside)
    mix = _mix(np.vstack(parts), targets[order])
    return quantise(*fit(matrix, targets, weights, *_CODES)), mix


def _mix(table: Floats, targets: Floats) -> Floats:
    """Second-stage weights, with the constant moved so that above 0 means yes."""
    mix = fit_mix(table, targets, 0.3)
    crossed = np.zeros_like(targets)
    part = np.arange(len(table)) // 7 % _FOLDS
    for number in range(_FOLDS):
        crossed[part == number] = table[part == number] @ fit_mix(table[part != number], targets[part != number], 0.3)
    for place, column in enumerate(COLUMNS):
        if column in RULED and targets[:, place].sum() < FEWEST_OF_CODE:
            mix[:, place] = 0.0
            mix[2 * len(COLUMNS) + RULED.index(column), place] = 1.0
            mix[-1, place] = -RULE_BAR
        elif column in RULED:
            mix[-1, place] -= _bar(crossed[:, place], targets[:, place] > 0, RECALL.get(column))
    return mix


def _bar(scores: Floats, truth: NDArray[np.bool_], recall: float | None) -> float:
    """Where to say yes: at the best F1, or lower if that much recall is wanted."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(truth[order])
    best = int(np.argmax(2 * right / (np.arange(1, len(order) + 1) + truth.sum())))
    if recall is not None:
        best = max(best, int(np.searchsorted(right, recall * truth.sum())))
    return float(scores[order[best]]) - 1e-9


def second_stage(tables: Tables, texts: Sequence[str]) -> Floats:
    """Second-stage features of texts."""
    batch = fold(texts)
    odds = logit(Builtin(tables).p_negative(texts))
    return features(tables, batch, _hits(texts), odds)[0]


def _hits(texts: Sequence[str]) -> list[list[Hit]]:
    batch = fold(texts)
    return [row.hits for row in Rulebook(codes()).find(batch, batch.string())]


def figures(tables: Tables, held: Sequence[Row]) -> dict[str, Any]:
    """Accuracy of the polarity on held-out rows, by words alone."""
    if not held:
        return {"rows": 0}
    p = Builtin(tables).p_negative([row.text for row in held])
    right = (p >= 0.5) == np.array([row.negative for row in held])  # noqa: PLR2004 — the threshold
    return {"rows": len(held), "accuracy": round(float(right.mean()), 4)}
