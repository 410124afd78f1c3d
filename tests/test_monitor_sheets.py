"""Rows out as JSON lines, CSV and XLSX: complete, readable in Excel, harmless."""

import csv
import io
import json

import pytest
from openpyxl import load_workbook

from monitor import sheets

ROWS = [
    {"id": 1, "text": "=1+1", "list": ["a", "b"], "none": None, "n": -3},
    {"id": 2, "text": "换行\n和,逗号", "list": [], "none": None, "n": 0.5},
    {"id": 3, "text": "+86 @all", "list": {}, "none": None, "n": True},
]


def written(kind: str, rows: list[dict] = ROWS) -> bytes:
    out = io.BytesIO()
    sheets.write(rows, kind, out)
    return out.getvalue()


def test_json_lines_are_the_rows() -> None:
    """Nothing is changed, and Chinese stays readable."""
    assert [json.loads(line) for line in written("jsonl").splitlines()] == ROWS
    assert "换行".encode() in written("jsonl")


def test_csv_is_excels() -> None:
    """UTF-8 with BOM, a header, formulas defused, numbers left alone."""
    data = written("csv")
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["id", "text", "list", "none", "n"]
    assert rows[1] == ["1", "'=1+1", '["a", "b"]', "", "-3"]
    assert rows[2][1] == "换行\n和,逗号"
    assert rows[3][1] == "'+86 @all"


def test_xlsx_holds_no_formula() -> None:
    """Cells are text or numbers; what begins like a formula is text."""
    sheet = load_workbook(io.BytesIO(written("xlsx"))).active
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert rows[0] == ["id", "text", "list", "none", "n"]
    assert rows[1][1] == "'=1+1"
    assert rows[1][4] == -3
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


@pytest.mark.parametrize("kind", sheets.FORMATS)
def test_no_rows_are_a_valid_file(kind: str) -> None:
    """An empty export is empty, not broken."""
    data = written(kind, [])
    if kind == "xlsx":
        assert load_workbook(io.BytesIO(data)).active.max_row in (0, 1)
    else:
        assert data.decode("utf-8-sig") == ""


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠x", "\t=1", "\r=1", "\n=1"])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_whatever_a_spreadsheet_may_take_for_a_formula_is_text(kind: str, text: str) -> None:
    """Full-width signs and leading blanks too, in texts as in the JSON of a table's column."""
    data = written(kind, [{"text": text}])
    if kind == "csv":
        [_, [cell]] = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    else:
        cell = load_workbook(io.BytesIO(data)).active.cell(2, 1).value
    assert cell.startswith("'")


@pytest.mark.parametrize("kind", sheets.FORMATS)
def test_half_a_surrogate_pair_does_not_stop_it(kind: str) -> None:
    """The rows after it are there."""
    data = written(kind, [{"text": "坏\ud800的"}, {"text": "好的"}])
    if kind == "xlsx":
        assert [row[0].value for row in load_workbook(io.BytesIO(data)).active.iter_rows()] == ["text", "坏的", "好的"]
    else:
        assert "好的" in data.decode("utf-8-sig")
    if kind == "jsonl":
        assert json.loads(data.splitlines()[0]) == {"text": "坏\ud800的"}


def test_a_text_too_long_for_a_cell_says_so() -> None:
    """Excel would call the workbook damaged; what is left out is told."""
    sheet = load_workbook(io.BytesIO(written("xlsx", [{"text": "长" * 1_000_000}]))).active
    text = sheet.cell(2, 1).value
    assert len(text) <= 32_767
    assert text.endswith("jsonl 导出可得全文）")


def test_characters_that_xlsx_cannot_hold_do_not_stop_it() -> None:
    """A control character in a stored text is left out of the sheet, and the row is there."""
    sheet = load_workbook(io.BytesIO(written("xlsx", [{"text": "a\x0bb"}]))).active
    assert sheet.cell(2, 1).value == "ab"
