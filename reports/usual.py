"""A category's negatives of a day beside those of days like it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reports.counts import Category
from reports.shares import ordinary, unusual


@dataclass(frozen=True)
class Usual:
    """A category's negatives of a day beside the usual number.

    Attributes:
        code: The category.
        count: Negatives that name it.
        mean: How many there are on an average day of the same weekday; None while there is no week of data.
        mark: ``more`` than chance explains, ``new`` in four weeks, or "".
    """

    code: str
    count: int
    mean: float | None
    mark: Literal["more", "new", ""]


def usually(row: Category, before: Sequence[int]) -> Usual:
    """Beside days of the same weekday: a Monday on which people write of their weekend is a Monday like others."""
    days = ordinary(before)
    if not days:
        return Usual(row.code, row.now, None, "")
    more = unusual(row.now, sum(days), len(days))
    return Usual(row.code, row.now, mean(days), "new" if not row.norm else "more" if more else "")


def mean(counts: Sequence[int]) -> float | None:
    """The mean of counts; None without any."""
    return sum(counts) / len(counts) if counts else None
