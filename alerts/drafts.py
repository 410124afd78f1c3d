"""Reply drafts: empathy, attribution, remedy, from data by category, filled from the case, for people to copy and edit.

A category's file holds variants of the three steps, ``grave`` ones for what is critical, and topics: narrower troubles
with sentences of their own. What may not be said to a buyer is `monitor.answers`' to say; every draft is checked.
"""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from monitor.settings import Replies, Voice

FOLDER = Path(__file__).with_name("replies")
STEPS = ("empathy", "attribution", "remedy")
THREATS = frozenset({"legal_threat", "media_threat"})
"""Flags of writers who speak of the authorities or the press: they are answered formally."""

_LONGEST_NAME = 20
_NO_CATEGORY = ("notices", "grave", "threat", "synonyms")
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
        own: Sentences from the config in place of the shipped ones, by category.
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
    if found := grave(about):
        return found
    shipped = _replies().get(about.category) or _replies()["other"]
    own = (about.own or {}).get(about.category)
    return {step: (own and getattr(own, step)) or shipped[step] for step in STEPS}


def grave(about: About) -> Steps | None:
    """The variants for a threat, or for what is critical where a quick promise would be wrong; else None."""
    if THREATS & set(about.flags):
        return _read(FOLDER / "threat.toml")
    if about.severity != "critical":
        return None
    told = [_replies().get(code, {}).get("grave") for code in (about.category, *about.also)]
    table: Steps | None = next((one for one in told if isinstance(one, dict)), None)
    return table or (_read(FOLDER / f"{told[0]}.toml") if told[0] else None)


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


def plain(category: str) -> dict[str, Any]:
    """A category's own sentences as shipped."""
    return _replies()[category]


def topics(category: str) -> list[dict[str, Any]]:
    """The narrower troubles of a category: ``name``, ``words``, and the three steps."""
    found: list[dict[str, Any]] = (_replies().get(category) or _replies()["other"]).get("topics", [])
    return found


def every_set(category: str) -> list[Steps]:
    """All sets of variants of a category, unfilled: its own, the grave ones, those of its topics."""
    data = _replies()[category]
    return [data, *([data["grave"]] if isinstance(data.get("grave"), dict) else []), *topics(category)]


def formal_sets() -> list[dict[str, Any]]:
    """The sets of variants for what is critical, and for threats; the latter has a name and words like a topic."""
    return [_read(FOLDER / "grave.toml"), _read(FOLDER / "threat.toml")]


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
def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)
