"""Training of the scorer from labelled JSON lines: polarity, and the codes where rows carry them.

A row is `{"text", "negative": bool}` or `{"text", "label": 0 | 1}` (1 is positive), and may carry `categories`,
`severity` and `flags`. One row in ten, by the hash of its folded text, is never trained on and gives the figures.
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

from monitor.categories import SEVERITIES, Hit, Rulebook, codes
from monitor.coding import CATEGORIES, COLUMNS, FLAGS, STEPS, features
from monitor.fitting import Floats, design, fit, fit_mix, quantise
from monitor.ngrams import fold
from monitor.sentiment import Builtin, logit, sigmoid
from monitor.tables import Linear, Tables, WeightsError, load, save

VERSION = "2026.11.1"
POLARITY_BITS = 20
CODE_BITS = 17
FEWEST_ROWS = 50  # labelled rows of either class without which there is nothing to learn
FEWEST_CODED = 500  # rows with categories below which the built-in codes are kept
_FOLDS = 4
_POLARITY = (10.0, 0.2)  # strength and floor, chosen on held-out rows
_CODES = (3.0, 0.2)


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text; `codes` is None where the row carries no categories."""

    text: str
    negative: bool
    codes: frozenset[str] | None
    held: bool


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
    with (gzip.open if path.suffix == ".gz" else open)(
        path, "rt", encoding="utf-8", errors="replace"
    ) as file:
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
    return Row(raw["text"], negative, _codes(raw), held_out(key)), key


def _codes(raw: dict[str, Any]) -> frozenset[str] | None:
    if "categories" not in raw:
        return None
    said = [*raw["categories"], *raw.get("flags", [])]
    if unknown := set(said) - set(CATEGORIES) - set(FLAGS):
        raise ValueError(
            f"unknown code {sorted(unknown)[0]!r}, expected one of {', '.join((*CATEGORIES, *FLAGS))}"
        )
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
    polarity = fit_polarity(known)
    coded = [row for row in known if row.codes is not None]
    if len(coded) >= FEWEST_CODED:
        linear, mix = fit_codes(coded, polarity)
    else:
        base = load()
        linear, mix = base.codes, base.mix
    tables = Tables(f"{out.stem}-{VERSION}", polarity, linear, COLUMNS, mix, {})
    held = [row for row in rows if row.held]
    notes = {"trained": len(known), "coded": len(coded), "held_out": figures(tables, held)}
    save(Tables(tables.version, polarity, linear, COLUMNS, mix, notes), out)
    return {"model": tables.version, **notes}


def fit_polarity(rows: Sequence[Row]) -> Linear:
    """The polarity column, calibrated on a tenth that a first fit did not see."""
    matrix = design([row.text for row in rows], POLARITY_BITS)
    targets = np.array([[float(row.negative)] for row in rows])
    weights = np.ones(len(rows))
    aside = np.arange(len(rows)) % 10 == 0
    first, bias = fit(matrix[~aside], targets[~aside], weights[~aside], *_POLARITY)
    scores = matrix[aside] @ first + bias
    slope, shift = fit_mix(np.hstack([scores, np.ones_like(scores)]), targets[aside], 1e6)[:, 0]
    final, bias = fit(matrix, targets, weights, *_POLARITY)
    return quantise(final * slope, bias * slope + shift)


def fit_codes(rows: Sequence[Row], polarity: Linear) -> tuple[Linear, Floats]:
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
            second_stage(
                Tables("", polarity, linear, COLUMNS, np.zeros((0, 0)), {}), [texts[i] for i in aside]
            )
        )
        order.extend(aside)
    mix = fit_mix(np.vstack(parts), targets[order], 0.3)
    return quantise(*fit(matrix, targets, weights, *_CODES)), mix


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


