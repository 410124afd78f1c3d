"""Complaint categories and flags as data: one small TOML file each under `categories/`, matched with evidence.

A file names its code and Chinese name and holds rules: terms found in the folded text, each hit weighed, and
dropped where its clause says the opposite (没有异味), only wishes or fears it, or misses what the rule also asks for.
The file's examples are its tests.
"""

import hashlib
import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import ahocorasick_rs

from monitor.ngrams import Batch, fold

FOLDER = Path(__file__).with_name("categories")
SEVERITIES = ("low", "medium", "high", "critical")
_BREAKS = re.compile(r"[,。!?;~…\x02\n]|(?<=[^\x00-\u2e7f]) | (?=[^\x00-\u2e7f])")
_LAST_BREAK = re.compile(f"(?s:.*)(?:{_BREAKS.pattern})")
_NEGATED = re.compile(
    r"(?<![是会能可有对要好得痛])(?:没有?|不|无|未|毫无|绝无|杜绝|避免|防止|以免|并非|零|非)"
    r"(?:任何|什么|发现|出现|觉得|一点儿?|点|是|会|有|存在|感觉到?|接到|闻到|看到|见到?|造成|发生|半点|明显|像|算|怎么|那么|太|再|让人|的|过){0,3}$"
)
_HEDGED = re.compile(
    r"(?:希望|但愿|害怕|生怕|怕|担心|以为|如果|要是|万一|(?<![特分个级识区辨性道])别(?![人家的])|不要(?!脸)|假如|除非)"
    r"[^,。!?;]{0,6}$"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which a text names a category or flag.

    Attributes:
        code: The category or flag.
        terms: Folded terms; any one is a hit.
        weight: Log-odds a hit is worth.
        push: Log-odds a hit adds to the text being negative, or takes away.
        severity: The least severity a hit implies, or None.
        needs: Pattern the scope must also hold, or None.
        without: Pattern the scope must not hold, or None.
        wide: The scope is the whole text instead of the clause.
        literal: Negations and wishes before the term do not undo it.
        harmless: The term only looks like a complaint (不差, 垃圾袋, 笑得肚子疼): it counts as denied.
    """

    code: str
    terms: tuple[str, ...]
    weight: float
    push: float
    severity: str | None
    needs: re.Pattern[str] | None
    without: re.Pattern[str] | None
    wide: bool
    literal: bool
    harmless: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule's term at `start:end` of its row's points."""

    rule: Rule
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Found:
    """What the rules found in one row.

    Attributes:
        hits: Rules whose conditions hold.
        denied: Points of complaints' terms that are negated, negation included (没有异味), and of harmless terms.
    """

    hits: list[Hit]
    denied: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Code:
    """One category or flag: its file. Rules of a `tone` name nothing; they only move the polarity."""

    code: str
    name: str
    kind: Literal["category", "flag", "tone"]
    rules: tuple[Rule, ...]
    examples: tuple[tuple[str, bool], ...] = field(repr=False)


def _folded(term: str) -> str:
    return fold([term]).string()[1:-1]


def _rule(code: str, raw: dict[str, Any]) -> Rule:
    known = {"terms", "weight", "push", "severity", "needs", "without", "wide", "literal", "harmless"}
    if unknown := set(raw) - known:
        raise ValueError(f"categories/{code}.toml: unknown rule key {min(unknown)!r}, expected one of {sorted(known)}")
    severity = raw.get("severity")
    if severity is not None and severity not in SEVERITIES:
        raise ValueError(f"categories/{code}.toml: severity {severity!r}, expected one of {SEVERITIES}")
    return Rule(
        code,
        tuple(_folded(term) for term in raw["terms"]),
        float(raw.get("weight", 2.0)),
        float(raw.get("push", 0.0)),
        severity,
        re.compile(raw["needs"]) if "needs" in raw else None,
        re.compile(raw["without"]) if "without" in raw else None,
        bool(raw.get("wide", False)),
        bool(raw.get("literal", False)),
        bool(raw.get("harmless", False)),
    )


def _read(path: Path) -> Code:
    with path.open("rb") as file:
        raw = tomllib.load(file)
    return Code(
        raw["code"],
        raw["name"],
        raw["kind"],
        tuple(_rule(raw["code"], rule) for rule in raw.get("rules", ())),
        tuple((example["text"], example["expect"]) for example in raw.get("examples", ())),
    )


@cache
def codes() -> tuple[Code, ...]:
    """Every file of the folder, by code."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.toml")))


@cache
def edition() -> str:
    """Short hash of all rules: other rules, other verdicts; examples and comments do not count."""
    digest = hashlib.sha1(f"{_NEGATED.pattern}{_HEDGED.pattern}".encode(), usedforsecurity=False)
    for code in codes():
        for rule in code.rules:
            digest.update(json.dumps(asdict(rule), default=lambda pattern: pattern.pattern).encode())
    return digest.hexdigest()[:6]


def names() -> dict[str, str]:
    """Chinese name of every category and flag code."""
    return {code.code: code.name for code in codes() if code.kind != "tone"}


def complaints() -> dict[str, str]:
    """Chinese name of every category code."""
    return {code.code: code.name for code in codes() if code.kind == "category"}


class Rulebook:
    """All rules compiled into one automaton."""

    def __init__(self, entries: Iterable[Code]) -> None:
        by_term: dict[str, list[Rule]] = {}
        for entry in entries:
            for rule in entry.rules:
                for term in rule.terms:
                    by_term.setdefault(term, []).append(rule)
        self._rules = list(by_term.values())
        self._automaton = ahocorasick_rs.AhoCorasick(list(by_term))

    def find(self, batch: Batch, text: str) -> list[Found]:
        """What hit and what was denied, by row.

        Args:
            batch: The folded texts.
            text: `batch.string()`.
        """
        bounds: Sequence[int] = batch.bounds.tolist()
        found = [Found([], []) for _ in bounds[1:]]
        wide: dict[tuple[int, int], bool] = {}
        for term, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            row = bisect_right(bounds, start) - 1
            low = bounds[row]
            scope = _Scope(text, low, bounds[row + 1], start, end)
            for rule in self._rules[term]:
                if rule.wide:  # asked once for a row, however often its terms occur
                    allowed = wide.get((row, id(rule)))
                    if allowed is None:
                        allowed = wide[row, id(rule)] = _holds(rule, text[low : bounds[row + 1]])
                else:
                    allowed = (rule.needs is None and rule.without is None) or _holds(rule, scope.clause())
                if not allowed:
                    continue
                if rule.harmless:
                    found[row].denied.append((start - low, end - low))
                elif rule.literal or not scope.undone():
                    found[row].hits.append(Hit(rule, start - low, end - low))
                elif scope.negation:
                    found[row].denied.append((start - low - scope.negation, end - low))
        return found


def _holds(rule: Rule, scope: str) -> bool:
    """Whether the rule's conditions hold in its scope."""
    if rule.needs is not None and not rule.needs.search(scope):
        return False
    return rule.without is None or not rule.without.search(scope)


class _Scope:
    """What stands around one hit; clause and negation are looked for only if a rule asks.

    Attributes:
        negation: Points of the words before that say the opposite, known once `undone` was asked.
    """

    __slots__ = ("_clause", "_end", "_high", "_low", "_start", "_text", "_undone", "negation")

    def __init__(self, text: str, low: int, high: int, start: int, end: int) -> None:
        self._text, self._low, self._high, self._start, self._end = text, low, high, start, end
        self._undone: bool | None = None
        self._clause: str | None = None
        self.negation = 0

    def undone(self) -> bool:
        """Whether the words before say the opposite, or only wish or fear it."""
        if self._undone is None:
            before = self._text[max(self._low, self._start - 12) : self._start]
            negated = _NEGATED.search(before)
            self.negation = len(negated.group()) if negated else 0
            self._undone = self.negation > 0 or _HEDGED.search(before) is not None
        return self._undone

    def clause(self) -> str:
        """The clause around the hit, its breaks left out; at most 60 points to either side."""
        if self._clause is None:
            text, start, end = self._text, self._start, self._end
            before = text[max(self._low, start - 60) : start]
            after = text[end : min(self._high, end + 60)]
            cut = _LAST_BREAK.match(before)
            stop = _BREAKS.search(after)
            self._clause = before[cut.end() if cut else 0 :] + text[start:end] + after[: stop.start() if stop else None]
        return self._clause
