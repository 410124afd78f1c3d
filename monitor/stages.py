"""The two stages of polarity and of codes, learned from labelled rows; needs SciPy.

A first stage is linear over hashed n-grams. A second, small one weighs what the first says of a row and its clauses;
it learns from scores of rows that its first stage did not see.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.categories import Hit, Rulebook, codes
from monitor.coding import COLUMNS, DOUBT, OF_A_SHOP, RULED, STEPS, features
from monitor.fitting import Floats, beside, coarse, design, fit, fit_line, fit_net, fit_nets, quantise
from monitor.ngrams import fold
from monitor.sentiment import log_odds, polarity_features
from monitor.tables import Linear, Net, Opinion, Tables
from monitor.words import BITS, hashes, lexicon

POLARITY_BITS = 20
WORD_BITS = 20
COARSE = 16  # steps of a weight made one: a smaller file, the same figures
CODE_BITS = 17
RELEVANCE_BITS = 16
FEWEST_POSTS = 2000  # posts below which they are judged like reviews
FEWEST_READ = 500  # posts read for complaints of a shop below which every angry one counts as such
FEWEST_OF_CODE = 80  # rows of a code below which its rules alone decide
RULE_BAR = 2.0  # rule weight such a code needs
RECALL = {"safety": 0.9, OF_A_SHOP: 0.9}  # a missed one costs more than a false alarm
_FOLDS = 4
_POLARITY = (10.0, 0.2)  # strength and floor, chosen on held-out rows
_KIND = (1.0, 0.2, 40)  # and iterations
_CODES = (10.0, 0.2, 60)
_OF_A_SHOP = (10.0, 0.6, 100)
_RELEVANCE = (10.0, 0.2)
_LINE = 0.05  # strength
_KEPT = 0.97  # of relevant mentions: one thrown away is a complaint nobody hears
_UNITS = {"polarity": 24, "codes": 96}
_NETS = 3  # whose mean the codes' second stage is
_ROWS_A_UNIT = 150  # fewer rows, fewer units
_BATCH = 2048


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text.

    Attributes:
        text: As it stands.
        negative: Whether it complains.
        codes: Categories, flags and severity steps; None where nobody said.
        held: Never trained on; gives the figures.
        weight: How far the label is to be trusted, 0 to 1.
        severity: As labelled.
        relevant: Of a mention, whether it is about a shop, product or brand at all; None where nobody said.
        post: A mention: what people write there follows other rules than reviews do.
    """

    text: str
    negative: bool
    codes: frozenset[str] | None
    held: bool
    weight: float = 1.0
    severity: str | None = None
    relevant: bool | None = None
    post: bool = False


def fit_polarity(rows: Sequence[Row]) -> tuple[Opinion, Net, Floats]:
    """Both stages of the polarity, and the log-odds of every row by fits that did not see it."""
    texts = [row.text for row in rows]
    known = lexicon(texts)
    by_words = design(texts, WORD_BITS, lambda batch: hashes(batch, batch.hashes(BITS), known, WORD_BITS))
    matrices = design(texts, POLARITY_BITS), by_words
    targets = np.array([float(row.negative) for row in rows])
    weights = np.array([row.weight for row in rows])
    posts = np.array([row.post for row in rows])

    def learn(seen: NDArray[np.bool_]) -> Opinion:
        said = targets[seen], weights[seen], posts[seen]
        characters, words = (matrix[seen] for matrix in matrices)
        return Opinion(_columns(characters, *said, kind=True), _columns(words, *said), known)

    table = np.zeros((0, 0))
    for seen in _folds(len(rows)):
        crossed = _polarity_features(learn(seen), [texts[place] for place in np.flatnonzero(~seen)])
        table = table if len(table) else np.zeros((len(rows), crossed.shape[1]))
        table[~seen] = crossed
    blend = _blend(table, targets, weights == 1, posts)
    whole = learn(np.ones(len(rows), dtype=np.bool_))
    whole = Opinion(coarse(whole.characters, COARSE), coarse(whole.words, COARSE), known)
    return whole, blend, log_odds(blend, table)


