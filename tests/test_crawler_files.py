"""crawler.bases.files, tables and columns: exports in every state they arrive in."""

import csv
import io
import time
import tracemalloc
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from crawler_factories import NOW, ZONE
from export_files import HEADER, ROW, items, read, save, save_xlsx

from crawler.bases import tables
from crawler.bases.base import SourceError
from crawler.bases.columns import check_map, columns_of, guess_columns, map_names
from crawler.bases.files import Fault, Header, read_file
from crawler.items import BadRow, FeedbackItem


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str, delimiter: str) -> None:
    """Whatever a spreadsheet saved, the same review comes out."""
    text = io.StringIO()
    rows = [["order", "comment", "评价内容", "评分"], ["A1", "-" * 40, "盖子，漏水；a,b", "1"]]
    csv.writer(text, delimiter=delimiter).writerows(rows)
    (item,) = items(save(tmp_path / "a.csv", text.getvalue(), encoding))
    assert (item.text, item.stars, item.order_ref) == ("盖子，漏水；a,b", 1, "A1")


def test_the_header_tells_the_delimiter(tmp_path: Path) -> None:
    """Commas in the text of a file cut by semicolons, or of a file of one column, are text."""
    (item,) = items(
        save(tmp_path / "a.csv", '"评价,内容";评分\n漏水,退货,差,再也不来;1\n'), {"text": "评价,内容", "stars": "评分"}
    )
    assert (item.text, item.stars) == ("漏水,退货,差,再也不来", 1)
    assert [item.text for item in items(save(tmp_path / "b.csv", "评价内容\n漏水,退货\n"))] == ["漏水,退货"]


def test_all_columns_of_a_chinese_export(tmp_path: Path) -> None:
    """Every field is found by its header."""
    (item,) = items(save(tmp_path / "a.csv", HEADER + ROW))
    assert item.created_at == datetime(2026, 11, 1, 8, 3, tzinfo=ZONE)
    assert (item.text, item.product, item.author) == ("盖子漏水，退货", "保温杯", "t***1")
    assert (item.order_ref, item.stars) == ("1000000000000000001", 1)


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["评价ID", "评论内容", "星级（1-5）", "评论时间"],
         {"id": "评价ID", "text": "评论内容", "stars": "星级（1-5）", "time": "评论时间"}),
        (["Review Text", "Rating", "created_at"], {"text": "Review Text", "stars": "Rating", "time": "created_at"}),
        (["content", "comment", "score", "user", "date"],
         {"text": "comment", "stars": "score", "author": "user", "time": "date"}),
        (["初评内容", "追加评论", "商家回复", "规格", "仓库", "快递公司", "标题", "链接", "会员等级"],
         {"text": "初评内容", "followup": "追加评论", "reply": "商家回复", "sku": "规格", "warehouse": "仓库",
          "courier": "快递公司", "title": "标题", "url": "链接", "tier": "会员等级"}),
        (["评价", "评价类型", None, ""], {"text": "评价", "stars": "评价类型"}),
        (["a", "b"], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_guessed_columns(header: list[Any], columns: dict[str, str]) -> None:
    """Chinese and English headers, brackets and case aside; one column serves one field."""
    assert {field: header[index] for field, index in guess_columns(header).at.items()} == columns


def test_told_columns(tmp_path: Path) -> None:
    """A map in the config wins over guessing; the named one takes the fields' own names."""
    path = save(tmp_path / "a.csv", "x,y,评价内容\n真正的文字,3,别的\n")
    assert [(item.text, item.stars) for item in items(path, {"text": "x", "stars": "y"})] == [("真正的文字", 3)]
    path = save(tmp_path / "b.csv", "text,stars,order\n好,5,A1\n")
    assert [(item.text, item.order_ref) for item in items(path, "generic")] == [("好", "A1")]
    assert map_names() == ["douyin", "generic", "jd", "kuaishou", "pdd", "suning", "tmall"]
    check_map("auto")
    check_map({"text": "x"})


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("generik", "generic"),
        ({"txt": "x"}, "txt"),
        ({"stars": "y"}, "text"),
        ({"text": "x", "stars": "没有这列"}, "没有这列"),
    ],
)
def test_wrong_maps_are_refused(told: Any, words: str) -> None:
    """The message names what is wrong and what there is."""
    with pytest.raises(SourceError, match=words):
        refuse(told)


