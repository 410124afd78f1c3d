"""The one Scrapy spider: asks for the pages a connector names, judges the answers, keeps the ledger."""

import hashlib
import json
import logging
import unicodedata
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import scrapy
from scrapy.exceptions import CloseSpider
from scrapy.http import Request, Response, TextResponse
from twisted.python.failure import Failure
from w3lib.url import canonicalize_url

from crawler import walls
from crawler.answers import UnreadableError, as_page, is_robots, why_lost
from crawler.bases.base import Connector, Fetch, Output, SourceError, Visited
from crawler.items import BadRow, FeedbackItem
from crawler.job import CrawlJob
from crawler.ledger import Ledger, stats_key

logger = logging.getLogger(__name__)

_OK, _NOT_MODIFIED, _GONE = range(200, 300), 304, frozenset({404, 410})


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
        self._full = False

    async def start(self) -> AsyncIterator[Any]:
        """The connector's first pages, or its items."""
        try:
            for output in self.connector.start():
                if (taken := self._take(output)) is not None:
                    yield taken
        except Exception as error:
            logger.exception("connector %s", self.job.kind)
            self.ledger.fail(self.job.name, f"连接器出错 {error!r}")

    def page(self, response: Response, fetch: Fetch) -> Iterator[Any]:
        """Judge an answer, hand text to the connector, pass on what it finds."""
        if response.status == _NOT_MODIFIED:
            yield from self._not_modified(fetch)
        elif response.status not in _OK:
            self._refused(response, fetch)
        elif self._wanted(response, fetch):
            self.ledger.visited()
            try:
                page = as_page(response, self.job.max_bytes)
            except UnreadableError as error:
                self.ledger.fail(response.url, str(error))
            else:
                yield from self._read_page(page, fetch)

    def lost(self, failure: Failure) -> None:
        """Judge a request that got no answer."""
        request: Request = failure.request  # type: ignore[attr-defined]  # Scrapy sets it
        if isinstance(failure.value, walls.WallError):
            self._stop(request.meta.get("redirect_urls", [request.url])[0], str(failure.value))
        reason = why_lost(failure.value, self.job.max_bytes)
        told = self.ledger.note if is_robots(reason) and request.cb_kwargs["fetch"].link else self.ledger.fail
        told(request.url, reason)

    def _refused(self, response: Response, fetch: Fetch) -> None:
        try:
            text = as_page(response, self.job.max_bytes).text
        except UnreadableError:
            text = ""
        if wall := walls.wall_by_status(response.status, text):
            self._stop(response.url, wall)
        told = self.ledger.note if fetch.link and response.status in _GONE else self.ledger.fail
        told(response.url, f"HTTP {response.status}")

    def _read_page(self, page: TextResponse, fetch: Fetch) -> Iterator[Any]:
        found = 0
        links: list[str] = []
        try:
            for output in self.connector.read(page, fetch):
                found += not isinstance(output, BadRow)
                links += [output.url] if isinstance(output, Fetch) and output.link else []
                if (taken := self._take(output)) is not None:
                    yield taken
        except SourceError as error:
            if wall := walls.wall_on_page(page):
                self._stop(page.url, wall)
            self.ledger.fail(page.url, str(error))
        except Exception as error:
            logger.exception("connector %s", self.job.kind)
            self.ledger.fail(page.url, f"连接器出错 {error!r}")
        else:
            if not found and (wall := walls.wall_on_page(page)):
                self._stop(page.url, wall)
            self._remember(page, fetch, links)

    def _wanted(self, response: Response, fetch: Fetch) -> bool:
        """Whether the answer is a page of this site that was not read yet; redirects may lead anywhere."""
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
            if (request := self._request(Fetch(url, link=True, conditional=True))) is not None:
                yield request

    def _remember(self, page: TextResponse, fetch: Fetch, links: list[str]) -> None:
        etag, modified = page.headers.get("ETag"), page.headers.get("Last-Modified")
        if fetch.conditional and (etag or modified):
            self.ledger.validators[fetch.url] = {
                "etag": (etag or b"").decode("latin-1"),
                "modified": (modified or b"").decode("latin-1"),
                "links": links,
            }

    def _take(self, output: Output) -> FeedbackItem | Request | None:
        """Count what a connector yields; what is to be stored or fetched is passed on."""
        match output:
            case Fetch():
                return self._request(output)
            case Visited():
                self.ledger.visited(unchanged=output.unchanged)
            case SourceError():
                self.ledger.fail(self.job.name, str(output))
            case BadRow():
                self._skip(output.where, output.reason)
            case FeedbackItem() if self._mentions_brand(output):
                self.crawler.stats.inc_value(stats_key("seen"))
                return output
            case FeedbackItem():
                self._skip(output.url or output.external_id, "没有提到品牌词")
        return None

    def _skip(self, where: str, reason: str) -> None:
        self.crawler.stats.inc_value(stats_key("seen"))
        self.crawler.stats.inc_value(stats_key("skipped"))
        self.ledger.note(where, reason)

    def _request(self, fetch: Fetch) -> Request | None:
        address = canonicalize_url(fetch.url)
        if address in self._asked or (fetch.link and site(fetch.url) not in self._sites):
            return None
        if len(self._asked) >= self.job.max_pages:
            if not self._full:
                self.ledger.note(fetch.url, f"已到 max_pages = {self.job.max_pages}，其余页面没有抓")
            self._full = True
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

    def _stop(self, where: str, reason: str) -> None:
        self.ledger.stop(where, reason)
        raise CloseSpider("attention")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
