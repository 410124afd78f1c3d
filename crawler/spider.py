"""The one Scrapy spider: asks for the pages a connector names, judges the answers, keeps the ledger."""

import hashlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import scrapy
from scrapy.exceptions import CloseSpider
from scrapy.http import Request, Response, TextResponse
from twisted.python.failure import Failure

from crawler import walls
from crawler.answers import UnreadableError, as_page, is_robots, why_lost
from crawler.asking import STUCK, identity, make_request, no_room, pause_before, place, site, told_to_wait
from crawler.bases.base import AttentionError, Connector, Fetch, Output, SourceError, ThrottledError, Visited
from crawler.bases.recounting import Post
from crawler.brands import Brand
from crawler.fills import filled
from crawler.items import BadRow, FeedbackItem
from crawler.job import CrawlJob
from crawler.ledger import Ledger, stats_key
from crawler.manners import StoppedError
from crawler.secrets import MissingSecretError

logger = logging.getLogger(__name__)

_OK, _NOT_MODIFIED, _GONE = range(200, 300), 304, frozenset({404, 410})


def fingerprint(options: dict[str, Any]) -> str:
    """Tells whether a watermark belongs to these options: with other selectors every page is news.

    Credentials come and go and change nothing of what is read.
    """
    kept = {key: value for key, value in options.items() if key != "expires" and not key.endswith("_env")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:16]


