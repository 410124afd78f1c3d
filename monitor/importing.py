"""Exports of merchant back ends, read straight into intake: ``pingshao import``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from crawler.items import BadRow, FeedbackItem
from crawler.job import CrawlResult
from monitor import intake, runs
from monitor.core import Core

_LOGGED = 50

_T = TypeVar("_T")


class ImportFailed(Exception):
    """The file cannot be taken in; the message says why and what was expected."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file.

    Attributes:
        line: Its ledger line.
        bad: The first rows that could not be read.
        undated: Rows without a date: kept and counted as past, without clocks.
    """

    line: dict[str, Any]
    bad: list[BadRow]
    undated: int


def import_rows(core: Core, rows: Iterable[FeedbackItem | BadRow], shop_id: str) -> Imported:
    """Store a file's rows as a shop's reviews.

    Args:
        rows: What ``crawler.bases.files.read_file`` yields.

    Raises:
        ImportFailed: another import for this shop is running.
    """
    started = runs.start(core, f"import:{shop_id}", "import", shop_id)
    if started is None:
        raise ImportFailed(f"店铺 {shop_id} 的另一次导入还没结束；若它已被中断，{runs.LEASE.seconds} 秒后可再导入")
    origin = started.origin
    counts, seen, undated, bad = intake.Counts(), 0, 0, []
    result = CrawlResult(status="failed", error="导入被中断")
    try:
        for batch in _batches(rows, intake.BATCH):
            items = [row for row in batch if isinstance(row, FeedbackItem)]
            bad += [row for row in batch if isinstance(row, BadRow)]
            counts += intake.store(core, origin, items)
            runs.renew(core, started)
            seen += len(batch)
            undated += sum(item.created_at is None for item in items)
        error = f"{len(bad)} 行读不了" if bad else ""
        result = CrawlResult(status="failed" if bad else "ok", error=error)
    finally:
        totals = replace(
            result,
            pages=1,
            seen=seen,
            new=counts.new,
            changed=counts.changed,
            duplicates=counts.duplicates,
            skipped=len(bad),
        )
        line = runs.finish(core, started, totals)
    return Imported(line, bad[:_LOGGED], undated)


def _batches(rows: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
