"""One page looked at and nothing stored: the pipeline that keeps what a trial crawl found, and writes it to a file."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals
from scrapy.http import Response

from crawler.answers import UnreadableError, as_page
from crawler.hints import hints
from crawler.items import FeedbackItem
from crawler.spider import SourceSpider

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Request

_SHOWN = 50  # items kept, of however many there are


class Look:
    """Keeps the first items, counts which fields are filled, and says what is likely wrong with the selectors.

    The file named in the context gets ``{"page": …, "usable": n, "filled": {field: n}, "items": […], "hints": […]}``.
    """

    def __init__(self, crawler: "Crawler") -> None:
        self._crawler = crawler
        self._page: Response | None = None
        self._items: list[dict[str, Any]] = []
        self._filled: Counter[str] = Counter()
        self._usable = 0

    @classmethod
    def from_crawler(cls, crawler: "Crawler") -> Self:
        """Scrapy's way of making a pipeline."""
        look = cls(crawler)
        crawler.signals.connect(look.answered, signal=signals.response_received)
        return look

    def answered(self, response: Response, request: "Request") -> None:
        """Keep the page that the connector was given; robots.txt is none."""
        if "fetch" in request.cb_kwargs:
            self._page = response

    def process_item(self, item: FeedbackItem) -> FeedbackItem:
        """Keep the first, count all."""
        told = asdict(item)
        told.update(told.pop("extra"))
        del told["undated_id"], told["counts_only"]
        self._usable += 1
        self._filled.update(name for name, value in told.items() if value not in ("", None, False))
        if len(self._items) < _SHOWN:
            self._items.append(asdict(item) | {"created_at": item.created_at and item.created_at.isoformat()})
        return item

    def close_spider(self) -> None:
        """Write it all down."""
        told = {
            "page": self._page.url if self._page else "",
            "usable": self._usable,
            "filled": dict(self._filled),
            "items": self._items,
            "hints": self._hints(),
        }
        text = json.dumps(told, ensure_ascii=False)
        Path(self._crawler.settings["PINGSHAO_CONTEXT"]["out"]).write_text(text, "utf-8", "backslashreplace")

    def _hints(self) -> list[str]:
        spider = self._crawler.spider
        if self._page is None or not isinstance(spider, SourceSpider):
            return []
        try:
            page = as_page(self._page, spider.job.max_bytes)
        except UnreadableError:
            return []
        return list(hints(spider.connector, page, self._filled))
