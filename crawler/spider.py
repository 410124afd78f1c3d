"""The one Scrapy spider: asks for the pages a connector names, judges the answers, keeps the ledger."""

import hashlib
import json
import logging
import unicodedata
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar
from urllib.parse import urlsplit

import scrapy
from scrapy import exceptions as lost
from scrapy.exceptions import CloseSpider, DropItem, IgnoreRequest
from scrapy.http import HtmlResponse, Request, Response, TextResponse
from scrapy.logformatter import LogFormatter
from scrapy.pipelines import ItemPipelineManager
from twisted.python.failure import Failure
from w3lib.url import canonicalize_url

from crawler import walls
from crawler.bases.base import Connector, Fetch, Output, SourceError, Visited
from crawler.guard import RefusedAddressError
from crawler.items import BadRow, FeedbackItem
from crawler.job import CrawlJob
from crawler.ledger import Ledger, stats_key
from crawler.text import decode

logger = logging.getLogger(__name__)

_NOT_MODIFIED, _GONE = 304, frozenset({404, 410})
_REASONS: dict[type[BaseException], str] = {
    lost.CannotResolveHostError: "域名无法解析",
    lost.DownloadConnectionRefusedError: "连接被拒绝",
    lost.DownloadTimeoutError: "超时没有应答",
    lost.ResponseDataLossError: "页面没有传完，连接中断",
    lost.DownloadFailedError: "连接中断",
}


def site(url: str) -> str:
    """What "the same site" means: host without ``www.``, and port if it is not the usual one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    return host if parts.port in {None, 80, 443} else f"{host}:{parts.port}"


def fingerprint(options: dict[str, Any]) -> str:
    """Tells whether a watermark belongs to these options: with other selectors every page is news."""
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]


class SourceSpider(scrapy.Spider):
    """Drives one connector through one run."""

    name = "source"

    def __init__(self, job: CrawlJob, connector: Connector[Any], ledger: Ledger) -> None:
        super().__init__(job.name)
        self.job = job
        self.connector = connector
        self.ledger = ledger
        self._brand = [_folded(word) for word in job.brand]
        known = job.watermark if job.watermark.get("options") == fingerprint(job.options) else {}
        self._validators: dict[str, dict[str, Any]] = known.get("pages", {})
        self._asked: set[str] = set()
        self._read: set[str] = set()
        self._sites: set[str] = set()

    async def start(self) -> AsyncIterator[Any]:
        """The connector's first pages, or its items."""
        try:
            for output in self.connector.start():
                if (taken := self._take(output)) is not None:
                    yield taken
        except SourceError as error:
            self.ledger.fail(self.job.name, str(error))
        except Exception as error:
            logger.exception("connector %s", self.job.kind)
            self.ledger.fail(self.job.name, f"连接器出错 {error!r}")

    def page(self, response: Response, fetch: Fetch) -> Iterator[Any]:
        """Judge an answer, hand text to the connector, pass on what it finds."""
        if response.status == _NOT_MODIFIED:
            yield from self._not_modified(fetch)
            return
        text = decode(response.body, _charset(response))
        if wall := walls.wall_by_status(response.status, text or ""):
            self._stop(response.url, wall)
        if not self._wanted(response, fetch):
            return
        self.ledger.visited()
        if not text or not text.strip():
            reason = "页面是空的" if text is not None else "不是文本：二进制内容，或编码无法识别"
            self.ledger.fail(response.url, reason)
            return
        yield from self._read_page(_as_text(response, text), fetch)

    def lost(self, failure: Failure) -> None:
        """Judge a request that got no answer."""
        request: Request = failure.request  # type: ignore[attr-defined]  # Scrapy sets it
        error = failure.value
        if isinstance(error, walls.WallError):
            self._stop(request.meta.get("redirect_urls", [request.url])[0], str(error))
        reason = self._reason(error)
        if "robots.txt" in reason and request.cb_kwargs["fetch"].link:
            self.ledger.note(request.url, reason)
        else:
            self.ledger.fail(request.url, reason)

    def _reason(self, error: BaseException) -> str:
        said = str(error)
        if isinstance(error, RefusedAddressError):
            return said
        if "maxsize" in said.lower() or "max size" in said:
            return f"页面超过 {self.job.max_bytes} 字节，没有读"
        if isinstance(error, IgnoreRequest) and "robots.txt" in said:
            return "robots.txt 不允许抓取"
        if isinstance(error, IgnoreRequest) and "redirect" in said:
            return "重定向次数过多"
        return next(
            (text for kind, text in _REASONS.items() if isinstance(error, kind)),
            f"无法读取（{said or repr(error)}）",
        )

    def _read_page(self, page: TextResponse, fetch: Fetch) -> Iterator[Any]:
        found, links = 0, []
        try:
            for output in self.connector.read(page, fetch):
                found += not isinstance(output, BadRow)
                links += [output.url] if isinstance(output, Fetch) and output.link else []
                if (taken := self._take(output)) is not None:
                    yield taken
        except SourceError as error:
            self._unreadable(page, str(error))
        except Exception as error:
            logger.exception("connector %s", self.job.kind)
            self.ledger.fail(page.url, f"连接器出错 {error!r}")
        else:
            if not found and (wall := walls.wall_on_page(page)):
                self._stop(page.url, wall)
            if fetch.conditional:
                self._remember(page, fetch, links)

    def _unreadable(self, page: TextResponse, reason: str) -> None:
        if wall := walls.wall_on_page(page):
            self._stop(page.url, wall)
        self.ledger.fail(page.url, reason)

    def _wanted(self, response: Response, fetch: Fetch) -> bool:
        """Whether the answer is a page of this site that was not read yet."""
        if response.status // 100 != 2:  # noqa: PLR2004 — the 2xx class
            told = self.ledger.note if fetch.link and response.status in _GONE else self.ledger.fail
            told(response.url, f"HTTP {response.status}")
            return False
        if not fetch.link:
            self._sites.add(site(response.url))
        elif site(response.url) not in self._sites:
            self.ledger.note(fetch.url, f"被转到别的站点 {response.url}，不读")
            return False
        address = canonicalize_url(response.url)
        if address in self._read:
            return False
        self._read.add(address)
        return True

    def _not_modified(self, fetch: Fetch) -> Iterator[Any]:
        self.ledger.visited(unchanged=True)
        known = self._validators.get(fetch.url, {})
        self.ledger.validators[fetch.url] = known
        for url in known.get("links", ()):
            if (taken := self._take(Fetch(url, link=True, conditional=True))) is not None:
                yield taken

    def _remember(self, page: TextResponse, fetch: Fetch, links: list[str]) -> None:
        etag, modified = page.headers.get("ETag"), page.headers.get("Last-Modified")
        if etag or modified:
            self.ledger.validators[fetch.url] = {
                "etag": (etag or b"").decode("latin-1"),
                "modified": (modified or b"").decode("latin-1"),
                "links": links,
            }

    def _take(self, output: Output) -> FeedbackItem | Request | None:
        """Count what a connector yields; what is to be stored or fetched is passed on."""
        if isinstance(output, Fetch):
            return self._request(output)
        if isinstance(output, Visited):
            self.ledger.visited(unchanged=output.unchanged)
            return None
        if isinstance(output, SourceError):
            self.ledger.fail(self.job.name, str(output))
            return None
        self._count("seen")
        if isinstance(output, FeedbackItem) and self._mentions_brand(output):
            return output
        self._count("skipped")
        if isinstance(output, BadRow):
            self.ledger.note(output.where, output.reason)
        else:
            self.ledger.note(output.url or output.external_id, "没有提到品牌词")
        return None

    def _request(self, fetch: Fetch) -> Request | None:
        address = canonicalize_url(fetch.url)
        if address in self._asked or (fetch.link and site(fetch.url) not in self._sites):
            return None
        if len(self._asked) >= self.job.max_pages:
            self.ledger.note(fetch.url, f"已到 max_pages = {self.job.max_pages}，不再继续")
            return None
        self._asked.add(address)
        if not fetch.link:
            self._sites.add(site(fetch.url))
        known = self._validators.get(fetch.url, {}) if fetch.conditional else {}
        headers = {"If-None-Match": known.get("etag"), "If-Modified-Since": known.get("modified")}
        return Request(
            fetch.url,
            callback=self.page,
            errback=self.lost,
            headers={name: value for name, value in headers.items() if value},
            cb_kwargs={"fetch": fetch},
            dont_filter=True,  # Scrapy's filter drops a redirect loop without a word
        )

    def _mentions_brand(self, item: FeedbackItem) -> bool:
        text = _folded(f"{item.title}\n{item.text}\n{item.followup}") if self._brand else ""
        return not self._brand or any(word in text for word in self._brand)

    def _count(self, name: str) -> None:
        self.crawler.stats.inc_value(stats_key(name))

    def _stop(self, where: str, reason: str) -> None:
        self.ledger.stop(where, reason)
        raise CloseSpider("attention")


