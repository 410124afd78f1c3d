"""What a text complains about: from second-stage logits and rules to codes, severity and the words that made them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from monitor.categories import SEVERITIES, Hit
from monitor.coding import CATEGORIES, CERTAIN, COLUMNS, OF_A_SHOP, RULED, STEPS, Clauses
from monitor.ngrams import BREAKS, Batch

_LONGEST = 80  # points of a clause shown as evidence
_SPOKEN = [column for column, code in enumerate(COLUMNS) if code in RULED and code != "other"]
_OTHER, _OF_A_SHOP = COLUMNS.index("other"), COLUMNS.index(OF_A_SHOP)
_MEDIUM, _HIGH = (COLUMNS.index(step) for step in STEPS)
_LEVEL = {name: level for level, name in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the text given says what a code stands for: `text[start:end]`."""

    code: str
    start: int
    end: int
    text: str


class Said(TypedDict):
    """What one text complains about: see `monitor.judge.Judgement`."""

    categories: tuple[str, ...]
    severity: str
    flags: tuple[str, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Complaints:
    """What was read in a batch.

    Attributes:
        batch: The texts.
        hits: Rules that hit, by row.
        clauses: Where the learned scores come from; None for a batch of no row.
        logits: Of every row and column; above 0 means yes.
    """

    batch: Batch
    hits: Sequence[Sequence[Hit]]
    clauses: Clauses | None = None
    logits: Sequence[Sequence[float]] = ()

    def of_a_shop(self, row: int) -> bool:
        """Whether a post complains of a shop, product or brand: by its words, or by a rule that decides by itself."""
        ruled = any(hit.rule.weight > CERTAIN and hit.rule.code in RULED for hit in self.hits[row])
        return ruled or self.logits[row][_OF_A_SHOP] > 0

    def said(self, text: str, row: int) -> Said:
        """What a row says.

        Args:
            text: Its original text.
            row: Its place in the batch.
        """
        logits, hits = self.logits[row], self.hits[row]
        likely = sorted((-logits[column], column) for column in _SPOKEN if logits[column] > 0)
        places = [(column, place) for _, column in likely if (place := self._evidence(text, row, column)) is not None]
        columns = [column for column, _ in places]
        if logits[_OTHER] > max((logits[column] for column in columns if column < len(CATEGORIES)), default=0.0):
            certain = {hit.rule.code for hit in hits if hit.rule.weight > CERTAIN}
            columns = [column for column in columns if column >= len(CATEGORIES) or COLUMNS[column] in certain]
        categories = tuple(COLUMNS[column] for column in columns if column < len(CATEGORIES))
        flags = tuple(COLUMNS[column] for column in sorted(columns) if column >= len(CATEGORIES))
        return Said(
            categories=categories or ("other",),
            severity=_severity(logits, {*categories, *flags}, hits),
            flags=flags,
            evidence=tuple(place for column, place in places if column in columns),
        )

    def _evidence(self, text: str, row: int, column: int) -> Evidence | None:
        """The words of the rule that hit, else the clause that speaks most; None where nothing is left of it."""
        code, batch = COLUMNS[column], self.batch
        base, last = int(batch.bounds[row]), int(batch.bounds[row + 1]) - 1
        mine = [hit for hit in self.hits[row] if hit.rule.code == code]
        if mine:
            best = max(mine, key=_strength)
            low, high = base + best.start, base + best.end
        else:
            assert self.clauses is not None
            low, high = self.clauses.place(batch, row, column)
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
