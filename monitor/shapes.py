"""Whether the arrays of a weights file are what the scorer reckons with: shapes, kinds of numbers, sizes."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor import coding, sentiment, words
from monitor.tables import Linear, Net, Tables

_MOST = 1e6  # of a scale or a weight, which are small numbers: sums of those do not overflow


def check(tables: Tables) -> None:
    """Look at every array.

    Raises:
        ValueError: One is not what it should be; the message names it.
    """
    if tables.columns != coding.COLUMNS:
        raise ValueError(f"columns {', '.join(map(str, tables.columns))!r}, expected {', '.join(coding.COLUMNS)!r}")
    own = tables.polarity
    _shaped("lexicon", own.lexicon, (1 << words.BITS,))
    for name, linear, columns in (
        ("characters", own.characters, sentiment.BY_CHARACTERS),
        ("words", own.words, sentiment.BY_WORDS),
        ("relevance", tables.relevance, 1),
        ("codes", tables.codes, len(coding.COLUMNS)),
    ):
        _check_linear(name, linear, columns)
    _check_net("blend", tables.blend, sentiment.FEATURES, 2)
    _check_net("mix", tables.mix, coding.FEATURES, len(coding.COLUMNS) + 1)


def _check_linear(name: str, linear: Linear, columns: int) -> None:
    table = linear.table
    if table.ndim != 2 or table.dtype.kind != "i" or table.shape[1] < columns:  # noqa: PLR2004 — rows and columns
        raise ValueError(f"{name} is {table.dtype} of shape {table.shape}, expected integers in {columns} columns")
    rows = len(table)
    if not 1 < rows <= 1 << words.BITS or rows & (rows - 1):
        raise ValueError(f"{name} has {rows} rows, expected a power of two up to {1 << words.BITS}")
    _numbers(f"{name}_scale", linear.scale, (columns,))
    _numbers(f"{name}_bias", linear.bias, (columns,))


def _check_net(name: str, net: Net, features: int, columns: int) -> None:
    hidden = net.inner.shape[-1] if net.inner.ndim else 0
    _numbers(f"{name}_direct", net.direct, (features, columns))
    _numbers(f"{name}_inner", net.inner, (features, hidden))
    _numbers(f"{name}_outer", net.outer, (hidden, columns))


def _numbers(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    _shaped(name, array, shape)
    most = float(np.abs(array).max(initial=0)) if array.dtype.kind == "f" else math.nan
    if not most <= _MOST:
        raise ValueError(f"{name} holds {array.dtype} up to {most}, expected floats up to {_MOST:g}")


def _shaped(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
