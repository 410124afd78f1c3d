"""What real exports hold: platforms' headers, titles, totals, guards, rounded numbers, day numbers, empty words."""

import csv
import tomllib
from datetime import datetime
from pathlib import Path

import pytest
from crawler_factories import FIXTURES, ZONE
from export_files import header, items, read, save, save_xlsx

from crawler.bases.columns import columns_of, guess_columns
from crawler.bases.files import REJECT_COLUMNS, Fault
from crawler.items import FeedbackItem

HEADERS = tomllib.loads((FIXTURES / "exports.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", HEADERS)
def test_each_platforms_export_is_known_by_its_header(name: str) -> None:
    """The map is guessed, every column that says something is used; telling the map gives the same."""
    names = HEADERS[name]["header"]
    for told in ("auto", name):
        columns = columns_of(names, told)
        assert columns.map == name
        assert {field: names[index] for field, index in columns.at.items()} == HEADERS[name]["fields"]


def test_three_scores(tmp_path: Path) -> None:
    """Description makes the stars; service and logistics are kept beside them."""
    text = "订单编号,商品名称,用户评价,描述相符,服务态度,物流服务,评价时间\nA1,杯,慢,4星,5,1分,2026/11/1 8:03\n"
    (item,) = items(save(tmp_path / "a.csv", text))
    assert (item.stars, item.extra) == (4, {"service": 5, "logistics": 1})


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["\ufeff评价 内容", "评\n分", "ＩＤ", "评价时间（北京时间）"],
         {"text": "\ufeff评价 内容", "stars": "评\n分", "id": "ＩＤ", "time": "评价时间（北京时间）"}),
        (["评价内容（追评）", "评价内容（首评）"], {"followup": "评价内容（追评）", "text": "评价内容（首评）"}),
        (["*评价内容*", "评价_时间:"], {"text": "*评价内容*", "time": "评价_时间:"}),
        (["评价内容", "评价内容"], {"text": "评价内容"}),
    ],
)  # fmt: skip
def test_headers_as_exports_write_them(header: list[str], columns: dict[str, str]) -> None:
    """Full-width letters, marks, line ends, brackets; what stands in brackets may matter."""
    assert {field: header[index] for field, index in guess_columns(header).at.items()} == columns


def test_told_columns_are_found_like_guessed_ones() -> None:
    """Spaces and width aside."""
    assert columns_of(["编号", " 买家说：\n"], {"text": "买家说"}).at == {"text": 1}


def test_a_title_row_is_not_the_header(tmp_path: Path) -> None:
    """The row that names most columns is, not the first that names one; totals and a second header are no reviews."""
    header = ["订单号", "评价内容", "评分", "评价时间"]
    rows = [
        ["评价", None, None, None], ["店铺", "示例", None, None], header, ["A1", "漏水", 1, "2026-11-01"], header,
        ["A2", "合计", 5, "2026-11-02"], ["合计", None, 3.5, None], [None, "共 2 条评价", None, None],
        ["导出时间：2026-11-20"],
    ]  # fmt: skip
    path = save_xlsx(tmp_path / "a.xlsx", rows)
    assert [(item.order_ref, item.text) for item in items(path)] == [("A1", "漏水"), ("A2", "合计")]
    assert header_of(path) == ("a.xlsx:3", ("A1", "漏水", 1, "2026-11-01"))


def header_of(path: Path) -> tuple[str, tuple[object, ...]]:
    found = header(path)
    return found.where, found.sample


def test_a_one_column_table_of_totals_is_a_table_of_reviews(tmp_path: Path) -> None:
    """Where there is nothing but text, it is text."""
    assert [item.text for item in items(save(tmp_path / "a.csv", "评价内容\n合计\n"))] == ["合计"]


@pytest.mark.parametrize(
    ("cell", "column"), [("6.92E+17", "订单号"), (" 6.92123456789012e+17 ", "订单号"), ("1E+15", "评价ID")]
)
def test_rounded_numbers_are_refused(tmp_path: Path, cell: str, column: str) -> None:
    """An order number that a spreadsheet has rounded is another order's; the reason says what to do."""
    text = f"{column},评价内容\n{cell},漏水\n1E5,好\n"
    fault, item = read(save(tmp_path / "a.csv", text))
    assert isinstance(fault, Fault)
    assert (fault.column, fault.kept, fault.cells) == (column, False, (cell, "漏水"))
    assert fault.reason.startswith(f"{column}：“{cell.strip()}”")
    assert isinstance(item, FeedbackItem)


def test_numbers_in_cells_of_an_xlsx(tmp_path: Path) -> None:
    """Whole ones are written out; those with more digits than a spreadsheet keeps are refused."""
    path = save_xlsx(tmp_path / "a.xlsx", [["订单号", "评价内容"], [692123456789.0, "好"], [6.92123456789012e17, "漏"]])
    item, fault = read(path)
    assert isinstance(item, FeedbackItem)
    assert item.order_ref == "692123456789"
    assert isinstance(fault, Fault)
    assert fault.column == "订单号"


@pytest.mark.parametrize(
    "cell", ['="692000000000000001"', "'692000000000000001", "692000000000000001.0", "\t692000000000000001"]
)
def test_guards_come_off(tmp_path: Path, cell: str) -> None:
    """What keeps a spreadsheet from rounding is not part of the number."""
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["订单号", "评价内容"], [cell, "漏"]])
    assert items(path)[0].order_ref == "692000000000000001"


