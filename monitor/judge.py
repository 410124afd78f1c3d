"""The verdict on a text: negative or not, what it complains about, how bad it is, and where it says so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.categories import SEVERITIES, Found, Hit, Rulebook, codes
from monitor.coding import CATEGORIES, COLUMNS, RULED, STEPS, Reading, read
from monitor.ngrams import BREAKS, LIMIT, Batch, fold
from monitor.sentiment import Floats, logit, make_engine, sigmoid
from monitor.tables import load

Marks = NDArray[np.bool_]
THRESHOLD = 0.5  # of p_negative
_LONGEST = 80  # points of a clause shown as evidence
_CHUNK = 16_384  # characters judged at once: what fits the processor's cache
_STARS = (1.0, 2.0, 3.0, 4.0, 5.0)
_STAR_ODDS = (1.6, 1.3, 0.3, -0.9, -1.5)  # what stars add to the log-odds; a clear text outweighs them
_DENIAL = 1.0  # log-odds that a complaint named and denied takes away (没有异味)
_SILENT_ODDS = -0.4  # prior log-odds of a text without words
_SPOKEN = [column for column, code in enumerate(COLUMNS) if code in RULED and code != "other"]
_OTHER = COLUMNS.index("other")
_MEDIUM, _HIGH = (COLUMNS.index(step) for step in STEPS)
_LEVEL = {name: level for level, name in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the text given says what a code stands for: `text[start:end]`."""

    code: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one text.

    Attributes:
        negative: Whether the writer complains; `p_negative >= 0.5`.
        p_negative: Calibrated probability, four decimals.
        categories: Codes, the most important first; empty when not negative.
        severity: low, medium, high or critical; None when not negative.
        flags: Codes; empty when not negative.
        evidence: A span for every category but `other`, and for every flag.
        model: Engine and version.
    """

    negative: bool
    p_negative: float
    categories: tuple[str, ...]
    severity: str | None
    flags: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    model: str


@dataclass(frozen=True, slots=True)
class Text:
    """What is to be judged; stars from 1 to 5 where the source has them."""

    text: str
    kind: str = "review"
    stars: float | None = None


class Judge:
    """Judges texts with one engine and one weights file.

    Args:
        engine: `builtin` or `snownlp`: who decides the polarity. Categories are the weights file's either way.
        weights: A file made by `pingshao train`; the built-in one by default.
    """

    def __init__(self, engine: str = "builtin", weights: Path | None = None) -> None:
        self._tables = load(weights)
        self._engine = make_engine(engine, self._tables)
        self._rules = Rulebook(codes())
        self.model = self._engine.version

    def judge(self, text: Text) -> Judgement:
        """Judges one text."""
        return self.judge_many([text])[0]

    def judge_many(self, texts: Sequence[Text]) -> list[Judgement]:
        """Judges texts in their order; a verdict does not depend on the other texts."""
        return [judgement for chunk in _chunks(texts) for judgement in self._judge_chunk(chunk)]

    def _judge_chunk(self, texts: Sequence[Text]) -> list[Judgement]:
        batch = fold([text.text for text in texts])
        found = self._rules.find(batch, batch.string())
        p = self._p_negative(texts, batch, found)
        negative = p >= THRESHOLD
        hits = [row.hits for row in found]
        coded = iter(self._code([t for t, bad in zip(texts, negative, strict=True) if bad], batch, hits, p, negative))
        return [
            self._judgement(float(score), next(coded) if bad else None) for score, bad in zip(p, negative, strict=True)
        ]

    def _p_negative(self, texts: Sequence[Text], batch: Batch, found: Sequence[Found]) -> Floats:
        said = [_without_denials(text.text[:LIMIT], batch, row, found[row].denied) for row, text in enumerate(texts)]
        words = logit(self._engine.p_negative(said))
        words = np.where(batch.silent(), _SILENT_ODDS, words)
        stars = np.array([_star_odds(text.stars) for text in texts])
        push = np.array([_push(row) for row in found])
        rounded: Floats = np.round(sigmoid(words + stars + push), 4)
        return rounded

    def _code(
        self,
        texts: Sequence[Text],
        batch: Batch,
        hits: Sequence[Sequence[Hit]],
        p: Floats,
        negative: Marks,
    ) -> Iterator["_Codes"]:
        if not texts:
            return
        rows = batch.take(negative)
        kept = [found for found, bad in zip(hits, negative, strict=True) if bad]
        reading = read(self._tables, rows, kept, logit(p[negative]))
        logits = reading.logits.tolist()
        for row, text in enumerate(texts):
            yield _codes(text.text, rows, row, kept[row], reading, logits[row])

    def _judgement(self, p: float, found: "_Codes | None") -> Judgement:
        if found is None:
            return Judgement(False, p, (), None, (), (), self.model)
        return Judgement(True, p, found.categories, found.severity, found.flags, found.evidence, self.model)


@dataclass(frozen=True, slots=True)
class _Codes:
    categories: tuple[str, ...]
    severity: str
    flags: tuple[str, ...]
    evidence: tuple[Evidence, ...]


def _chunks(texts: Sequence[Text]) -> Iterator[Sequence[Text]]:
    start = size = 0
    for at, text in enumerate(texts):
        size += min(len(text.text), LIMIT) + 2
        if size >= _CHUNK:
            yield texts[start : at + 1]
            start, size = at + 1, 0
    if start < len(texts):
        yield texts[start:]


def _without_denials(text: str, batch: Batch, row: int, denied: Sequence[tuple[int, int]]) -> str:
    """The text without what it denies: an engine that counts words takes 没有异味 for 异味."""
    if not denied:
        return text
    origin = batch.origin[batch.bounds[row] :]
    cut = {at for low, high in denied for at in range(int(origin[low]), int(origin[high - 1]) + 1)}
    return "".join(char for at, char in enumerate(text) if at not in cut)


def _push(found: Found) -> float:
    pushes = [hit.rule.push for hit in found.hits]
    return max(pushes, default=0.0, key=abs) - _DENIAL * min(len(set(found.denied)), 3)


def _star_odds(stars: float | None) -> float:
    return 0.0 if stars is None else float(np.interp(stars, _STARS, _STAR_ODDS))


def _codes(text: str, batch: Batch, row: int, hits: Sequence[Hit], reading: Reading, logits: Sequence[float]) -> _Codes:
    likely = sorted((-logits[column], column) for column in _SPOKEN if logits[column] > 0)
    places = [(column, _evidence(text, batch, row, column, hits, reading)) for _, column in likely]
    said = [column for column, place in places if place is not None]
    if logits[_OTHER] > max((logits[column] for column in said if column < len(CATEGORIES)), default=0.0):
        said = [column for column in said if column >= len(CATEGORIES)]
    categories = tuple(COLUMNS[column] for column in said if column < len(CATEGORIES))
    flags = tuple(COLUMNS[column] for column in sorted(said) if column >= len(CATEGORIES))
    evidence = tuple(place for column, place in places if place is not None and column in said)
    return _Codes(categories or ("other",), _severity(logits, {*categories, *flags}, hits), flags, evidence)


def _evidence(text: str, batch: Batch, row: int, column: int, hits: Sequence[Hit], reading: Reading) -> Evidence | None:
    code = COLUMNS[column]
    base, last = int(batch.bounds[row]), int(batch.bounds[row + 1]) - 1
    mine = [hit for hit in hits if hit.rule.code == code]
    if mine:
        best = max(mine, key=_strength)
        low, high = base + best.start, base + best.end
    else:
        low, high = reading.place(batch, row, column)
        high = min(high, low + _LONGEST)
    low, high = max(low, base + 1), min(high, last)
    while low < high and batch.points[high - 1] in BREAKS:
        high -= 1
    if low >= high:
        return None
    start, end = int(batch.origin[low]), int(batch.origin[high - 1]) + 1
    return Evidence(code, start, end, text[start:end])


def _strength(hit: Hit) -> tuple[float, int, int]:
    return hit.rule.weight, hit.end - hit.start, -hit.start


def _severity(logits: Sequence[float], said: set[str], hits: Sequence[Hit]) -> str:
    level = (logits[_MEDIUM] > 0) + (logits[_MEDIUM] > 0 and logits[_HIGH] > 0)
    floors = [_LEVEL[hit.rule.severity] for hit in hits if hit.rule.severity and hit.rule.code in said]
    return SEVERITIES[max([level, *floors])]
