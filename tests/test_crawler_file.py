"""kind = "file": which files are read, and which are as they were."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crawler_factories import make_connector, make_job
from pydantic import ValidationError

from crawler.bases.base import AttentionError, SourceError, Visited
from crawler.items import BadRow, FeedbackItem
from crawler.run import crawl
from crawler.spiders.file import Options


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's files are written at once."""
    monkeypatch.setattr("crawler.spiders.file._PAUSE_S", 0)


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


def test_a_file_that_is_being_written_waits(exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are not taken half; what was known of it stays; the others are read; next time it is."""
    options = {"path": "exports[[]1]/*"}
    folder = exports / "exports[1]"
    (folder / "c.csv.part").write_text("评价内容\n半")
    (folder / "d.xlsx.crdownload").write_bytes(b"PK")
    old = {str(folder / "a.csv"): {"size": 1, "mtime": 1, "sha256": "x"}}

    def write_on(_: float) -> None:
        with (folder / "a.csv").open("a", encoding="utf-8") as file:
            file.write("又漏,1\n")

    with monkeypatch.context() as busy:
        busy.setattr("crawler.spiders.file.time.sleep", write_on)
        found, watermark = run(exports, options, old)
    assert texts(found) == ["好"]
    assert [one.unchanged for one in found if isinstance(one, Visited)] == [True, False]
    assert watermark[str(folder / "a.csv")] == old[str(folder / "a.csv")]
    assert texts(run(exports, options, watermark)[0]) == ["漏水", "又漏"]


def test_a_file_written_to_while_it_is_read_is_read_again(exports: Path) -> None:
    """Nothing of it is remembered."""
    options = {"path": "exports[[]1]/a.csv"}
    connector = make_connector("file", options, base_dir=exports)
    rows = connector.start()
    assert next(iter(rows)).text == "漏水"
    with (exports / "exports[1]" / "a.csv").open("a", encoding="utf-8") as file:
        file.write("又漏,1\n")
    list(rows)
    assert connector.watermark == {}


def test_old_files_are_read_at_once(exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a file that was last written long ago, or bears a date to come."""
    monkeypatch.setattr("crawler.spiders.file.time.sleep", lambda _: pytest.fail("waited"))
    for name, at in (("a.csv", 1), ("b.csv", 4_000_000_000)):
        os.utime(exports / "exports[1]" / name, (at, at))
    assert texts(run(exports, {"path": "exports[[]1]/*.csv"})[0]) == ["漏水", "好"]


def test_what_is_remembered_is_bounded(exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest files are looked at; those that are gone are forgotten."""
    monkeypatch.setattr("crawler.spiders.file._MOST", 1)
    os.utime(exports / "exports[1]" / "a.csv", (1, 1))
    found, watermark = run(
        exports, {"path": "exports[[]1]/*.csv"}, {"/gone.csv": {"size": 1, "mtime": 1, "sha256": "x"}}
    )
    assert texts(found) == ["好"]
    assert list(watermark) == [str(exports / "exports[1]" / "b.csv")]


def test_what_cannot_be_read_in_a_kept_row_is_logged(exports: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With line and column, not with what a buyer wrote; the first of them only."""
    path = exports / "exports[1]" / "a.csv"
    path.write_text("评价内容,评分\n" + "漏水,隐私\n" * 25 + "坏,1,多\n", encoding="utf-8")
    with caplog.at_level("INFO"):
        found, _ = run(exports, {"path": "exports[[]1]/a.csv"})
    assert len(texts(found)) == 25
    assert sum(isinstance(one, BadRow) for one in found) == 1
    assert "a.csv:2: 评分: not understood" in caplog.text
    assert "a.csv:22:" not in caplog.text
    assert "5 more" in caplog.text
    assert "隐私" not in caplog.text


def troubles(found: list[Any]) -> list[tuple[str, bool]]:
    return [(str(one), one.known) for one in found if isinstance(one, AttentionError)]


def test_one_bad_file_does_not_stop_the_others(exports: Path) -> None:
    """Its fault is told, the rest is read and not read again; so it stands until the file changes or goes away."""
    options, broken = {"path": "exports[[]1]/*.csv"}, exports / "exports[1]" / "aa.csv"
    broken.write_bytes(b"")
    found, mark = run(exports, options)
    assert texts(found) == ["漏水", "好"]
    assert troubles(found) == [("aa.csv 是空文件", False)]
    os.utime(broken, (1, 1))
    found, mark = run(exports, options, mark)
    assert [one.unchanged for one in found if isinstance(one, Visited)] == [True] * 3
    assert troubles(found) == [("aa.csv 是空文件", True)]
    broken.write_bytes(b"\xd0\xcf\x11\xe0 old")
    found, mark = run(exports, options, mark)
    assert [(told[:6], known) for told, known in troubles(found)] == [("aa.csv", False)]
    assert len([one for one in found if isinstance(one, Visited) and one.unchanged]) == 2
    broken.write_text("评价内容\n修好了\n", encoding="utf-8")
    found, mark = run(exports, options, mark)
    assert (texts(found), troubles(found)) == (["修好了"], [])
    broken.write_bytes(b"")
    _, mark = run(exports, options, mark)
    broken.unlink()
    assert troubles(run(exports, options, mark)[0]) == []


def test_a_file_that_may_not_be_read_is_tried_each_time_and_told_once(
    exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rights may be mended without any change of the file; what was read of it before is not read again."""
    options = {"path": "exports[[]1]/*.csv"}
    _, mark = run(exports, options)
    (exports / "exports[1]" / "a.csv").touch()
    with monkeypatch.context() as refused:
        refused.setattr("crawler.spiders.file._sha256", no_right)
        for known in (False, True):
            found, mark = run(exports, options, mark)
            assert troubles(found) == [("读不了 a.csv：Permission denied", known)]
    found, mark = run(exports, options, mark)
    assert (texts(found), troubles(found), len(mark)) == ([], [], 2)
    (exports / "exports[1]" / "a.csv").write_text("评价内容\n又漏\n", encoding="utf-8")
    with monkeypatch.context() as refused:
        refused.setattr("crawler.spiders.file.read_file", breaks_off)
        found, mark = run(exports, options, mark)
        assert troubles(found) == [("读不了 a.csv：Input/output error", False)]
    assert texts(run(exports, options, mark)[0]) == ["又漏"]


def no_right(path: Path) -> str:
    raise PermissionError(13, "Permission denied", str(path))


def breaks_off(path: Path, *_: object) -> Iterator[FeedbackItem]:
    yield FeedbackItem("1", "读到一半")
    raise SourceError(f"读不了 {path.name}") from OSError(5, "Input/output error")


@pytest.mark.slow
async def test_a_broken_file_among_good_ones_over_whole_crawls(exports: Path, tmp_path: Path) -> None:
    """Attention each time, as a new fault only when it has changed; the mark moves on, so the good are read once."""
    (exports / "exports[1]" / "bad.csv").write_bytes(b"")
    options = {"path": "exports[[]1]/*.csv"}
    job = make_job("file", options, base_dir=str(exports), pipelines=["crawler_pipelines.Keep"])
    job = replace(job, context={"out": str(tmp_path / "items")})
    first = await crawl(job, 60)
    assert (first.status, first.new, first.moved, first.anew) == ("attention", 2, True, True)
    assert first.error == "site: bad.csv 是空文件"
    second = await crawl(replace(job, watermark=first.watermark), 60)
    assert (second.status, second.seen, second.unchanged, second.anew) == ("attention", 0, 3, False)
    broken = replace(job, watermark=first.watermark, pipelines=["crawler_pipelines.BreaksOnClose"])
    failed = await crawl(broken, 60)
    assert (failed.moved, failed.watermark) == (False, first.watermark)


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
