"""kind = "file": which files are read, and which are as they were."""

import os
from pathlib import Path
from typing import Any

import pytest
from crawler_factories import make_connector
from pydantic import ValidationError

from crawler.bases.base import SourceError, Visited
from crawler.items import FeedbackItem
from crawler.spiders.file import Options


def run(
    base: Path, options: dict[str, Any], watermark: dict[str, Any] | None = None
) -> tuple[list[Any], dict[str, Any]]:
    connector = make_connector("file", options, base_dir=base, watermark=watermark or {})
    return list(connector.start()), connector.watermark


def texts(found: list[Any]) -> list[str]:
    return [one.text for one in found if isinstance(one, FeedbackItem)]


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    folder = tmp_path / "exports[1]"
    folder.mkdir()
    (folder / "a.csv").write_text("评价内容,评分\n漏水,1\n", encoding="utf-8")
    (folder / "b.csv").write_text("评价内容,评分\n好,5\n", encoding="utf-8")
    (folder / "~$b.csv").write_text("lock")
    return tmp_path


def test_every_file_that_matches(exports: Path) -> None:
    """A pattern relative to the base folder, or an absolute one; lock files aside."""
    found, _ = run(exports, {"path": "exports[[]1]/*.csv"})
    assert texts(found) == ["漏水", "好"]
    assert [one.unchanged for one in found if isinstance(one, Visited)] == [False, False]
    assert texts(run(exports, {"path": f"{exports}/**/a.csv"})[0]) == ["漏水"]
    assert texts(run(exports / "exports[1]", {"path": "a.csv"})[0]) == ["漏水"]


def test_an_unchanged_file_is_not_read_again(exports: Path) -> None:
    """Neither one that was only touched; one that changed is."""
    options = {"path": "exports[[]1]/*.csv"}
    _, watermark = run(exports, options)
    path = exports / "exports[1]" / "a.csv"
    os.utime(path, (1, 1))
    found, watermark = run(exports, options, watermark)
    assert texts(found) == []
    assert [one.unchanged for one in found] == [True, True]
    path.write_text("评价内容,评分\n漏水,1\n又漏,1\n", encoding="utf-8")
    assert texts(run(exports, options, watermark)[0]) == ["漏水", "又漏"]


def test_one_bad_file_does_not_stop_the_others(exports: Path) -> None:
    """Its fault is told, the rest is read."""
    (exports / "exports[1]" / "aa.csv").write_bytes(b"")
    found, _ = run(exports, {"path": "exports[[]1]/*.csv"})
    assert texts(found) == ["漏水", "好"]
    assert ["空文件" in str(one) for one in found if isinstance(one, SourceError)] == [True]


@pytest.mark.parametrize("path", ["none/*.csv", "none.csv"])
def test_no_file_is_a_fault(exports: Path, path: str) -> None:
    """A folder that stays empty is not silence."""
    (found,), _ = run(exports, {"path": path})
    assert isinstance(found, SourceError)
    assert path in str(found)


def test_a_file_that_vanishes_is_a_fault(exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between listing and reading."""
    connector = make_connector("file", {"path": "gone.csv"}, base_dir=exports)
    monkeypatch.setattr(connector, "_paths", lambda: [exports / "gone.csv"])
    (found,) = connector.start()
    assert isinstance(found, SourceError)


@pytest.mark.parametrize("told", ["generik", {"stars": "x"}, {"text": "x", "txt": "y"}, 3])
def test_wrong_maps(told: object) -> None:
    """Refused with the config, not at night."""
    with pytest.raises(ValidationError):
        Options.model_validate({"path": "a.csv", "map": told})


def test_maps_that_work(exports: Path) -> None:
    """A table in the config."""
    assert texts(run(exports, {"path": "exports[[]1]/a.csv", "map": {"text": "评价内容"}})[0]) == ["漏水"]
