"""Lists that grow while they are read: real crawls of a real shop that writes reviews between two requests."""

import json
from pathlib import Path
from typing import Any

import pytest
from crawler_factories import make_job
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from crawler.job import CrawlResult
from crawler.run import crawl

pytestmark = pytest.mark.slow  # each starts real crawl processes

SIZE, WRITTEN, AT_ONCE = 20, 200, 25
HTML = {"follow": ["a.next"], "item": "li", "fields": {"text": "p", "id": "@id", "author": "b", "time": "time"}}
HTML_WITHOUT_IDS = {**HTML, "fields": {"text": "p", "author": "b", "time": "time"}}
JSON = {
    "items": "list",
    "fields": {"text": "t", "id": "n"},
    "page": {"param": "page"},
}


class Shop:
    """Reviews by number, the newest on the first page; some more are written before each page is answered."""

    def __init__(self, server: HTTPServer) -> None:
        self.newest, self.to_write = 150, 0
        server.expect_request("/robots.txt").respond_with_data("", 404)
        server.expect_request("/list").respond_with_handler(self._html)
        server.expect_request("/api").respond_with_handler(self._json)

    def _page(self, request: Request) -> list[int]:
        written = min(self.to_write, AT_ONCE)
        self.newest, self.to_write = self.newest + written, self.to_write - written
        start = (int(request.args.get("page", 1)) - 1) * SIZE
        return list(range(self.newest, 0, -1))[start : start + SIZE]

    def _html(self, request: Request) -> Response:
        page = self._page(request)
        items = "".join(
            f"<li id=r{n}><b>用户{n}</b><p>第 {n} 条</p><time>2026-11-20 {n // 60:02}:{n % 60:02}</time></li>"
            for n in page
        )
        following = f"<a class=next href='/list?page={int(request.args.get('page', 1)) + 1}'>下一页</a>"
        return Response(f"<h1>评价</h1>{items}{following if page else ''}", mimetype="text/html")

    def _json(self, request: Request) -> Response:
        return Response(json.dumps({"list": [{"n": n, "t": f"第 {n} 条"} for n in self._page(request)]}))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("html", {**HTML, "start": ["/list"]}),
        ("html", {**HTML_WITHOUT_IDS, "start": ["/list"]}),
        ("json", {**JSON, "urls": ["/api"]}),
    ],
)
async def test_none_is_missed_while_200_are_written_during_a_crawl(
    httpserver: HTTPServer, tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    """Over two runs every review is stored once, however far the list was pushed down; the third has nothing new."""
    shop, out = Shop(httpserver), tmp_path / "items"
    host = f"{httpserver.host}:{httpserver.port}"
    told = {
        key: [httpserver.url_for(path) for path in value] if key in ("start", "urls") else value
        for key, value in options.items()
    }
    mark: dict[str, Any] = {}

    async def run() -> CrawlResult:
        nonlocal mark
        more = {"allow_private_hosts": [host], "pipelines": ["crawler_pipelines.Keep"], "context": {"out": str(out)}}
        result = await crawl(make_job(kind, told, watermark=mark, **more), 60)
        assert result.status == "ok", result
        mark = result.watermark
        return result

    shop.to_write = WRITTEN
    await run()
    assert shop.to_write == 0
    await run()
    kept = [json.loads(line.partition("\t")[2])[0] for line in out.read_text().splitlines()]
    assert sorted(kept) == sorted(f"第 {n} 条" for n in range(1, 351))
    assert (await run()).new == 0
