"""Reply drafts: empathy, attribution, remedy, from data by category, filled from the case, for people to copy and edit.

What may not be said to a buyer stands in ``replies/banned.toml``; every draft is checked against it.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("replies")
STEPS = ("empathy", "attribution", "remedy")
_LONGEST_NAME = 20
_NO_CATEGORY = ("banned", "notices")


def draft(category: str, subject_id: int, shop: str, product: str = "") -> str:
    """A reply for a case or crisis; the same id always gets the same variant, neighbours get different ones.

    Args:
        category: Code of the most important category; ``other`` where there is none of that name.
        subject_id: Picks the variant.
        shop: The shop's name.
        product: The product's name; empty where it is not known.
    """
    steps = _replies().get(category) or _replies()["other"]
    names = {"shop": shop, "product": short(product) or "商品"}
    said, n = "", subject_id
    for step in STEPS:
        variants = steps[step]
        said += variants[n % len(variants)].format(**names)
        n //= len(variants)
    return said


def notice(category: str) -> dict[str, str]:
    """How those concerned are told of such trouble: ``what`` it is, and the ``remedy``."""
    found: dict[str, str] = (_replies().get(category) or _replies()["other"])["notice"]
    return found


def categories() -> list[str]:
    """Codes that have drafts of their own."""
    return sorted(_replies())


def every_draft(category: str) -> list[str]:
    """All sentences of a category's drafts, unfilled."""
    return [variant for step in STEPS for variant in _replies()[category][step]]


def templates() -> dict[str, str]:
    """The texts of notices by way, unfilled."""
    return _read(FOLDER / "notices.toml")


def violations(text: str) -> list[tuple[str, str]]:
    """What in a reply may not be said: why, and the words."""
    return [(why, match.group()) for why, pattern in _banned() for match in pattern.finditer(text)]


def short(name: str) -> str:
    """A product's name as people would say it."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


@cache
def _replies() -> dict[str, dict[str, Any]]:
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.toml")) if path.stem not in _NO_CATEGORY}


@cache
def _banned() -> list[tuple[str, re.Pattern[str]]]:
    return [
        (group["why"], re.compile("|".join(group["patterns"]))) for group in _read(FOLDER / "banned.toml")["groups"]
    ]


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)
