"""Makers of what crawler tests need: pages, jobs, a small real site."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from scrapy.http import HtmlResponse, Request, TextResponse

from crawler.bases.base import Connector, Fetch, Source
from crawler.connectors import load
from crawler.items import FeedbackItem
from crawler.job import CrawlJob
from crawler.ledger import Ledger
from crawler.spider import SourceSpider

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=ZONE)
FIXTURES = Path(__file__).parent / "fixtures" / "crawler"
URL = "http://shop.example/p/1"

Answer = bytes | str | tuple[int, dict[str, str], bytes] | Callable[[BaseHTTPRequestHandler], None]


def make_source(**overrides: Any) -> Source:
    return Source(**{"zone": ZONE, "now": NOW, **overrides})


def make_connector(kind: str, options: dict[str, Any], **source: Any) -> Connector[Any]:
    connector = load(kind)
    return connector(connector.Options.model_validate(options), make_source(**source))


def make_page(text: str, url: str = URL) -> TextResponse:
    kind = HtmlResponse if "<" in text else TextResponse
    return kind(url, body=text.encode(), encoding="utf-8", request=Request(url))


def make_job(kind: str = "html", options: dict[str, Any] | None = None, **overrides: Any) -> CrawlJob:
    values = {"name": "site", "kind": kind, "options": options or {}, "timezone": "Asia/Shanghai", "delay": 0.0}
    return CrawlJob(**{**values, "now": NOW.isoformat(), **overrides})


def read_items(connector: Connector[Any], page: TextResponse, fetch: Fetch | None = None) -> list[FeedbackItem]:
    return [one for one in connector.read(page, fetch or Fetch(page.url)) if isinstance(one, FeedbackItem)]


class Counts(dict[str, Any]):
    """Stands in for Scrapy's stats where no crawl runs."""

    def inc_value(self, key: str, count: int = 1) -> None:
        self[key] = self.get(key, 0) + count


def make_spider(kind: str, options: dict[str, Any], **job: Any) -> SourceSpider:
    spider = SourceSpider(make_job(kind, options, **job), make_connector(kind, options), Ledger())
    spider.crawler = type("Crawler", (), {"stats": Counts()})()
    return spider


class Site:
    """A real server on a free port; ``answers`` by path, what was asked in ``asked``."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.otherwise: Answer = (404, {}, b"nothing here")
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, dict(self.headers)))
                answer = site.answers.get(self.path, site.otherwise)
                if callable(answer):
                    answer(self)
                    return
                if not isinstance(answer, tuple):
                    body = answer.encode() if isinstance(answer, str) else answer
                    answer = (200, {"Content-Type": "text/html; charset=utf-8"}, body)
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"

    def url(self, path: str = "/") -> str:
        return f"http://{self.host}{path}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked if path != "/robots.txt"]


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[Site]:
    site = Site(answers)
    thread = threading.Thread(target=site._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site._server.shutdown()
        site._server.server_close()
        thread.join()
