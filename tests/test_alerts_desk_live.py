"""Open pages hear of changes: one watcher, streams that cost nothing, and that end when they must."""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from time import monotonic, sleep
from typing import Any, Self

import httpx
import pytest
import uvicorn
from factories import make_core, make_settings
from fastapi import FastAPI
from processes import services
from sqlmodel import func, select
from subjects import open_case, open_crisis

from alerts.actions import Click, handle
from alerts.desk import live
from alerts.desk.app import create_app
from alerts.links import Links
from monitor import audit, db, directory
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Crisis, Event, Person
from monitor.moves import Action

DESK = {"user_header": "X-User", "header_from": ["127.0.0.1"]}
FAST = 0.05


@pytest.fixture
def core(core: Core, clock: HandClock) -> Core:
    """A house whose people a proxy names."""
    people = [{"name": "one", "role": "agent"}, {"name": "two", "role": "agent", "shops": ["other"]}]
    shops = [
        {"id": "demo", "name": "示例旗舰店", "platform": "tmall"},
        {"id": "other", "name": "别的店", "platform": "jd"},
    ]
    house = make_core(core.engine, make_settings(people=people, shops=shops, desk=DESK), clock)
    with db.writing(core.engine) as session:
        directory.sync(session, house.settings)
    return house


class Served:
    """The desk with a quick watcher, served.

    Args:
        core: The house.
        beat: Seconds of silence before a sign of life.
    """

    def __init__(self, core: Core, beat: float = live.BEAT) -> None:
        self.app: FastAPI = create_app(core, Links(core.secret, "", core.clock))
        self.live: live.Live = self.app.state.live
        self.live._pace, self.live._beat = FAST, beat
        quiet: dict[str, Any] = {"log_level": "critical", "ws": "none", "lifespan": "off"}
        config = uvicorn.Config(self.app, host="127.0.0.1", port=0, proxy_headers=False, **quiet)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.thread.start()
        until = monotonic() + 10
        while not self.server.started and monotonic() < until:
            sleep(0.005)
        self.base = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"
        no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx would read all certificates
        self.client = self._open.enter_context(httpx.Client(base_url=self.base, timeout=5, verify=no_tls))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self.server.should_exit = True
        self.thread.join()

    def listen(self, name: str = "one", query: str = "", **headers: str) -> Iterator[str]:
        """The lines of a person's stream, from its first on."""
        asked = {"X-User": name, **headers}
        answer = self._open.enter_context(self.client.stream("GET", f"/desk/live{query}", headers=asked))
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == ": "
        assert next(lines) == ""
        return lines

    def settle(self) -> None:
        """Wait until the watcher has begun."""
        until = monotonic() + 5
        while not self.live._begun.is_set() and monotonic() < until:
            sleep(0.005)


def told(lines: Iterator[str]) -> tuple[int, dict[str, Any]]:
    """The next message: its id, and what it says."""
    number = 0
    for line in lines:
        if line.startswith("id: "):
            number = int(line[4:])
        if line.startswith("data: "):
            return number, json.loads(line[6:])
    raise AssertionError("the stream is over")


def claim(core: Core, number: int, name: str = "one", kind: str = "case") -> None:
    assert handle(core, Click("desk", f"{name}{kind}{number}", name, Action("claim", kind, number))).done


def newest(core: Core) -> int:
    with db.reading(core.engine) as session:
        return session.exec(select(func.max(Event.id))).one() or 0