class Pipelines(ItemPipelineManager):
    """Scrapy's pipelines; what they raise fails the run instead of vanishing in the log."""

    async def process_item_async(self, item: Any) -> Any:
        """Hand an item through the pipelines."""
        try:
            return await super().process_item_async(item)
        except DropItem:
            raise
        except Exception as error:
            self._failed(error)
            raise

    async def close_spider_async(self) -> None:
        """Let the pipelines write what they hold back."""
        try:
            await super().close_spider_async()
        except Exception as error:
            self._failed(error)
            raise

    def _failed(self, error: Exception) -> None:
        spider = self.crawler.spider if self.crawler else None
        if isinstance(spider, SourceSpider):
            spider.ledger.fail(spider.job.name, f"入库出错 {type(error).__name__}: {error}")


class DiscreetFormatter(LogFormatter):
    """Keeps buyers' words out of the log: they are not masked yet."""

    def item_error(self, item: Any, exception: BaseException, response: Any, spider: Any) -> Any:
        """The fault without the item."""
        told = super().item_error("-", exception, response, spider)
        return {**told, "args": {**told["args"], "item": "-"}} if isinstance(told["args"], dict) else told

    dropped: ClassVar[Any] = None


def _charset(response: Response) -> str:
    return response.encoding if isinstance(response, TextResponse) else ""


def _as_text(response: Response, text: str) -> TextResponse:
    """The answer as a page whose text is right, whatever its header said."""
    kind = HtmlResponse if "<" in text[:2000] else TextResponse
    return kind(
        response.url,
        response.status,
        response.headers,
        text.encode("utf-8", "replace"),
        encoding="utf-8",
        request=response.request,
    )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
