"""What sites answer: pages, JSON, feeds, sitemaps, marked-up products, APIs of platforms, headers."""

import tomllib
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from crawler_factories import FIXTURES, NOW, URL, ZONE, make_connector
from fuzzing import target
from scrapy.http import HtmlResponse, Request, Response, TextResponse
from scrapy.robotstxt import ProtegoRobotParser
from stores import stand_in

from alerts.channel import retry_after
from crawler.answers import UnreadableError, as_page
from crawler.asking import identity, site, told_to_wait
from crawler.bases.base import Fetch, SourceError
from crawler.guard import refusal
from crawler.hints import hints
from crawler.items import FeedbackItem
from crawler.parsing import is_relative, parse_count, parse_stars, parse_time, plain_text
from crawler.secrets import Secrets
from crawler.walls import is_wall_address, wall_by_status, wall_on_page
from monitor.durations import parse_duration
from monitor.incoming import Origin, make_row

CASES = sorted((Path(__file__).parent / "fixtures" / "connectors").glob("*/*/"))
ORIGIN = Origin(1, "demo", "tmall", "review", watched=True)
_MOST = 1 << 20  # bytes of a page


def kept(outputs: Iterable[Any]) -> list[Any]:
    """What a connector gives, as the spider and the store take it."""
    given = []
    try:
        for output in outputs:
            given.append(output)
            if isinstance(output, Fetch):
                identity(output)
                site(output.url)
            elif isinstance(output, FeedbackItem):
                row = make_row(b"salt", ORIGIN, output, NOW)
                row["happened_at"].astimezone(ZONE)
    except SourceError:
        pass
    return given


def page_of(data: bytes, url: str = URL) -> TextResponse | None:
    """The page that a body makes, if it is one."""
    try:
        return as_page(HtmlResponse(url, body=data, request=Request(url)), _MOST)
    except UnreadableError:
        return None


def read(kind: str, options: dict[str, Any], data: bytes) -> None:
    """What a connector makes of a page, and whether it is a wall."""
    if (page := page_of(data)) is None:
        return
    wall_on_page(page)
    wall_by_status(403, page.text)
    connector = make_connector(kind, options)
    fetch = next(one for one in connector.start() if isinstance(one, Fetch))
    given = kept(connector.read(page, fetch))
    list(hints(connector, page, dict.fromkeys(("text", "stars"), len(given))))


@target()
def pages(data: bytes) -> None:
    """HTML by selectors."""
    fields = {
        "id": "@id", "text": "p", "stars": "i@class", "time": "time", "author": ".by", "product": "h1",
        "reply": ".answer", "likes": ".likes", "url": "a@href", "parent": ".quote a@href", "title": "h1, title",
    }  # fmt: skip
    read("html", {"start": [URL], "follow": ["a", "a::attr(href)"], "item": "li, div", "fields": fields}, data)


@target("json")
def json_pages(data: bytes) -> None:
    """JSON and JSONP by paths."""
    fields = {"id": "id", "text": "text", "stars": "rating", "time": "at", "author": "user.name", "likes": "n.0"}
    read("json", {"urls": [URL], "items": "items", "children": "replies", "fields": fields, "link": "/p/{id}"}, data)


@target(seeds=lambda: [(FIXTURES / name).read_bytes() for name in ("forum.rss", "reviews.atom")])
def feeds(data: bytes) -> None:
    """RSS, Atom, JSON Feed."""
    read("feed", {"urls": [URL]}, data)


@target()
def schema_org(data: bytes) -> None:
    """JSON-LD and microdata."""
    read("schema_org", {"urls": [URL]}, data)


@target()
def sitemaps(data: bytes) -> None:
    """Sitemaps, packed too, and robots.txt."""
    read("schema_org", {"sitemap": URL}, data)
    ProtegoRobotParser.from_crawler(None, data).allowed(URL, "pingshao")  # type: ignore[arg-type]  # it asks nothing of it


@target("json", lambda: [name + b"\n" + _files(case)[n].read_bytes() for name, (case, n) in _talks().items()])
def platforms(data: bytes) -> None:
    """One of the answers that each connector's saved talks hold, which the first line names, exchanged for another."""
    name, _, told = data.partition(b"\n")
    if name not in _talks():
        return
    case, number = _talks()[name]
    saved = {one: file.read_bytes() for one, file in _files(case).items()} | {number: told}
    options = tomllib.loads((case / "options.toml").read_text(encoding="utf-8"))
    env = {value: stand_in(value) for key, value in options.items() if key.endswith("_env")}
    connector = make_connector(case.parent.name, options, secrets=Secrets(env), base_dir=case)
    waiting, asked = kept(connector.start()), 0
    while waiting and asked <= number + 3:
        output = waiting.pop(0)
        if not isinstance(output, Fetch):
            continue
        asked += 1
        if asked in saved and (page := page_of(saved[asked], output.url)) is not None:
            waiting[:0] = kept(connector.read(page, output))


@target()
def values(data: bytes) -> None:
    """Times, counts, stars and durations as sites and configs write them."""
    said = data.decode("utf-8", "replace")
    if (at := parse_time(said, ZONE, NOW)) is not None:
        at.timestamp()
        at.astimezone(ZONE)
    is_relative(said)
    parse_count(said)
    parse_stars(said)
    parse_stars(said, {"Three": 3, "好": 5})
    plain_text(said)
    is_wall_address(said if said.isascii() and "[" not in said and "]" not in said else "http://a.example/login")
    with suppress(ValueError):
        assert parse_duration(said) > timedelta(0)


@target()
def headers(data: bytes) -> None:
    """Retry-After, Content-Type, the bytes of a page, and an address that a redirect leads to."""
    first, _, rest = data.partition(b"\n")
    for status in (429, 503):
        told_to_wait(Response(URL, status, {"Retry-After": first}), NOW)
    retry_after(first.decode("latin-1"))
    try:
        body = TextResponse(URL, headers={"Content-Type": first}, body=rest, request=Request(URL))
        as_page(body, _MOST)
    except UnreadableError:
        pass
    try:
        asked = Request(first.decode("utf-8", "replace"))
    except ValueError:
        return
    refusal(asked.url, ["127.0.0.1", "::ffff:10.0.0.1"], {"a.example"})
    is_wall_address(asked.url)
    site(asked.url)


def _files(case: Path) -> dict[int, Path]:
    return {int(file.stem): file for file in sorted(case.iterdir()) if file.stem.isdecimal()}


@cache
def _talks() -> dict[bytes, tuple[Path, int]]:
    return {f"{case.parent.name}/{case.name}/{n}".encode(): (case, n) for case in CASES for n in _files(case)}