@pytest.mark.parametrize(
    ("cell", "hour"),
    [
        ("2026/11/1 8:03", (8, 3, 0)), ("2026/11/1 8:03:05", (8, 3, 5)), ("2026-11-01 08:03", (8, 3, 0)),
        ("2026年11月1日 8:03", (8, 3, 0)), ("46327.335416667", (8, 3, 0)), ("46327", (0, 0, 0)),
        ("20261101080300", (8, 3, 0)),
    ],
)  # fmt: skip
def test_times_as_exports_write_them(tmp_path: Path, cell: str, hour: tuple[int, int, int]) -> None:
    """With or without seconds, and as a spreadsheet's day number."""
    (item,) = items(save(tmp_path / "a.csv", f"评价内容,评价时间\n漏,{cell}\n"))
    assert item.created_at == datetime(2026, 11, 1, *hour, tzinfo=ZONE)


def test_a_time_or_star_that_cannot_be_read_is_told_and_the_row_kept(tmp_path: Path) -> None:
    """Each with line and column; what only says that there is none is no fault."""
    text = "评价内容,评分,评价时间\n漏,九颗星,2026-13-45\n好,0,-\n中,无,\n妙,默认好评,N/A\n"
    found = read(save(tmp_path / "a.csv", text))
    faults = [one for one in found if isinstance(one, Fault)]
    assert [(one.where, one.column, one.kept) for one in faults] == [
        ("a.csv:2", "评价时间", True),
        ("a.csv:2", "评分", True),
    ]
    assert "2026-13-45" in faults[0].reason
    kept = [one for one in found if isinstance(one, FeedbackItem)]
    assert [(one.text, one.stars, one.created_at) for one in kept] == [
        ("漏", None, None), ("好", None, None), ("中", None, None), ("妙", 5, None),
    ]  # fmt: skip


def test_nothing_said_is_no_followup(tmp_path: Path) -> None:
    """Dashes and the like fill empty cells; in the text they are what somebody wrote."""
    (item,) = items(save(tmp_path / "a.csv", "评价内容,追评内容,商家回复,买家昵称\n无,-,无,匿名\n"))
    assert (item.text, item.followup, item.reply) == ("无", "", "")


LINES = "订单号,商品名称,SKU,评价内容,追评内容,评价时间\n{}"


def ids(path: Path, rows: str) -> list[str]:
    return [item.external_id for item in items(save(path, LINES.format(rows)))]


def test_a_line_of_an_order_keeps_its_id_when_it_is_edited(tmp_path: Path) -> None:
    """A 追评 or another text is the same review; another product, SKU, time or order is another."""
    path = tmp_path / "a.csv"
    (first,) = ids(path, "A1,杯,红,漏水,,2026-11-01 08:03\n")
    assert ids(path, "A1,杯,红,不漏了,,2026/11/1 8:03:00\n") == [first]
    assert ids(path, "A1,杯,红,漏水,还漏,2026-11-01 08:03\n") == [first]
    others = """A1,杯,蓝,漏水,,2026-11-01 08:03
A1,碗,红,漏水,,2026-11-01 08:03
A2,杯,红,漏水,,2026-11-01 08:03
A1,杯,红,漏水,,2026-11-02 08:03
A1,杯,红,漏水,,
A1,杯,红,又漏,,
A1,,,漏水,,2026-11-01 08:03
"""
    assert len({first, *ids(path, others)}) == 8


def test_two_lines_of_an_order_that_look_the_same_are_two_reviews(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where their texts differ; the same row twice is one."""
    rows = "A1,杯,,漏水,,2026-11-01 08:03\nA1,杯,,好用,,2026-11-01 08:03\nA1,杯,,漏水,,2026-11-01 08:03\n"
    first, second, third = ids(tmp_path / "a.csv", rows)
    assert first != second
    assert third == first
    monkeypatch.setattr("crawler.bases.files._LATELY", 0)
    assert len(set(ids(tmp_path / "a.csv", rows.replace("好用", "漏水")))) == 1


def test_a_reject_file_is_read_as_the_export_it_comes_from(tmp_path: Path) -> None:
    """Its own columns are no surplus, its guards come off, texts stay as they were."""
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([
            [*REJECT_COLUMNS, "订单号", "评价内容", "'=列"],
            ["a.csv:2", "比表头多出 1 格", "'692000000000000001", "'=1+1 漏水", ""],
            ["a.csv:3", "比表头多出 1 格", "A1", "''引号'", "", "多"],
            ["a.csv:4", "比表头多出 1 格", "A1", "'-_-", ""],
        ])  # fmt: skip
    assert header(path).names == ("订单号", "评价内容", "=列")
    found = read(path)
    assert isinstance(found[1], Fault)
    assert found[1].cells == ("A1", "'引号'", "", "多")
    assert [(one.order_ref, one.text) for one in found if isinstance(one, FeedbackItem)] == [
        ("692000000000000001", "=1+1 漏水"), ("A1", "-_-"),
    ]  # fmt: skip


def test_the_delimiter_is_told_by_the_header_not_by_a_title(tmp_path: Path) -> None:
    """Commas above a table cut by tabs do no harm, nor does a line end within the header."""
    text = '店铺,示例,旗舰,店\n统计,2026-11-01,2026-11-07,全部\n订单号\t"评价\n内容"\t评分\nA1\t漏水,退货\t1\n'
    (item,) = items(save(tmp_path / "a.csv", text))
    assert (item.order_ref, item.text) == ("A1", "漏水,退货")
