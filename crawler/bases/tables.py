"""Rows of CSV and XLSX files, streamed, whatever encoding or delimiter they were saved with."""

import codecs
import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from crawler.bases.base import SourceError
from crawler.bases.columns import guess_columns
from crawler.items import BadRow

_ZIP, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_CELL = 16_000_000  # characters; more is a broken quote rather than a review
_CHUNK = 1 << 20
_UNPACKED = 1 << 30  # bytes an XLSX may unpack to
_HEAD = 5  # lines the delimiter is told by
_QUOTED = re.compile(r'"[^"]*"?')
_NONE = "\x1f"  # a delimiter for files of one column, whose text may hold any other
_DELIMITERS = ",;\t|"

Row = tuple[str, list[object]]  # where it stands ("file:line") and its cells
Table = Iterator[Row | BadRow]


def tables(path: Path) -> Iterator[Table]:
    """The sheets of a file, one for a CSV: rows, the header among them, and a BadRow for a row that cannot be read.

    Raises:
        SourceError: The file cannot be read at all; the message says why and what to do.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(8)
            file.seek(0)
            if not magic:
                raise SourceError(f"{path.name} 是空文件")
            if magic.startswith(_OLD_EXCEL):
                raise SourceError(f"{path.name} 是旧版 XLS（或加了密码），请另存为 XLSX 或 CSV")
            if magic.startswith(_ZIP):
                yield from _xlsx(path, file)
            elif path.suffix.lower() in {".xlsx", ".xlsm"}:
                raise SourceError(f"{path.name} 不是 XLSX 文件（不是 zip），可能没有下载完，请重新导出")
            else:
                yield _csv(path, file)
    except OSError as error:
        raise SourceError(f"读不了 {path.name}：{error.strerror or error}") from error


def _csv(path: Path, file: BinaryIO) -> Table:
    encoding, broken = _encoding(file)
    file.seek(0)
    csv.field_size_limit(_CELL)
    with io.TextIOWrapper(file, encoding, errors="replace", newline="") as text:
        head = [text.readline(_CHUNK) for _ in range(_HEAD)]
        text.seek(0)
        lines = (line.replace("\x00", "") for line in text)
        reader = csv.reader(lines, delimiter=_delimiter(head))
        while True:
            try:
                for cells in reader:
                    if broken and any("\ufffd" in cell for cell in cells):
                        yield BadRow(f"{path.name}:{reader.line_num}", f"这一行有无法按 {encoding} 解码的字节")
                    elif cells:
                        yield f"{path.name}:{reader.line_num}", list(cells)
            except csv.Error as error:
                yield BadRow(f"{path.name}:{reader.line_num}", f"这一行不成 CSV（{error}）")
            else:
                return


def _delimiter(head: list[str]) -> str:
    """What the first line that has several cells is cut by."""
    for line in head:
        bare = _QUOTED.sub("", line)
        found = max(_DELIMITERS, key=bare.count)
        if found in bare:
            return found
        if "text" in guess_columns([line]):
            return _NONE
    return ","


def _encoding(file: BinaryIO) -> tuple[str, bool]:
    """The file's encoding, and whether some of its bytes may not fit it."""
    head = file.read(4096)
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", True
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", True
    if head.count(b"\x00") > len(head) // 8:  # UTF-16 without its mark: every other byte of Latin text is zero
        little = head[1::2].count(b"\x00") >= head[::2].count(b"\x00")
        return "utf-16-le" if little else "utf-16-be", True
    size = file.seek(0, io.SEEK_END)
    fits: dict[str, int] = {}
    for name in ("utf-8", "gb18030"):
        fits[name] = _decodable(file, name)
        if fits[name] >= size:
            return name, False
    return max(fits, key=lambda name: fits[name]), True


def _decodable(file: BinaryIO, encoding: str) -> int:
    """How many bytes from the file's start are valid in this encoding."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    good = 0
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
            good += len(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return good + error.start
    return good


def _xlsx(path: Path, file: BinaryIO) -> Iterator[Table]:
    from openpyxl import load_workbook

    try:
        _check_unpacked(path, file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles, which nobody here looks at
            book = load_workbook(file, read_only=True, data_only=True)
    except SourceError:
        raise
    except Exception as error:
        raise _broken(path, error) from error
    for sheet in book.worksheets:
        yield _sheet(path, sheet)


def _check_unpacked(path: Path, file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _UNPACKED:
            raise SourceError(f"{path.name} 解压后超过 {_UNPACKED >> 20} MB，请分成几个文件")


def _sheet(path: Path, sheet: Any) -> Table:
    where = f"{path.name}:{sheet.title}" if len(sheet.parent.worksheets) > 1 else path.name
    try:
        sheet.reset_dimensions()  # what some exporters write there is wrong
        for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            if any(cell not in {None, ""} for cell in cells):
                yield f"{where}:{number}", list(cells)
    except Exception as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path.name} 是损坏的 XLSX（{type(error).__name__}），请重新导出")
