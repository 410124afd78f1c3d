"""The arrays of a weights file: what does not fit is told when the file is read, and not by a verdict that fails."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz_files import weight_arrays

from monitor import coding, sentiment, tables
from monitor.ngrams import fold
from monitor.tables import WeightsError, load


def saved(folder: Path, **changed: Any) -> Path:
    np.savez(folder / "own.npz", allow_pickle=False, **(weight_arrays() | changed))
    return folder / "own.npz"


def test_small_tables_that_fit_are_taken(tmp_path: Path) -> None:
    """Two rows in each table are little, but all that is asked of them is there."""
    told = load(saved(tmp_path))
    assert 0 <= sentiment.Builtin(told).p_negative(["漏水了"])[0] <= 1
    assert coding.read(told, fold(["漏水了"]), [[]], np.zeros(1)).logits.shape == (1, len(coding.COLUMNS))


ODD: dict[str, dict[str, Any]] = {
    "a row less": {"characters": np.ones((3, 3), np.int16)},
    "one row": {"words": np.ones((1, 2), np.int16)},
    "no rows": {"codes": np.ones((0, 22), np.int16)},
    "a column less": {"characters": np.ones((2, 2), np.int16)},
    "one axis": {"relevance": np.ones(2, np.int16)},
    "no axis": {"relevance": np.int16(1)},
    "floats": {"words": np.ones((2, 2))},
    "unsigned": {"words": np.ones((2, 2), np.uint64)},
    "scales of others": {"codes_scale": np.ones(21)},
    "a bias for all": {"characters_bias": np.ones(1)},
    "letters": {"words_scale": np.array(["1", "2"])},
    "no number": {"relevance_bias": np.array([np.nan])},
    "far too much": {"relevance_scale": np.array([1e300])},
    "a short lexicon": {"lexicon": np.ones(8, np.uint8)},
    "features of others": {"blend_direct": np.ones((28, 2), np.float32)},
    "another hidden layer": {"mix_outer": np.ones((3, 23), np.float32)},
    "an inner of one axis": {"mix_inner": np.ones(112, np.float32)},
    "an inner of no axis": {"blend_inner": np.float32(1)},
    "a column too many": {"blend_direct": np.ones((29, 3), np.float32)},
    "endless weights": {"mix_direct": np.full((112, 23), np.inf, np.float32)},
}


@pytest.mark.parametrize("name", ODD)
def test_what_does_not_fit_is_told_with_its_name(tmp_path: Path, name: str) -> None:
    """The file, the array, and that `pingshao train` makes such files."""
    part = next(iter(ODD[name]))
    with pytest.raises(WeightsError, match=rf"own\.npz.*{part}.*pingshao train"):
        load(saved(tmp_path, **ODD[name]))


def test_columns_of_others(tmp_path: Path) -> None:
    """Codes in another order would be taken for one another."""
    meta = f'{{"format": {tables.FORMAT}, "version": "1", "columns": ["damage", "quality"], "notes": {{}}}}'
    with pytest.raises(WeightsError, match="columns 'damage, quality', expected 'quality, mismatch"):
        load(saved(tmp_path, meta=np.array(meta)))
