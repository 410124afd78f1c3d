"""``pingshao serve`` as a real process: what it does, two at a time, and how it ends."""

import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delivering import make_house, tell
from processes import Process, services
from pytest_httpserver import HTTPServer
from slack_double import SlackDouble, slack_double
from sqlalchemy import Engine
from sqlmodel import col, select

from monitor import db
from monitor.clock import HandClock
from monitor.models import Case, Event, Outbox, Run, Timer
from monitor.notices import Notice

pytestmark = pytest.mark.slow
SECRETS = {"SLACK_TOKEN": "xoxb-test", "PINGSHAO_CONFIG": ""}


@pytest.fixture
def slack() -> Iterator[SlackDouble]:
    with slack_double() as double:
        yield double


def write_config(folder: Path, engine: Engine, slack_url: str, more: str = "") -> None:
    url = engine.url.render_as_string(hide_password=False)
    (folder / "pingshao.toml").write_text(
        f"""
[service]
database_url = "{url}"
allow_private_hosts = ["127.0.0.1"]
[[shops]]
id = "demo"
name = "示例旗舰店"
[[channels]]
name = "ops"
kind = "slack"
target = "C1"
token_env = "SLACK_TOKEN"
base_url = "{slack_url}"
rate = "1000/1s"
[routes]
crisis = ["ops"]
case = ["ops"]
{more}
""",
        encoding="utf-8",
    )


