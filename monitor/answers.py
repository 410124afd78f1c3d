"""What is wrong with a public answer, told from its words: what may not be said, a step that is missing, off the point.

The patterns are data under ``answers/``. They are made to be right rather than to find everything: staff stop reading
a list that cries wolf.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from monitor import duplicates
from monitor.text import clean

Kind = Literal["banned", "copied", "no_empathy", "no_remedy", "off_topic", "late", "unanswered"]
KINDS: dict[Kind, str] = {
    "banned": "不能说的话",
    "off_topic": "答非所问",
    "copied": "一段话到处用",
    "no_empathy": "没有体谅",
    "no_remedy": "没说怎么办",
    "late": "回得晚了",
    "unanswered": "没有公开回复",
}
"""What can be wrong, the gravest first, in Chinese."""

_FOLDER = Path(__file__).with_name("answers")
_LONGEST = 2000  # characters of an answer that are looked at
_BRIEF = 14  # letters: no remedy in so few that has not the shape of one
_SHORT = 3  # letters of a clause that can say nothing of weight
_CLAUSE = re.compile(r"[，,。！!？?；;~～…、\n]+")
_SENTENCE = re.compile(r"[^。！？!?；;\n]*[。！？!?；;\n]?")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with an answer.

    Attributes:
        kind: One of `KINDS`.
        mark: The words that tell it from others of its kind at the same answer; empty where there can be one only.
        words: The sentence to look at.
        why: The reason, in Chinese.
    """

    kind: Kind
    mark: str
    words: str
    why: str


@dataclass(frozen=True, slots=True)
class Topic:
    """What an answer can be about, and by which words a complaint shows that it is about that too."""

    name: str
    of: frozenset[str]
    answer: re.Pattern[str]
    about: re.Pattern[str]
    not_of: frozenset[str]


def problems(answer: str, complaint: str | None = None, categories: Iterable[str] = ()) -> list[Problem]:
    """What is wrong with an answer.

    Args:
        answer: Its text.
        complaint: The text it answers, where that is a complaint; None: only what may never be said counts.
        categories: What the complaint is about.
    """
    answer = clean(answer)[:_LONGEST]
    found = {words: Problem("banned", words, _around(answer, words), why) for why, words in violations(answer)}
    manner = [] if complaint is None else [*_missing(answer), *_off_topic(answer, complaint, set(categories))]
    return [*found.values(), *manner]


def violations(text: str) -> list[tuple[str, str]]:
    """What in an answer may not be said: why, and the words."""
    found = []
    for why, banned, harmless in _banned():
        spared = [match.span() for match in harmless.finditer(text)]
        for match in banned.finditer(text):
            start, end = match.span()
            if not any(low <= start and end <= high for low, high in spared):
                found.append((why, match.group()))
    return found


@cache
def edition() -> str:
    """Short hash of the patterns: others may find other faults."""
    said = b"".join(path.read_bytes() for path in sorted(_FOLDER.glob("*.toml")))
    return hashlib.sha1(said, usedforsecurity=False).hexdigest()[:6]


def _missing(answer: str) -> Iterator[Problem]:
    data, helped = _manner(), _helps(answer)
    offered = helped or data["offer"].search(answer)
    warm = offered and (data["warm"].search(answer) or _is_personal(answer))
    if not data["empathy"].search(answer) and not warm:
        yield Problem("no_empathy", "", answer, "先道歉或体谅，再说别的")
    if not helped and _leads_nowhere(answer):
        yield Problem("no_remedy", "", answer, "没有补发、退换、联系或怎么做，买家看完不知道下一步")


def _helps(answer: str) -> bool:
    """Whether there is a remedy in it that is not a refused one."""
    return bool(_manner()["remedy"].search(_manner()["refusal"].sub("", answer)))


def _is_personal(answer: str) -> bool:
    """Beside what we do for the buyer he is told something else, and nothing is pushed off: no list knows all of it."""
    data = _manner()
    pushed = (data[name].search(answer) for name in ("refusal", "excuse", "defence"))
    if not data["ours"].search(answer) or any(pushed) or violations(answer):
        return False
    told = ("offer", "remedy", "empty")
    return any(not any(data[name].search(clause) for name in told) for clause in _clauses(answer))


def _clauses(answer: str) -> list[str]:
    return [clause for clause in _CLAUSE.split(answer) if duplicates.letters(clause) > _SHORT]


def _leads_nowhere(answer: str) -> bool:
    """It pushes the matter off, is all politeness, or offers nothing: in a few words, or in its defence."""
    data = _manner()
    brief = duplicates.letters(answer) <= _BRIEF
    if (brief or data["defence"].search(answer)) and not data["offer"].search(answer):
        return True
    refused = data["refusal"].search(answer) or data["excuse"].search(answer) or violations(answer)
    return bool(refused) or all(data["empty"].search(clause) for clause in _clauses(answer))


def _off_topic(answer: str, complaint: str, categories: set[str]) -> Iterator[Problem]:
    """One topic alone in the answer, of which neither the complaint's words nor its categories know anything."""
    topics: list[Topic] = _manner()["topics"]
    told = [(topic, match) for topic in topics if (match := topic.answer.search(answer))]
    if len(told) != 1 or not complaint:
        return
    topic, match = told[0]
    if categories and categories <= topic.not_of and not topic.about.search(complaint):
        yield Problem("off_topic", "", _around(answer, match.group()), f"买家说的不是{topic.name}")


def _around(text: str, words: str) -> str:
    """The sentence that the words stand in."""
    at = text.find(words)
    return next(one.group().strip() for one in _SENTENCE.finditer(text) if one.start() <= at < one.end())


@cache
def _banned() -> list[tuple[str, re.Pattern[str], re.Pattern[str]]]:
    return [
        (group["why"], _any(group["patterns"]), _any(group["harmless"])) for group in _read("banned.toml")["groups"]
    ]


@cache
def _manner() -> dict[str, Any]:
    data = _read("manner.toml")
    topics = [
        Topic(
            one["name"],
            frozenset(one["of"]),
            re.compile(one["answer"]),
            re.compile(one["about"]),
            frozenset(one["not_of"]),
        )
        for one in data["topics"]
    ]
    return {name: _any(patterns) for name, patterns in data.items() if name != "topics"} | {"topics": topics}


def _any(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


def _read(name: str) -> dict[str, Any]:
    with (_FOLDER / name).open("rb") as file:
        return tomllib.load(file)
