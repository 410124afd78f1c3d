"""Imports as people do them: faults, reject files, previews, and the same file again."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, Notices, make_item
from sqlmodel import select

from crawler.bases.files import REJECT_COLUMNS, Fault, Header, read_file
from crawler.items import BadRow
from monitor import db, previews
from monitor.core import Core
from monitor.importing import Imported, import_rows
from monitor.models import Case, Feedback, FeedbackVersion
from monitor.rejects import Rejects

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
NAMES = ["订单号", "商品名称", "评价内容", "评分", "评价时间", "追评内容", "买家昵称", "规格", "手机号"]
ROW = ["A1", "杯", "漏水，打 13812345678 没人理", "1", "2026-11-20 08:03", "", "李小明", "", "13812345678"]


def write(file: Path, *rows: list[str]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([NAMES, *rows])
    return file


def row(**values: str) -> list[str]:
    told = dict(zip(NAMES, ROW, strict=True)) | values
    return [*told.values()]


def take_in(core: Core, file: Path) -> Imported:
    return import_rows(core, read_file(file, "auto", core.settings.zone, NOW), "demo", file.stem)


def counts(done: Imported) -> dict[str, int]:
    return {name: done.line[name] for name in ("seen", "new", "changed", "duplicates", "skipped") if done.line[name]}


def stored(core: Core, model: Any = Feedback) -> list[Any]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(model)))


def test_the_same_file_the_next_export_and_an_edit(core: Core, tmp_path: Path) -> None:
    """All duplicates; only the new ones; a 追评 and an edited text are versions, though no row has an id."""
    rows = [row(订单号=f"A{n}", 评价内容=f"第{n}个漏水") for n in range(5)]
    file = write(tmp_path / "a.csv", *rows)
    assert counts(take_in(core, file)) == {"seen": 5, "new": 5}
    assert counts(take_in(core, file)) == {"seen": 5, "duplicates": 5}
    overlap = [*rows[3:], row(订单号="A5"), row(订单号="A6")]
    assert counts(take_in(core, write(tmp_path / "b.csv", *overlap))) == {"seen": 4, "new": 2, "duplicates": 2}
    edited = [row(订单号="A0", 评价内容="换了一个，好了"), row(订单号="A1", 评价内容="第1个漏水", 追评内容="还漏")]
    assert counts(take_in(core, write(tmp_path / "c.csv", *edited))) == {"seen": 2, "changed": 2}
    assert [one.text for one in stored(core)][:2] == ["换了一个，好了", "第1个漏水\n【追评】还漏"]
    assert len(stored(core, FeedbackVersion)) == 2


def test_nothing_personal_is_kept(core: Core, tmp_path: Path) -> None:
    """A phone in the text is masked, a column of phones not read, the buyer a masked name."""
    file = write(tmp_path / "a.csv", row(规格="红，刻字 13812345678"))
    assert take_in(core, file).line["new"] == 1
    (one,) = stored(core)
    assert one.extra == {"sku": "红，刻字 138****5678"}
    assert "13812345678" not in one.model_dump_json()
    assert (one.author, one.text) == ("李**明", "漏水，打 138****5678 没人理")


BAD = [
    row(订单号="6.92E+17"),
    [*row(订单号="B2"), "多", ""],
    row(订单号="B3", 评价内容="", 评分="", 追评内容=""),
    [*row(订单号="B4", 评价内容="=HYPERLINK(1)", 商品名称="@cmd", 评分="+1", 手机号="123456789012"), "-1"],
]  # fmt: skip


def test_bad_rows_go_to_a_file_that_can_be_mended_and_imported(core: Core, tmp_path: Path) -> None:
    """As they stood, with the reason before each, nothing that a spreadsheet executes or rounds; then all is well."""
    done = take_in(core, write(tmp_path / "评价.csv", row(), *BAD))
    assert counts(done) == {"seen": 5, "new": 1, "skipped": 4}
    assert (done.line["status"], done.line["error"]) == ("failed", "4 行读不了")
    (file,) = done.rejects
    assert file.parent == core.settings.service.var_dir / "rejects"
    assert (file.name, file.stat().st_mode & 0o777) == ("评价-20261120-140000.csv", 0o600)
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(file.read_text("utf-8-sig"))))
    assert table[0] == [*REJECT_COLUMNS, *NAMES]
    assert [line[0] for line in table[1:]] == [f"评价.csv:{n}" for n in (3, 4, 5, 6)]
    assert not [cell for line in table for cell in line if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert table[4][-2] == "'123456789012"
    table[1][2], table[2][11:], table[4][11:] = "692000000000000001", [], []
    del table[3]
    with file.open("w", newline="", encoding="gb18030") as out:
        csv.writer(out).writerows(table)
    assert counts(take_in(core, file)) == {"seen": 3, "new": 3}
    assert [one.text for one in stored(core)][-1] == "=HYPERLINK(1)"
    assert stored(core)[-1].product == "@cmd"


def test_a_reject_file_with_rows_still_bad_gives_another(core: Core, tmp_path: Path) -> None:
    """Whose rows stand as in the first; imports within a second do not overwrite each other's."""
    (first,) = take_in(core, write(tmp_path / "a.csv", *BAD)).rejects
    (second,) = take_in(core, first).rejects
    (third,) = take_in(core, first).rejects
    assert second.name == f"{first.stem}-20261120-140000.csv"
    assert third.name == f"{first.stem}-20261120-140000-2.csv"
    rows = [[line[2:] for line in csv.reader(io.StringIO(file.read_text("utf-8-sig")))] for file in (first, second)]
    assert rows[0] == rows[1]


