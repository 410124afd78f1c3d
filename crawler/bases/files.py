"""Reviews out of CSV and XLSX exports; both the ``file`` connector and ``pingshao import`` read them here."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from zoneinfo import ZoneInfo

from crawler.bases.base import SourceError
from crawler.bases.cells import is_rounded, value
from crawler.bases.columns import Columns, check_map, columns_of
from crawler.bases.fields import derived_id, make_item, said, unread
from crawler.bases.tables import Row, Table, tables
from crawler.items import BadRow, FeedbackItem
from crawler.times import is_relative

REJECT_COLUMNS = ("评哨：位置", "评哨：原因")
"""What a reject file puts before the columns of the export it comes from."""
_HEADER_WITHIN = 20  # rows; above the header some exports print the shop and the period
_VERDICTS = {
    "好评": 5.0,
    "中评": 3.0,
    "差评": 1.0,
    "非常满意": 5.0,
    "满意": 4.0,
    "一般": 3.0,
    "不满意": 2.0,
    "非常不满意": 1.0,
}
_TOTAL = re.compile(r"(?:合计|总计|小计)[\s:：]*[\d,]*|共\s*[\d,]+\s*[条行](?:评价|数据|记录)?", re.IGNORECASE)
_BELOW = re.compile(r"(?:合计|总计|小计|汇总|共计|总共|平均|导出|共\s*\d|total\b).*", re.IGNORECASE | re.DOTALL)
_LATELY = 10_000  # rows; two lines of one order that look the same stand close together
_EXPECTED = {
    "time": "应如 2026-11-01 08:03；照常入库，但没有时间，按旧评价处理",
    "followup_time": "应如 2026-11-01 08:03；照常入库，但没有追评时间",
    "stars": "应为 1 到 5；照常入库，但没有评分",
}
_GUARDED = re.compile(r"'(?=['=+\-@＝＋－＠\t\r\n]|\d+\Z)")  # what a reject file put before a cell


@dataclass(frozen=True, slots=True)
class Header:
    """A table begins: what its columns were taken for.

    Attributes:
        where: File and line.
        names: The header as it stands.
        columns: Field → index, and the map's name.
        sample: The first row below it, to show what the columns hold.
    """

    where: str
    names: tuple[str, ...]
    columns: Columns
    sample: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Fault(BadRow):
    """What is wrong with a row of a table.

    Attributes:
        column: The column's name; empty where it is the whole row.
        cells: The row as it stands.
        kept: Only that column could not be read: the row's item follows, without it.
    """

    column: str = ""
    cells: tuple[object, ...] = ()
    kept: bool = False


Read = Header | FeedbackItem | Fault


def read_file(path: Path, column_map: str | Mapping[str, str], zone: ZoneInfo, now: datetime) -> Iterator[Read]:
    """A file's tables, streamed: header, then items; a row that makes no item is a Fault, and the rest goes on.

    A row without an id gets one that stays when the text is edited, from order, product, SKU and time, or, where
    there is no order, from product, SKU, author, time and text. So importing again, or importing the next export that
    overlaps, stores nothing twice. Rows with neither order nor author cannot be told apart and count as many reviews:
    the second "好评" of one file is the second "好评" of the next.

    Args:
        path: CSV (UTF-8, GB18030, UTF-16; comma, semicolon, tab or bar) or XLSX, every sheet that has the columns.
        column_map: ``"auto"``, the name of a map (``crawler.bases.columns``), or field → column.
        zone: Zone of times that name none.
        now: What relative times and dates without a year are counted from.

    Raises:
        SourceError: The file cannot be read, or no header has the columns; the message says what was found.
    """
    check_map(column_map)
    refusals: list[_NoHeaderError] = []
    found = False
    for table in tables(path):
        try:
            header, faults, rows = _begin(table, column_map)
        except _NoHeaderError as error:
            refusals.append(error)
            continue
        found = True
        yield header
        yield from faults
        reader = _Reader(header, zone, now)
        for row in rows:
            yield from reader.read(row)
    if not found:
        raise SourceError(f"{path.name}：{max(refusals, key=lambda error: error.cells, default='没有一行数据')}")


class _NoHeaderError(SourceError):
    """None of the first rows names the columns."""

    cells = 0  # of the row most like a header: the one with the most


def _begin(table: Table, wanted: str | Mapping[str, str]) -> tuple[Header, list[Fault], Iterator[Row]]:
    """The header, rows above it that cannot be read, and the rows below; the best of the first rows is the header."""
    first = list(islice(table, _HEADER_WITHIN))
    if first and tuple(first[0].cells[: len(REJECT_COLUMNS)]) == REJECT_COLUMNS:
        first, table = [_restored(row) for row in first], map(_restored, table)
    best: tuple[Columns, int] | None = None
    refusal = _NoHeaderError("没有一行数据")
    for index, row in enumerate(first):
        try:
            columns = columns_of(row.cells, wanted)
        except SourceError as error:
            if (filled := sum(cell not in {None, ""} for cell in row.cells)) > refusal.cells:
                refusal = _NoHeaderError(str(error))
                refusal.cells = filled
        else:
            if best is None or len(columns.at) > len(best[0].at):
                best = columns, index
    if best is None:
        raise refusal
    columns, index = best
    names = tuple("" if cell is None else str(cell).strip().lstrip("\ufeff") for cell in first[index].cells)
    sample = first[index + 1].cells if len(first) > index + 1 else []
    above = [Fault(row.where, row.fault, cells=tuple(row.cells)) for row in first[:index] if row.fault]
    return Header(first[index].where, names, columns, tuple(sample)), above, chain(first[index + 1 :], table)


class _Reader:
    """Makes items of a table's rows."""

    def __init__(self, header: Header, zone: ZoneInfo, now: datetime) -> None:
        self._names, self._at, self._zone, self._now = header.names, header.columns.at, zone, now
        self._filled_names = [name for name in header.names if name]
        self._times: dict[int, int] = {}  # how often a review that nothing tells apart was there
        self._lines: dict[str, str] = {}  # text of a line of an order, of late

    def read(self, row: Row) -> Iterator[FeedbackItem | Fault]:
        """The row's item, or what is wrong with it, or both; nothing for a repeated header or a line of totals."""
        if not row.fault and self._is_furniture(row.cells):
            return
        raw = {field: value(field, row.cells[index]) for field, index in self._at.items() if index < len(row.cells)}
        if fault := self._unusable(row, raw):
            yield fault
            return
        item = make_item(raw, self._zone, self._now, where=row.where, page=_page(raw), words=_VERDICTS)
        if isinstance(item, BadRow):
            yield self._fault(row, item.reason)
            return
        for field, told in unread(raw, item):
            yield self._fault(row, f"看不懂“{told[:30]}”，{_EXPECTED[field]}", field, kept=True)
        if said(raw, "id"):
            yield item
        else:
            undated = self._counted(item, item.undated_id) if item.undated_id else ""
            yield dataclasses.replace(item, external_id=self._identity(item, raw), undated_id=undated)

    def _is_furniture(self, cells: list[object]) -> bool:
        """The header once more, or a line below the table such as "合计" or "共 300 条"."""
        filled = [cell for cell in cells if cell not in {None, ""}]
        if not filled:  # a row of a reject file that had nothing but our own columns
            return True
        if [str(cell).strip() for cell in filled] == self._filled_names:
            return True
        index = self._at["text"]
        first = str(filled[0]).strip()
        if index >= len(cells) or cells[index] in {None, ""}:
            return _BELOW.fullmatch(first) is not None
        return len(filled) == 1 < len(self._filled_names) and _TOTAL.fullmatch(first) is not None

    def _unusable(self, row: Row, raw: Mapping[str, object]) -> Fault | None:
        if row.fault:
            return self._fault(row, row.fault)
        if surplus := sum(cell not in {None, ""} for cell in row.cells[len(self._names) :]):
            return self._fault(row, f"比表头多出 {surplus} 格，可能有没加引号的分隔符")
        for field in ("id", "order"):
            if is_rounded(raw.get(field)):
                reason = f"“{raw[field]}” 是被 Excel 改写过的数字，末几位已经丢了；请重新导出，不要用 Excel 另存"
                return self._fault(row, reason, field)
        return None

    def _fault(self, row: Row, reason: str, field: str = "", *, kept: bool = False) -> Fault:
        column = self._names[self._at[field]] if field else ""
        return Fault(row.where, f"{column}：{reason}" if column else reason, column, tuple(row.cells), kept)

    def _identity(self, item: FeedbackItem, raw: Mapping[str, object]) -> str:
        """An id for a row that has none; a line of an order keeps it when its text is edited."""
        named = item.product or "sku" in item.extra
        if item.order_ref and named and item.created_at and not is_relative(raw.get("time")):
            key = derived_id(_page(raw), item.created_at.isoformat())
            if len(self._lines) > _LATELY:
                self._lines.clear()
            return key if self._lines.setdefault(key, item.text) == item.text else item.external_id
        return self._counted(item, item.external_id)

    def _counted(self, item: FeedbackItem, name: str) -> str:
        """The id of a row that has neither order nor author: the second of its kind is another review."""
        if item.order_ref or item.author:
            return name
        times = self._times[hash(name)] = self._times.get(hash(name), 0) + 1
        return name if times == 1 else f"{name}-{times}"


def _restored(row: Row) -> Row:
    """A row of a reject file as it stood in the export."""
    cells = [_GUARDED.sub("", cell, count=1) if isinstance(cell, str) else cell for cell in row.cells]
    return dataclasses.replace(row, cells=cells[len(REJECT_COLUMNS) :])


def _page(raw: Mapping[str, object]) -> str:
    return "\x1f".join(said(raw, name) for name in ("order", "product", "sku"))
