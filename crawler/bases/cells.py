"""Single cells of exports: guards, day numbers, rounded numbers and words that say nothing."""

import re
from datetime import datetime, timedelta

_EXCEL_DAYS = (30_000, 80_000)  # 1982 to 2119 as Excel counts days
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 — Excel's days know no zone
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?")
_PROTECTED = re.compile(r'="(.*)"|\'(.*)', re.DOTALL)  # ="123" and '123 keep Excel from rounding long numbers
_ROUNDED = re.compile(r"\d(?:\.\d+)?E\+\d{2,3}", re.IGNORECASE)
_EXACT = 1e15  # from here on Excel's numbers have lost digits
_WORDS = frozenset({"text", "title"})  # where "无" is what somebody wrote
_NOTHING = frozenset({"", "-", "--", "—", "/", "\\", "无", "暂无", "null", "none", "nan", "n/a"})
_UNRATED = frozenset({0, "0", "0.0", "0星", "0分"})


def value(field: str, cell: object) -> object:
    """A cell as its field means it: without Excel's guards, and nothing for what only says that nothing is there."""
    if isinstance(cell, str) and field not in _WORDS:
        cell = cell.strip()
        if cell[:1] in {"=", "'"} and (kept := _PROTECTED.fullmatch(cell)):
            cell = kept[1] or kept[2] or ""
        if cell.casefold() in _NOTHING:
            return None
        if field in {"id", "order"} and cell.endswith((".0", ".00")):
            cell = cell.partition(".")[0]
    if field in {"time", "followup_time"}:
        return _moment(cell)
    return None if field == "stars" and cell in _UNRATED else cell


def _moment(cell: object) -> object:
    """Excel's day number as a time; anything else as it is."""
    days = float(cell) if isinstance(cell, str) and _SERIAL.fullmatch(cell) else cell
    if isinstance(days, (int, float)) and _EXCEL_DAYS[0] <= days < _EXCEL_DAYS[1]:
        return _EXCEL_EPOCH + timedelta(seconds=round(days * 86400))
    return cell


def is_rounded(value: object) -> bool:
    """Whether a number has lost its last digits on its way through a spreadsheet."""
    return (isinstance(value, float) and abs(value) >= _EXACT) or (
        isinstance(value, str) and _ROUNDED.fullmatch(value) is not None
    )
