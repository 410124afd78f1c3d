"""A connector's Fetch as a Scrapy request: what makes two the same, whether there is room, and how long to wait."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from scrapy.http import Request, Response
from w3lib.url import canonicalize_url

from crawler.bases.base import Connector, Fetch
from crawler.job import CrawlJob
from crawler.patience import PAUSE

STUCK = "；这次没有读完任何一段，下次又会从头来：请加大 time_limit 和 max_pages，或缩小 window_days"
TRIES = 4  # how often the same is asked again before the run gives it up
_ENOUGH = 0.8  # of the time limit: what has been asked for must still be answered and stored
_LONGEST = 300.0  # seconds a crawl waits when told to; whoever wants more is asked in the next run
_THROTTLED, _UNAVAILABLE = 429, 503


def identity(fetch: Fetch, url: str = "") -> str:
    """What tells a fetch from others: its address (``url``, where redirects led elsewhere), and what is sent along."""
    address: str = canonicalize_url(url or fetch.url)
    return f"{address} {hashlib.sha256(fetch.body).hexdigest()}" if fetch.body else address


def site(url: str) -> str:
    """What "the same site" means: host without ``www.``, and port if it is not the usual one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    return host if parts.port in {None, 80, 443} else f"{host}:{parts.port}"


def place(fetch: Fetch, url: str) -> str:
    """How an address is named to people: a call of an API without its parameters."""
    return url.partition("?")[0] if fetch.api else url


def make_request(
    fetch: Fetch,
    known: Mapping[str, Any],
    callback: Callable[..., Any],
    errback: Callable[..., Any],
    pause: float = 0.0,
) -> Request:
    """The request; ``known`` is what is remembered of the page's last answer."""
    headers = {
        **fetch.headers,
        "Content-Type": fetch.content_type,
        "If-None-Match": known.get("etag"),
        "If-Modified-Since": known.get("modified"),
    }
    meta = {"dont_obey_robotstxt": True, "dont_redirect": True} if fetch.api else {"dont_retry": fetch.observed}
    return Request(
        fetch.url,
        callback=callback,
        errback=errback,
        method="POST" if fetch.content_type else "GET",
        headers={name: value for name, value in headers.items() if value},
        body=fetch.body,
        meta={**meta, PAUSE: pause} if pause else meta,
        cb_kwargs={"fetch": fetch},
        dont_filter=True,  # Scrapy's filter drops a redirect loop without a word
    )


def no_room(job: CrawlJob, connector: Connector[Any], asked: int) -> str:
    """Why nothing more is asked for, in Chinese; empty while there is room."""
    if asked >= job.max_pages:
        return f"已到 max_pages = {job.max_pages}，其余页面没有抓"
    spent = (connector.source.clock() - connector.source.now).total_seconds()
    if connector.resumes and 0 < job.time_limit * _ENOUGH < spent:
        return f"time_limit = {job.time_limit:g} 秒快到了，其余下次接着读"
    return ""


def told_to_wait(response: Response, now: datetime) -> float | None:
    """Seconds after which to ask again, 0 where none are named; None where nothing says that one may."""
    after = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if response.status != _THROTTLED and not (response.status == _UNAVAILABLE and after):
        return None
    if after.isdecimal():
        return float(after)
    try:
        return max(0.0, (parsedate_to_datetime(after) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def pause_before(tries: int, told: float) -> float | None:
    """Seconds to wait before the next try; None where it is no use any more."""
    pause = max(told, 2.0**tries)
    return pause if tries < TRIES and pause <= _LONGEST else None
