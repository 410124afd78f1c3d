"""What a crawl does not do, whatever it is led to: unpack bombs, follow for ever, carry cookies, phone anywhere."""

import asyncio
import gzip
import json
import time
import zlib
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import brotli
import pytest
from crawler_factories import FIXTURES, make_connector, make_job, make_page, serving

from crawler.bases.base import Fetch, SourceError
from crawler.bases.feeds import entries
from crawler.bases.sitemaps import addresses
from crawler.run import crawl

LIMIT_S = 60
HTML = {"Content-Type": "text/html"}
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BOMB = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}<!ENTITY file SYSTEM "file:///etc/passwd">]>'
OPTIONS = {"follow": ["a"], "item": "li", "fields": {"text": "p", "id": "@id"}}


def deflated(data: bytes) -> bytes:
    return zlib.compress(data)


@pytest.mark.slow
async def test_fault_41_bombs_of_every_packing_are_not_unpacked() -> None:
    """gzip, deflate and brotli, as an encoding or as a file: told as too large; a packed page of fair size is read."""
    big, fair = b"<li id=b><p>" + b"x" * 30_000_000, "<li id=ok><p>好</p></li>".encode()
    packings = {"gzip": gzip.compress, "deflate": deflated, "br": lambda data: brotli.compress(data, quality=1)}
    answers: dict[str, Any] = {}
    for name, pack in packings.items():
        answers[f"/{name}"] = (200, {**HTML, "Content-Encoding": name}, pack(big))
        answers[f"/{name}-fair"] = (200, {**HTML, "Content-Encoding": name}, pack(fair.replace(b"ok", name.encode())))
    answers["/file"] = (200, {"Content-Type": "application/gzip"}, gzip.compress(big))
    answers["/twice"] = (200, {**HTML, "Content-Encoding": "gzip, gzip"}, gzip.compress(gzip.compress(big)))
    with serving(answers) as site:
        options = {**OPTIONS, "start": [site.url(path) for path in answers]}
        job = make_job("html", options, allow_private_hosts=[site.host], max_bytes=1_000_000)
        result = await crawl(job, LIMIT_S)
    assert (result.status, result.seen) == ("failed", 3), result
    reasons = {line.partition(": ")[0].rpartition("/")[2]: line.partition(": ")[2] for line in result.log}
    assert reasons == dict.fromkeys(["gzip", "deflate", "br", "file", "twice"], "页面超过 1000000 字节，没有读")


@pytest.mark.parametrize("entity", ["&l11;", "&file;"])
def test_xml_bombs_in_feeds_and_sitemaps_stay_small(entity: str) -> None:
    """Entities are neither expanded without end nor read from files, and the reader does not hang."""
    begun = time.process_time()
    feed = f"{BOMB}<rss version='2.0'><channel><item><guid>1</guid><title>{entity}</title></item></channel></rss>"
    sitemap = f"{BOMB}<urlset><url><loc>http://shop.example/{entity}</loc></url></urlset>"
    for read, text in ((entries, feed), (addresses, sitemap)):
        try:
            said = json.dumps(list(read(text)))
        except SourceError:
            said = ""
        assert len(said) < 10_000
        assert "root:" not in said
    assert time.process_time() - begun < 20


def endless(request: BaseHTTPRequestHandler) -> None:
    number = int(request.path.rpartition("/")[2] or 0)
    body = f"<li id=r{number}><p>第 {number} 页</p></li><a href='/n/{number + 1}'>next</a>".encode()
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "pages", "told"),
    [({"depth": 3}, 4, False), ({"max_pages": 5}, 5, True), ({"depth": 0}, 1, False)],
)
async def test_a_site_without_end_is_left(limits: dict[str, int], pages: int, told: bool) -> None:
    """By depth, which is what was asked for, or by the number of pages, which is told."""
    with serving({f"/n/{number}": endless for number in range(30)}) as site:
        depth = {key: value for key, value in limits.items() if key == "depth"}
        more = {key: value for key, value in limits.items() if key != "depth"}
        job = make_job(
            "html", {**OPTIONS, **depth, "start": [site.url("/n/0")]}, allow_private_hosts=[site.host], **more
        )
        result = await crawl(job, LIMIT_S)
        assert len(site.paths()) == pages
    assert (result.status, result.seen) == ("ok", pages)
    assert any("max_pages" in line for line in result.log) == told


