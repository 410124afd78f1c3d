"""Exports of merchant back ends, read straight into intake: ``pingshao import``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from crawler.bases.files import Fault, Header
from crawler.items import BadRow, FeedbackItem
from crawler.job import CrawlResult
from monitor import intake, runs
from monitor.core import Core
from monitor.rejects import Rejects

SHOWN = 20
"""Faults told one by one; the others are only counted."""

_T = TypeVar("_T")

Rows = Iterable[Header | FeedbackItem | BadRow]


class ImportFailed(Exception):
    """The file cannot be taken in; the message says why and what was expected."""


@dataclass(slots=True)
class Tally:
    """What was wrong with a file's rows.

    Attributes:
        bad: The first rows that could not be taken in.
        skipped: How many there were.
        doubtful: The first cells (a time, stars) that could not be read; their rows were taken in without them.
        doubts: How many there were.
        undated: Rows without a date: kept and counted as past, without clocks.
    """

    bad: list[BadRow] = field(default_factory=list)
    skipped: int = 0
    doubtful: list[BadRow] = field(default_factory=list)
    doubts: int = 0
    undated: int = 0

    def note(self, row: FeedbackItem | BadRow) -> None:
        """Count a row."""
        if isinstance(row, FeedbackItem):
            self.undated += row.created_at is None
        elif isinstance(row, Fault) and row.kept:
            self.doubts += 1
            self.doubtful += [row] if self.doubts <= SHOWN else []
        else:
            self.skipped += 1
            self.bad += [row] if self.skipped <= SHOWN else []

    def error(self) -> str:
        """One line for the ledger; empty where all was well."""
        said = [f"{self.skipped} 行读不了"] if self.skipped else []
        return "，".join([*said, f"{self.doubts} 处时间或评分看不懂"] if self.doubts else said)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file.

    Attributes:
        line: Its ledger line.
        tally: What was wrong with its rows.
        rejects: Files that hold the rows which could not be taken in.
    """

    line: dict[str, Any]
    tally: Tally
    rejects: list[Path]


def import_rows(core: Core, rows: Rows, shop_id: str, name: str = "import") -> Imported:
    """Store a file's rows as a shop's reviews; those that cannot be taken in go to ``var/rejects``.

    Args:
        rows: What ``crawler.bases.files.read_file`` yields.
        name: The file's name without its ending.

    Raises:
        ImportFailed: another import for this shop is running.
    """
    started = runs.start(core, f"import:{shop_id}", "import", shop_id)
    if started is None:
        raise ImportFailed(f"店铺 {shop_id} 的另一次导入还没结束；若它已被中断，{runs.LEASE.seconds} 秒后可再导入")
    counts, seen, tally = intake.Counts(), 0, Tally()
    folder, began = core.settings.service.var_dir / "rejects", core.clock.now().astimezone(core.settings.zone)
    result = CrawlResult(status="failed", error="导入被中断")
    try:
        with Rejects(folder, name, began) as rejects:
            for batch in _batches(_sorted_out(rows, tally, rejects), intake.BATCH):
                counts += intake.store(core, started.origin, batch)
                runs.renew(core, started)
                seen += len(batch)
        error = tally.error()
        result = CrawlResult(status="failed" if error else "ok", error=error)
    finally:
        totals = replace(
            result,
            pages=1,
            seen=seen + tally.skipped,
            new=counts.new,
            changed=counts.changed,
            duplicates=counts.duplicates,
            skipped=tally.skipped,
        )
        line = runs.finish(core, started, totals)
    return Imported(line, tally, rejects.files)


def _sorted_out(rows: Rows, tally: Tally, rejects: Rejects) -> Iterator[FeedbackItem]:
    """The items; faults are counted, and rows without an item written down."""
    for row in rows:
        if isinstance(row, Header):
            rejects.begin(row)
            continue
        tally.note(row)
        if isinstance(row, FeedbackItem):
            yield row
        elif not (isinstance(row, Fault) and row.kept):
            rejects.add(row)


def _batches(rows: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
