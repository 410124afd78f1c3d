"""Shares with their counts, and what may be said about a change: nothing that the numbers do not carry."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["up", "down", "flat", "few", "none"]  # none: nothing to compare with
FEW = 30  # below this a share is told as counts and never compared
_Z = 1.959964  # 95 %
Z_MANY = 2.575829  # 99 %: where a dozen rows are judged at once, one in twenty would be wrong in most reports
_ODD = 0.01
_FEWEST_ODD = 3
_FEWEST_LEFT = 2
_NOTHING = 1e-12  # of a sum: what follows is smaller still


@dataclass(frozen=True)
class Share:
    """``part`` of ``whole``."""

    part: int
    whole: int

    @property
    def rate(self) -> float:
        """0..1; 0 of nothing."""
        return self.part / self.whole if self.whole else 0.0

    @property
    def few(self) -> bool:
        """Whether there are too few to speak of a rate."""
        return self.whole < FEW

    def interval(self, z: float = _Z) -> tuple[float, float]:
        """Wilson's score interval; everything is possible where there is nothing."""
        n = self.whole
        if not n:
            return 0.0, 1.0
        p, zz = self.rate, z * z
        middle = (p + zz / (2 * n)) / (1 + zz / n)
        half = z * math.sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n)
        return max(0.0, middle - half), min(1.0, middle + half)


NOTHING = Share(0, 0)
"""Nothing of nothing."""


def difference(before: Share, now: Share, z: float = _Z) -> tuple[float, float]:
    """Newcombe's interval for ``now.rate - before.rate``, from the two Wilson intervals."""
    (low_b, high_b), (low_n, high_n) = before.interval(z), now.interval(z)
    gap, p_b, p_n = now.rate - before.rate, before.rate, now.rate
    return gap - math.hypot(p_n - low_n, high_b - p_b), gap + math.hypot(high_n - p_n, p_b - low_b)


def compare(before: Share, now: Share, z: float = _Z) -> Verdict:
    """Whether a share rose or fell for certain enough to say so."""
    if now.few:
        return "few"
    if before.few:
        return "none"
    low, high = difference(before, now, z)
    return "up" if low > 0 else "down" if high < 0 else "flat"


def unusual(count: int, before: int, times: int) -> bool:
    """Whether chance gives so many, after ``before`` on ``times`` days like it, on fewer than one day in a hundred.

    Each of all would be of this day with the same chance as of any other: so few days before tell little.
    """
    everything, chance = count + before, 1 / (1 + times)
    if count < _FEWEST_ODD or count <= everything * chance:
        return False
    tail = term = math.exp(
        math.lgamma(everything + 1)
        - math.lgamma(count + 1)
        - math.lgamma(before + 1)
        + count * math.log(chance)
        + before * math.log1p(-chance)
    )
    for k in range(count, everything):
        term *= (everything - k) / (k + 1) * chance / (1 - chance)
        tail += term
        if term < tail * _NOTHING:
            break
    return tail < _ODD


def ordinary(counts: Sequence[int]) -> list[int]:
    """The counts of days without those that were unusual among the others: a flood is no norm."""
    left = sorted(counts)
    while len(left) > _FEWEST_LEFT and unusual(left[-1], sum(left[:-1]), len(left) - 1):
        left.pop()
    return left