def test_depth_counts_from_the_start_page() -> None:
    """A page at the limit is read and its links are not; a link's page knows how deep it is, also on a later visit."""
    connector = make_connector("html", {**OPTIONS, "start": ["http://shop.example/"], "depth": 1})
    page = make_page("<li id=1><p>好</p></li><a href='/2'>2</a>", "http://shop.example/")
    (first,) = [one for one in connector.read(page, Fetch("http://shop.example/")) if isinstance(one, Fetch)]
    assert not [one for one in connector.read(page, first) if isinstance(one, Fetch)]
    assert connector.link("http://shop.example/3", first).carry == 2


@pytest.mark.slow
async def test_cookies_are_neither_kept_nor_sent() -> None:
    """A site that sets one gets none back, not after a redirect either."""
    cookie = {**HTML, "Set-Cookie": "track=1; Path=/"}
    answers: dict[str, Any] = {
        "/": (200, cookie, b"<a href='/p'>p</a>"),
        "/p": (302, {**cookie, "Location": "/q"}, b""),
        "/q": "<li id=1><p>ok</p></li>",
    }
    with serving(answers) as site:
        job = make_job("html", {**OPTIONS, "start": [site.url()]}, allow_private_hosts=[site.host])
        result = await crawl(job, LIMIT_S)
        assert (result.status, result.seen, site.paths()) == ("ok", 1, ["/", "/p", "/q"])
        assert not [headers for _, headers in site.asked if "Cookie" in headers]


@pytest.mark.slow
async def test_nothing_but_the_site_is_connected_to(tmp_path: Path) -> None:
    """No list of top-level domains, no update, no telemetry: every connection and look-up is for the source's host.

    One crawl tries another host on purpose, to show that it would be seen.
    """
    answers: dict[str, Any] = {
        "/feed": (FIXTURES / "forum.rss").read_bytes(),
        "/product": (FIXTURES / "schema.html").read_bytes(),
        "/": "<li id=1><p>好</p></li><a href='/2'>2</a>",
        "/2": (302, {**HTML, "Location": "/", "Set-Cookie": "a=1; Domain=example.co.uk"}, b""),
        "/list": '[{"id": 1, "t": "一"}]',
    }

    async def tried(kind: str, options: dict[str, Any], *, stray: bool = False) -> set[str]:
        out = tmp_path / f"{kind}-{stray}"
        told = {"pipelines": ["crawler_pipelines.Watch"], "context": {"out": str(out), "stray": stray}}
        result = await crawl(make_job(kind, options, allow_private_hosts=[site.host], **told), LIMIT_S)
        assert (result.status, result.seen > 0) == ("ok", True)
        return set(out.read_text().splitlines())

    with serving(answers) as site:
        pages = {**OPTIONS, "start": [site.url()]}
        hosts = await asyncio.gather(
            tried("html", pages),
            tried("feed", {"urls": [site.url("/feed")]}),
            tried("schema_org", {"urls": [site.url("/product")]}),
            tried("json", {"urls": [site.url("/list")], "fields": {"text": "t", "id": "id"}}),
            tried("html", pages, stray=True),
        )
    assert hosts == [{"127.0.0.1"}] * 4 + [{"127.0.0.1", "192.0.2.1"}]


@pytest.mark.slow
async def test_robots_txt_holds_for_every_request_that_waits_for_it() -> None:
    """Five start pages of one host: none slips past while the first looks at the rules."""
    pages = {f"/{path}/{n}": f"<li id={path}{n}><p>{path}</p></li>" for path in ("open", "secret") for n in range(3)}
    with serving({"/robots.txt": "User-agent: *\nDisallow: /secret/", **pages}) as site:
        options = {**OPTIONS, "start": [site.url(path) for path in reversed(pages)]}
        result = await crawl(make_job("html", options, allow_private_hosts=[site.host]), LIMIT_S)
        assert (result.status, result.seen) == ("failed", 3)
        assert sorted(site.paths()) == ["/open/0", "/open/1", "/open/2"]
        assert len(site.asked) == 4


@pytest.mark.slow
async def test_nothing_is_sent_after_the_wall() -> None:
    """What waits for its turn when a login page appears is not asked for any more."""
    answers: dict[str, Any] = {f"/{n}": f"<li id={n}><p>好</p></li>" for n in range(2, 6)}
    answers["/1"] = (302, {**HTML, "Location": "/login"}, b"")
    with serving(answers) as site:
        options = {**OPTIONS, "start": [site.url(f"/{n}") for n in range(1, 6)]}
        result = await crawl(make_job("html", options, allow_private_hosts=[site.host], delay=0.5), LIMIT_S)
        assert (result.status, site.paths()) == ("attention", ["/1"]), result
    assert "登录或验证页" in result.error
    assert "另有" not in result.error