def _blend(table: Floats, targets: Floats, sure: NDArray[np.bool_], posts: NDArray[np.bool_]) -> Net:
    """By reviews a network; by posts, which are fewer, no more than a line."""
    if posts.sum() < FEWEST_POSTS:
        one = fit_net(table[sure], targets[sure, None], _units("polarity", int(sure.sum())))
        return Net(np.repeat(one.direct, 2, axis=1), one.inner, np.repeat(one.outer, 2, axis=1))
    reviews, posts = sure & ~posts, sure & posts
    by_reviews = fit_net(table[reviews], targets[reviews, None], _units("polarity", int(reviews.sum())))
    return beside(by_reviews, fit_line(table[posts], targets[posts], _LINE))


def _columns(matrix: Any, targets: Floats, weights: Floats, posts: NDArray[np.bool_], *, kind: bool = False) -> Linear:
    """Columns: negative by all rows, negative by posts alone (by all if these are few), and, if asked, a post."""
    parts = [fit(matrix, targets[:, None], weights, *_POLARITY)]
    if enough := posts.sum() >= FEWEST_POSTS:
        parts.append(fit(matrix[posts], targets[posts, None], weights[posts], *_POLARITY))
    else:
        parts += parts
    if kind:
        parts.append(fit(matrix, (posts & enough)[:, None].astype(np.float64), np.ones(len(posts)), *_KIND))
    return quantise(np.hstack([table for table, _ in parts]), np.concatenate([bias for _, bias in parts]))


def fit_codes(rows: Sequence[Row], log_odds: Floats) -> tuple[Linear, Net]:
    """Both stages of the codes; the second also judges anew whether a doubtful text complains.

    Args:
        rows: All rows; those with codes teach the codes, the doubtful ones among all the new judgement.
        log_odds: Of each row being negative, by fits that did not see it.
    """
    doubtful = (np.abs(log_odds) < DOUBT) & [row.weight == 1 for row in rows]
    kept = doubtful | [row.codes is not None for row in rows]
    rows, odds = [row for row, keep in zip(rows, kept, strict=True) if keep], log_odds[kept]
    texts = [row.text for row in rows]
    coded = np.array([row.codes is not None for row in rows])
    posts = coded & [row.post for row in rows]
    targets = np.array([[float(column in (row.codes or ())) for column in COLUMNS] for row in rows])
    targets[:, COLUMNS.index(OF_A_SHOP)] = [float(bool(row.codes)) for row in rows]
    matrix = design(texts, CODE_BITS)

    speaking = coded & [bool(row.codes) or not row.post for row in rows]

    def learn(seen: NDArray[np.bool_]) -> Linear:
        # a post that is angry about something else would teach that its anger is no complaint, wherever it stands
        read, told = seen & speaking, seen & posts
        weights, bias = fit(matrix[read], targets[read], np.ones(read.sum()), *_CODES)
        if posts.sum() >= FEWEST_READ:
            by_posts = fit(matrix[told], targets[told, -1:], np.ones(told.sum()), *_OF_A_SHOP)
            weights[:, -1:], bias[-1:] = by_posts
        return quantise(weights, bias)

    table = np.zeros((0, 0))
    for seen in _folds(len(rows)):
        linear, places = learn(seen), np.flatnonzero(~seen)
        crossed = _code_features(linear, [texts[place] for place in places], odds[places])
        table = table if len(table) else np.zeros((len(rows), crossed.shape[1]))
        table[places] = crossed
    whole = learn(np.ones(len(rows), dtype=np.bool_))
    targets[[not row.codes for row in rows], :-1] = np.nan
    targets[~posts, -1] = np.nan
    again = np.array([_complains(row) for row in rows])
    again[~doubtful[kept]] = np.nan
    mix = _mix(table, np.column_stack([targets, again]))
    return whole, mix


