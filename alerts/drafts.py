"""Reply drafts: empathy, attribution, remedy, from data by category, filled from the case, for people to copy and edit.

A category's file holds variants of the three steps, ``grave`` ones for what is critical, and topics: narrower troubles
with sentences of their own. Each such set has a key, under which the config may have other sentences: ``quality``,
``quality:异味``, ``safety:grave``, and for all categories ``grave`` and ``threat``. What may not be said to a buyer is
`monitor.answers`' to say; every draft is checked.
"""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from alerts.words import code
from monitor.settings import Replies, Voice

FOLDER = Path(__file__).with_name("replies")
STEPS = ("empathy", "attribution", "remedy")
THREATS = frozenset({"legal_threat", "media_threat"})
"""Flags of writers who speak of the authorities or the press: they are answered formally."""

_LONGEST_NAME = 20
_NO_CATEGORY = ("notices", "grave", "threat", "synonyms")
_NAMES = {"grave": "危急的"}
_FORMAL = ("high", "critical")
_GREETED = re.compile(r"^您好[，。]")
_PLACES = re.compile(r"\{(shop|product)\}")

Steps = Mapping[str, Sequence[str]]
"""Step → its variants."""


@dataclass(frozen=True, slots=True)
class About:
    """What is to be answered, and in whose voice.

    Attributes:
        category: Code of the most important category; ``other`` where there is none of that name.
        number: The case's or crisis's id: the same always gets the same variants, neighbours get different ones.
        shop: The shop's name.
        product: The product's name; empty where it is not known.
        severity: How bad it is.
        flags: What else the writer does.
        voice: How the shop speaks.
        own: Sentences from the config in place of the shipped ones, by key.
        also: All its categories.
    """

    category: str
    number: int
    shop: str
    product: str = ""
    severity: str = ""
    flags: Collection[str] = ()
    voice: Voice = field(default_factory=Voice)
    own: Mapping[str, Replies] | None = None
    also: Sequence[str] = ()

    @property
    def formal(self) -> bool:
        """Whether it is too severe for diminutives."""
        return self.severity in _FORMAL or bool(THREATS & set(self.flags))


def draft(about: About) -> str:
    """The first reply that comes to mind."""
    return compose(about, steps(about))


def steps(about: About) -> Steps:
    """The variants for what is to be answered: grave ones, else the config's or the category's."""
    return grave(about) or chosen(about, about.category)


def chosen(about: About, key: str) -> Steps:
    """The variants of a set: the config's for each step where it has any; the general ones for an unknown key."""
    own, shipped = (about.own or {}).get(key), _sets().get(key) or _sets()["other"]
    return {step: (own and getattr(own, step)) or shipped[step] for step in STEPS}


def grave(about: About) -> Steps | None:
    """The variants for a threat, or for what is critical where a quick promise would be wrong; else None."""
    if THREATS & set(about.flags):
        return chosen(about, "threat")
    if about.severity != "critical":
        return None
    keys = [f"{one}:grave" for one in (about.category, *about.also)]
    key = next((key for key in keys if key in _sets()), _replies().get(about.category, {}).get("grave"))
    return chosen(about, key) if key else None


def compose(about: About, variants: Steps, turn: int = 0) -> str:
    """A whole reply; another turn says all three steps in other words, as far as there are others."""
    said, n = "", about.number
    names = {"shop": about.shop, "product": short(about.product) or "商品"}
    for step in STEPS:
        n, own = divmod(n, len(variants[step]))
        sentence = variants[step][(own + turn) % len(variants[step])]
        said += _PLACES.sub(lambda place: names[place[1]], sentence)
    return _voiced(about, said)


def _voiced(about: About, said: str) -> str:
    voice, greeted = about.voice, bool(_GREETED.match(said))
    greeting = "您好" if voice.greeting and about.formal else voice.greeting
    if voice.name:
        said = f"{greeting or '您好'}，我是{voice.name}。{_GREETED.sub('', said)}"
    elif greeting and not greeted:
        said = f"{greeting}，{said}"
    return f"{said}{voice.signature}"


def notice(category: str) -> dict[str, str]:
    """How those concerned are told of such trouble: ``what`` it is, and the ``remedy``."""
    found: dict[str, str] = (_replies().get(category) or _replies()["other"])["notice"]
    return found


def categories() -> list[str]:
    """Codes that have drafts of their own."""
    return sorted(_replies())


def all_keys() -> list[str]:
    """The keys of all sets of variants: each category's own, its topics, its grave ones; then those for all."""
    return list(_sets())


def plain(key: str) -> dict[str, Any]:
    """A set as shipped: its three steps, of a topic its ``name`` and ``words``."""
    return _sets()[key]


def is_formal(key: str) -> bool:
    """Whether a set is for what is critical or a threat."""
    return key.rpartition(":")[2] in ("grave", "threat")


def title(key: str) -> str:
    """What a set is called: ``质量问题``, ``质量问题：异味``."""
    category, _, narrower = key.partition(":")
    if narrower:
        return f"{code(category)}：{_NAMES.get(narrower, narrower)}"
    return _NAMES.get(key) or _sets().get(key, {}).get("name") or code(key)


def templates() -> dict[str, str]:
    """The texts of notices by way, unfilled."""
    return _read(FOLDER / "notices.toml")


def synonyms() -> dict[str, list[str]]:
    """What people say in place of a word of the topics: the word, and its ways."""
    return _read(FOLDER / "synonyms.toml")


def short(name: str) -> str:
    """A product's name as people would say it."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


@cache
def _replies() -> dict[str, dict[str, Any]]:
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.toml")) if path.stem not in _NO_CATEGORY}


@cache
def _sets() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for category, table in _replies().items():
        found |= {category: table} | {f"{category}:{one['name']}": one for one in table.get("topics", ())}
        found |= {f"{category}:grave": table["grave"]} if isinstance(table.get("grave"), dict) else {}
    return found | {name: _read(FOLDER / f"{name}.toml") for name in ("grave", "threat")}


@cache
def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)
