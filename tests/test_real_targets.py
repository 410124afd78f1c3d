"""Software nobody here wrote as a source: the comment server isso, where it is installed (``pip install isso``)."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

import scheduler

ISSO = shutil.which("isso")

pytestmark = pytest.mark.slow

WRITTEN = [
    ("/cup", "小雨", "保温一整天，杯子很好看。"),
    ("/cup", "阿明", "杯盖第二天就裂了，漏了一包水。"),
    ("/pot", "老张", "这家的水壶比杯子还好用。"),
]


class Isso:
    """A comment server on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.place = f"127.0.0.1:{free.getsockname()[1]}"
        self._config = folder / "isso.cfg"
        self._config.write_text(
            f"[general]\ndbpath = {folder / 'comments.db'}\nhost = http://{self.place}/\n"
            f"[server]\nlisten = http://{self.place}/\n[guard]\nenabled = false\n[rss]\nbase = http://{self.place}\n"
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        assert ISSO
        process = subprocess.Popen([ISSO, "-c", self._config, "run"], stderr=subprocess.DEVNULL)
        host, _, port = self.place.partition(":")
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as asking:
                if asking.connect_ex((host, int(port))) == 0:
                    break
            time.sleep(0.1)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)

    def ask(self, method: str, path: str, cookie: str = "", **body: Any) -> tuple[Any, str]:
        """What it answers, and the cookie by which a writer may edit."""
        headers = {"Content-Type": "application/json", "Origin": f"http://{self.place}", "Cookie": cookie}
        request = Request(f"http://{self.place}{path}", json.dumps(body).encode(), headers, method=method)
        with urlopen(request, timeout=10) as answer:  # noqa: S310 — our own server
            return json.load(answer), (answer.headers.get("Set-Cookie") or "").partition(";")[0]

    def post(self, thread: str, author: str, text: str, parent: int | None = None) -> tuple[int, str]:
        query = urlencode({"uri": thread})
        told, cookie = self.ask("POST", f"/new?{query}", text=text, author=author, title="t", parent=parent)
        return told["id"], cookie


def make_config(folder: Path, place: str) -> None:
    threads = json.dumps([f"http://{place}/?uri={thread}" for thread in ("/cup", "/pot", "/nobody-wrote-here")])
    feeds = threads.replace("/?uri", "/feed?uri")
    (folder / "pingshao.toml").write_text(
        f"""
[service]
allow_private_hosts = ["{place}"]
[[shops]]
id = "cups"
name = "杯子店"
[[sources]]
name = "comments"
kind = "json"
shop = "cups"
delay = "0s"
urls = {threads}
items = "replies"
children = "replies"
fields = {{ id = "id", text = "text", author = "author", time = "created" }}
[[sources]]
name = "brand"
kind = "feed"
brand = ["水壶"]
delay = "0s"
urls = {feeds}
""",
        encoding="utf-8",
    )


@pytest.fixture
def once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """One pass; gives exit status and the ledger's sources by name."""
    monkeypatch.chdir(tmp_path)

    def run() -> tuple[int, dict[str, Any]]:
        status = scheduler.run(["once", "--json"])
        return status, {line["name"]: line for line in json.loads(capsys.readouterr().out)["sources"]}

    return run


def counts(line: dict[str, Any]) -> tuple[int, ...]:
    assert line["seen"] == line["new"] + line["changed"] + line["duplicates"] + line["skipped"]
    return line["new"], line["changed"], line["duplicates"], line["skipped"]


def test_a_comment_server_from_first_post_to_recovery(
    tmp_path: Path, once: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every comment and reply once, with its time; an edit is a version, a deletion does no harm, an outage is told."""
    isso = Isso(tmp_path)
    make_config(tmp_path, isso.place)
    with isso.running():
        began = time.time()
        posted = [isso.post(*comment) for comment in WRITTEN]
        isso.post("/cup", "momo", "我的也裂了，客服不理人。", parent=posted[1][0])
        status, first = once()
        assert (status, counts(first["comments"]), counts(first["brand"])) == (0, (4, 0, 0, 0), (1, 0, 0, 3))
        status, second = once()
        assert (status, counts(second["comments"])) == (0, (0, 0, 4, 0))
        isso.ask("PUT", f"/id/{posted[1][0]}", posted[1][1], text="杯盖裂了，换了一个也漏，要求退款。")
        isso.ask("DELETE", f"/id/{posted[0][0]}", posted[0][1])
        status, third = once()
        assert (status, counts(third["comments"])) == (0, (0, 1, 2, 0))
    status, down = once()
    assert (status, down["comments"]["status"]) == (1, "failed")
    assert "连接被拒绝" in down["comments"]["error"]
    with isso.running():
        status, back = once()
        assert (status, back["comments"]["status"]) == (0, "ok")
    assert scheduler.run(["export", "feedback"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stored = {row["external_id"]: row for row in rows if row["source"] == "comments"}
    assert len(stored) == 4
    edited = stored[str(posted[1][0])]
    assert (edited["version"], edited["author"], "要求退款" in edited["text"]) == (2, "阿*", True)
    assert all(began - 1 <= datetime.fromisoformat(row["created_at"]).timestamp() <= time.time() for row in rows)
