"""Shop indicators out of CSV and XLSX tables and rows from programs, one a value or one column an indicator."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from crawler.bases.base import SourceError
from crawler.bases.tables import Row, Table, tables
from crawler.items import BadRow
from crawler.times import parse_time
from monitor.indicators import KINDS, Value

_HEADER_WITHIN = 20  # rows
_NAMES = {said: name for name, kind in KINDS.items() for said in (name, kind.label, *kind.also)}
_FIELDS = {
    "day": ("日期", "统计日期", "时间", "date", "day"),
    "shop": ("店铺", "店铺id", "店铺名称", "shop"),
    "name": ("指标", "指标名称", "indicator", "name"),
    "value": ("数值", "值", "本店", "value"),
    "industry": ("行业", "行业值", "行业均值", "同行", "同行均值", "industry"),
    "above": ("高于同行", "高于行业", "above"),
}
_FIELD = {word: field for field, words in _FIELDS.items() for word in words}
_ABOUT = re.compile(
    r"(?P<before>行业|同行|高于同行|高于行业)?(?P<name>.+?)(?P<after>行业值|行业均值|行业|同行|高于同行)?"
)
_BRACKET = re.compile(r"[（(][^（()）]*+[）)]|\s")
_NUMBER = re.compile(r"[-+]?\d{1,15}(?:\.\d+)?")
_EXPECTED = "应有“日期、指标、数值、行业值”这样的列，或者“日期”加上以指标为名的列，如“退款纠纷率、行业退款纠纷率”"


@dataclass(frozen=True, slots=True)
class _Column:
    """What a column tells: ``name`` is the indicator, or "" where a cell of the row names it."""

    field: str
    name: str = ""
    percent: bool = False  # the header says that its bare numbers are percent


def read_indicators(
    path: Path, shops: Mapping[str, str], shop: str, zone: ZoneInfo, now: datetime
) -> Iterator[Value | BadRow]:
    """A table's values; what cannot be read is a BadRow with its line and reason, and the rest goes on.

    Args:
        path: CSV or XLSX.
        shops: Names and ids of the shops, each to the id.
        shop: Id of the shop where no column names one.
        zone: Of dates without one.
        now: What dates without a year are counted from.

    Raises:
        SourceError: The file cannot be read, or has no such header.
    """
    found = False
    for table in tables(path):
        if columns := _header(table):
            found = True
            if twice := _twice(columns):
                raise SourceError(f"{path.name}：{twice}")
            for row in table:
                yield from _read(row, columns, shops, shop, lambda cell: parse_time(cell, zone, now), zone)
    if not found:
        raise SourceError(f"{path.name}：没有找到表头，{_EXPECTED}")


def read_rows(
    rows: Iterable[Mapping[str, object]], shops: Mapping[str, str], shop: str, zone: ZoneInfo, now: datetime
) -> Iterator[Value | BadRow]:
    """Values out of rows whose keys are what the columns of a table would be called.

    What cannot be read is a BadRow that counts from 1; the rest goes on. The arguments are those of `read_indicators`.
    """
    for number, given in enumerate(rows, 1):
        row = Row(str(number), ["" if cell is None else str(cell) for cell in given.values()])
        columns = _columns(list(given))
        if twice := _twice(columns):
            yield BadRow(row.where, twice)
        elif columns:
            yield from _read(row, columns, shops, shop, lambda cell: parse_time(cell, zone, now), zone)
        else:
            yield BadRow(row.where, _EXPECTED)


def _header(table: Table) -> dict[int, _Column]:
    return next(filter(None, (_columns(row.cells) for row in islice(table, _HEADER_WITHIN))), {})


def _columns(cells: Sequence[object]) -> dict[int, _Column]:
    """What the cells of a header tell; empty where it is none."""
    columns = {at: column for at, cell in enumerate(cells) if (column := _column(str(cell or "")))}
    fields = {column.field for column in columns.values()}
    named = "name" in fields or any(column.name for column in columns.values())
    return columns if {"day", "value"} <= fields and named else {}


def _twice(columns: Mapping[int, _Column]) -> str:
    """What two columns both tell; "" where there is nothing: which of them counts, nobody knows."""
    told = Counter((column.field, column.name) for column in columns.values() if column.name)
    named = [KINDS[name].label for (_, name), count in told.items() if count > 1]
    return f"不止一列说的是{'、'.join(named)}，请只留一列" if named else ""


def _column(header: str) -> _Column | None:
    said = _BRACKET.sub("", header).strip().lower()
    if said in _FIELD:
        return _Column(_FIELD[said])
    percent = "%" in header or "％" in header
    if said in _NAMES:
        return _Column("value", _NAMES[said], percent)
    match = _ABOUT.fullmatch(said)
    if match is None or match["name"] not in _NAMES:
        return None
    about = (match["before"] or "") + (match["after"] or "")
    return _Column("above" if "高于" in about else "industry", _NAMES[match["name"]], percent)


def _read(
    row: Row,
    columns: Mapping[int, _Column],
    shops: Mapping[str, str],
    shop: str,
    when: Callable[[object], datetime | None],
    zone: ZoneInfo,
) -> Iterator[Value | BadRow]:
    if row.fault:
        yield BadRow(row.where, row.fault)
        return
    told = {column: row.cells[at] for at, column in columns.items() if at < len(row.cells)}
    plain = {column.field: cell for column, cell in told.items() if not column.name}
    day = when(plain.get("day"))
    named = str(plain.get("shop") or "").strip()
    shop_id = shops.get(named) if named else shop
    name = _NAMES.get(_BRACKET.sub("", str(plain.get("name") or "")).lower(), "")
    if day is None:
        yield BadRow(row.where, f"看不懂日期“{plain.get('day')}”，应如 2026-11-01")
    elif not shop_id:
        yield BadRow(
            row.where, f"没有“{named}”这家店，应为 {'、'.join(shops)}" if named else "没有写店铺，也没有 --shop"
        )
    elif "name" in plain and not name:
        yield BadRow(
            row.where, f"没有“{plain['name']}”这个指标，应为 {'、'.join(kind.label for kind in KINDS.values())}"
        )
    else:
        local = day.astimezone(zone).date()
        for indicator in [name] if name else dict.fromkeys(column.name for column in told if column.name):
            try:
                parts = {
                    column.field: _number(indicator, column, cell)
                    for column, cell in told.items()
                    if column.field in {"value", "industry", "above"} and column.name in {"", indicator}
                }
            except ValueError as error:
                yield BadRow(row.where, str(error))
                continue
            if (value := parts.pop("value", None)) is not None:
                yield Value(shop_id, indicator, local, value, **parts)


def _number(name: str, column: _Column, cell: object) -> float | None:
    """The cell's number; None where it is empty or a dash.

    Raises:
        ValueError: It is no number, or one of which nobody knows whether 0.5 means 0.5 % or 50 %.
    """
    said = str("" if cell is None else cell).strip().replace(",", "").replace("％", "%")
    if said in {"", "-", "--", "—"}:
        return None
    share = KINDS[name].unit == "%" or column.field == "above"
    number = said.removesuffix("%") if share else _BRACKET.sub("", said).rstrip("小时hH分件人位个单")
    label = KINDS[name].label
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{label}：看不懂“{said[:30]}”，应为数字")
    if KINDS[name].daily and column.field == "value" and (float(number) < 0 or not float(number).is_integer()):
        raise ValueError(f"{label}：“{said[:30]}”应为整数，不小于 0")
    if share and not said.endswith("%") and not column.percent:
        raise ValueError(f"{label}：“{said[:30]}”看不出是不是百分数，请写成 0.12%，或在表头写明“{label}(%)”")
    return float(number)
