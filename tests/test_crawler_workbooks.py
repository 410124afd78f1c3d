"""crawler.bases.workbooks: XLSX cells as every exporter writes them."""

import io
import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.bases import tables, workbooks
from crawler.bases.base import SourceError
from crawler.bases.workbooks import Workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def saved(rows: list[list[Any]]) -> io.BytesIO:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file


def written(sheet: str, strings: str | None = None, styles: str | None = None) -> io.BytesIO:
    """A workbook whose sheet, shared strings and styles hold this XML."""
    old, file = zipfile.ZipFile(saved([[1]])), io.BytesIO()
    kinds, links = "[Content_Types].xml", "xl/_rels/workbook.xml.rels"
    parts = {name: old.read(name).decode() for name in old.namelist()}
    parts["xl/worksheets/sheet1.xml"] = sheet
    if styles is not None:
        parts["xl/styles.xml"] = styles
    if strings is not None:
        parts["xl/sharedStrings.xml"] = strings
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
        part = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
        parts[kinds] = parts[kinds].replace("</Types>", part) if "sharedStrings" not in parts[kinds] else parts[kinds]
        assert links in parts
    with zipfile.ZipFile(file, "w") as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return file


def rows(file: io.BytesIO) -> list[tuple[int, list[object]]]:
    book = Workbook(file)
    try:
        return list(book.rows(book.sheets[0]))
    finally:
        book.close()


def sheet(body: str, prefix: str = "") -> str:
    name = f"xmlns{':' + prefix.rstrip(':') if prefix else ''}"
    return f'<{prefix}worksheet {name}="{MAIN}"><{prefix}sheetData>{body}</{prefix}sheetData></{prefix}worksheet>'


def test_cells_of_every_type() -> None:
    """As openpyxl writes them, gaps and all."""
    when = datetime(2026, 11, 1, 8, 3)  # noqa: DTZ001 — Excel knows no zone
    (_, first), (_, second) = rows(
        saved([["文字", 1, 2.5, True, when], [None, "", "=1+1", date(2026, 11, 1), time(8, 3)]])
    )
    assert first == ["文字", 1, 2.5, True, when]
    assert second[3] == datetime(2026, 11, 1)  # noqa: DTZ001 — same


def test_cells_as_others_write_them() -> None:
    """Shared and inline texts in runs, readings left out, escapes, errors, odd numbers, cells without a place."""
    strings = (
        f'<sst xmlns="{MAIN}"><si><t>漏</t></si><si><r><t>好</t></r><r><t xml:space="preserve"> 用</t></r>'
        "<rPh><t>hao</t></rPh></si><si/></sst>"
    )
    body = (
        '<row r="3"><c r="B3" t="s"><v>1</v></c><c r="D3" t="s"><v>0</v></c><c r="C3"><v>7</v></c></row>'
        '<row><c t="inlineStr"><is><r><t>甲_x000D_</t></r><r><t>乙</t></r><rPh><t>yi</t></rPh></is></c>'
        '<c t="e"><v>#N/A</v></c><c t="str"><f>A1</f><v>算出来的</v></c><c><v>6.92E+17</v></c><c><v>很多</v></c>'
        '<c t="b"><v>0</v></c><c t="s"><v>2</v></c></row>'
    )
    assert rows(written(sheet(body), strings)) == [
        (3, [None, "好 用", 7, "漏"]),
        (4, ["甲\r乙", None, "算出来的", 6.92e17, "很多", False, ""]),
    ]


def test_prefixed_names() -> None:
    """Some exporters write <x:row>."""
    body = '<x:row r="1"><x:c r="A1" t="inlineStr"><x:is><x:t>漏</x:t></x:is></x:c></x:row>'
    assert rows(written(sheet(body, "x:"))) == [(1, ["漏"])]


def test_broken_styles_cost_no_text() -> None:
    """Dates then come as Excel's day numbers."""
    body = '<row r="1"><c r="A1" s="1"><v>46327</v></c></row>'
    assert rows(written(sheet(body), styles="<styleSheet><cellXfs")) == [(1, [46327])]


@pytest.mark.parametrize(
    "body",
    [
        sheet('<row r="1"><c r="ZZZZ1"><v>1</v></c></row>'),
        sheet('<row r="x"><c><v>1</v></c></row>'),
        sheet('<row r="1"><c t="s"><v>99</v></c></row>'),
        sheet('<row r="1"><c r="A1"><v>1</v></c>').removesuffix("</worksheet>"),
        '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + sheet('<row><c t="str"><v>&a;</v></c></row>'),
        "<",
        "",
    ],
    ids=range(7),
)
def test_damage_is_told(tmp_path: Path, body: str) -> None:
    """Impossible places, missing texts, entities, half a file: one clear line."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(written(body).getvalue())
    with pytest.raises(SourceError, match=r"a\.xlsx 是损坏的 XLSX"):
        [list(table) for table in tables.tables(path)]


def test_damaged_texts_are_told(tmp_path: Path) -> None:
    """And the temporary file is given back."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(written(sheet(""), f'<sst xmlns="{MAIN}"><si><t>漏').getvalue())
    with pytest.raises(SourceError, match="损坏"):
        list(tables.tables(path))


def test_a_cell_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb in one cell does not fill the memory."""
    monkeypatch.setattr(workbooks, "_CELL", 1000)
    with pytest.raises(ValueError, match="without end"):
        rows(written(sheet(f'<row r="1"><c t="str"><v>{"长" * 2000}</v></c></row>')))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.none() | st.integers(-(10**9), 10**9) | st.text("漏水aZ&<>\"' é😀_x0", max_size=9), max_size=5),
        max_size=6,
    )
)
def test_what_openpyxl_writes_is_read_back(table: list[list[Any]]) -> None:
    """The same cells, whatever they hold."""
    told = {number: [None if cell == "" else cell for cell in row] for number, row in enumerate(table, 1) if any(row)}
    found = dict(rows(saved(table)))
    for number, row in told.items():
        assert found[number] + [None] * (len(row) - len(found[number])) == row
