"""The words of negative feedback: how many texts hold each, and which are more frequent than in the weeks before."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sqlalchemy import select
from sqlmodel import Session

from monitor.vocabulary import NEWEST, tokens
from reports.period import Period, Windows
from reports.store import F, judged, negative, within

_STOP = Path(__file__).with_name("stop_words.txt")
_CLOUD = 70
_KEYS = 12
_LEAST = 3
_SURE = 6.63  # log-likelihood at 99 %


@dataclass(frozen=True)
class Word:
    """A word and how many negative texts hold it, now and in the four weeks before."""

    text: str
    now: int
    norm: int


@dataclass(frozen=True)
class Words:
    """The words of a span.

    Attributes:
        texts: Negative texts read.
        norm_texts: Negative texts of the four weeks before read.
        cloud: The most frequent words with the number of texts that hold them.
        key: Words unusually frequent against the norm, the most striking first; empty without a norm.
    """

    texts: int = 0
    norm_texts: int = 0
    cloud: dict[str, int] = field(default_factory=dict)
    key: list[Word] = field(default_factory=list)


def words(session: Session, windows: Windows, kind: str, names: Iterable[str]) -> Words:
    """Words of the negative feedback of a kind, without those that ``names`` (shops, products) are made of."""
    ignored = _stop_words() | {word for name in names for word in tokens(name)}
    texts, now = _count(session, windows.now, kind, ignored)
    norm_texts, norm = _count(session, windows.norm, kind, ignored)
    ranked = sorted(now.items(), key=lambda item: (-item[1], item[0]))
    return Words(texts, norm_texts, dict(ranked[:_CLOUD]), _keys(now, texts, norm, norm_texts))


@cache
def _stop_words() -> frozenset[str]:
    lines = _STOP.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _count(session: Session, period: Period, kind: str, ignored: frozenset[str]) -> tuple[int, Counter[str]]:
    found = (
        select(F.text)
        .select_from(judged)
        .where(within(F.happened_at, period.start, period.end), F.kind == kind, negative, F.text != "")
        .order_by(F.happened_at.desc(), F.id.desc())
        .limit(NEWEST)
    )
    counts: Counter[str] = Counter()
    texts = 0
    for (text,) in session.execute(found):
        counts.update(tokens(text) - ignored)
        texts += 1
    return texts, counts


def _keys(now: Counter[str], texts: int, norm: Counter[str], norm_texts: int) -> list[Word]:
    if not texts or not norm_texts:
        return []
    scored = (
        (_log_likelihood(count, norm[word], texts, norm_texts), Word(word, count, norm[word]))
        for word, count in now.items()
        if count >= _LEAST and count * norm_texts > norm[word] * texts
    )
    striking = sorted((pair for pair in scored if pair[0] > _SURE), key=lambda pair: (-pair[0], pair[1].text))
    return [word for _, word in striking[:_KEYS]]


def _log_likelihood(a: int, b: int, n_a: int, n_b: int) -> float:
    """Dunning's G² of a word held by ``a`` of ``n_a`` texts against ``b`` of ``n_b``."""
    together = (a + b) / (n_a + n_b)
    return 2 * (a * math.log(a / (n_a * together)) + (b * math.log(b / (n_b * together)) if b else 0.0))