class SourceSpider(scrapy.Spider):
    """Drives one connector through one run."""

    name = "source"

    def __init__(self, job: CrawlJob, connector: Connector[Any], ledger: Ledger) -> None:
        super().__init__(job.name)
        self.job = job
        self.connector = connector
        self.ledger = ledger
        self._brand = Brand(job.brand, job.brand_not)
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
            due = [Post(**known) for known in self.job.recount]
            for fetch in self.connector.recount(due[: self.connector.options.recounts]):
                if (request := self._request(fetch)) is not None:
                    yield request
        except AttentionError as error:
            self.ledger.stop(self.job.name, str(error))
        except (SourceError, MissingSecretError) as error:
            self.ledger.fail(self.job.name, str(error))
        except Exception as error:
            logger.exception("connector %s", self.job.kind)
            self.ledger.fail(self.job.name, f"连接器出错 {error!r}")

    def page(self, response: Response, fetch: Fetch) -> Iterator[Any]:
        """Judge an answer, hand text to the connector, pass on what it finds."""
        if response.status == _NOT_MODIFIED:
            yield from self._not_modified(fetch)
        elif not fetch.observed and (wait := told_to_wait(response, self.connector.source.clock())) is not None:
            yield from self._later(fetch, wait, f"HTTP {response.status}，请求太频繁")
        elif response.status not in _OK and not ((fetch.api or fetch.observed) and response.body):
            self._refused(response, fetch)
        elif self._wanted(response, fetch):
            self.ledger.visited()
            try:
                page = as_page(response, self.job.max_bytes)
            except UnreadableError as error:
                self.ledger.fail(place(fetch, response.url), str(error))
            else:
                yield from self._read_page(page, fetch)

    def lost(self, failure: Failure) -> None:
        """Judge a request that got no answer."""
        request: Request = failure.request  # type: ignore[attr-defined]  # Scrapy sets it
        if isinstance(failure.value, walls.WallError):
            self._stop(request.meta.get("redirect_urls", [request.url])[0], str(failure.value))
        if isinstance(failure.value, StoppedError):
            return
        fetch: Fetch = request.cb_kwargs["fetch"]
        reason = why_lost(failure.value, self.job.max_bytes)
        told = self.ledger.note if is_robots(reason) and fetch.link else self.ledger.fail
        told(place(fetch, request.url), reason)

    def _refused(self, response: Response, fetch: Fetch) -> None:
        try:
            text = as_page(response, self.job.max_bytes).text
        except UnreadableError:
            text = ""
        if wall := walls.wall_by_status(response.status, text):
            self._stop(response.url, wall)
        told = self.ledger.note if fetch.link and response.status in _GONE else self.ledger.fail
        told(place(fetch, response.url), f"HTTP {response.status}")

    def _read_page(self, page: TextResponse, fetch: Fetch) -> Iterator[Any]:
        found = items = 0
        links: list[str] = []
        try:
            for output in self.connector.read(page, fetch):
                found += not isinstance(output, BadRow)
                items += isinstance(output, (BadRow, FeedbackItem))
                links += [output.url] if isinstance(output, Fetch) and output.link else []
                if (taken := self._take(output)) is not None:
                    yield taken
        except AttentionError as error:
            self._stop(place(fetch, page.url), str(error))
        except ThrottledError as error:
            yield from self._later(fetch, error.pause, str(error))
        except SourceError as error:
            if not fetch.api and (wall := walls.wall_on_page(page)):
                self._stop(place(fetch, page.url), wall)
            self.ledger.fail(place(fetch, page.url), str(error))
        except Exception as error:
            logger.exception("connector %s", self.job.kind)
            self.ledger.fail(place(fetch, page.url), f"连接器出错 {error!r}")
        else:
            if not found and not fetch.api and (wall := walls.wall_on_page(page)):
                self._stop(place(fetch, page.url), wall)
            # An API that says there is nothing says so; a page on which nothing is found may have been rebuilt.
            self.ledger.unchanged += fetch.api and not items
            self._remember(page, fetch, links)

    def _later(self, fetch: Fetch, wait: float, reason: str) -> Iterator[Request]:
        """Ask the same again after a pause, or give it up."""
        pause = pause_before(fetch.tries, wait)
        if pause is None:
            self.ledger.fail(
                place(fetch, fetch.url), f"{reason}；等过 {fetch.tries} 次，这次不再等（对方要求 {wait:g} 秒）"
            )
            return
        logger.info("%s: waiting %g s: %s", self.job.name, pause, reason)
        repeated = replace(self.connector.again(fetch), tries=fetch.tries + 1)
        yield make_request(repeated, {}, self.page, self.lost, pause)

    def _wanted(self, response: Response, fetch: Fetch) -> bool:
        """Whether the answer is a page of this site that was not read yet; redirects may lead anywhere."""
        if fetch.api:
            return True
        if not fetch.link:
            self._sites.add(site(response.url))
        elif site(response.url) not in self._sites:
            self.ledger.note(fetch.url, f"被转到别的站点 {response.url}，不读")
            return False
        address = identity(fetch, response.url)
        if address in self._read:
            return False
        self._read.add(address)
        return True

    def _not_modified(self, fetch: Fetch) -> Iterator[Any]:
        self.ledger.visited(unchanged=True)
        name = self._name(fetch)
        known = self._validators.get(name, {})
        self.ledger.validators[name] = known
        for url in known.get("links", ()):
            if (request := self._request(self.connector.link(url, fetch))) is not None:
                yield request

    def _remember(self, page: TextResponse, fetch: Fetch, links: list[str]) -> None:
        etag, modified = page.headers.get("ETag"), page.headers.get("Last-Modified")
        if fetch.conditional and (etag or modified):
            self.ledger.validators[self._name(fetch)] = {
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
            case AttentionError():
                self.ledger.stop(self.job.name, str(output), known=output.known)
            case SourceError():
                self.ledger.fail(self.job.name, str(output))
            case BadRow():
                self._skip(output.where, output.reason)
            case FeedbackItem():
                return self._take_item(output)
        return None

    def _take_item(self, item: FeedbackItem) -> FeedbackItem | None:
        if item.counts_only:  # it tells nothing of the page's shape, and was counted when it was new
            return item
        self.ledger.fills.update(filled(item))
        if not self._brand.mentioned(item):
            self._skip(item.url or item.external_id, "没有提到品牌词")
            return None
        self.crawler.stats.inc_value(stats_key("seen"))
        return item

    def _skip(self, where: str, reason: str) -> None:
        self.crawler.stats.inc_value(stats_key("seen"))
        self.crawler.stats.inc_value(stats_key("skipped"))
        self.ledger.note(where, reason)

    def _request(self, fetch: Fetch) -> Request | None:
        address = identity(fetch)
        if address in self._asked or (fetch.link and site(fetch.url) not in self._sites):
            return None
        if full := no_room(self.job, self.connector, len(self._asked)):
            stuck = self.connector.resumes and self.connector.watermark == self.connector.source.watermark
            if not self._full:
                told = self.ledger.fail if stuck else self.ledger.note
                told(place(fetch, fetch.url), f"{full}{STUCK if stuck else ''}")
            self._full = True
            return None
        self._asked.add(address)
        if not fetch.link:
            self._sites.add(site(fetch.url))
        known = self._validators.get(self._name(fetch), {}) if fetch.conditional else {}
        return make_request(fetch, known, self.page, self.lost)

    def _name(self, fetch: Fetch) -> str:
        """Under which a page is remembered: its address, without what must not be written down."""
        return self.ledger.hide(fetch.url)

    def _stop(self, where: str, reason: str) -> None:
        self.ledger.stop(where, reason)
        raise CloseSpider("attention")
