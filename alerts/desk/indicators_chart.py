"""An indicator's way through the days as lines of an SVG: its own, the industry's, and the limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.models import Indicator

WIDTH, HEIGHT = 300, 72
_EDGE = 6  # so that no line is cut


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines as points of an SVG of `WIDTH` by `HEIGHT`.

    Attributes:
        own: The shop's.
        industry: The industry's, one for each stretch in which it is known.
        limit: How high the limit lies; None where there is none.
        last: Where the newest value lies.
        lowest: The lowest of the shop's values.
        highest: The highest.
    """

    own: str
    industry: Sequence[str]
    limit: float | None
    last: tuple[float, float]
    lowest: float
    highest: float


def draw(rows: Sequence[Indicator], limit: float | None) -> Chart | None:
    """The chart of values, the oldest first; None of a single one."""
    if len(rows) < 2:  # noqa: PLR2004 — one value is no line
        return None
    first, days = rows[0].day, (rows[-1].day - rows[0].day).days
    values = [row.value for row in rows]
    known = [*values, *(row.industry for row in rows if row.industry is not None), *([] if limit is None else [limit])]
    low, high = min(known), max(known)

    def across(row: Indicator) -> float:
        return round(_EDGE + (row.day - first).days / days * (WIDTH - 2 * _EDGE), 1)

    def down(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE), 1)

    def points(stretch: Sequence[tuple[Indicator, float]]) -> str:
        return " ".join(f"{across(row)},{down(value)}" for row, value in stretch)

    return Chart(
        points([(row, row.value) for row in rows]),
        [points(stretch) for stretch in _stretches(rows) if len(stretch) > 1],
        None if limit is None else down(limit),
        (across(rows[-1]), down(values[-1])),
        min(values),
        max(values),
    )


def _stretches(rows: Sequence[Indicator]) -> list[list[tuple[Indicator, float]]]:
    found: list[list[tuple[Indicator, float]]] = [[]]
    for row in rows:
        if row.industry is not None:
            found[-1].append((row, row.industry))
        elif found[-1]:
            found.append([])
    return found
