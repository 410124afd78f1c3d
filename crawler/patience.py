"""Waiting where a site asks for it: one request told to wait holds back all that go to the same host."""

import asyncio
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Request

PAUSE = "pause"  # request.meta: seconds to wait before asking


class PatienceMiddleware:
    """Keeps the pauses that requests bear in ``meta["pause"]``."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    @classmethod
    def from_crawler(cls, crawler: "Crawler") -> Self:
        """Scrapy's way of making a middleware."""
        del crawler
        return cls()

    async def process_request(self, request: "Request") -> None:
        """Wait until the request's host may be asked again."""
        host = urlsplit(request.url).netloc
        if pause := request.meta.pop(PAUSE, 0.0):
            self._until[host] = time.monotonic() + pause
        if (left := self._until.get(host, 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(left)
