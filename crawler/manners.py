"""Two places where Scrapy would ask for a page although it should not.

Measured with Scrapy 2.19: of several requests that wait for the same robots.txt, the third and later ones go past it
(they share one Deferred, whose result the second waiter takes away); and what waits for its turn when a spider stops is
still sent.
"""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Request, Response
    from scrapy.robotstxt import RobotParser


class StoppedError(IgnoreRequest):
    """The run was stopped for a person before this was sent."""


class RobotsMiddleware(RobotsTxtMiddleware):
    """Scrapy's, except that one request after the other looks at a host's robots.txt."""

    def __init__(self, crawler: "Crawler") -> None:
        super().__init__(crawler)
        self._turns: dict[str, asyncio.Lock] = {}

    async def robot_parser(self, request: "Request") -> "RobotParser | None":
        """The rules of the request's host; None where it has none."""
        async with self._turns.setdefault(urlsplit(request.url).netloc, asyncio.Lock()):
            return await super().robot_parser(request)


class Handler(HTTP11DownloadHandler):
    """Scrapy's, except that nothing is sent any more once the run waits for a person."""

    async def download_request(self, request: "Request") -> "Response":
        """The answer.

        Raises:
            StoppedError: The run was stopped while this waited for its turn.
        """
        if self._crawler.spider.ledger.attention:  # type: ignore[union-attr]  # our own spider
            raise StoppedError(request.url)
        return await super().download_request(request)
