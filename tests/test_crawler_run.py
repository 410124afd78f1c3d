"""crawler.run: real crawls in real processes against a real server."""

import asyncio
import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from crawler_factories import FIXTURES, NOW, make_job, serving
from gateways import SECRETS, Top, gateway

from crawler.job import CrawlJob, CrawlResult
from crawler.run import crawl, run
from crawler.settings import scrapy_settings

pytestmark = pytest.mark.slow  # each starts real crawl processes

KEEP = "crawler_pipelines.Keep"
LIMIT_S = 60
FIELDS = {"text": "p", "id": "@id", "product": "h1", "stars": "i@class"}


def html_job(site_host: str, start: list[str], out: Path, **overrides: Any) -> CrawlJob:
    options = {
        "start": [f"http://{site_host}{path}" for path in start],
        "follow": ["a"],
        "item": "li",
        "fields": FIELDS,
    }
    values = {"allow_private_hosts": [site_host], "pipelines": [KEEP], "context": {"out": str(out)}, **overrides}
    return make_job("html", options, **values)


def kept(out: Path) -> list[Any]:
    return [json.loads(line.partition("\t")[2]) for line in out.read_text().splitlines()]


def balanced(result: CrawlResult) -> bool:
    return result.seen == result.new + result.changed + result.duplicates + result.skipped


def with_etag(html: str) -> Any:
    def answer(request: BaseHTTPRequestHandler) -> None:
        body = html.encode("gbk")
        fresh = request.headers.get("If-None-Match") == '"1"'
        request.send_response(304 if fresh else 200)
        request.send_header("ETag", '"1"')
        if not fresh:
            request.send_header("Content-Type", "text/html; charset=utf-8")
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if not fresh:
            request.wfile.write(body)

    return answer


async def test_a_shop_crawled_twice(tmp_path: Path) -> None:
    """Items are stored once, robots.txt and the delay are kept to, the second visit costs one "not modified" a page."""
    answers: dict[str, Any] = {
        "/robots.txt": "User-agent: *\nDisallow: /secret/",
        "/": with_etag("<a href='/p/1'>1</a><a href='/p/2'>2</a><a href='/secret/p/3'>3</a><a href='/gone'>4</a>"),
        "/p/1": with_etag("<h1>杯</h1><li id=r1><p>盖子漏水</p><i class=star1></i></li><li id=r0></li>"),
        "/p/2": with_etag("<h1>壶</h1><li id=r2><p>很好</p></li><li id=r1><p>同一条</p></li>"),
    }
    out = tmp_path / "items"
    with serving(answers) as site:
        job = html_job(site.host, ["/"], out, delay=0.3)
        begun = time.monotonic()
        result = await crawl(job, LIMIT_S)
        assert result.status == "ok", result
        assert (result.pages, result.seen, result.new, result.duplicates, result.skipped) == (3, 4, 2, 1, 1)
        assert balanced(result)
        assert kept(out) == [["盖子漏水", 1.0, "杯"], ["很好", None, "壶"]]
        assert site.paths() == ["/", "/p/1", "/p/2", "/gone"]
        assert time.monotonic() - begun > 4 * 0.3
        assert all(headers["User-Agent"].startswith("pingshao/") for _, headers in site.asked)
        assert any("robots.txt" in line for line in result.log)
        again = await crawl(html_job(site.host, ["/"], out, watermark=result.watermark), LIMIT_S)
    assert (again.status, again.pages, again.unchanged, again.seen, again.new) == ("ok", 3, 3, 0, 0)
    assert again.watermark == result.watermark


