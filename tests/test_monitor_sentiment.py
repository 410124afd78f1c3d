"""Folding, n-grams and polarity engines."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.folding import _SIMPLIFIED, _TRADITIONAL
from monitor.ngrams import EDGE, LIMIT, fold
from monitor.sentiment import Builtin, SnowNlp, logit, sigmoid
from monitor.tables import BUILTIN, WeightsError, load, save
from monitor.words import BITS, GRAMS, cut, hashes, lexicon


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(), max_size=60)


def test_folding_keeps_offsets() -> None:
    """Width, case, script, runs and unseen characters are folded, and every point knows where it came from."""
    batch = fold(["Ａb\u200b　　質量！！！！"])
    assert batch.string() == "\x02ab 质量!!\x02"
    assert batch.origin.tolist() == [0, 0, 1, 3, 5, 6, 7, 8, 11]


def test_numbers_keep_their_runs() -> None:
    """1000000 is not 100."""
    assert "1000000" in fold(["1000000"]).string()


def test_traditional_table_pairs_up() -> None:
    """Each Traditional character has exactly one Simplified one, and none leads on to a third."""
    assert len(_TRADITIONAL) == len(_SIMPLIFIED)
    pairs = dict(zip(_TRADITIONAL, _SIMPLIFIED, strict=True))
    assert all(pairs.get(simple, simple) == simple for simple in pairs.values())


@given(st.lists(texts(), min_size=1, max_size=6))
def test_rows_do_not_touch_each_other(rows: list[str]) -> None:
    """A row's points and hashes are those it has alone, whatever stands beside it, for any Unicode."""
    batch = fold(rows)
    together = batch.hashes(16)
    for place, text in enumerate(rows):
        low, high = batch.bounds[place], batch.bounds[place + 1]
        alone = fold([text])
        assert batch.points[low] == batch.points[high - 1] == EDGE
        assert np.array_equal(batch.points[low:high], alone.points)
        assert np.array_equal(together[:, low:high], alone.hashes(16))
        assert all(0 <= at <= len(text) for at in batch.origin[low:high])


LEXICON = lexicon(["示例杯子漏水，很生气，漏水的杯子要退货！"] * 3)


def parted(text: str) -> str:
    """The words of a text between bars, its edges left out."""
    batch = fold([text])
    starts, keys = cut(batch, batch.hashes(BITS), LEXICON)
    assert len(starts) == len(keys)
    bounds = [*starts.tolist(), len(batch.points)]
    return "|".join(batch.string()[low:high] for low, high in pairwise(bounds[1:-1]))


def test_words_are_the_longest_known_ones() -> None:
    """Known words stay whole, Latin letters and digits too; signs and what nobody knows stand alone."""
    assert parted("杯子漏水，生气") == "杯子|漏水|,|生气"
    assert parted("杯 子usb3好") == "杯| |子|usb3|好"
    assert parted("") == ""


def test_too_rare_a_word_is_unknown() -> None:
    """What occurs twice is no word yet, and a lexicon of nothing knows none."""
    assert not lexicon(["漏水"] * 2).any()
    assert not lexicon([]).any()
    assert lexicon(["漏水"] * 3).sum() == 1


@given(st.lists(st.one_of(texts(), st.text("杯子漏水很生气，退货!a1", max_size=30)), min_size=1, max_size=6))
def test_words_do_not_touch_other_rows(rows: list[str]) -> None:
    """A row's words and their hashes are those it has alone, whatever stands beside it, for any Unicode."""
    batch = fold(rows)
    together, bounds = hashes(batch, batch.hashes(BITS), LEXICON, 16)
    assert together.shape == (GRAMS, bounds[-1])
    for place, text in enumerate(rows):
        alone = fold([text])
        indices, _ = hashes(alone, alone.hashes(BITS), LEXICON, 16)
        assert np.array_equal(together[:, bounds[place] : bounds[place + 1]], indices)


def test_take_is_a_batch_of_the_rows_marked() -> None:
    """Taking rows gives what folding them alone gives."""
    kept = fold(["甲", "乙丙", ""]).take(np.array([False, True, True]))
    assert np.array_equal(kept.points, fold(["乙丙", ""]).points)
    assert kept.bounds.tolist() == fold(["乙丙", ""]).bounds.tolist()


def test_silent_rows() -> None:
    """Digits, punctuation and blanks say nothing; a letter or an emoji does."""
    assert fold(["", " 。。12~", "…！？", "a", "差", "😡"]).silent().tolist() == [True, True, True, False, False, False]


def test_clauses_begin_after_breaks_but_not_inside_english() -> None:
    """Punctuation and blanks after Chinese end a clause; blanks between English words do not."""
    batch = fold(["东西好 物流慢，差!!", "very good indeed"])
    assert [batch.string()[at] for at in batch.clauses()] == ["\x02", "物", "差", "\x02"]


def test_long_texts_are_cut() -> None:
    """Only the first characters are read, so time and memory are bounded."""
    assert len(fold(["好坏" * LIMIT]).points) == LIMIT + 2


def test_builtin_tells_praise_from_complaint() -> None:
    """The engine works on words alone, in both scripts alike."""
    engine = Builtin(load())
    p = engine.p_negative(["质量太差，穿一次就坏了", "很喜欢，质量很好", "質量太差，穿一次就壞了"])
    assert p[0] > 0.9
    assert p[1] < 0.1
    assert p[0] == p[2]
    assert engine.version.startswith("builtin-")
    assert len(engine.p_negative([])) == 0


@pytest.mark.slow
def test_snownlp_engine() -> None:
    """SnowNLP answers in [0, 1] for ordinary, empty, wordless and unwritable texts."""
    engine = SnowNlp()
    p = engine.p_negative(["东西很差，非常失望", "非常好，很满意", "", "\ud800", "。"])
    assert p[0] > p[1]
    assert p[2] == p[3] == 0.5
    assert ((p >= 0) & (p <= 1)).all()
    assert engine.version.startswith("snownlp-")


def test_logit_and_sigmoid_are_inverse_and_finite() -> None:
    """Certainties stay finite."""
    p = np.array([0.0, 0.2, 0.5, 1.0])
    assert np.isfinite(logit(p)).all()
    assert sigmoid(logit(p)) == pytest.approx(p, abs=1e-5)


def test_weights_round_trip_and_size(tmp_path: Path) -> None:
    """Weights come back as they were saved; the built-in file stays small."""
    tables = load()
    save(tables, tmp_path / "own.npz")
    again = load(tmp_path / "own.npz")
    assert again.version == tables.version
    assert Builtin(again).p_negative(["还行"]) == Builtin(tables).p_negative(["还行"])
    assert BUILTIN.stat().st_size <= 8 * 2**20
    assert [path.name for path in tmp_path.iterdir()] == ["own.npz"]


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04 half a zip"])
def test_unreadable_weights(tmp_path: Path, content: bytes) -> None:
    """A file that is no weights file is named, with what was expected."""
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad\.npz.*pingshao train"):
        load(path)


def test_missing_and_foreign_weights(tmp_path: Path) -> None:
    """A missing file, an npz of something else and another format are each told."""
    with pytest.raises(WeightsError, match="none"):
        load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    with pytest.raises(WeightsError, match="not a readable"):
        load(tmp_path / "other.npz")
    np.savez(tmp_path / "old.npz", meta=np.array('{"format": 0}'))
    with pytest.raises(WeightsError, match="expected 5"):
        load(tmp_path / "old.npz")
