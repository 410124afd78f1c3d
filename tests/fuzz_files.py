"""What is handed over as files: exports, indicators, labels, configs, weights, backups; and what people write."""

import io
import json
import os
import sqlite3
import tempfile
import zipfile
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
from crawler_factories import NOW, ZONE
from factories import make_settings
from fuzzing import target

from alerts.rehearsal import scenario
from crawler.bases.base import SourceError
from crawler.bases.files import read_file
from monitor import (
    answers,
    coding,
    config,
    db,
    duplicates,
    privacy,
    restoring,
    scoring,
    search,
    sentiment,
    tables,
    text,
    train,
    words,
)
from monitor.backup import FORMAT, seal
from monitor.engines import Engine, make
from monitor.errors import WrongCall
from monitor.indicator_files import read_indicators, read_rows
from monitor.ngrams import fold
from monitor.settings import Scoring

SHOPS = {"demo": "demo", "示例旗舰店": "demo"}


@cache
def _folder() -> Path:
    """A place in memory, one for each process."""
    memory = Path("/dev/shm")
    kept = tempfile.TemporaryDirectory(prefix="pingshao-fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    _kept.append(kept)
    return Path(kept.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def saved(name: str, data: bytes) -> Path:
    """A file that holds this."""
    file = _folder() / name
    file.write_bytes(data)
    return file


def packed(parts: dict[str, bytes], data: bytes) -> bytes:
    """A ZIP in which the part that the first byte names says something else; the bytes as they are where none is."""
    names = sorted(parts)
    if not data or data[0] >= len(names):
        return data[1:]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in (parts | {names[data[0]]: data[1:]}).items():
            archive.writestr(name, body)
    return out.getvalue()


def unpacked(archive: bytes) -> dict[str, bytes]:
    """The parts of a ZIP."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def each(parts: dict[str, bytes]) -> list[bytes]:
    """An input for every part of a ZIP that leaves it as it is."""
    return [bytes([at]) + parts[name] for at, name in enumerate(sorted(parts))]


@target()
def exports(data: bytes) -> None:
    """Reviews in CSV."""
    with suppress(SourceError):
        list(read_file(saved("a.csv", data), "auto", ZONE, NOW))


@cache
def _workbook() -> dict[str, bytes]:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["订单编号", "评价内容", "评分", "评价时间"],
        ["T1", "漏水", 1, NOW.replace(tzinfo=None)],
        [2.5, True, None, "=1"],
    ):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return unpacked(out.getvalue())


@target(seeds=lambda: each(_workbook()))
def workbooks(data: bytes) -> None:
    """Reviews and indicators in XLSX, part by part."""
    file = saved("a.xlsx", packed(_workbook(), data))
    with suppress(SourceError):
        list(read_file(file, "auto", ZONE, NOW))
    with suppress(SourceError):
        list(read_indicators(file, SHOPS, "demo", ZONE, NOW))


@target()
def indicators(data: bytes) -> None:
    """Indicators in CSV, and as rows from programs."""
    with suppress(SourceError):
        list(read_indicators(saved("i.csv", data), SHOPS, "demo", ZONE, NOW))
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        list(read_rows(rows, SHOPS, "", ZONE, NOW))


@cache
def _engine() -> Engine:
    return make(Scoring())


@target("json")
def labels(data: bytes) -> None:
    """Labelled lines to train from, packed too, and lines to score."""
    train.read_rows([saved("l.jsonl", data)], lambda _: None)
    with suppress(OSError):
        train.read_rows([saved("l.jsonl.gz", data)], lambda _: None)
    scorer = scoring.Scorer(_engine())
    list(scorer.score_lines(data.decode("utf-8", "replace").splitlines()))


@target()
def configs(data: bytes) -> None:
    """The config, and a rehearsal's scenario."""
    file = saved("pingshao.toml", data)
    with suppress(WrongCall):
        config.load(file)
    with suppress(WrongCall):
        scenario.read(file, make_settings())


def weight_arrays() -> dict[str, Any]:
    """What a weights file holds, with tables of two rows."""
    meta = {"format": tables.FORMAT, "version": "1", "columns": coding.COLUMNS, "notes": {}}
    arrays = {"meta": np.array(json.dumps(meta)), "lexicon": np.zeros((1 << words.BITS) // 8, np.uint8)}
    codes = len(coding.COLUMNS)
    for name, n in {"characters": 3, "words": 2, "relevance": 1, "codes": codes}.items():
        arrays |= {name: np.ones((2, n), np.int8), f"{name}_scale": np.ones(n), f"{name}_bias": np.ones(n)}
    for name, n, m in (("blend", sentiment.FEATURES, 2), ("mix", coding.FEATURES, codes + 1)):
        parts = zip(tables._PARTS, ((n, m), (n, 2), (2, m)), strict=True)
        arrays |= {f"{name}_{part}": np.ones(shape, np.float32) for part, shape in parts}
    return arrays


@cache
def _weights() -> dict[str, bytes]:
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **weight_arrays())
    return unpacked(out.getvalue())


@target(seeds=lambda: each(_weights()))
def weights(data: bytes) -> None:
    """Weights of one's own, part by part; what is taken for some judges a text."""
    with suppress(WrongCall):
        told = tables.load(saved("w.npz", packed(_weights(), data)))
        sentiment.Builtin(told).p_negative(["漏水了，退款"])
        coding.read(told, fold(["漏水了，退款"]), [[]], np.zeros(1))


@cache
def _backup() -> bytes:
    told = {
        "format": FORMAT,
        "made_at": NOW.isoformat(),
        "revision": db.newest(),
        "tables": {"case": [1, "0"]},
        "files": {},
    }
    return json.dumps(told).encode()


def _stored(about: bytes) -> bytes:
    file = saved("b.db", b"")
    with closing(sqlite3.connect(file)) as store:
        store.execute("PRAGMA page_size = 512")
        store.execute("CREATE TABLE pingshao_backup (name TEXT PRIMARY KEY, content BLOB NOT NULL)")
        rows = {"about": about, "seal": seal(about).encode()}
        store.executemany("INSERT INTO pingshao_backup VALUES (?, ?)", rows.items())
        store.commit()
    return file.read_bytes()


@target("json", lambda: [b"a" + _backup(), b"b" + _stored(_backup())])
def backups(data: bytes) -> None:
    """A backup's own words, sealed as they should be, and the bytes of its file."""
    body = _stored(data[1:]) if data[:1] == b"a" else data[1:]
    with suppress(WrongCall):
        restoring.read(saved("backup", body))


@target()
def texts(data: bytes) -> None:
    """What a buyer or a colleague writes: masked, judged, checked, compared, looked for."""
    said = text.clean(data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace") if _fits(data) else "")
    masked = privacy.mask(said).text
    assert privacy.mask(masked).text == masked
    privacy.mask_nickname(said[:200])
    duplicates.text_key(masked)
    _engine().judge_many([scoring.Text(masked, "review", 1.0), scoring.Text(masked, "mention")])
    answers.problems(masked, said, ["quality"])
    search.cut(masked, search.words(said))


def _fits(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace")
    except UnicodeDecodeError:
        return False
    return True
