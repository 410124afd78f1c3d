"""Reviews out of CSV and XLSX exports; both the ``file`` connector and ``pingshao import`` read them here."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from crawler.bases.base import SourceError
from crawler.bases.columns import columns_of
from crawler.bases.fields import make_item, said
from crawler.bases.tables import Table, tables
from crawler.items import BadRow, FeedbackItem

_HEADER_WITHIN = 20  # rows; above the header some exports print the shop and the period
_EXCEL_DAYS = range(30_000, 80_000)  # 1982 to 2119 as Excel counts days
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 — Excel's days know no zone
_PROTECTED = re.compile(r'="(.*)"|\'(.*)', re.DOTALL)  # ="123" and '123 keep Excel from rounding long numbers


def read_file(
    path: Path, column_map: str | Mapping[str, str], zone: ZoneInfo, now: datetime
) -> Iterator[FeedbackItem | BadRow]:
    """Items of an export, streamed; a row that makes no item is a BadRow, and the rest goes on.

    A row without an id gets one from order, product, SKU, author, time and text, so importing again, or importing
    the next export that overlaps, stores nothing twice. Rows with neither order nor author cannot be told apart and
    count as many reviews: the second "好评" of one file is the second "好评" of the next.

    Args:
        path: CSV (UTF-8, GB18030, UTF-16; comma, semicolon, tab or bar) or XLSX, every sheet that has the columns.
        column_map: ``"auto"``, the name of a map in ``columns.toml``, or field → column.
        zone: Zone of times that name none.
        now: What relative times and dates without a year are counted from.

    Raises:
        SourceError: The file cannot be read, or no header has the columns; the message says what was found.
    """
    refusal: SourceError | None = None
    found = False
    for table in tables(path):
        try:
            bad, columns, width = _header(table, column_map)
        except _NoHeaderError as error:
            refusal = refusal or error
            continue
        found = True
        yield from bad
        yield from _items(table, columns, width, zone, now)
    if not found:
        raise SourceError(f"{path.name}：{refusal or '没有一行数据'}")


class _NoHeaderError(SourceError):
    """None of the first rows names the columns."""


def _header(table: Table, wanted: str | Mapping[str, str]) -> tuple[list[BadRow], dict[str, int], int]:
    """Field → index, and how many columns there are; rows above the header are consumed."""
    refusals: list[tuple[int, SourceError]] = []
    bad: list[BadRow] = []
    for row in table:
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        try:
            return bad, columns_of(row[1], wanted), len(row[1])
        except SourceError as error:
            # The row most like a header is the one with the most cells.
            refusals.append((sum(cell not in {None, ""} for cell in row[1]), error))
        if len(refusals) >= _HEADER_WITHIN:
            break
    raise _NoHeaderError(str(max(refusals, key=lambda pair: pair[0])[1]) if refusals else "没有一行数据")


def _items(
    table: Table, columns: Mapping[str, int], width: int, zone: ZoneInfo, now: datetime
) -> Iterator[FeedbackItem | BadRow]:
    seen: dict[int, int] = {}
    for row in table:
        if isinstance(row, BadRow):
            yield row
            continue
        where, cells = row
        if len(cells) > width and (surplus := sum(cell not in {None, ""} for cell in cells[width:])):
            yield BadRow(where, f"比表头多出 {surplus} 格，可能有没加引号的分隔符")
            continue
        raw = _raw(cells, columns)
        page = "\x1f".join((said(raw, "order"), said(raw, "product"), said(raw, "sku")))
        item = make_item(raw, zone, now, where=where, page=page)
        if isinstance(item, FeedbackItem) and not (raw.get("id") or item.order_ref or item.author):
            key = hash(item.external_id)
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1:
                item = dataclasses.replace(item, external_id=f"{item.external_id}-{seen[key]}")
        yield item


def _raw(cells: list[object], columns: Mapping[str, int]) -> dict[str, object]:
    there = len(cells)
    raw = {field: cells[index] for field, index in columns.items() if index < there}
    for field in ("id", "order"):
        value = raw.get(field)
        if isinstance(value, str) and value[:1] in {"=", "'"} and (kept := _PROTECTED.fullmatch(value.strip())):
            raw[field] = kept[1] or kept[2]
    time = raw.get("time")
    if isinstance(time, (int, float)) and int(time) in _EXCEL_DAYS:
        raw["time"] = _EXCEL_EPOCH + timedelta(seconds=round(time * 86400))
    return raw
