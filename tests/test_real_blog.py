"""Software nobody here wrote as a source: a blog made by pelican, where it is installed (``pip install pelican``)."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import scheduler

PELICAN = shutil.which("pelican")

pytestmark = pytest.mark.slow

POSTS = {
    "cup": ("晨星保温杯用了一个月", "2026-11-01 20:15", "晨星的杯盖裂了，客服说不管。"),
    "tea": ("秋天喝什么茶", "2026-11-02 09:00", "桂花乌龙，配什么杯子都行。"),
    "pot": ("厨房小物", "2026-11-03 21:40", "晨星的水壶轻，提手不烫手。"),
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves the blog's files as they are."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def publish(folder: Path, place: str, posts: dict[str, tuple[str, str, str]]) -> None:
    """Writes the posts and has pelican make the blog of them."""
    content = folder / "content"
    content.mkdir(exist_ok=True)
    for name, (title, date, text) in posts.items():
        head = f"{title}\n{'#' * 40}\n:date: {date}\n:slug: {name}\n:author: 小林"
        (content / f"{name}.rst").write_text(f"{head}\n\n{text}\n", "utf-8")
    (folder / "pelicanconf.py").write_text(
        f'SITEURL = "http://{place}"\nTIMEZONE = "Asia/Shanghai"\nDEFAULT_LANG = "zh"\nSITENAME = "小林的日子"\n'
        'FEED_ALL_ATOM = "feeds/all.atom.xml"\nFEED_ALL_RSS = "feeds/all.rss.xml"\n',
        "utf-8",
    )
    assert PELICAN
    command = [PELICAN, "content", "-s", "pelicanconf.py", "-o", "output"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The blog's files on loopback; gives the place they are at."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder / "output")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def make_config(folder: Path, place: str) -> None:
    (folder / "pingshao.toml").write_text(
        f"""
[service]
allow_private_hosts = ["{place}"]
[[sources]]
name = "atom"
kind = "feed"
brand = ["晨星"]
delay = "0s"
urls = ["http://{place}/feeds/all.atom.xml"]
[[sources]]
name = "rss"
kind = "feed"
brand = ["晨星"]
delay = "0s"
urls = ["http://{place}/feeds/all.rss.xml"]
""",
        "utf-8",
    )


@pytest.fixture
def once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """One pass; gives the ledger's lines by source."""
    monkeypatch.chdir(tmp_path)

    def run() -> dict[str, Any]:
        assert scheduler.run(["once", "--json"]) == 0
        return {line["name"]: line for line in json.loads(capsys.readouterr().out)["sources"]}

    return run


def test_a_blog_is_heard_once(tmp_path: Path, once: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Both feeds: what names the brand, with its time and link; nothing twice; a new post and an edit are noticed."""
    with serving(tmp_path) as place:
        make_config(tmp_path, place)
        publish(tmp_path, place, POSTS)
        first = once()
        assert [(first[name]["new"], first[name]["skipped"]) for name in ("atom", "rss")] == [(2, 1), (2, 1)]
        second = once()
        assert [second[name]["new"] for name in ("atom", "rss")] == [0, 0]
        more = POSTS | {
            "cup": ("晨星保温杯用了一个月", "2026-11-01 20:15", "晨星的杯盖裂了，客服说不管。更新：给换了。"),
            "lamp": ("台灯", "2026-11-04 08:00", "晨星台灯频闪，眼睛疼。"),
        }
        publish(tmp_path, place, more)
        third = once()
        assert [(third[name]["new"], third[name]["changed"]) for name in ("atom", "rss")] == [(1, 1), (1, 1)]
    assert scheduler.run(["export", "feedback"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    cup = next(row for row in rows if row["source"] == "atom" and row["url"].endswith("/cup.html"))
    assert (cup["kind"], cup["title"], cup["version"]) == ("mention", "晨星保温杯用了一个月", 2)
    assert cup["created_at"].startswith("2026-11-01T20:15:00+08:00")
    assert "给换了" in cup["text"]
