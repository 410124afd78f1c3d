"""The Scrapy item pipeline that hands what a spider yields to intake; named in each crawl job by the composition root.

The job's ``context`` says how to reach the store: ``open`` (dotted ``module:function`` that gives a Core for
``settings`` and ``now``) and ``origin`` (the fields of ``incoming.Origin``).
"""

import importlib
import logging
import time
from typing import Any

from scrapy.crawler import Crawler
from sqlalchemy.exc import OperationalError

from crawler.items import FeedbackItem
from monitor import intake
from monitor.incoming import Origin
from monitor.logs import told

_FLUSH_AFTER = 5.0  # seconds: a polite, slow crawl must not keep a complaint waiting for the batch to fill
_LAST_PAUSES = (1.0, 5.0, 15.0)  # seconds between the tries at the end

logger = logging.getLogger(__name__)


class NotStored(Exception):
    """The store could not be written to until the end, and the next run reads the same again; or a batch broke it."""


class StorePipeline:
    """Buffers items and stores them in batches; the ledger's counts go to the crawl's stats.

    A batch that the store refuses because it is locked, full or gone is kept and tried again.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._buffer: list[FeedbackItem] = []
        self._flushed_at = time.monotonic()
        self._refused = ""

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
        full = len(self._buffer) >= intake.BATCH and not self._refused
        if full or time.monotonic() - self._flushed_at > _FLUSH_AFTER:
            self._flush()
        return item

    def close_spider(self) -> None:
        """Store what is left.

        Raises:
            NotStored: the store refused it to the last.
        """
        try:
            self._flush()
            for pause in _LAST_PAUSES if self._buffer else ():
                time.sleep(pause)
                self._flush()
                if not self._buffer:
                    break
            if self._buffer:
                self._count("skipped", len(self._buffer))
                raise NotStored(f"{self._refused}；{len(self._buffer)} 条没有入库，下次抓取再来")
        finally:
            self._core.engine.dispose()

    def _flush(self) -> None:
        """Store what is held back, unless the store refuses it for now."""
        try:
            while batch := self._buffer[: intake.BATCH]:
                self._store(batch)
        except OperationalError as error:
            self._refused = " ".join(str(error.orig).split())
            logger.warning("%s items are kept, the store said: %s", len(self._buffer), self._refused)
        else:
            self._refused = ""
        finally:
            self._flushed_at = time.monotonic()

    def _store(self, batch: list[FeedbackItem]) -> None:
        try:
            counts = intake.store(self._core, self._origin, batch)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 — nothing that another try would mend; the others are stored
            del self._buffer[: len(batch)]
            self._count("skipped", len(batch))
            raise NotStored(told(error)) from None  # the ledger says it, and it may quote a buyer
        del self._buffer[: len(batch)]
        for name in ("new", "changed", "duplicates"):
            self._count(name, getattr(counts, name))

    def _count(self, name: str, number: int) -> None:
        stats = self._crawler.stats
        assert stats is not None
        stats.inc_value(f"pingshao/{name}", number)
