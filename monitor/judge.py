"""The verdict on a text: negative or not, what it complains about, how bad it is, and where it says so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.categories import Found, Rulebook, codes, edition
from monitor.coding import DOUBT, read
from monitor.complaints import Complaints, Evidence
from monitor.ngrams import GRAMS, LIMIT, Batch, fold
from monitor.sentiment import Builtin, Floats, Polarity, SnowNlp, gather, logit, segment_scores, sigmoid
from monitor.tables import load

Marks = NDArray[np.bool_]
THRESHOLD = 0.5  # of p_negative
_CHUNK = 16_384  # characters judged at once: what fits the processor's cache
_STARS = (1.0, 2.0, 3.0, 4.0, 5.0)
_STAR_ODDS = (1.6, 1.3, 0.3, -0.9, -1.5)  # what stars add to the log-odds; a clear text outweighs them
_DENIAL = 1.0  # log-odds that a complaint named and denied takes away (没有异味)
_GRAVE = 4.0  # weight of a rule that tells of harm, a leak or a threat: no praise around it hides that,
_GRAVE_ODDS = 1.6  # nor do five stars
_SILENT_ODDS = -0.4  # prior log-odds of a text without words


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one text.

    Attributes:
        negative: Whether the writer complains; `p_negative >= 0.5`.
        p_negative: Calibrated probability, four decimals.
        categories: Codes, the most important first; empty when not negative, and of a post that is angry about
            something else than a shop, product or brand.
        severity: low, medium, high or critical; None when there are no categories.
        flags: Codes; empty when there are no categories.
        evidence: A span for every category but `other`, and for every flag.
        model: Engine, version of its weights, and edition of the rules.
        relevant: False where a mention seems to be about no shop, product or brand at all.
    """

    negative: bool
    p_negative: float
    categories: tuple[str, ...]
    severity: str | None
    flags: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    model: str
    relevant: bool = True


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
        self._engine: Polarity = SnowNlp() if engine == "snownlp" else Builtin(self._tables)
        self._rules = Rulebook(codes())
        self.model = f"{self._engine.version}+{edition()}"
        self.models: tuple[str, ...] = (self.model,)

    def judge(self, text: Text) -> Judgement:
        """Judges one text."""
        return self.judge_many([text])[0]

    def judge_many(self, texts: Sequence[Text]) -> list[Judgement]:
        """Judges texts in their order; a verdict does not depend on the other texts."""
        return [judgement for chunk in _chunks(texts) for judgement in self._judge_chunk(chunk)]

    def _judge_chunk(self, texts: Sequence[Text]) -> list[Judgement]:
        batch = fold([text.text for text in texts])
        found = self._rules.find(batch, batch.string())
        words, posts = self._words(texts, batch, found)
        stars = np.array([_star_odds(text.stars) for text in texts])
        beside = stars + [_push(row) for row in found]
        least = stars + [_least(row) for row in found]
        suspects = np.maximum.reduce([words, words + beside, least]) > -DOUBT
        complaints = self._read(batch, found, words, posts, suspects)
        p = np.round(sigmoid(np.maximum(words + beside, least)), 4)
        about = self._relevant(texts, batch)
        verdicts = [
            Judgement(score >= THRESHOLD, score, (), None, (), (), self.model, relevant)
            for score, relevant in zip(p.tolist(), about.tolist(), strict=True)
        ]
        for place, row in enumerate(np.flatnonzero(suspects).tolist()):
            if verdicts[row].negative:
                said = complaints.said(texts[row].text, place)
                meant = about[row] or said["categories"] != ("other",)  # who says what is wrong speaks of something
                if texts[row].kind != "mention" or (meant and complaints.of_a_shop(place)):
                    verdicts[row] = Judgement(True, verdicts[row].p_negative, model=self.model, **said)
        return verdicts

    def _words(self, texts: Sequence[Text], batch: Batch, found: Sequence[Found]) -> tuple[Floats, Floats]:
        """Log-odds of each text being negative, by its words alone; and how much it reads like a post, 0 to 1."""
        said = [_without_denials(text.text[:LIMIT], batch, row, found[row].denied) for row, text in enumerate(texts)]
        if isinstance(self._engine, Builtin):
            p, posts = self._engine.read(said)
        else:
            p = self._engine.p_negative(said)
            posts = np.ones(len(p))  # what another engine says is not judged anew
        return np.where(batch.silent(), _SILENT_ODDS, logit(p)), posts

    def _read(self, batch: Batch, found: Sequence[Found], words: Floats, posts: Floats, suspects: Marks) -> Complaints:
        """The codes of rows that may complain; reviews whose `words` leave it in doubt are judged anew with them."""
        part = batch.take(suspects)
        rows = [row for row, suspect in zip(found, suspects, strict=True) if suspect]
        hits = [row.hits for row in rows]
        if not rows:
            return Complaints(part, hits)
        reading = read(self._tables, part, hits, words[suspects])
        # the codes are read with what the text denies in it, so they say nothing new of a denial
        doubtful = (np.abs(words[suspects]) < DOUBT) & ~part.silent() & [not row.denied for row in rows]
        share = doubtful * (1 - posts[suspects])
        words[suspects] += share * (reading.again - words[suspects])
        return Complaints(part, hits, reading.clauses, reading.logits.tolist())

    def _relevant(self, texts: Sequence[Text], batch: Batch) -> Marks:
        about = np.array([text.kind != "mention" for text in texts])
        if not about.all():
            rows, linear = batch.take(~about), self._tables.relevance
            scores = segment_scores(
                linear, gather(linear, rows.hashes(linear.bits)), rows.bounds[:-1], GRAMS * np.diff(rows.bounds)
            )
            about[~about] = scores[:, 0] > 0
        return about


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
    pushes = [0.0, *(hit.rule.push for hit in found.hits)]
    return max(pushes) + min(pushes) - _DENIAL * min(len(set(found.denied)), 3)


def _least(found: Found) -> float:
    """What the words of a row come to at the least."""
    grave = any(hit.rule.severity in {"high", "critical"} and hit.rule.weight >= _GRAVE for hit in found.hits)
    return _GRAVE_ODDS if grave else -np.inf


def _star_odds(stars: float | None) -> float:
    return 0.0 if stars is None else float(np.interp(stars, _STARS, _STAR_ODDS))