def wait_until(condition: Callable[[], object], *running: Process, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        for service in running:
            assert service.alive(), service.log()
        assert time.monotonic() < until, "".join(service.log() for service in running)
        time.sleep(0.05)


def read(engine: Engine, model: Any, *where: Any) -> list[Any]:
    with db.reading(engine) as session:
        return list(session.exec(select(model).where(*where).order_by(col(model.id))).all())


def queue(engine: Engine, count: int) -> list[str]:
    """Queue so many messages; gives their keys."""
    core = make_house(engine, HandClock(datetime.now(UTC)))
    facts = {"name": "site", "error": "连不上", "since": ""}
    notices = [Notice("source.trouble", f"source:{n}:trouble", "source", n, None, facts) for n in range(count)]
    tell(core, *notices)
    return [notice.key for notice in notices]


@contextmanager
def silent_server() -> Iterator[tuple[int, list[socket.socket]]]:
    """Takes connections and never says a word; gives its port and the connections."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1], taken
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in taken:
        connection.close()


def test_it_crawls_alerts_and_shows_its_status(
    tmp_path: Path, sqlite: Engine, httpserver: HTTPServer, slack: SlackDouble
) -> None:
    """What stands on a page becomes a crisis in the channel and on the status page, without being asked."""
    httpserver.expect_request("/robots.txt").respond_with_data("", status=404)
    at = datetime.now(UTC) - timedelta(minutes=5)
    text = "喝完上吐下泻，进医院了，已经打 12315 投诉"
    page = f'<li id="r1"><time datetime="{at.isoformat()}"></time><p>{text}</p></li>'
    httpserver.expect_request("/reviews").respond_with_data(page, content_type="text/html; charset=utf-8")
    source = f"""[[sources]]
name = "site"
kind = "html"
shop = "demo"
delay = "0s"
start = ["{httpserver.url_for("/reviews")}"]
item = "li"
fields = {{ text = "p", time = "time@datetime", id = "@id" }}
"""
    write_config(tmp_path, sqlite, slack.url, source)
    with services(tmp_path, "one", env=SECRETS) as (service,):
        wait_until(lambda: slack.messages, service)
        with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/", timeout=10) as answer:
            status_page = answer.read().decode()
        assert "site" in status_page
        assert "危机" in status_page


def test_fault_29_two_services_fire_each_timer_once(tmp_path: Path, engine: Engine, slack: SlackDouble) -> None:
    """Both sweep the same store at the same time: each clock has one event and one message."""
    write_config(tmp_path, engine, slack.url)
    with services(tmp_path, "one", "two", env=SECRETS) as pair:
        now = datetime.now(UTC)
        with db.writing(engine) as session:
            cases = [Case(shop_id="demo", severity="medium", opened_at=now, updated_at=now) for _ in range(20)]
            session.add_all(cases)
            session.flush()
            for n, case in enumerate(cases):
                due = now + timedelta(seconds=1 + n % 4)
                for stage in ("respond", "solve"):
                    session.add(Timer(case_id=case.id, stage=stage, step="deadline", due_at=due))
        wait_until(lambda: not read(engine, Timer, Timer.state == "armed"), *pair)
        waiting = col(Outbox.state).in_(("pending", "sending", "uncertain"))
        wait_until(lambda: not read(engine, Outbox, waiting), *pair)
    fired = read(engine, Event, Event.what == "timer.breached")
    assert Counter((event.subject_id, event.after["stage"]) for event in fired) == {
        (case, stage): 1 for case in range(1, 21) for stage in ("respond", "solve")
    }
    assert {timer.state for timer in read(engine, Timer)} == {"breached"}
    keys = [post["metadata"]["event_payload"]["key"] for _, post in slack.accepted]
    assert len(keys) == len(set(keys)) > 0


def test_fault_40_sigterm_ends_within_10_s_and_the_next_service_goes_on(
    tmp_path: Path, sqlite: Engine, slack: SlackDouble
) -> None:
    """In the middle of a long backlog it stops between two messages; the rest goes out after the next start."""
    answer = slack.answer

    def slowly(*asked: Any) -> Any:
        time.sleep(0.3)
        return answer(*asked)

    write_config(tmp_path, sqlite, slack.url)
    keys = queue(sqlite, 80)
    slack.answer = slowly  # type: ignore[method-assign]
    with services(tmp_path, "one", env=SECRETS) as (service,):
        wait_until(lambda: len(slack.messages) >= 3, service)
        status, seconds = service.end()
        assert (status, seconds < 10) == (0, True), (seconds, service.log())
        left = read(sqlite, Outbox, Outbox.state != "sent")
        assert {row.state for row in left} == {"pending"}, "leases are given back"
        assert len(left) == 80 - len(slack.messages) > 20
        slack.answer = answer  # type: ignore[method-assign]
        service.start()
        wait_until(lambda: len(slack.messages) >= 80, service)
        assert service.end()[0] == 0
    assert sorted(slack.keys()) == sorted(keys)


def test_fault_40_sigterm_ends_within_10_s_though_nobody_answers(tmp_path: Path, sqlite: Engine) -> None:
    """A provider, a mail server and a page that hang do not keep it; the crawl's lease is given back."""
    with silent_server() as (port, taken):
        more = f"""
system = ["ops", "mail"]
[smtp]
port = {port}
[summaries]
recipients = ["head@example.com"]
[[sources]]
name = "site"
kind = "html"
shop = "demo"
start = ["http://127.0.0.1:{port}/reviews"]
item = "li"
fields = {{ text = "p" }}
"""
        write_config(tmp_path, sqlite, f"http://127.0.0.1:{port}/api/", more)
        with services(tmp_path, "one", env=SECRETS) as (service,):
            wait_until(lambda: taken, service)  # the crawl asks for robots.txt
            with db.writing(sqlite) as session:
                session.add_all([waiting("ops", "C1"), waiting("mail", "head@example.com")])
            wait_until(lambda: len(taken) >= 3, service)
            status, seconds = service.end()
            assert (status, seconds < 10) == (0, True), (seconds, service.log())
            assert "crawl cut short" in service.log()
            assert "raised an exception" not in service.log()
    (crawl,) = read(sqlite, Run)
    assert (crawl.status, crawl.error) == ("failed", "抓取被中断")
    rows = {row.channel: row for row in read(sqlite, Outbox, Outbox.kind == "source.trouble", Outbox.subject_id == 9)}
    assert {name: row.attempts for name, row in rows.items()} == {"ops": 1, "mail": 1}
    assert {row.state for row in rows.values()} <= {"sending", "uncertain", "pending"}, "nothing is given up"


def waiting(channel: str, target: str) -> Outbox:
    now = datetime.now(UTC)
    facts = {"name": "site", "error": "连不上", "since": ""}
    about = {"kind": "source.trouble", "subject": "source", "subject_id": 9, "payload": facts}
    return Outbox(
        dedupe_key="source:9:trouble", channel=channel, target=target, created_at=now, not_before=now, **about
    )
