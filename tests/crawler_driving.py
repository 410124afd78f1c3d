"""Does what the crawl process does to a connector, over real HTTP and without its two seconds."""

import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from scrapy.http import Request, TextResponse

from crawler.bases.base import Connector, Fetch, SourceError, ThrottledError
from crawler.items import BadRow, FeedbackItem


@dataclass
class Run:
    """What a connector gave over real HTTP."""

    items: list[FeedbackItem] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    requests: int = 0
    pauses: list[float] = field(default_factory=list)
    error: SourceError | None = None
    told: list[SourceError] = field(default_factory=list)
    watermark: dict[str, Any] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        return [item.external_id for item in self.items]


def drive(connector: Connector[Any], most: int = 500) -> Run:
    """Do what the crawl process does, without its two seconds: ask, read, ask again where told to."""
    run = Run()
    first = list(connector.start())
    waiting = [one for one in first if isinstance(one, Fetch)]
    run.told = [one for one in first if isinstance(one, SourceError)]
    while waiting and run.error is None and run.requests < most:
        fetch = waiting.pop(0)
        run.requests += 1
        try:
            for output in connector.read(ask(fetch), fetch):
                if isinstance(output, FeedbackItem):
                    run.items.append(output)
                elif isinstance(output, BadRow):
                    run.bad.append(output)
                elif isinstance(output, Fetch):
                    waiting.append(output)
                elif isinstance(output, SourceError):
                    run.told.append(output)
        except ThrottledError as error:
            run.pauses.append(error.pause)
            waiting.insert(0, connector.again(fetch))
        except SourceError as error:
            run.error = error
    run.watermark = connector.watermark
    return run


def ask(fetch: Fetch) -> TextResponse:
    headers = {"Content-Type": fetch.content_type} if fetch.content_type else {}
    request = urllib.request.Request(fetch.url, fetch.body or None, {**headers, **fetch.headers})  # noqa: S310 — our own server
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 — our own server
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
        error.close()
    return TextResponse(fetch.url, status=status, body=body, encoding="utf-8", request=Request(fetch.url))
