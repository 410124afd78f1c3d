"""Item pipelines for crawl tests; crawl processes import them by name."""

import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, Self

from scrapy.crawler import Crawler

from crawler.items import FeedbackItem


class Keep:
    """Appends items to the file named in the context and counts them as the real pipeline does."""

    def __init__(self, crawler: Crawler) -> None:
        self.stats = crawler.stats
        self.path = Path(crawler.settings["PINGSHAO_CONTEXT"]["out"])
        self.known = (
            {line.split("\t")[0] for line in self.path.read_text().splitlines()} if self.path.exists() else set()
        )

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def process_item(self, item: FeedbackItem) -> FeedbackItem:
        name = json.dumps(item.external_id)
        self.stats.inc_value("pingshao/duplicates" if name in self.known else "pingshao/new")
        if name not in self.known:
            with self.path.open("a") as file:
                file.write(f"{name}\t{json.dumps([item.text, item.stars, item.product])}\n")
        self.known.add(name)
        return item


class BreaksOnClose:
    def process_item(self, item: Any) -> Any:
        return item

    def close_spider(self) -> None:
        raise RuntimeError("no room on the disk")


class BreaksOnItem:
    def process_item(self, item: Any) -> Any:
        raise ValueError(f"no such column in {type(item).__name__}")


class BreaksOnOpen:
    def open_spider(self) -> None:
        raise OSError("the store is gone")


class TellsInStats:
    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        crawler.stats.set_value("pingshao/error", "the store said no")
        return cls()


class Dies:
    def process_item(self, item: Any) -> Any:
        os._exit(3 if item else 4)


class Watch:
    """Writes down every host that the process looks up or connects to; with ``stray`` it tries one itself."""

    def __init__(self, context: dict[str, Any]) -> None:
        self.context = context
        self.path = Path(context["out"])
        self.path.touch()
        sys.addaudithook(self.heard)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler.settings["PINGSHAO_CONTEXT"])

    def heard(self, event: str, told: tuple[Any, ...]) -> None:
        host = told[0] if event == "socket.getaddrinfo" else told[1] if event == "socket.connect" else None
        if host is not None:
            with self.path.open("a") as file:
                file.write(f"{host[0] if isinstance(host, tuple) else host}\n")

    def open_spider(self) -> None:
        if self.context["stray"]:
            with socket.socket() as stray, contextlib.suppress(OSError):
                stray.settimeout(0.05)
                stray.connect(("192.0.2.1", 9))

    def process_item(self, item: Any) -> Any:
        return item