def test_a_file_without_bad_rows_leaves_nothing(core: Core, tmp_path: Path) -> None:
    """Nor a folder."""
    assert take_in(core, write(tmp_path / "a.csv", row())).rejects == []
    assert not (core.settings.service.var_dir / "rejects").exists()


def test_sheets_with_other_columns_have_files_of_their_own(core: Core, tmp_path: Path) -> None:
    """A reject file has one header."""
    with Rejects(tmp_path / "r", "a", NOW) as rejects:
        for names in (("评价内容",), ("评价内容",), ("comment",)):
            rejects.begin(Header("a:1", names, None, ()))  # type: ignore[arg-type]  # the columns do not matter here
            rejects.add(Fault("a:2", "坏", cells=(NOW, NOW.date(), None, 5, "\ud800")))
        rejects.add(BadRow("b:1", "坏"))
    assert [file.name for file in rejects.files] == ["a-20261120-060000.csv", "a-20261120-060000-2.csv"]
    assert rejects.files[0].read_text("utf-8-sig").count("a:2") == 2
    assert ",2026-11-20 06:00:00+00:00,2026-11-20,,5,\\ud800" in rejects.files[0].read_text("utf-8-sig")


def test_what_cannot_be_read_in_a_kept_row_is_counted(core: Core, tmp_path: Path) -> None:
    """The row is stored without its time or stars; a row without a time starts no clock."""
    done = take_in(core, write(tmp_path / "a.csv", row(评价时间="明年", 评分="九颗星"), row(订单号="A2")))
    assert counts(done) == {"seen": 2, "new": 2}
    assert (done.line["status"], done.line["error"]) == ("failed", "2 处时间或评分看不懂")
    assert (done.tally.doubts, done.tally.undated, done.rejects) == (2, 1, [])
    assert [(one.stars, one.created_at is None) for one in stored(core)] == [(None, True), (1, False)]
    assert [case.backlog for case in stored(core, Case)] == [True, False]


def test_only_the_first_faults_are_told_one_by_one(core: Core, tmp_path: Path) -> None:
    """Twenty of each kind, then how many there are; what is quoted of a row is masked."""
    rows = [row(订单号="6.92E+17")] * 25 + [row(订单号=f"C{n}", 评分=f"打13812345678，第{n}次") for n in range(21)]
    done = take_in(core, write(tmp_path / "a.csv", *rows))
    out = io.StringIO()
    previews.outcome(done, out)
    lines = out.getvalue().splitlines()
    assert [line.partition(" ")[0] for line in lines[:20]] == [f"a.csv:{n}:" for n in range(2, 22)]
    assert "……共 25 行读不了，只列出前 20" in lines
    assert "……共 21 处看不懂，只列出前 20" in lines
    assert "13812345678" not in out.getvalue()
    assert str(done.rejects[0]) in out.getvalue()


def test_the_columns_are_told_before(core: Core, tmp_path: Path) -> None:
    """Which is taken for what, the first value masked, what is not used; and nothing a terminal would obey."""
    file = write(tmp_path / "a.csv", row(商品名称="杯\x1b[31m\u202e"))
    out = io.StringIO()
    rows = list(previews.announced(read_file(file, "auto", core.settings.zone, NOW), out))
    assert len(rows) == 2
    assert out.getvalue().startswith("a.csv:1 是表头，按")
    assert "  评价内容 → 内容（text）  漏水，打 138****5678 没人理" in out.getvalue()
    assert "  买家昵称 → 买家（author）  李**明" in out.getvalue()
    assert out.getvalue().endswith("  不用的列：手机号\n")
    assert "\x1b" not in out.getvalue()
    told = read_file(file, {"text": "评价内容"}, core.settings.zone, NOW)
    list(previews.announced(told, out))
    assert "按给定的列读" in out.getvalue()


def test_a_rehearsal_stores_nothing(core: Core, tmp_path: Path) -> None:
    """Columns, three items, faults and counts; masked."""
    rows = [row(订单号=f"A{n}", 评价内容="长" * 99) for n in range(5)] + [row(评价时间="明年"), *BAD]
    told = previews.rehearsed(read_file(write(tmp_path / "a.csv", *rows), "auto", core.settings.zone, NOW))
    assert (told["readable"], told["skipped"], told["doubtful"], told["undated"]) == (6, 4, 1, 1)
    assert (len(told["items"]), len(told["faults"])) == (3, 5)
    assert told["items"][0]["author"] == "李**明"
    assert told["tables"][0]["columns"]["评价内容"] == "text"
    assert told["tables"][0]["unused"] == ["手机号"]
    out = io.StringIO()
    previews.rehearsal(told, out)
    assert "· 2026-11-20 08:03+08:00  1 星  李**明  杯" in out.getvalue()
    assert "长…" in out.getvalue()
    assert "读到 6 条，4 行读不了" in out.getvalue()
    assert stored(core) == []
    assert not core.settings.service.var_dir.joinpath("rejects").exists()


def test_an_import_that_breaks_keeps_its_reject_file(core: Core) -> None:
    """What was left out until then can be mended."""
    assert isinstance(core.notify, Notices)

    def rows() -> Any:
        yield BadRow("a:1", "坏")
        yield make_item("1")
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        import_rows(core, rows(), "demo", "a")
    (file,) = (core.settings.service.var_dir / "rejects").iterdir()
    assert "a:1,坏" in file.read_text("utf-8-sig")
