"""Rows of an export that could not be taken in, with the reason before each: mended, the file is imported again."""

import csv
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from crawler.bases.files import REJECT_COLUMNS, Fault, Header
from crawler.items import BadRow

_RISKY = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "'")
_LONG = 12  # digits that Excel would round or show as 6.92E+17


class Rejects:
    """Files ``<export>-<time>.csv`` in a folder, one for each header; none where there is nothing to write.

    Args:
        folder: Made when needed, for the owner's eyes only: rows stand here as they came, unmasked.
        name: The export's name without its ending.
        at: When the import began, in the zone people see.
    """

    def __init__(self, folder: Path, name: str, at: datetime) -> None:
        self.files: list[Path] = []
        self._folder, self._stem = folder, f"{name}-{at:%Y%m%d-%H%M%S}"
        self._names: Sequence[str] = ()
        self._out: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def begin(self, header: Header) -> None:
        """The rows that follow belong to this header."""
        if header.names != self._names:
            self._names = header.names
            self._close()

    def add(self, fault: BadRow) -> None:
        """Write a row down as it stands."""
        cells = fault.cells if isinstance(fault, Fault) else ()
        if self._out is None:
            self._out = self._open()
            csv.writer(self._out).writerow([*REJECT_COLUMNS, *map(_cell, self._names)])
        csv.writer(self._out).writerow(map(_cell, (fault.where, fault.reason, *cells)))

    def _open(self) -> IO[str]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = 1
        while True:
            path = self._folder / f"{self._stem}{f'-{number}' if number > 1 else ''}.csv"
            try:
                out = path.open("x", encoding="utf-8-sig", newline="", errors="backslashreplace")
            except FileExistsError:
                number += 1
                continue
            path.chmod(0o600)
            self.files.append(path)
            return out

    def _close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None


def _cell(value: Any) -> str:
    """A cell as text that no spreadsheet executes or rounds; reading the file takes the apostrophe off again."""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    text = "" if value is None else value.isoformat() if isinstance(value, date) else str(value)
    long = len(text) >= _LONG and text.isdecimal() and text.isascii()
    return "'" + text if long or text.startswith(_RISKY) else text
