"""What a week or month is held to, and whether it was reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reports.figures import Review
from reports.shares import Share

Reached = Literal["met", "near", "missed", "few", "odd", "none"]


@dataclass(frozen=True)
class Target:
    """A rate and its target.

    Attributes:
        name: A field of `monitor.policies.TargetPolicy`.
        now: The rate of the span.
        before: Of the span before.
        wanted: 0..1.
        below: Whether it is to stay below that; else it is to come up to it.
    """

    name: str
    now: Share
    before: Share
    wanted: float
    below: bool = False

    @property
    def reached(self) -> Reached:
        """Missed by so little that chance may have done it is ``near``; a rate above one is ``odd``."""
        if not self.now.whole:
            return "none"
        if self.now.part > self.now.whole:
            return "odd"
        if self.now.few:
            return "few"
        if self.now.rate < self.wanted if self.below else self.now.rate >= self.wanted:
            return "met"
        low, high = self.now.interval()
        return "near" if low <= self.wanted <= high else "missed"


def targets(figures: Review) -> list[Target]:
    """Those of which there is something to say, in the order of a complaint's way."""
    return [one for one in _every(figures) if one.now.whole or one.before.whole]


def _every(figures: Review) -> Iterator[Target]:
    wanted, totals = figures.wanted, figures.totals
    yield Target("satisfied", totals.now.good, totals.prior.good, wanted.satisfied / 100)
    yield Target("soon", figures.responses.soon, figures.soon_before, wanted.soon / 100)
    yield Target("clearance", figures.clearance, figures.clearance_before, wanted.clearance / 100)
    yield Target("once", figures.contacts.share, figures.contacts.before, wanted.once / 100)
    yield Target("followups", figures.followups, figures.followups_before, wanted.followups / 100)
    served = figures.complaints.all
    yield Target("complaints", served.share, served.before, wanted.complaints / 100, below=True)
