"""XLSX files of any length, streamed: little memory, and a third of the time that openpyxl's own reading takes.

openpyxl finds the sheets and tells which styles are dates; the cells are read here.
"""

import contextlib
import os
import re
from array import array
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any, BinaryIO
from xml.parsers import expat

from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.utils.datetime import from_excel
from openpyxl.xml.constants import SHARED_STRINGS

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_CHUNK = 1 << 16
_COLUMNS = 16_384  # of a sheet, by the format
_FILLED = (
    2_000  # columns with something in them; a row's cells are in memory up to its last, and rows come by thousands
)
_CELL = 16_000_000  # characters; more is a bomb rather than a review

Cells = list[object]


class Workbook:
    """An open XLSX file.

    Raises:
        Exception: Whatever a damaged file makes of its parts.
    """

    def __init__(self, file: BinaryIO) -> None:
        reader = ExcelReader(file, read_only=True, data_only=True)
        reader.read_manifest()
        reader.read_workbook()
        with contextlib.suppress(Exception):  # styles tell dates from numbers, and some exporters' are broken
            apply_stylesheet(reader.archive, reader.wb)
        self._archive, self._book = reader.archive, reader.wb
        self._dates = {str(style) for style in reader.wb._date_formats}  # noqa: SLF001 — it has no public name
        strings = reader.package.find(SHARED_STRINGS)
        with self._archive.open(strings.PartName[1:]) if strings else contextlib.nullcontext() as source:
            self._texts = _Texts(source)
        there = set(self._archive.namelist())
        found = ((sheet.name, rel) for sheet, rel in reader.parser.find_sheets())
        self._paths = {name: rel.target for name, rel in found if rel.target in there and "chart" not in rel.Type}

    @property
    def sheets(self) -> list[str]:
        """Names of the sheets, in their order."""
        return list(self._paths)

    def rows(self, sheet: str) -> Iterator[tuple[int, Cells]]:
        """Row number and cells: text, numbers, booleans, datetimes, formulas as their last values, None where empty."""
        cells = _Sheet(self)
        with self._archive.open(self._paths[sheet]) as source:
            for rows in cells.fed(source):
                yield from rows

    def close(self) -> None:
        """Give the temporary file back."""
        self._texts.close()

    def text(self, index: int) -> str:
        """A text that cells share."""
        return self._texts[index]

    def moment(self, style: str, value: Any) -> object:
        """A number as its style shows it: a datetime where that is one."""
        try:
            return from_excel(value, self._book.epoch) if style in self._dates else value
        except (TypeError, ValueError, OverflowError):
            return value


class _Texts:
    """The shared texts of a workbook, in a temporary file."""

    def __init__(self, source: BinaryIO | None) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 — lives as long as the workbook
        self._ends = array("Q", [0])
        try:
            for texts in _Entries().fed(source) if source else ():
                for text in texts:
                    self._ends.append(self._ends[-1] + self._file.write(text.encode("utf-8", "surrogatepass")))
            self._file.flush()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __getitem__(self, index: int) -> str:
        start, end = self._ends[index], self._ends[index + 1]
        return os.pread(self._file.fileno(), end - start, start).decode("utf-8", "surrogatepass")


class _Handler:
    """Parses XML bit by bit; what is complete is put into ``done``."""

    read = frozenset({"t"})  # elements whose text counts

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.said: list[str] = []
        self._cut = self._quiet = 0
        self._room = _CELL
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._root, self._close
        self._parser.EntityDeclHandler = _refuse

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        """An element opens."""

    def end(self, tag: str) -> None:
        """An element closes."""

    def fed(self, source: BinaryIO) -> Iterator[list[Any]]:
        """What is done, after each bit; emptied before the next."""
        while True:
            chunk = source.read(_CHUNK)
            self._parser.Parse(chunk, not chunk)
            yield self.done
            self.done.clear()
            if not chunk:
                return

    def _root(self, tag: str, attributes: dict[str, str]) -> None:
        self._cut = tag.find(":") + 1  # some exporters write <x:row>
        self._parser.StartElementHandler = self._open
        self._open(tag, attributes)

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag[self._cut :]
        if tag == "rPh":  # how the text is pronounced
            self._quiet += 1
        elif tag in self.read:
            self._parser.CharacterDataHandler = None if self._quiet else self._hear
        else:
            self._room = _CELL
            self.begin(tag, attributes)

    def _close(self, tag: str) -> None:
        tag = tag[self._cut :]
        if tag == "rPh":
            self._quiet -= 1
        elif tag in self.read:
            self._parser.CharacterDataHandler = None
        else:
            self.end(tag)

    def _hear(self, text: str) -> None:
        self._room -= len(text)
        if self._room < 0:
            raise ValueError("a cell without end")
        self.said.append(text)


class _Entries(_Handler):
    def end(self, tag: str) -> None:
        if tag == "si":
            self.done.append(_plain(self.said))
            self.said.clear()


class _Sheet(_Handler):
    read = frozenset({"v", "t"})

    def __init__(self, book: Workbook) -> None:
        super().__init__()
        self._book = book
        self._columns: dict[str, int] = {}
        self._number, self._row, self._kind, self._style, self._column = 0, list[object](), "n", "", -1

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "c":
            place = attributes.get("r", "").rstrip("0123456789")
            self._column = self._index(place) if place else self._column + 1
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "")
        elif tag == "row":
            self._number = int(attributes.get("r") or self._number + 1)
            self._row, self._column = [], -1

    def end(self, tag: str) -> None:
        if tag == "c":
            if self.said:
                self._put(self._value())
                self.said.clear()
        elif tag == "row":
            self.done.append((self._number, self._row))

    def _put(self, value: object) -> None:
        if self._column >= _FILLED:
            raise ValueError("a cell far to the right of any table")
        if (gap := self._column - len(self._row)) < 0:
            self._row[self._column] = value
        else:
            self._row += [*[None] * gap, value]

    def _index(self, letters: str) -> int:
        if letters not in self._columns:
            index = 0
            for letter in letters.upper():
                index = index * 26 + ord(letter) - 64
            if not 0 < index <= _COLUMNS:
                raise ValueError(letters)
            self._columns[letters] = index - 1
        return self._columns[letters]

    def _value(self) -> object:
        said = "".join(self.said)
        match self._kind:
            case "n":
                number = _number(said)
                return self._book.moment(self._style, number) if self._style else number
            case "s":
                return self._book.text(int(said))
            case "b":
                return said == "1"
            case "e":  # #N/A and the like
                return None
        return _plain(self.said)


def _number(said: str) -> Any:
    try:
        return int(said)
    except ValueError:
        with contextlib.suppress(ValueError):
            return float(said)
        return said


def _plain(parts: list[str]) -> str:
    text = "".join(parts)
    return _ESCAPED.sub(lambda code: chr(int(code[1], 16)), text) if "_x" in text else text


def _refuse(*_: object) -> None:
    raise ValueError("a sheet declares no entities")
