"""What ``pingshao import`` tells a person: the columns before, the first reviews of a rehearsal, the faults after.

Whatever is shown of a row is masked first, as if it were stored.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any

from crawler.bases.columns import map_title
from crawler.bases.files import Header
from crawler.items import BadRow, FeedbackItem
from monitor.importing import SHOWN, Imported, Rows, Tally
from monitor.privacy import mask, mask_nickname
from monitor.text import clean

_FIRST = 3  # items shown by a rehearsal
_LONGEST = 40  # characters of a value
_FIELDS = {
    "id": "评价编号", "text": "内容", "title": "标题", "stars": "评分", "time": "时间", "author": "买家",
    "product": "商品", "order": "订单号", "url": "链接", "followup": "追评", "followup_time": "追评时间",
    "reply": "商家回复", "deleted": "已删除",
    "sku": "规格", "batch": "批次", "warehouse": "仓库", "courier": "快递", "service": "服务评分",
    "logistics": "物流评分", "likes": "点赞数", "reposts": "转发数", "comments": "回复数", "thread": "主题",
    "parent": "上一条", "repost": "转自",
}  # fmt: skip


def announced(rows: Rows, out: IO[str] | None = None) -> Iterator[Header | FeedbackItem | BadRow]:
    """The same rows; each table's columns are told when it begins, on standard error."""
    for row in rows:
        if isinstance(row, Header):
            (out or sys.stderr).writelines(f"{line}\n" for line in _columns(row))
        yield row


def rehearsed(rows: Rows) -> dict[str, Any]:
    """What an import would find, without storing anything: columns, first items, faults, counts."""
    tally, tables, items, count = Tally(), [], list[dict[str, Any]](), 0
    for row in rows:
        if isinstance(row, Header):
            tables.append(_as_json(row))
            continue
        tally.note(row)
        if isinstance(row, FeedbackItem):
            count += 1
            items += [_item(row)] if len(items) < _FIRST else []
    return {
        "tables": tables,
        "items": items,
        "readable": count,
        "skipped": tally.skipped,
        "doubtful": tally.doubts,
        "undated": tally.undated,
        "faults": [_fault(row) for row in (*tally.bad, *tally.doubtful)],
    }


def rehearsal(told: dict[str, Any], out: IO[str] | None = None) -> None:
    """What ``rehearsed`` found, for people: on standard output."""
    out = out or sys.stdout
    for item in told["items"]:
        facts = [item["time"], f"{item['stars']:g} 星" if item["stars"] else "", item["author"], item["product"]]
        out.write(f"· {'  '.join(fact for fact in facts if fact)}\n  {item['text']}\n")
    out.writelines(f"{line}\n" for line in told["faults"][:SHOWN])
    out.write(f"读到 {told['readable']:,} 条，{told['skipped']:,} 行读不了，{told['doubtful']:,} 处时间或评分看不懂，")
    out.write(f"{told['undated']:,} 条没有时间；试读，什么也没有入库\n")


def outcome(done: Imported, out: IO[str] | None = None) -> None:
    """What a person should know of an import beside its ledger: on standard error."""
    out = out or sys.stderr
    tally = done.tally
    _some(tally.bad, tally.skipped, "行读不了", out)
    _some(tally.doubtful, tally.doubts, "处看不懂", out)
    for file in done.rejects:
        out.write(f"读不了的行连同原因写在 {file}：改好后可以直接导入，然后请删掉（里面是原文，没有隐去个人信息）\n")
    if tally.undated:
        out.write(f"{tally.undated:,} 行没有评价时间：照常入库、打分、计数，但按旧评价处理，不计时、不提醒\n")


def _some(rows: Sequence[BadRow], count: int, what: str, out: IO[str]) -> None:
    out.writelines(f"{_fault(row)}\n" for row in rows)
    if count > len(rows):
        out.write(f"……共 {count:,} {what}，只列出前 {len(rows)}\n")


def _fault(row: BadRow) -> str:
    return f"{row.where}: {' '.join(mask(clean(row.reason)).text.split())}"


def _columns(header: Header) -> Iterator[str]:
    how = f"按{map_title(header.columns.map)}（--map {header.columns.map}）" if header.columns.map else "按给定的列"
    yield f"{header.where} 是表头，{how}读："
    for field, index in header.columns.at.items():
        value = header.sample[index] if index < len(header.sample) else None
        yield f"  {_line(header.names[index])} → {_FIELDS[field]}（{field}）  {_shown(field, value)}".rstrip()
    if unused := _unused(header):
        yield f"  不用的列：{'、'.join(unused)}"


def _as_json(header: Header) -> dict[str, Any]:
    return {
        "where": header.where,
        "map": header.columns.map,
        "columns": {_line(header.names[index]): field for field, index in header.columns.at.items()},
        "unused": _unused(header),
    }


def _unused(header: Header) -> list[str]:
    used = set(header.columns.at.values())
    return [_line(name) for index, name in enumerate(header.names) if name and index not in used]


def _item(item: FeedbackItem) -> dict[str, Any]:
    return {
        "text": _shown("text", item.text or item.title or item.followup),
        "time": item.created_at.isoformat(" ", "minutes") if item.created_at else "",
        "stars": item.stars,
        "author": _shown("author", item.author),
        "product": _shown("product", item.product),
        "order": item.order_ref,
    }


def _shown(field: str, value: object) -> str:
    text = _line("" if value is None else str(value))
    if field == "author":
        return mask_nickname(text) if text else ""
    shown = text if field in {"id", "order"} else mask(text).text
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def _line(text: str) -> str:
    """One clean line: whatever a file holds, a terminal obeys none of it."""
    return " ".join(clean(text).split())
