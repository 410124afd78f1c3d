"""Rows out: JSON lines, CSV or XLSX, with nothing that a spreadsheet would execute."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable
from typing import IO, Any

FORMATS = ("jsonl", "csv", "xlsx")
_RISKY = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
_LONGEST = 32_000  # characters; a cell of Excel's holds 32,767
_CUT = "……（太长，这里放不下；用 jsonl 导出可得全文）"
_LONE = re.compile("[\ud800-\udfff]")


def write(rows: Iterable[dict[str, Any]], kind: str, out: IO[bytes]) -> None:
    """Write rows as ``jsonl``, ``csv`` (UTF-8 with BOM, for Excel) or ``xlsx``; lists and tables become JSON text."""
    _WRITERS[kind](rows, out)


def _jsonl(rows: Iterable[dict[str, Any]], out: IO[bytes]) -> None:
    for row in rows:
        # half a surrogate pair is no UTF-8; escaped, it is JSON all the same
        out.write(json.dumps(row, ensure_ascii=False).encode(errors="backslashreplace") + b"\n")


def _csv(rows: Iterable[dict[str, Any]], out: IO[bytes]) -> None:
    text = io.TextIOWrapper(out, encoding="utf-8-sig", errors="replace", newline="", write_through=True)
    writer = csv.writer(text)
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])
    text.detach()


def _xlsx(rows: Iterable[dict[str, Any]], out: IO[bytes]) -> None:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("pingshao")
    for number, row in enumerate(rows):
        if number == 0:
            sheet.append(list(row))
        values = (_cell(value) for value in row.values())
        shown = (_storable(ILLEGAL_CHARACTERS_RE, value) if isinstance(value, str) else value for value in values)
        sheet.append([WriteOnlyCell(sheet, value=value) for value in shown])
    book.save(out)


def _storable(illegal: re.Pattern[str], text: str) -> str:
    """What a workbook can hold of a text."""
    text = _LONE.sub("", illegal.sub("", text))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + _CUT


def _cell(value: Any) -> Any:
    """A value as a cell: text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, str) and value.startswith(_RISKY):
        return "'" + value
    return value


_WRITERS = {"jsonl": _jsonl, "csv": _csv, "xlsx": _xlsx}


def to_stdout(rows: Iterable[dict[str, Any]], kind: str) -> None:
    """Write rows to standard output."""
    write(rows, kind, sys.stdout.buffer)
    sys.stdout.buffer.flush()
