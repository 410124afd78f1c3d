"""Character n-grams of a whole batch of texts at once, hashed to table indices.

A batch is one long array of folded code points (`monitor.folding`); every row stands between two edge marks, so
that an n-gram knows the beginning and the end of a text. Nothing here depends on which other rows are in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.folding import BLANK, DROPPED, table

EDGE = 2
ORDERS = 4  # n-grams of 1 to 4 points
GAPS = (2, 3)  # and pairs of points that stand so far apart
GRAMS = ORDERS + len(GAPS)
LIMIT = 20_000  # characters of one text that are read; a complaint is over long before
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = tuple(np.uint64(m) for m in (0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3))
_GAP_MIX = tuple(np.uint64(m) for m in (0x9FB21C651E98DF25, 0xC2B2AE3D27D4EB4F))
_FOLD = np.uint64(31)
BREAKS = frozenset(ord(char) for char in ",。!?;~…| ")
_BREAKS = np.array(sorted(BREAKS - {BLANK}), dtype=np.uint32)
_BEFORE_CHINESE = 0x2E7F  # a blank after a Chinese character ends a clause
_DIGITS = (ord("0"), ord("9"))


@dataclass(frozen=True, slots=True)
class Batch:
    """Folded texts.

    Attributes:
        points: code points of all rows, each row between two `EDGE`s.
        origin: for each point, its offset in its own original text (edges: 0 and the text's length).
        bounds: row r is `points[bounds[r]:bounds[r + 1]]`; one more entry than rows.
    """

    points: NDArray[np.uint32]
    origin: NDArray[np.int64]
    bounds: NDArray[np.int64]

    def string(self) -> str:
        """The folded rows as one string; offsets in it are indices into `points`."""
        return self.points.astype("<u4").tobytes().decode("utf-32-le")

    def silent(self) -> NDArray[np.bool_]:
        """Rows without a letter, sign or emoji: only digits, punctuation and blanks."""
        points = self.points
        says = (points >= ord("a")) & (points <= ord("z"))
        says |= (points >= 0xC0) & ~((points >= 0x2000) & (points < 0x2100)) & ~((points >= 0x3000) & (points < 0x3040))  # noqa: PLR2004 — punctuation blocks of Unicode
        says &= (points != ord("~")) & (points != 0xFFFD) & ~((points >= 0xFF00) & (points < 0xFFF0))  # noqa: PLR2004 — same
        return ~np.logical_or.reduceat(says, self.bounds[:-1])

    def clauses(self) -> NDArray[np.int64]:
        """First point of every clause; every row has at least one."""
        points = self.points
        breaks = np.isin(points, _BREAKS, kind="table")
        breaks |= (points == BLANK) & (np.append(0, points[:-1]) > _BEFORE_CHINESE)
        begins = np.zeros(len(points), dtype=bool)
        begins[1:] = breaks[:-1] & ~breaks[1:]
        begins[self.bounds[1:] - 1] = False
        begins[self.bounds[:-1]] = True
        return np.flatnonzero(begins)

    def take(self, rows: NDArray[np.bool_]) -> "Batch":
        """The batch of the rows marked true."""
        sizes = np.diff(self.bounds)
        keep = np.repeat(rows, sizes)
        return Batch(self.points[keep], self.origin[keep], np.concatenate(([0], np.cumsum(sizes[rows]))))

    def hashes(self, bits: int) -> NDArray[np.int64]:
        """Table indices of n-grams and pairs: shape (GRAMS, points), below `2**bits`; 0 where none fits in its row."""
        codes = self.points.astype(np.uint64)
        size = len(codes)
        out = np.zeros((GRAMS, size), dtype=np.int64)
        shift = np.uint64(64 - bits)
        rolling = np.zeros(size, dtype=np.uint64)
        for order in range(min(ORDERS, size)):
            rolling = rolling[: size - order] * _STEP + codes[order:]
            self._place(out[order], ((rolling ^ (rolling >> _FOLD)) * _MIX[order]) >> shift, order)
        for line, gap in enumerate(GAPS):
            pairs = codes[:-gap] * _STEP + codes[gap:]
            self._place(out[ORDERS + line], ((pairs ^ (pairs >> _FOLD)) * _GAP_MIX[line]) >> shift, gap)
        return out

    def _place(self, line: NDArray[np.int64], hashed: NDArray[np.uint64], reach: int) -> None:
        """Write hashes of what reaches so many points ahead; what would leave its row is 0."""
        line[: len(hashed)] = hashed.astype(np.int64)
        for back in range(1, reach + 1):
            line[np.maximum(self.bounds[1:] - back, self.bounds[:-1])] = 0


def fold(texts: Sequence[str]) -> Batch:
    """Folds texts: see `monitor.folding`; runs of one character are cut to two, digits excepted."""
    cut = [text[:LIMIT] for text in texts]
    joined = "".join(f"\0{text}\0" for text in cut)
    raw = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    lengths = np.fromiter((len(text) + 2 for text in cut), dtype=np.int64, count=len(cut))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    folds = table()
    points = raw.copy()
    low = raw < len(folds)
    points[low] = folds[raw[low]]
    points[starts] = points[ends - 1] = EDGE
    offsets = np.arange(len(raw)) - np.repeat(starts + 1, lengths)
    rows = np.repeat(np.arange(len(cut)), lengths)
    for surplus in (_dropped, _repeated):
        keep = ~surplus(points)
        points, offsets, rows = points[keep], offsets[keep], rows[keep]
    bounds = np.searchsorted(rows, np.arange(len(cut) + 1))
    return Batch(points, np.maximum(offsets, 0), bounds)


def _dropped(points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    surplus: NDArray[np.bool_] = points == DROPPED
    return surplus


def _repeated(points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Third and later of a run, second and later of blanks."""
    surplus = np.zeros(len(points), dtype=bool)
    again = points[1:] == points[:-1]
    surplus[1:] = again & (points[1:] == BLANK)
    plain = (points != EDGE) & ((points < _DIGITS[0]) | (points > _DIGITS[1]))
    surplus[2:] |= again[1:] & again[:-1] & plain[2:]
    return surplus