def refuse(told: Any) -> None:
    """Whichever of the two notices."""
    check_map(told)
    columns_of(["x", "y"], told)


def test_a_named_map_needs_only_the_text(tmp_path: Path) -> None:
    """The generic map lists what may be there."""
    with pytest.raises(SourceError, match="text"):
        read(save(tmp_path / "a.csv", "stars\n5\n"), "generic")


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("a.csv", b"", "空文件"),
        ("a.csv", b"\n\n", "没有一行数据"),
        ("a.csv", "店铺,数量\n甲,3\n".encode(), "店铺、数量.*评价内容"),
        ("a.csv", b"1,2,3\n" * 30, "1、2、3"),
        ("a.xlsx", b"not a zip at all", "不是 XLSX"),
        ("a.xlsx", b"PK\x03\x04" + b"x" * 100, "损坏的 XLSX"),
        ("a.xls", b"\xd0\xcf\x11\xe0" + b"\x00" * 100, "旧版 XLS"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, body: bytes, words: str) -> None:
    """One clear line with the file's name, what was found and what was expected."""
    path = tmp_path / name
    path.write_bytes(body)
    with pytest.raises(SourceError, match=words) as caught:
        read(path)
    assert name in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """The system's reason is passed on."""
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(SourceError, match=path.name):
            read(path)


def test_bad_rows_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Too many cells, short but sound, NULs; blank lines are none."""
    text = HEADER + ROW + "2,杯,漏,了,1,2026-11-01,t,多\n,,,,,\n\n3,杯,只有文字\n4,杯,有\x00零,5,,,,\n"
    found = read(save(tmp_path / "a.csv", text))
    assert [one.where for one in found if isinstance(one, BadRow)] == ["a.csv:3"]
    assert [one.text for one in found if isinstance(one, FeedbackItem)] == ["盖子漏水，退货", "只有文字", "有零"]
    assert isinstance(found[1], BadRow)
    assert "多出 2 格" in found[1].reason


def test_a_broken_line_above_the_header_is_told(tmp_path: Path) -> None:
    """It is a row that could not be read, like any other."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xff\n" + (HEADER + ROW).encode())
    assert [type(one) for one in read(path)] == [Fault, FeedbackItem]