def half(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.send_header("Content-Length", "5000")
    request.end_headers()
    request.wfile.write(b"<li id=h><p>half</p></li>")


async def test_fault_41_every_broken_page_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    """Empty, half, binary, too large, a bomb, a loop, an error: nothing guessed, and sound items are stored."""
    html = {"Content-Type": "text/html"}
    bomb = gzip.compress(b"<li id=b><p>" + b"x" * 5_000_000)
    answers: dict[str, Any] = {
        "/ok": "<li id=ok><p>好的</p></li>",
        "/empty": b"",
        "/half": half,
        "/binary": (200, {"Content-Type": "image/png"}, b"\x89PNG\r\n\x1a\n\x00\x00<li><p>x</p></li>"),
        "/large": b"<li id=l><p>" + b"x" * 2_000_000,
        "/bomb": (200, {**html, "Content-Encoding": "gzip"}, bomb),
        "/loop": (302, {"Location": "/loop2"}, b""),
        "/loop2": (302, {"Location": "/loop"}, b""),
        "/broken": (500, html, b"<li id=e><p>error</p></li>"),
    }
    out = tmp_path / "items"
    with serving(answers) as site:
        result = await crawl(
            html_job(site.host, [*answers, "/missing"], out, max_bytes=1_000_000, watermark={"old": 1}), LIMIT_S
        )
        tried = site.paths().count("/broken")
    assert (result.status, result.new, result.seen) == ("failed", 1, 1)
    assert kept(out) == [["好的", None, ""]]
    reasons = {line.partition(": ")[0].rpartition("/")[2]: line.partition(": ")[2] for line in result.log}
    assert reasons["empty"] == "页面是空的"
    assert "没有传完" in reasons["half"]
    assert "不是文本" in reasons["binary"]
    assert reasons["large"] == reasons["bomb"] == "页面超过 1000000 字节，没有读"
    assert "重定向次数过多" in reasons.get("loop", "") + reasons.get("loop2", "")
    assert (reasons["broken"], reasons["missing"]) == ("HTTP 500", "HTTP 404")
    assert tried == 3
    assert "另有 8 处出错" in result.error
    assert result.watermark == {"old": 1}


async def test_fault_41_a_login_wall_stops_everything(tmp_path: Path) -> None:
    """The login page is never asked for; items already found are stored; a person is told."""
    answers: dict[str, Any] = {
        "/": "<li id=1><p>第一条</p></li><a href='/p/2'>2</a>",
        "/p/2": (302, {"Location": "/passport/login?back=/p/2"}, b""),
    }
    with serving(answers) as site:
        result = await crawl(html_job(site.host, ["/"], tmp_path / "items"), LIMIT_S)
        assert site.paths() == ["/", "/p/2"]
    assert (result.status, result.new) == ("attention", 1)
    assert "登录或验证页" in result.error
    assert result.watermark == {}


async def test_fault_44_redirects_into_the_inner_network_are_refused(tmp_path: Path) -> None:
    """Only what the config names may be reached; the error says how to allow more."""
    with serving({"/secret": "<li id=s><p>内部</p></li>"}) as inner, serving({}) as site:
        site.answers["/"] = (302, {"Location": inner.url("/secret")}, b"")
        site.answers["/robots.txt"] = (302, {"Location": inner.url("/robots.txt")}, b"")
        result = await crawl(html_job(site.host, ["/"], tmp_path / "items"), LIMIT_S)
        assert inner.asked == []
    assert (result.status, result.seen) == ("failed", 0)
    assert f"allow_private_hosts 写上 {inner.host}" in result.error


async def test_robots_txt_forbids_the_start(tmp_path: Path) -> None:
    """A refusal is a failure that says so."""
    answers: dict[str, Any] = {"/robots.txt": "User-agent: *\nDisallow: /", "/": "<li id=1><p>好</p></li>"}
    with serving(answers) as site:
        result = await crawl(html_job(site.host, ["/"], tmp_path / "items"), LIMIT_S)
        assert (result.status, site.paths()) == ("failed", [])
        assert "robots.txt 不允许" in result.error


async def test_feed_json_and_schema_org(tmp_path: Path) -> None:
    """Each kind end to end: a feed, a paged endpoint, a packed sitemap."""
    out = tmp_path / "items"
    sitemap = "<urlset><url><loc>http://HOST/product</loc></url><url><loc>http://other.example/</loc></url></urlset>"
    answers: dict[str, Any] = {
        "/feed": (FIXTURES / "forum.rss").read_bytes(),
        "/api?page=1": '{"list": [{"id": 1, "t": "一"}, {"id": 2, "t": "二"}]}',
        "/api?page=2": '{"list": []}',
        "/product": (FIXTURES / "schema.html").read_bytes(),
    }
    with serving(answers) as site:
        answers["/sitemap.xml.gz"] = (
            200,
            {"Content-Type": "application/gzip"},
            gzip.compress(sitemap.replace("HOST", site.host).encode()),
        )
        common = {"allow_private_hosts": [site.host], "pipelines": [KEEP]}
        kinds = {
            "feed": {"urls": [site.url("/feed")]},
            "json": {
                "urls": [site.url("/api")],
                "items": "list",
                "fields": {"text": "t", "id": "id"},
                "page": {"param": "page"},
            },
            "schema_org": {"sitemap": site.url("/sitemap.xml.gz")},
        }
        jobs = [make_job(kind, options, **common, context={"out": f"{out}-{kind}"}) for kind, options in kinds.items()]
        results = await asyncio.gather(*(crawl(job, LIMIT_S) for job in jobs))
    assert [(result.status, result.pages, result.new, result.skipped) for result in results] == [
        ("ok", 1, 3, 0),
        ("ok", 2, 2, 0),
        ("ok", 2, 5, 1),
    ], results
    assert all(balanced(result) for result in results)


async def test_files(tmp_path: Path) -> None:
    """Exports are read relative to the job's folder and not again until they change."""
    (tmp_path / "a.csv").write_text("评价内容,评分\n漏水,1\n ,\n好,5\n", encoding="gb18030")
    options = {"path": "*.csv"}
    job = {"pipelines": [KEEP], "context": {"out": str(tmp_path / "items")}, "base_dir": str(tmp_path)}
    result = await crawl(make_job("file", options, **job), LIMIT_S)
    assert (result.status, result.pages, result.seen, result.new, result.skipped) == ("ok", 1, 3, 2, 1)
    assert result.log == ["a.csv:3: 没有文字、标题和评分，无可入库"]
    again = await crawl(make_job("file", options, **job, watermark=result.watermark), LIMIT_S)
    assert (again.status, again.pages, again.unchanged, again.seen) == ("ok", 1, 1, 0)


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ("BreaksOnOpen", "the store is gone"),
        ("BreaksOnItem", "no such column"),
        ("BreaksOnClose", "no room on the disk"),
        ("Dies", "异常退出（3）"),
    ],
)
async def test_a_pipeline_that_fails_fails_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pipeline: str, words: str
) -> None:
    """Whenever and however; the log shows neither a buyer's words, not masked yet, nor the way to the store."""
    caplog.set_level("DEBUG")
    (tmp_path / "a.csv").write_text("评价内容\n13800138000 漏水\n", encoding="utf-8")
    told = {"pipelines": [f"crawler_pipelines.{pipeline}"], "context": {"database": "postgresql://user:secret@db"}}
    result = await crawl(make_job("file", {"path": "a.csv"}, base_dir=str(tmp_path), **told), LIMIT_S)
    assert result.status == "failed"
    assert words in result.error
    assert result.watermark == {}
    assert "site: " in caplog.text
    assert "13800138000" not in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(("kind", "options", "words"), [("htm", {}, "html"), ("html", {"start": []}, "start")])
