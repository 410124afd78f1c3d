"""``pingshao serve`` as whoever runs it sees it: figures, heartbeat, log."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from processes import Process, services
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine

from monitor import db, starter
from monitor.models import Event

pytestmark = pytest.mark.slow
CONFIG = """
[service]
database_url = "{url}"
[[shops]]
id = "demo"
name = "示例旗舰店"
[upkeep]
heartbeat_env = "BEAT"
metrics_token_env = "SCRAPE"
disk_free_mb = {disk}
[[channels]]
name = "pager"
kind = "webhook"
target = "{pager}"
signing_secret_env = "PAGER"
[routes]
engineer = ["pager"]
"""


def wait_until(condition: Callable[[], object], service: Process) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert service.alive(), service.log()
        assert time.monotonic() < until, service.log()
        time.sleep(0.05)


def test_it_watches_itself(tmp_path: Path, sqlite: Engine, httpserver: HTTPServer) -> None:
    """Heartbeat, figures behind a token, a full disk told to the engineer, a crisis to be followed in the log."""
    httpserver.expect_request("/beat-secret").respond_with_data("")
    httpserver.expect_request("/pager").respond_with_data("")
    url = sqlite.url.render_as_string(hide_password=False)
    shutil.copytree(Path(starter.__file__).parent / "exports", tmp_path / "exports")
    more = '[[sources]]\nname = "exports"\nkind = "file"\nshop = "demo"\npath = "exports/*.csv"\n'
    config = CONFIG.format(url=url, disk=10**9, pager=httpserver.url_for("/pager"))
    (tmp_path / "pingshao.toml").write_text(config + more, encoding="utf-8")
    env = {
        "BEAT": httpserver.url_for("/beat-secret"),
        "SCRAPE": "scrape-me",
        "PAGER": "pager-secret",
        "PINGSHAO_CONFIG": "",
    }
    with services(tmp_path, "one", env=env) as (service,):
        wait_until(lambda: {asked.path for asked, _ in httpserver.log} >= {"/beat-secret", "/pager"}, service)
        told = next(asked for asked, _ in httpserver.log if asked.path == "/pager").get_data(as_text=True)
        assert "所在的盘只剩" in told
        wait_until(lambda: "crawled" in service.log(), service)
        about = {"at": datetime.now(UTC), "actor": "客服一号", "door": "desk", "subject": "crisis", "subject_id": 12}
        with db.writing(sqlite) as session:
            session.add(Event(what="claimed", **about))
        wait_until(lambda: "event=crisis_event crisis=12 what=claimed" in service.log(), service)
        token = {"Authorization": "Bearer scrape-me"}
        figures = httpx.get(f"http://127.0.0.1:{service.port}/metrics", headers=token, timeout=20).text
        log = service.log()
    assert 'pingshao_loop_last_success_timestamp_seconds{loop="sweep"}' in figures
    assert 'pingshao_trouble{code="disk"} 1.0' in figures
    assert 'pingshao_crawl_seconds_count{status="ok"} 1.0' in figures
    assert " run=1" in log
    assert "客服一号" not in log
    assert "beat-secret" not in log