def test_undecodable_bytes_spoil_one_row(tmp_path: Path) -> None:
    """A broken byte in one line costs that line, not the file."""
    path = tmp_path / "a.csv"
    path.write_bytes(HEADER.encode() + ROW.encode() * 3 + b"5,x,\xff\xfe\xff,1,,\n" + ROW.encode())
    found = read(path)
    assert [isinstance(one, BadRow) for one in found] == [False, False, False, True, False]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_one_broken_byte_does_not_change_the_encoding(tmp_path: Path, encoding: str) -> None:
    """Wherever it stands: the rows before and after it are read as what they are."""
    body = (HEADER + ROW * 40).encode(encoding)
    for at in (len(body) // 3, len(body) - 200):
        path = tmp_path / "a.csv"
        path.write_bytes(body[:at] + b"\xff" + body[at:])
        found = read(path)
        assert {one.text for one in found if isinstance(one, FeedbackItem)} == {"盖子漏水，退货"}
        assert len(found) == 40


def test_a_broken_quote_costs_one_row_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell longer than any review is named, and reading goes on."""
    monkeypatch.setattr(tables, "_CELL", 1000)
    path = save(tmp_path / "a.csv", HEADER + "1,x," + "长" * 2000 + ",1,,\n" + ROW)
    found = read(path)
    assert isinstance(found[0], BadRow)
    assert "a.csv:2" in found[0].where
    assert isinstance(found[-1], FeedbackItem)


def test_a_megabyte_in_one_cell_is_a_review(tmp_path: Path) -> None:
    """Long is not broken."""
    (item,) = items(save(tmp_path / "a.csv", HEADER + f'1,x,"{"长" * 1_000_000}",1,,\n'))
    assert len(item.text) == 1_000_000


def test_lines_above_the_header_are_passed_over(tmp_path: Path) -> None:
    """Shop and period on top of an export do no harm, nor does a column a spreadsheet protected."""
    text = "示例旗舰店评价导出\n2026-11-01 至 2026-11-07,,,\n" + '评价内容,订单号,评价ID\n漏,"=""0012""",\'34\n'
    (item,) = items(save(tmp_path / "a.csv", text))
    assert (item.order_ref, item.external_id) == ("0012", "34")


def test_xlsx(tmp_path: Path) -> None:
    """Typed cells, Excel's day numbers, long order numbers, a cover sheet, a second sheet of reviews."""
    when = datetime(2026, 11, 1, 8, 3)  # noqa: DTZ001 — Excel knows no zone
    header = ["订单号", "评价内容", "评分", "评价时间"]
    rows = [
        header,
        [123456789012345, "漏水", 1, when],
        [5.0, "好", 4.5, date(2026, 11, 1)],
        [None, "数字日期", None, 46327.3355],
    ]
    path = save_xlsx(
        tmp_path / "a.xlsx", [["导出说明"], [None, "共两页"]], rows, [header, ["A2", "另一页", 5, ""]], [["字典"]]
    )
    found = items(path)
    assert [(item.text, item.order_ref, item.stars) for item in found] == [
        ("漏水", "123456789012345", 1), ("好", "5", 4.5), ("数字日期", "", None), ("另一页", "A2", 5),
    ]  # fmt: skip
    assert found[0].created_at == when.replace(tzinfo=ZONE)
    assert found[2].created_at == datetime(2026, 11, 1, 8, 3, 7, tzinfo=ZONE)
    assert found[3].created_at is None


def test_bad_rows_of_an_xlsx_name_sheet_and_line(tmp_path: Path) -> None:
    """Where a person has to look."""
    path = save_xlsx(tmp_path / "a.xlsx", [["评价内容", "评分"], ["", "?"], ["好", 5]])
    assert [one.where for one in read(path) if isinstance(one, BadRow)] == ["a.xlsx:2"]


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An XLSX that unpacks to more than a limit is refused before it is read."""
    monkeypatch.setattr(tables, "_UNPACKED", 100_000)
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 200_000)
    with pytest.raises(SourceError, match="解压后有"):
        read(path)


def test_a_sheet_that_breaks_off_keeps_what_was_read(tmp_path: Path) -> None:
    """Damage in the middle of a sheet is told after the rows before it."""
    path = save_xlsx(tmp_path / "a.xlsx", [["评价内容"], *[[f"第{n}条"] for n in range(500)]])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = next(name for name in parts if "sheet1.xml" in name)
    parts[sheet] = parts[sheet][: len(parts[sheet]) * 2 // 3]
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    rows = read_file(path, "auto", ZONE, NOW)
    assert isinstance(next(rows), Header)
    assert isinstance(next(rows), FeedbackItem)
    with pytest.raises(SourceError, match="损坏"):
        list(rows)


def test_importing_again_gives_the_same_ids(tmp_path: Path) -> None:
    """Also when the next export overlaps; rows nobody can be told apart by count as many reviews."""
    rows = ["A1,好评,张*", "A2,好评,张*", ",好评,", ",好评,", ",一般,"]
    first = [item.external_id for item in items(save(tmp_path / "a.csv", "订单号,评价内容,买家\n" + "\n".join(rows)))]
    again = [
        item.external_id for item in items(save(tmp_path / "b.csv", "订单号,评价内容,买家\n" + "\n".join(rows[1:4])))
    ]
    assert len(set(first)) == 5
    assert again == first[1:4]


def test_the_same_row_exported_twice_is_one_review(tmp_path: Path) -> None:
    """With an order number there is nothing to tell apart."""
    found = items(save(tmp_path / "a.csv", HEADER + ROW + ROW))
    assert found[0].external_id == found[1].external_id


@pytest.mark.slow
def test_fast_and_flat(tmp_path: Path) -> None:
    """Many rows do not pile up in memory; the speed is watched loosely here, exactly in benchmarks."""
    path = tmp_path / "a.csv"
    with path.open("w", encoding="gb18030") as file:
        file.write(HEADER)
        file.writelines(f"{n},保温杯,第{n}个杯子盖子漏水,{n % 5 + 1},2026-11-01 08:03,t***{n}\n" for n in range(20_000))
    begun = time.perf_counter()
    assert sum(1 for _ in read_file(path, "auto", ZONE, NOW)) == 20_001
    assert time.perf_counter() - begun < 10
    tracemalloc.start()
    try:
        assert sum(1 for _ in zip(range(10_000), read_file(path, "auto", ZONE, NOW), strict=False)) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