def test_a_job_that_cannot_be_done(kind: str, options: dict[str, Any], words: str) -> None:
    """Told in the result like any other failure."""
    result = run(make_job(kind, options, watermark={"old": 1}))
    assert (result.status, result.watermark) == ("failed", {"old": 1})
    assert words in result.error


def test_polite_settings() -> None:
    """What Scrapy leaves impolite or open is set: robots, delay, one request at a time, no remote control."""
    settings = scrapy_settings(make_job(obey_robots=True, delay=2.5, max_bytes=7))
    assert (settings["ROBOTSTXT_OBEY"], settings["DOWNLOAD_DELAY"], settings["DOWNLOAD_MAXSIZE"]) == (True, 2.5, 7)
    assert settings["CONCURRENT_REQUESTS_PER_DOMAIN"] == 1
    assert not settings["REMOTE_CONTROL_ENABLED"]
    assert not scrapy_settings(make_job(obey_robots=False))["ROBOTSTXT_OBEY"]
    assert make_job().delay == 0.0
    assert CrawlJob("a", "html", {}, "UTC", "now").delay == 1.0


def hang(request: BaseHTTPRequestHandler) -> None:
    time.sleep(20)
    request.close_connection = True


def crawls_of(parent: int) -> list[int]:
    """Processes of crawls this process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if b"crawler.run" in words and int(stat[1]) == parent and stat[0] != "Z":
                found.append(int(entry.name))
    return found


async def test_a_crawl_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """Its process too; what it had found is stored, the run has failed."""
    with serving({"/": hang}) as site:
        begun = time.monotonic()
        result = await crawl(html_job(site.host, ["/"], tmp_path / "items", watermark={"old": 1}), 4)
    assert time.monotonic() - begun < 15
    assert (result.status, result.watermark) == ("failed", {"old": 1})
    assert "超过 4 秒" in result.error
    assert crawls_of(os.getpid()) == []


async def test_a_cancelled_crawl_leaves_no_process_behind(tmp_path: Path) -> None:
    """When the service stops, so does the crawl."""
    with serving({"/": hang}) as site:
        task = asyncio.create_task(crawl(html_job(site.host, ["/"], tmp_path / "items"), LIMIT_S))
        while not crawls_of(os.getpid()):  # noqa: ASYNC110 — another process tells no event
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert crawls_of(os.getpid()) == []


def test_job_and_result_travel_as_json() -> None:
    """One line each way, whatever the text holds."""
    job = make_job("html", {"start": ["http://例子.example"]}, brand=["示例"], watermark={"a": {"b": "\n\ud83d"}})
    assert CrawlJob.from_json(job.to_json()) == job
    assert "\n" not in job.to_json()
    result = CrawlResult("ok", seen=3, log=["一\n二"])
    assert CrawlResult.from_json(result.to_json()) == result


def test_a_crawl_ends_with_its_killed_service(tmp_path: Path) -> None:
    """When the parent is killed with -9 in the middle of a crawl, the crawl process goes too."""

    def slow(request: BaseHTTPRequestHandler) -> None:
        time.sleep(2)
        request.send_error(503)

    with serving({"/": slow}) as site:
        job = html_job(site.host, ["/"], tmp_path / "out", pipelines=[])
        code = "import asyncio, sys; from crawler.job import CrawlJob; from crawler.run import crawl;"
        code += "asyncio.run(crawl(CrawlJob.from_json(sys.argv[1]), 60))"
        parent = subprocess.Popen([sys.executable, "-c", code, job.to_json()])
        until = time.monotonic() + 30
        while not site.paths() and time.monotonic() < until:
            time.sleep(0.05)
        (child,) = _children(parent.pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        while _alive(child) and time.monotonic() < until:
            time.sleep(0.05)
        assert not _alive(child)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def api_job(root: str, out: Path, **options: Any) -> CrawlJob:
    keys = {"app_key": 12345678, "secret_env": "APP_SECRET", "session_env": "SESSION", "url": f"{root}/router/rest"}
    values = {"allow_private_hosts": ["127.0.0.1"], "pipelines": [KEEP], "context": {"out": str(out)}}
    return make_job("taobao", {**keys, "history_days": 3, **options}, **values)


def rated(number: int, hours: float) -> dict[str, Any]:
    at = NOW - timedelta(hours=hours)
    values = {
        "tid": number,
        "oid": number,
        "result": "bad",
        "nick": "t**0",
        "content": f"第{number}条",
        "item_title": "杯",
    }
    return {**values, "created": f"{at:%Y-%m-%d %H:%M:%S}", "at": at}


async def test_a_shop_behind_a_signed_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Throttled once, read whole, cheap the second time; no secret in the result, the log or the command line."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    limited = {"code": 7, "msg": "App Call Limited", "sub_msg": "This ban will last for 1 more seconds"}
    platform = Top([rated(number, number) for number in range(1, 31)], refusals=[({"error_response": limited},)])
    with gateway(platform) as root:
        job = api_job(root, tmp_path / "items", page_size=20, expires=date(2026, 11, 25))
        begun = time.monotonic()
        result = await crawl(job, LIMIT_S)
        assert time.monotonic() - begun > 1
        assert (result.status, result.new, result.pages) == ("ok", 30, 3), result
        again = await crawl(replace(job, watermark=result.watermark), LIMIT_S)
        assert (again.status, again.new, again.seen, again.pages) == ("ok", 0, 30, 2)
        platform.refusals = [({"error_response": {"code": 41, "msg": f"Invalid {SECRETS['APP_SECRET']}"}},)]
        refused = await crawl(replace(job, watermark=result.watermark), LIMIT_S)
    assert (refused.status, refused.watermark) == ("failed", result.watermark)
    assert "taobao.traderates.get：平台回答 41 Invalid ***" in refused.error
    assert result.expires == "2026-11-25"
    assert any("还有 3 天" in line for line in result.log)
    said = result.to_json() + again.to_json() + refused.to_json() + job.to_json() + caplog.text
    assert "waiting 1 s" in said
    assert not [name for name, value in SECRETS.items() if value in said]
    assert not [params["sign"] for params in platform.asked if params["sign"] in said]


async def test_an_ended_authorization_and_a_missing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one asks for a person, the other is a fault that names source, key and variable; neither asks twice."""
    monkeypatch.setenv("APP_SECRET", SECRETS["APP_SECRET"])
    monkeypatch.setenv("SESSION", "an-old-session")
    platform = Top([rated(1, 1)])
    with gateway(platform) as root:
        ended = await crawl(api_job(root, tmp_path / "items"), LIMIT_S)
        assert len(platform.asked) == 1
        missing = await crawl(api_job(root, tmp_path / "items", secret_env="NO_SUCH"), LIMIT_S)
    assert ended.status == "attention"
    assert "更新环境变量 SESSION" in ended.error
    assert missing.status == "failed"
    assert missing.error == "site: secret_env = 'NO_SUCH'：环境变量 NO_SUCH 没有设置"
    assert len(platform.asked) == 1


async def test_a_token_does_not_travel_with_a_redirect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that has moved is named; nothing is sent there, and robots.txt is not asked for."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with serving({}) as site:
        keys = {"app_key": "ks1", "sign_secret_env": "SIGN", "token_env": "TOKEN", "url": site.url("")}
        job = make_job("kuaishou", {**keys, "history_days": 1}, allow_private_hosts=[site.host])
        site.otherwise = (302, {"Location": "/elsewhere"}, b"moved")
        result = await crawl(job, LIMIT_S)
        asked = [path.partition("?")[0] for path, _ in site.asked]
    assert result.status == "failed"
    assert result.error == f"{site.url('/open/comment/list/get')}: open.comment.list.get：HTTP 302"
    assert asked == ["/open/comment/list/get"]
    assert SECRETS["TOKEN"] not in result.to_json()
