"""The Scrapy item pipeline that hands what a spider yields to intake; named in each crawl job by the composition root.

The job's ``context`` says how to reach the store: ``open`` (dotted ``module:function`` that gives a Core for
``settings`` and ``now``) and ``origin`` (the fields of ``incoming.Origin``).
"""

import importlib
import time
from typing import Any

from scrapy.crawler import Crawler

from crawler.items import FeedbackItem
from monitor import intake
from monitor.incoming import Origin

_FLUSH_AFTER = 5.0  # seconds: a polite, slow crawl must not keep a complaint waiting for the batch to fill


class StorePipeline:
    """Buffers items and stores them in batches; the ledger's counts go to the crawl's stats."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._buffer: list[FeedbackItem] = []
        self._flushed_at = time.monotonic()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "StorePipeline":
        """Scrapy's way of making a pipeline."""
        return cls(crawler)

    def open_spider(self) -> None:
        """Open the store."""
        context: dict[str, Any] = self._crawler.settings.getdict("PINGSHAO_CONTEXT")
        module, _, function = context["open"].partition(":")
        self._core = getattr(importlib.import_module(module), function)(context["settings"], context["now"])
        self._origin = Origin(**context["origin"])

    def process_item(self, item: FeedbackItem) -> FeedbackItem:
        """Keep an item for the next batch."""
        self._buffer.append(item)
        if len(self._buffer) >= intake.BATCH or time.monotonic() - self._flushed_at > _FLUSH_AFTER:
            self._flush()
        return item

    def close_spider(self) -> None:
        """Store what is left."""
        self._flush()
        self._core.engine.dispose()

    def _flush(self) -> None:
        batch, self._buffer = self._buffer, []
        self._flushed_at = time.monotonic()
        if not batch:
            return
        counts = intake.store(self._core, self._origin, batch)
        stats = self._crawler.stats
        assert stats is not None
        for name in ("new", "changed", "duplicates"):
            stats.inc_value(f"pingshao/{name}", getattr(counts, name))
