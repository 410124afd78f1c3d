"""The scorer's weights: one npz file of small integers with its version and scales.

Sums of integers are exact, so a text's score is the same in any batch and on any machine.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import WrongCall

FOLDER = Path(__file__).with_name("weights")
BUILTIN = FOLDER / "builtin.npz"
FORMAT = 5
_UNPACKED = 512 << 20  # bytes; the built-in ones take 18 MB
_PARTS = ("direct", "inner", "outer")


class WeightsError(WrongCall, ValueError):
    """The weights file cannot be used."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Integer weights of hashed n-grams.

    Attributes:
        table: shape (2**bits, columns or a few more that say nothing), int16.
        scale: per column, what one step of the integers is worth.
        bias: per column.
    """

    table: NDArray[np.int16]
    scale: NDArray[np.float64]
    bias: NDArray[np.float64]

    @property
    def bits(self) -> int:
        """Bits of a table index."""
        return int(self.table.shape[0]).bit_length() - 1


@dataclass(frozen=True, slots=True)
class Net:
    """A second stage: log-odds of columns from a few features, straight and through one hidden layer.

    Attributes:
        direct: shape (features, columns).
        inner: shape (features, hidden).
        outer: shape (hidden, columns).
    """

    direct: NDArray[np.floating[Any]]
    inner: NDArray[np.floating[Any]]
    outer: NDArray[np.floating[Any]]

    def logits(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds, shape (rows, columns)."""
        rows = features.astype(self.inner.dtype)  # those of a file have half the size, and take half the time
        # not @: its rounding depends on the number of rows
        units = np.maximum(np.einsum("rf,fh->rh", rows, self.inner), 0)
        straight = np.einsum("rf,fc->rc", rows, self.direct)
        straight += np.einsum("rh,hc->rc", units, self.outer)
        odds: NDArray[np.float64] = straight.astype(np.float64)
        return odds


@dataclass(frozen=True, slots=True)
class Opinion:
    """First stage of the polarity. Three columns each: negative; negative by posts alone; a post.

    Attributes:
        characters: Of n-grams of characters.
        words: Of words and pairs of words; without the third column.
        lexicon: Which n-grams are words, by their index: see `monitor.words`.
    """

    characters: Linear
    words: Linear
    lexicon: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tables:
    """All that the scorer learned.

    Attributes:
        version: Model version, stored with every score.
        polarity: How likely a text complains.
        blend: Its second stage, a column by reviews and one by posts: see `monitor.sentiment`.
        relevance: One column: a mention is about a shop.
        codes: One column for each of `columns`.
        columns: Categories, flags, the severity steps, then whether a post complains of a shop.
        mix: Their second stage: see `monitor.coding`.
        notes: Figures and facts of the training, for people.
    """

    version: str
    polarity: Opinion
    blend: Net
    relevance: Linear
    codes: Linear
    columns: tuple[str, ...]
    mix: Net
    notes: dict[str, Any]


def load(path: Path | None = None) -> Tables:
    """Reads a weights file, the built-in one by default.

    Raises:
        WeightsError: The file is missing, is no weights file, or is of another format.
    """
    from monitor.shapes import check  # by way of who uses these tables

    path = path or BUILTIN
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            meta = _meta(path, file)
            tables = Tables(
                meta["version"],
                Opinion(
                    _linear(file, "characters"), _linear(file, "words"), np.unpackbits(file["lexicon"]).view(np.bool_)
                ),
                _net(file, "blend"),
                _linear(file, "relevance"),
                _linear(file, "codes"),
                tuple(meta["columns"]),
                _net(file, "mix"),
                meta["notes"],
            )
            check(tables)
            return tables
    except WeightsError:
        raise
    except Exception as error:  # numpy's reader has no error of its own: a tokenizer's, a compressor's, anything
        raise WeightsError(
            f"{path}: not a readable weights file ({error}), expected one made by `pingshao train`"
        ) from error


def _meta(path: Path, file: Any) -> dict[str, Any]:
    """What the file says of itself, once it is known to be of ours and of a bearable size."""
    if (unpacked := sum(part.file_size for part in file.zip.infolist())) > _UNPACKED:
        raise WeightsError(f"{path}: unpacks to {unpacked >> 20} MB, which no weights do")
    meta: dict[str, Any] = json.loads(str(file["meta"]))
    if meta["format"] != FORMAT:
        raise WeightsError(f"{path}: weights of format {meta['format']}, expected {FORMAT}; train them again")
    return meta


def _linear(file: Any, name: str) -> Linear:
    return Linear(file[name], file[f"{name}_scale"], file[f"{name}_bias"])


def _net(file: Any, name: str) -> Net:
    return Net(*(file[f"{name}_{part}"] for part in _PARTS))


def save(tables: Tables, path: Path) -> None:
    """Writes a weights file whole or not at all."""
    meta = {"format": FORMAT, "version": tables.version, "columns": tables.columns, "notes": tables.notes}
    arrays: dict[str, NDArray[Any]] = {"meta": np.array(json.dumps(meta, ensure_ascii=False))}
    arrays["lexicon"] = np.packbits(tables.polarity.lexicon)
    named = {"characters": tables.polarity.characters, "words": tables.polarity.words}
    for name, linear in (named | {"relevance": tables.relevance, "codes": tables.codes}).items():
        arrays |= {name: linear.table, f"{name}_scale": linear.scale, f"{name}_bias": linear.bias}
    for name, net in (("blend", tables.blend), ("mix", tables.mix)):
        arrays |= {f"{name}_{part}": getattr(net, part).astype(np.float32) for part in _PARTS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    part = path.with_name(path.name + ".part")
    part.write_bytes(buffer.getvalue())
    part.replace(path)
