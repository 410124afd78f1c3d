"""Which drafts fit: for a case by its words and categories, and for words that somebody looks for.

No model of meanings: the topics' words and what people also say for them (``replies/synonyms.toml``), pairs of letters
weighed by how rare they are among the drafts, and the codes that the scorer reads out of the words looked for.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from alerts import drafts
from alerts.drafts import STEPS, About, Steps
from alerts.words import code
from monitor.answers import violations
from monitor.models import Case, Crisis
from monitor.settings import Settings

_MOST = 5
_LEAST = 3
_WORD, _MOST_WORDS = 1.0, 3  # what a word of the topic is worth, and how many of them count
_ALIKE = 3.0  # what it is worth that all pairs of letters stand in the draft
_FIRST, _NAMED = 0.9, 0.5  # what it is worth to be of the main category, or of another
_FITS = 0.6  # less than this is no find,
_NEAR = 0.5  # nor is less than this of the best one's


@dataclass(frozen=True, slots=True)
class Pick:
    """A draft to choose.

    Attributes:
        text: The whole reply.
        name: What it is for, in Chinese.
        problems: What in it may not be said, and why: names of shops, products and own sentences can say such things.
    """

    text: str
    name: str
    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Set:
    """A set of variants: a category's own, or one of its topics."""

    key: str
    category: str
    name: str
    words: tuple[str, ...]
    pairs: frozenset[str]


class Speaker:
    """Makes what a draft is about out of a row, in its shop's voice.

    Args:
        settings: Where voices and own sentences stand; none without.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()

    def about(self, row: Case | Crisis, product: str = "", flags: Sequence[str] = ()) -> About:
        """What is to be answered in a case or crisis."""
        shop = next((one for one in self._settings.shops if one.id == row.shop_id), None)
        voice = {"voice": shop.voice} if shop else {}
        category = next(iter(row.categories), "other")
        return About(
            category,
            row.id or 0,
            self._settings.shop_name(row.shop_id),
            product,
            row.severity,
            tuple(flags),
            own=self._settings.replies,
            also=row.categories,
            **voice,
        )


def for_case(about: About, text: str, codes: Sequence[str] = (), most: int = _MOST) -> list[Pick]:
    """Drafts for a case, the best first: topics its words name, then its categories in general.

    Args:
        about: What is to be answered.
        text: What the buyer wrote.
        codes: All its categories, the most important first.
        most: So many at most, and at least three.
    """
    if grave := drafts.grave(about):
        return [_pick(about, grave, code(about.category), turn) for turn in range(min(most, _LEAST + 1))]
    chosen = [about.category, *(one for one in codes[:2] if one != about.category)]
    ranked = [(_named(one, text), one) for one in _sets() if one.words and one.category in chosen]
    found = [one for score, one in sorted(ranked, key=lambda pair: -pair[0]) if score > 0][:2]
    picks = [_pick(about, drafts.chosen(about, one.key), one.name, turn) for one in found for turn in range(2)]
    general = [_pick(about, drafts.steps(about), code(about.category), turn) for turn in range(_LEAST)]
    return _different([*picks[:3], *general])[: max(most, _LEAST)]


def search(about: About, words: str, codes: Sequence[str] = (), most: int = _MOST) -> list[Pick]:
    """Drafts for words that somebody looks for, the best first; none where nothing comes near.

    Args:
        about: What is to be answered; where that is grave, the remedy stays a grave one.
        words: Such as ``电池不耐用``.
        codes: What the scorer reads out of them.
        most: So many at most.
    """
    asked = _meant(words)
    scored = sorted(((_score(one, asked, codes), one) for one in _sets()), key=lambda pair: -pair[0])
    best = [one for score, one in scored if score >= max(_FITS, _NEAR * scored[0][0])]
    picks, grave = [], drafts.grave(about)
    for turn in range(2):
        for one in best[:_LEAST]:
            variants = drafts.chosen(about, one.key)
            if grave:
                variants = {**variants, "remedy": grave["remedy"]}
            picks.append(_pick(about, variants, one.name, turn))
    return _different(picks)[:most]


def _pick(about: About, variants: Steps, name: str, turn: int) -> Pick:
    text = drafts.compose(about, variants, turn)
    return Pick(text, name, tuple(violations(text)))


def _different(picks: Sequence[Pick]) -> list[Pick]:
    return list({pick.text: pick for pick in picks}.values())


def _meant(words: str) -> str:
    """The words, and those of the topics that they stand for."""
    said = words.lower()
    return " ".join([said, *(word for word, ways in drafts.synonyms().items() if any(way in said for way in ways))])


def _named(one: Set, text: str) -> float:
    said = _meant(text)
    return _WORD * min(sum(word in said for word in one.words), _MOST_WORDS)


def _score(one: Set, asked: str, codes: Sequence[str]) -> float:
    pairs, rare = _pairs(asked), _rarity()
    known = sum(rare.get(pair, 0.0) for pair in pairs)
    shared = sum(rare.get(pair, 0.0) for pair in pairs & one.pairs)
    alike = _ALIKE * shared / known if known else 0.0
    named = _WORD * min(sum(word in asked for word in one.words), _MOST_WORDS)
    score = alike + named
    if not score and one.words:  # a category alone does not choose among its topics
        return 0.0
    return score + (_FIRST if one.category in codes[:1] else _NAMED if one.category in codes else 0.0)


def _pairs(text: str) -> set[str]:
    return {text[at : at + 2] for at in range(len(text) - 1) if text[at : at + 2].isalnum()}


@cache
def _sets() -> tuple[Set, ...]:
    found, known = [], drafts.categories()
    for key in drafts.all_keys():
        category, variants = key.partition(":")[0], drafts.plain(key)
        words, name = tuple(variants.get("words", ())), variants.get("name") or code(category)
        if words or key in known:  # grave ones are chosen by what is grave, not by words
            told = " ".join([name, *words, *(said for step in STEPS for said in variants[step])])
            found.append(Set(key, category if category in known else "", name, words, frozenset(_pairs(told.lower()))))
    return tuple(found)


@cache
def _rarity() -> Mapping[str, float]:
    sets = _sets()
    counted = Counter(pair for one in sets for pair in one.pairs)
    return {pair: math.log(1 + len(sets) / count) for pair, count in counted.items()}
