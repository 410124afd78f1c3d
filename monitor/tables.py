"""The scorer's weights: one npz file of small integers with its version and scales.

Sums of integers are exact, so a text's score is the same in any batch and on any machine.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import WrongCall

FOLDER = Path(__file__).with_name("weights")
BUILTIN = FOLDER / "builtin.npz"
FORMAT = 1


class WeightsError(WrongCall, ValueError):
    """The weights file cannot be used."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Integer weights of hashed n-grams.

    Attributes:
        table: shape (2**bits, columns), int16.
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
class Tables:
    """All that the scorer learned.

    Attributes:
        version: Model version, stored with every score.
        polarity: One column: negative.
        blend: What row score, mean clause score and one are worth in log-odds: see `monitor.sentiment`.
        codes: One column for each of `columns`.
        columns: Categories, flags, then the severity steps.
        mix: Second stage, shape (features, columns): see `monitor.coding`.
        notes: Figures and facts of the training, for people.
    """

    version: str
    polarity: Linear
    blend: NDArray[np.float64]
    codes: Linear
    columns: tuple[str, ...]
    mix: NDArray[np.float64]
    notes: dict[str, Any]


def load(path: Path | None = None) -> Tables:
    """Reads a weights file, the built-in one by default.

    Raises:
        WeightsError: The file is missing, is no weights file, or is of another format.
    """
    path = path or BUILTIN
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            if meta["format"] != FORMAT:
                raise WeightsError(f"{path}: weights of format {meta['format']}, expected {FORMAT}; train them again")
            return Tables(
                meta["version"],
                Linear(file["polarity"], file["polarity_scale"], file["polarity_bias"]),
                file["blend"],
                Linear(file["codes"], file["codes_scale"], file["codes_bias"]),
                tuple(meta["columns"]),
                file["mix"],
                meta["notes"],
            )
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            f"{path}: not a readable weights file ({error}), expected one made by `pingshao train`"
        ) from error


def save(tables: Tables, path: Path) -> None:
    """Writes a weights file whole or not at all."""
    meta = {"format": FORMAT, "version": tables.version, "columns": tables.columns, "notes": tables.notes}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        meta=np.array(json.dumps(meta, ensure_ascii=False)),
        polarity=tables.polarity.table,
        polarity_scale=tables.polarity.scale,
        polarity_bias=tables.polarity.bias,
        blend=tables.blend,
        codes=tables.codes.table,
        codes_scale=tables.codes.scale,
        codes_bias=tables.codes.bias,
        mix=tables.mix,
    )
    part = path.with_name(path.name + ".part")
    part.write_bytes(buffer.getvalue())
    part.replace(path)