def test_a_change_is_told_with_its_version(core: Core) -> None:
    """Whoever listens hears of a case and of a crisis within a look, by number and version, with the event's id."""
    case, crisis = open_case(core), open_crisis(core)
    with Served(core) as desk:
        lines = desk.listen()
        desk.settle()
        claim(core, case)
        assert told(lines) == (newest(core), {"case": {str(case): 2}, "crisis": {}})
        claim(core, crisis, kind="crisis")
        with db.reading(core.engine) as session:
            version = session.get_one(Crisis, crisis).version
        assert told(lines) == (newest(core), {"case": {}, "crisis": {str(crisis): version}})


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_only_the_persons_shops_are_told(core: Core) -> None:
    """What happens in other shops is neither told nor counted."""
    theirs, ours = open_case(core), open_case(core, shop_id="other")
    with Served(core) as desk:
        lines = desk.listen("two")
        desk.settle()
        claim(core, theirs)
        claim(core, ours)
        assert told(lines)[1]["case"] == {str(ours): 2}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_who_comes_back_hears_what_was_missed(core: Core) -> None:
    """By ``Last-Event-ID`` or ``since``; the header counts; what is no number is as none; too much is told as all."""
    first, second, third = open_case(core), open_case(core), open_case(core)
    claim(core, first)
    then = newest(core)
    claim(core, second)
    with Served(core) as desk:
        for query, headers in ((f"?since={then}", {}), ("?since=0", {"Last-Event-ID": str(then)})):
            assert told(desk.listen(query=query, **headers))[1]["case"] == {str(second): 2}
        quiet = desk.listen(**{"Last-Event-ID": "9" * 40})
        desk.settle()
        claim(core, third)
        assert told(quiet)[1]["case"] == {str(third): 2}
        with db.writing(core.engine) as session:
            for _ in range(1000):
                audit.record(session, core.clock.now(), session.get_one(Case, first), "note")
        assert told(desk.listen(query="?since=1"))[1] == {"all": True}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_nobody_listens_who_is_not_known(core: Core) -> None:
    """Strangers are led to the login; a person who leaves loses the stream, busy or silent."""
    with Served(core, beat=0.1) as desk:
        assert desk.client.get("/desk/live", headers={"X-User": "nobody"}).status_code == 303
        lines = desk.listen()
        assert next(lines) == ": "
        with db.writing(core.engine) as session:
            person = session.exec(select(Person).where(Person.name == "one")).one()
            person.active = False
            session.add(person)
        for _ in range(20):
            claim(core, open_case(core), "two")
            sleep(FAST)
        assert sum(line.startswith("data") for line in lines) < 10


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_one_page_too_many_sends_the_oldest_to_rest(core: Core) -> None:
    """A person has so many streams at most; the oldest is told to rest, others' are not touched."""
    with Served(core) as desk:
        other = desk.listen("two")
        streams = [desk.listen() for _ in range(live.MOST + 1)]
        assert "event: rest" in list(streams[0])
        desk.settle()
        assert sum(not one.over for one in desk.live._listeners) == live.MOST + 1
        claim(core, open_case(core, shop_id="other"))
        assert told(other)[1]["case"]
        assert told(streams[-1])[1]["case"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_listeners_cost_no_thread_and_no_connection(core: Core) -> None:
    """Twenty people listen: no more threads, nothing checked out; when all are gone nobody looks any more."""
    with db.writing(core.engine) as session:
        session.add_all(Person(name=f"p{n}", role="agent") for n in range(20))
    with Served(core) as desk:
        looks: list[int] = []
        look = desk.live._look
        desk.live._look = lambda: looks.append(1) or look()  # type: ignore[func-returns-value, method-assign]
        for n in range(20):
            desk.listen(f"p{n}")
        desk.settle()
        threads, before, since = threading.active_count(), len(looks), monotonic()
        sleep(10 * FAST)
        assert len(looks) - before <= (monotonic() - since) / FAST + 1
        assert threading.active_count() <= threads
        assert core.engine.pool.checkedout() <= 1  # type: ignore[attr-defined]
        desk._open.close()
        until = monotonic() + 5
        while desk.live._watcher and monotonic() < until:
            sleep(0.01)
        assert desk.live._watcher is None
        assert desk.live._listeners == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_closing_ends_all_streams_at_once(core: Core) -> None:
    """The server goes down although people listen; who comes during that gets nothing more."""
    with Served(core) as desk:
        lines = desk.listen()
        desk.settle()
        desk.live.close()
        assert not [line for line in lines if line.startswith("data")]
        assert list(desk.listen()) == []
        desk.server.should_exit = True
        desk.thread.join(20)
        assert not desk.thread.is_alive()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_store_that_fails_for_a_while_is_waited_for(core: Core) -> None:
    """The watcher goes on after an error; what happened meanwhile is told then."""
    case = open_case(core)
    with Served(core) as desk:
        lines = desk.listen()
        desk.settle()
        with core.engine.connect() as connection:
            connection.exec_driver_sql("ALTER TABLE event RENAME TO away")
            connection.commit()
        sleep(4 * FAST)
        with core.engine.connect() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO event")
            connection.commit()
        claim(core, case)
        assert told(lines)[1]["case"] == {str(case): 2}


def test_a_late_commit_is_not_lost(core: Core) -> None:
    """An event with a lower number that is seen only after a higher one is told all the same."""
    first, second = open_case(core), open_case(core)
    with db.writing(core.engine) as session:
        for number, case in ((60, first), (50, second)):
            one = Event(
                id=number, at=core.clock.now(), actor="a", door="desk", subject="case", subject_id=case, what="note"
            )
            session.add(one)
            session.flush()
            seen = frozenset({60}) if number == 50 else frozenset[int]()
            news, ids = live.read(session, 0, seen)
            assert set(news.rows) >= {("case", case)}
            assert max(ids) == news.newest == 60


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_service_hears_of_another_and_ends_in_time(tmp_path: Path, core: Core) -> None:
    """What another process writes is told; the service ends in time with streams open, and cleanly."""
    case = open_case(core)
    config = f"""
        [service]
        database_url = "{core.engine.url}"
        [desk]
        user_header = "X-User"
        header_from = ["127.0.0.1"]
        [[shops]]
        id = "demo"
        name = "店"
        [[people]]
        name = "one"
        role = "agent"
        """
    (tmp_path / "pingshao.toml").write_text(dedent(config), encoding="utf-8")
    with services(tmp_path, "live") as (service,):
        asked = {"X-User": "one"}
        with httpx.stream("GET", f"http://127.0.0.1:{service.port}/desk/live", headers=asked, timeout=10) as answer:
            lines = answer.iter_lines()
            assert next(lines) == ": "
            sleep(2 * live.PACE)
            claim(core, case)
            assert told(lines)[1]["case"] == {str(case): 2}
            status, _ = service.end()
            assert not any(lines)  # the stream was ended, not cut: that would be an error here
        assert status == 0
        assert "Traceback" not in service.log()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_first_page_is_small(core: Core) -> None:
    """A full inbox with its style and scripts, as they go over the wire unpacked: 60 KB at most."""
    for n in range(40):
        open_case(core, [f"{n}" + "包裹显示已签收，可是我一件都没有收到。" * 30], categories=["logistics", "service"])
    with Served(core) as desk:
        page = desk.client.get("/cases", headers={"X-User": "one"})
        parts = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert {part.rsplit(".", 1)[1] for part in parts} == {"css", "js", "svg"}
        sizes = [len(page.content), *(len(desk.client.get(part).content) for part in parts)]
        assert sum(sizes) <= 60 * 1024
