"""How fast `kind = "html"` turns pages into items, and into stored feedback, beside a bare Scrapy spider.

    .venv/bin/python benchmarks/crawl.py [--pages 300] [--reviews 20] [--rounds 3]

The same local pages for all, one process each, in turns: a Scrapy spider that yields dicts of the same fields as it
finds them; our connector, whose items have plain text, parsed times and stars; our connector with the store behind it,
which masks, scores and files as well. What starting up costs is measured with one page and taken off. The best of the
rounds counts. Processor time is shown too: on a busy machine it says more than the clock.
"""

import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TARGET = 0.60
PARTS = ("杯盖", "物流", "客服", "包装", "颜色", "保温效果", "密封圈", "提手", "说明书", "杯身")
SAID = (
    "很满意",
    "第二天就坏了",
    "和描述的不一样",
    "比想象中好",
    "等了一周",
    "没有人理",
    "会再来买",
    "有点漏水",
    "刚刚好",
)
FIELDS = {
    "id": "@id",
    "text": "p.body",
    "title": "h3",
    "author": ".author",
    "stars": "p.star@class",
    "time": "time@datetime",
    "product": "h1",
}
WORDS = ("One", "Two", "Three", "Four", "Five")

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
pages = {f"/{file.name}": file.read_bytes() for file in Path(sys.argv[1]).iterdir()}
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    def do_GET(self):
        body = pages.get(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")
    def log_message(self, *args): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""

BARE = """
import sys
import scrapy
from scrapy.crawler import CrawlerProcess
class Bare(scrapy.Spider):
    name = "bare"
    def __init__(self, start):
        super().__init__()
        self.start_urls = [start]
    def parse(self, response):
        for item in response.css("article.review"):
            yield {
                "id": item.attrib["id"],
                "text": item.css("p.body").get(),
                "title": item.css("h3").get(),
                "author": item.css(".author").get(),
                "stars": item.css("p.star").attrib["class"],
                "time": item.css("time").attrib["datetime"],
                "product": response.css("h1").get(),
            }
        for href in response.css("a.next::attr(href)").getall():
            yield response.follow(href, callback=self.parse)
process = CrawlerProcess({"LOG_LEVEL": "ERROR", "TELNETCONSOLE_ENABLED": False, "DOWNLOAD_DELAY": 0})
crawler = process.create_crawler(Bare)
process.crawl(crawler, start=sys.argv[1])
process.start()
print(crawler.stats.get_value("item_scraped_count"))
"""


def review(draw: random.Random, number: int) -> str:
    text = "，".join(f"{draw.choice(PARTS)}{draw.choice(SAID)}" for _ in range(draw.randint(2, 6)))
    at = f"2026-11-{draw.randint(1, 20):02}T{draw.randint(0, 23):02}:{draw.randint(0, 59):02}:00+08:00"
    return (
        f'<article class="review" id="r{number}"><header><h3>第 {number} 条</h3>'
        f'<span class="author">买家{number}</span><time datetime="{at}">{at[:10]}</time></header>'
        f'<p class="star {draw.choice(WORDS)}"><i></i><i></i><i></i></p>'
        f'<p class="body">{text}。<br>订单 {draw.randint(10**9, 10**10)} &amp; 已收到</p>'
        f'<footer><a href="#r{number}">链接</a> <button>有用 ({draw.randint(0, 99)})</button></footer></article>'
    )


def write_pages(folder: Path, pages: int, reviews: int) -> None:
    """Pages of a shop that lead one to the next in ten rows, so that there is always something to ask for."""
    draw = random.Random(7)
    menu = "".join(f'<li><a href="/c{n}">类目 {n}</a></li>' for n in range(40))
    for page in range(pages):
        body = "".join(review(draw, page * reviews + n) for n in range(reviews))
        onward = range(1, 11) if page == 0 else (page + 10,)
        links = "".join(f'<a class="next" href="/{n}.html">下一页</a>' for n in onward if n < pages)
        html = (
            f"<html><head><title>示例</title></head><body><ul>{menu}</ul><h1>示例保温杯</h1>{body}{links}</body></html>"
        )
        (folder / f"{page}.html").write_text(html, encoding="utf-8")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    try:
        yield f"127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait()


def job(host: str, folder: Path, store: bool) -> str:
    """A crawl of our own; with the store, as the service would start it."""
    from crawler.job import CrawlJob

    options: dict[str, Any] = {
        "start": [f"http://{host}/0.html"],
        "follow": ["a.next"],
        "item": "article.review",
        "fields": FIELDS,
        "stars": {word: n for n, word in enumerate(WORDS, 1)},
    }
    now = datetime.now(UTC).isoformat()
    told = CrawlJob("site", "html", options, "Asia/Shanghai", now, 0.0, allow_private_hosts=[host], max_pages=10**6)
    return json.dumps(asdict(told) | (_store(folder, now) if store else {}))


def _store(folder: Path, now: str) -> dict[str, Any]:
    from monitor import runs
    from monitor.settings import Settings
    from scheduler import SystemClock, build

    settings = Settings(
        service={"database_url": f"sqlite:///{folder}/{time.monotonic_ns()}.db", "var_dir": str(folder)},
        shops=[{"id": "demo", "name": "示例"}],
    )
    app = build(settings, SystemClock())
    started = runs.start(app.core, "site", "html", "demo")
    app.close()
    assert started
    context = {
        "open": "scheduler:open_core",
        "settings": settings.model_dump(mode="json"),
        "now": now,
        "origin": asdict(started.origin),
    }
    return {"pipelines": ["monitor.pipeline.StorePipeline"], "context": context}


def ours(host: str, folder: Path, *, store: bool) -> int:
    told = job(host, folder, store)
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "crawler.run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert child.stdin
    assert child.stdout
    child.stdin.write(told + "\n")
    child.stdin.flush()
    result = json.loads(child.stdout.readline())
    child.wait()
    assert result["status"] == "ok", result["error"]
    return int(result["new"] if store else result["seen"])


def bare(host: str, folder: Path) -> int:
    script = folder / "bare.py"  # Scrapy wants to see a spider's source
    script.write_text(BARE, encoding="utf-8")
    done = subprocess.run([sys.executable, script, f"http://{host}/0.html"], capture_output=True, text=True, check=True)
    return int(done.stdout)


class Way:
    """One way to crawl, and the best it did: seconds by the clock and of the processor."""

    def __init__(self, name: str, run: Callable[[str], int]) -> None:
        self.name = name
        self._run = run
        self._start = [math.inf, math.inf]
        self._best = [math.inf, math.inf]

    def measure(self, single: str, host: str, items: int) -> None:
        _, *start = self._once(single)
        found, *whole = self._once(host)
        assert found == items, (self.name, found)
        self._start = list(map(min, self._start, start))
        self._best = list(map(min, self._best, whole))

    def _once(self, host: str) -> tuple[int, float, float]:
        begun, used = time.perf_counter(), processor()
        found = self._run(host)
        return found, time.perf_counter() - begun, processor() - used

    def seconds(self) -> list[float]:
        """By the clock and of the processor, without starting up."""
        return [whole - start for whole, start in zip(self._best, self._start, strict=True)]

    def start(self) -> float:
        """Of the processor, for one page."""
        return self._start[1]


def processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--reviews", type=int, default=20, help="on each page")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    items = given.pages * given.reviews
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, pages in (("all", given.pages), ("one", 1)):
            (folder / kind).mkdir()
            write_pages(folder / kind, pages, given.reviews)
        ways = [
            Way("bare Scrapy spider, dicts", lambda host: bare(host, folder)),
            Way("html connector, items", lambda host: ours(host, folder, store=False)),
            Way("html connector, stored", lambda host: ours(host, folder, store=True)),
        ]
        with served(folder / "all") as host, served(folder / "one") as single:
            for _ in range(given.rounds):
                for way in ways:
                    way.measure(single, host, items)
    print(f"{given.pages} pages of {given.reviews} reviews, best of {given.rounds}; share of the bare spider's rate")
    clock, used = ways[0].seconds()
    for way in ways:
        mine, busy = way.seconds()
        print(f"{way.name:26} {items / mine:8,.0f} items/s {clock / mine:6.0%}   by processor time {used / busy:6.0%}")
        print(f"{'':26} {way.start():8.2f} s of processor time to start, {busy / items * 1000:.2f} ms an item")
    print(f"target: items at {TARGET:.0%} or better")


if __name__ == "__main__":
    main()