def _complains(row: Row) -> float:
    """By the label, and of a review by the reader where one read it: of a post he says something else."""
    said = float(row.negative)
    return said if row.codes is None or row.post else (said + float(bool(row.codes))) / 2


def fit_relevance(rows: Sequence[Row]) -> Linear:
    """Whether a mention is about a shop at all: above 0 it is taken to be.

    Args:
        rows: Mentions that say whether they are.
    """
    matrix = design([row.text for row in rows], RELEVANCE_BITS)
    targets, weights = np.array([[float(bool(row.relevant))] for row in rows]), np.ones(len(rows))
    crossed = np.zeros(len(rows))
    for seen in _folds(len(rows)):
        table, bias = fit(matrix[seen], targets[seen], weights[seen], *_RELEVANCE)
        crossed[~seen] = (matrix[~seen] @ table + bias)[:, 0]
    table, bias = fit(matrix, targets, weights, *_RELEVANCE)
    return quantise(table, bias - np.quantile(crossed[targets[:, 0] > 0], 1 - _KEPT))


def _folds(rows: int) -> Iterator[NDArray[np.bool_]]:
    for number in range(_FOLDS):
        yield np.arange(rows) % _FOLDS != number


def _units(stage: str, rows: int) -> int:
    return max(1, min(_UNITS[stage], rows // _ROWS_A_UNIT))


def _polarity_features(opinion: Opinion, texts: Sequence[str]) -> Floats:
    return np.vstack([polarity_features(opinion, fold(part)) for part in _parts(texts)])


def _code_features(linear: Linear, texts: Sequence[str], odds: Floats) -> Floats:
    nothing = Net(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0)))
    nowhere = Opinion(linear, linear, np.zeros(0, dtype=np.bool_))
    tables = Tables("", nowhere, nothing, linear, linear, COLUMNS, nothing, {})
    rules = Rulebook(codes())
    found, start = [], 0
    for part in _parts(texts):
        batch = fold(part)
        hits: list[list[Hit]] = [row.hits for row in rules.find(batch, batch.string())]
        found.append(features(tables, batch, hits, odds[start : start + len(part)])[0])
        start += len(part)
    return np.vstack(found)


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), _BATCH):
        yield texts[start : start + _BATCH]


def _mix(table: Floats, targets: Floats) -> Net:
    """The second stage of the codes, with the constant moved so that above 0 means yes."""
    units = _units("codes", len(table))
    mix = fit_nets(table, targets, units, _NETS)
    crossed = np.zeros_like(targets)
    part = np.arange(len(table)) // 7 % _FOLDS
    for number in range(_FOLDS):
        some = part != number
        crossed[~some] = fit_nets(table[some], targets[some], units, _NETS).logits(table[~some])
    first_rule = table.shape[1] - 4 - len(RULED)
    for place, column in enumerate(COLUMNS):
        spoken = ~np.isnan(targets[:, place])
        truth = targets[spoken, place] > 0.5  # noqa: PLR2004 — a yes
        if column in RULED and truth.sum() < FEWEST_OF_CODE:
            mix.direct[:, place] = mix.outer[:, place] = 0.0
            mix.direct[first_rule + place, place] = 1.0
            mix.direct[-1, place] = -RULE_BAR
        elif column == OF_A_SHOP and len(truth) < FEWEST_READ:
            mix.direct[:, place] = mix.outer[:, place] = 0.0
            mix.direct[-1, place] = 1.0
        elif column not in STEPS:
            mix.direct[-1, place] -= _bar(crossed[spoken, place], truth, RECALL.get(column))
    return mix


def _bar(scores: Floats, truth: NDArray[np.bool_], recall: float | None) -> float:
    """Where to say yes: at the best F1, or lower if that much recall is wanted."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(truth[order])
    best = int(np.argmax(2 * right / (np.arange(1, len(order) + 1) + truth.sum())))
    if recall is not None:
        best = max(best, int(np.searchsorted(right, recall * truth.sum())))
    return float(scores[order[best]]) - 1e-9
