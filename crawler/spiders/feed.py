"""``kind = "feed"``: RSS, Atom or JSON Feed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from crawler.bases import base
from crawler.bases.addresses import HttpUrl, absolute
from crawler.bases.base import Connector, Fetch, Output
from crawler.bases.feeds import entries

if TYPE_CHECKING:
    from scrapy.http import TextResponse


class Options(base.Options):
    """Keys of ``kind = "feed"``."""

    urls: list[HttpUrl] = Field(min_length=1, description="RSS、Atom 或 JSON Feed 的地址；没有更新时只花一次请求")


class FeedConnector(Connector[Options]):
    """Posts, news or comments from feeds."""

    Options = Options
    title = "RSS、Atom、JSON Feed：论坛、新闻、自建 RSSHub"

    def start(self) -> Iterator[Output]:
        """Every feed, asked only for news."""
        yield from (Fetch(url, conditional=True) for url in self.options.urls)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """The feed's entries."""
        for raw in entries(page.text):
            raw["url"] = absolute(page, raw.get("url"))
            yield self.item(raw, where=page.url, page=fetch.url)
