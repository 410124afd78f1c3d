"""Rows of CSV and XLSX files, streamed, whatever encoding or delimiter they were saved with."""

import codecs
import contextlib
import csv
import io
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from crawler.bases.base import SourceError
from crawler.bases.columns import guess_columns

if TYPE_CHECKING:
    from crawler.bases.workbooks import Workbook

_ZIP, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_CELL = 16_000_000  # characters; more is a broken quote rather than a review
_CHUNK = 1 << 20
_UNPACKED = 4 << 30  # bytes an XLSX may unpack to
_INNOCENT, _RATIO = 64 << 20, 200  # more than so many bytes unpacked, so many times the packed ones: a bomb
_PART, _STREAMED = 8 << 20, ("xl/worksheets/", "xl/sharedstrings", "xl/media/")  # what is no row is read as a whole
_FEW = 10  # one byte in so many may be broken
_HEAD = 20  # lines the delimiter is told by
_NONE = "\x1f"  # a delimiter for files of one column, whose text may hold any other
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, perhaps its header.

    Attributes:
        where: ``file:line``, ``file:sheet:line`` where there are several sheets.
        fault: Why it cannot be used; empty where it can.
    """

    where: str
    cells: list[object]
    fault: str = ""


Table = Iterator[Row]


def tables(path: Path) -> Iterator[Table]:
    """The sheets of a file, one for a CSV; the header is one of the rows, empty rows are left out.

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
        last = 0
        while True:
            try:
                for cells in reader:
                    where, last = f"{path.name}:{last + 1}", reader.line_num
                    if broken and any("\ufffd" in cell for cell in cells):
                        yield Row(where, list(cells), f"这一行有无法按 {encoding} 解码的字节")
                    elif any(cells):
                        yield Row(where, list(cells))
            except csv.Error as error:
                where, last = f"{path.name}:{last + 1}", reader.line_num
                yield Row(where, [], f"这一行不成 CSV（{error}）")
            else:
                return


def _delimiter(head: list[str]) -> str:
    """What cuts one of the first lines into most columns that a map knows, else what occurs first."""
    known: dict[str, int] = {sign: max(map(_recognised, _cut(head, sign)), default=0) for sign in (_NONE, *_DELIMITERS)}
    if any(known.values()):
        return max(known, key=known.__getitem__)
    wide: dict[str, int] = {sign: max(map(len, _cut(head, sign)), default=0) for sign in _DELIMITERS}
    return max(wide, key=wide.__getitem__)


def _cut(head: list[str], sign: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader((line.replace("\x00", "") for line in head), delimiter=sign)
    except csv.Error:
        return


def _recognised(cells: list[str]) -> int:
    return len(guess_columns(cells).at)


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
    if _is_utf8(file):
        return "utf-8", False
    file.seek(0)
    sample = file.read(_CHUNK)
    beyond_ascii = len(sample) - len(sample.decode("ascii", "ignore"))
    faults = sample.decode("utf-8", "replace").count("\ufffd")  # nearly every character of another encoding
    return "utf-8" if faults * _FEW < beyond_ascii else "gb18030", True


def _is_utf8(file: BinaryIO) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _xlsx(path: Path, file: BinaryIO) -> Iterator[Table]:
    from crawler.bases.workbooks import Workbook

    try:
        _check_unpacked(path, file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles, which nobody here looks at
            book = Workbook(file)
    except SourceError:
        raise
    except Exception as error:
        raise _broken(path, error) from error
    with contextlib.closing(book):
        for sheet in book.sheets:
            yield _sheet(path, book, sheet)


def _check_unpacked(path: Path, file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    unpacked, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    if unpacked > _UNPACKED or unpacked > max(_INNOCENT, packed * _RATIO):
        raise SourceError(f"{path.name} 解压后有 {unpacked >> 20} MB，不像是导出的表；确实是的话请分成几个文件")
    whole = (part for part in parts if not part.filename.lower().lstrip("/").startswith(_STREAMED))
    if large := next((part for part in whole if part.file_size > _PART), None):
        raise SourceError(f"{path.name} 里的 {large.filename!r} 解压后有 {large.file_size >> 20} MB，不像是导出的表")


def _sheet(path: Path, book: "Workbook", sheet: str) -> Table:
    where = f"{path.name}:{sheet}" if len(book.sheets) > 1 else path.name
    try:
        for number, cells in book.rows(sheet):
            if any(cell not in {None, ""} for cell in cells):
                yield Row(f"{where}:{number}", cells)
    except Exception as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path.name} 是损坏的 XLSX（{type(error).__name__}），请重新导出")
