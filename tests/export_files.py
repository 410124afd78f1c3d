"""Small exports to read: makers of files, and what is read of them."""

from pathlib import Path
from typing import Any

import openpyxl
from crawler_factories import NOW, ZONE

from crawler.bases.files import Fault, Header, read_file
from crawler.items import FeedbackItem

HEADER = "订单编号,商品标题,评价内容,评分,评价时间,买家昵称\n"
ROW = '1000000000000000001,保温杯,"盖子漏水，退货",1,2026-11-01 08:03,t***1\n'


def read(path: Path, column_map: Any = "auto") -> list[FeedbackItem | Fault]:
    return [one for one in read_file(path, column_map, ZONE, NOW) if not isinstance(one, Header)]


def header(path: Path, column_map: Any = "auto") -> Header:
    return next(one for one in read_file(path, column_map, ZONE, NOW) if isinstance(one, Header))


def items(path: Path, column_map: Any = "auto") -> list[FeedbackItem]:
    found = read(path, column_map)
    assert all(isinstance(one, FeedbackItem) for one in found), found
    return [one for one in found if isinstance(one, FeedbackItem)]


def save(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def save_xlsx(path: Path, *sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"表{number}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path
