"""How much of PostgreSQL a process takes, and what becomes of who waits there too long."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from faulty_stores import Rounds, cut
from serving import browse
from sqlalchemy import Engine, QueuePool, make_url, text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

import scheduler
from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, timers
from monitor.clock import Clock, HandClock
from monitor.config import ConfigError, load
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.limits import Limits
from monitor.settings import Settings

SHORT = timedelta(milliseconds=400)


@contextmanager
def limited(url: str, **limits: Any) -> Iterator[Engine]:
    engine = db.connect(url, limits=Limits(**limits))
    yield engine
    engine.dispose()


@contextmanager
def held(engine: Engine, table: str) -> Iterator[None]:
    """Somebody keeps a table to himself."""
    with engine.begin() as other:
        other.execute(text(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE'))
        yield


def shown(engine: Engine, setting: str, *, long: bool = False) -> str:
    with db.reading(engine, long=long) as session:
        return str(session.execute(text(f"SHOW {setting}")).scalar_one())


def test_the_server_knows_the_limits_and_the_address_has_the_last_word(postgres: str) -> None:
    """They hold from the first statement of a connection; what the address says itself counts in their place."""
    with limited(postgres, name="pingshao serve", timeout=timedelta(seconds=7)) as engine:
        for setting, value in {
            "statement_timeout": "7s",
            "lock_timeout": "7s",
            "idle_in_transaction_session_timeout": "5min",
            "application_name": "pingshao serve",
        }.items():
            assert shown(engine, setting) == value
    own = {"options": "-c statement_timeout=9000", "application_name": "评哨", "keepalives_idle": "5"}
    url = make_url(postgres).update_query_dict(own)
    with limited(url.render_as_string(hide_password=False), name="pingshao serve") as engine:
        assert (shown(engine, "statement_timeout"), shown(engine, "lock_timeout")) == ("9s", "30s")
        assert shown(engine, "application_name").startswith("\\x")  # PostgreSQL shows no other letters than ASCII's


def test_a_network_that_is_gone_is_noticed() -> None:
    """A connection without an answer is given up, in words that libpq knows, unless the address says when."""
    told = Limits().engine(make_url("postgresql+psycopg://host/db?keepalives_idle=5"))["connect_args"]
    assert told["keepalives"] == "1"
    assert {"connect_timeout", "keepalives_interval", "keepalives_count", "tcp_user_timeout"} <= told.keys()
    assert "keepalives_idle" not in told


def test_a_process_never_takes_more_connections_than_it_may(postgres: str) -> None:
    """Many threads share a few connections, and all come to their turn."""
    most: list[int] = []
    with limited(postgres, name="crowd", pool=3) as engine, limited(postgres, name="onlooker") as onlooker:

        def work() -> None:
            with db.reading(engine) as session:
                session.execute(text("SELECT pg_sleep(0.05)"))

        threads = [threading.Thread(target=work) for _ in range(24)]
        for thread in threads:
            thread.start()
        count = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd'")
        while any(thread.is_alive() for thread in threads):
            with onlooker.connect() as connection:
                most.append(connection.execute(count).scalar_one())
            time.sleep(0.01)
    assert max(most) == 3


def test_who_finds_no_connection_is_told_like_of_any_trouble_with_the_store(postgres: str) -> None:
    """After the wait it is an `OperationalError`, which every loop, page and command knows how to bear."""
    with (
        limited(postgres, pool=1, timeout=SHORT) as engine,
        engine.connect(),
        pytest.raises(OperationalError) as caught,
        engine.connect(),
    ):
        pass
    assert str(caught.value.orig) == "本进程的 1 个数据库连接都在用，等了 0.4 秒也没有空出来"


def test_a_statement_that_takes_too_long_ends_and_the_next_one_works(postgres: str) -> None:
    """Only the transaction that it was in is lost; what may take long has no end set, and only for itself."""
    with limited(postgres, pool=1, timeout=SHORT) as engine:
        with pytest.raises(OperationalError, match="statement timeout"), db.writing(engine) as session:
            session.execute(text("SELECT pg_sleep(5)"))
        for work in (db.reading, db.writing):
            with work(engine, long=True) as session:
                session.execute(text("SELECT pg_sleep(0.6)"))
                assert session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "0"
            assert shown(engine, "statement_timeout") == "400ms"


def test_who_may_take_long_still_does_not_wait_for_ever_for_a_lock(postgres: str) -> None:
    """A report behind a forgotten lock ends with an error, which is told, and comes again."""
    with (
        limited(postgres, timeout=SHORT) as engine,
        limited(postgres) as other,
        held(other, "feedback"),
        pytest.raises(OperationalError, match="lock timeout"),
        db.reading(engine, long=True) as session,
    ):
        session.execute(text("SELECT count(*) FROM feedback"))


def test_fault_36_connections_that_died_in_the_pool_are_noticed_before_they_are_used(postgres: str) -> None:
    """After a restart of the server every one of them is stale, and nobody meets an error for it."""
    with limited(postgres, name="stale", pool=4) as engine, limited(postgres) as admin:
        barrier = threading.Barrier(4)
        errors: list[Exception] = []

        def work() -> None:
            try:
                with db.reading(engine) as session:
                    session.execute(text("SELECT 1"))
                    barrier.wait(10)
            except Exception as error:  # noqa: BLE001 — the thread hands over whatever went wrong
                errors.append(error)

        for _ in range(2):
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            cut(admin)
        assert errors == []


def make_hasty(engine: Engine, clock: HandClock) -> Core:
    """A house on the same store that does not wait long."""
    url = engine.url.render_as_string(hide_password=False)
    return make_core(db.connect(url, limits=Limits(timeout=SHORT)), clock=clock)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_page_that_takes_too_long_says_so(engine: Engine, clock: HandClock) -> None:
    """It is a page for people, not a traceback, and there again when it is asked for a moment later."""
    core = make_hasty(engine, clock)
    with browse(create_app(core, Links(core.secret, "http://127.0.0.1", clock))) as desk:
        with held(engine, "crisis"), capture_logs() as logs:
            page = desk.get("/")
        assert (page.status_code, "数据库这会儿用不了，请稍后刷新。" in page.text) == (503, True)
        assert [(line["event"], "timeout" in line["error"]) for line in logs] == [("store_refused", True)]
        assert desk.get("/").status_code == 200
    core.engine.dispose()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_round_that_takes_too_long_is_an_error_of_that_round_alone(engine: Engine, clock: HandClock) -> None:
    """The loop says so in one line and comes again; the other loops do not notice."""
    core = make_hasty(engine, clock)
    rounds = Rounds(
        core,
        sweep=lambda: timers.sweep(core),
        deliver=lambda: shown(core.engine, "lock_timeout"),
        summaries=lambda: timers.sweep(core),
    )

    async def some_seconds() -> None:
        async with asyncio.timeout(30):
            with held(engine, "timer"):
                while {"sweep", "summaries"} - {line.get("loop") for line in logs}:  # noqa: ASYNC110 — in threads
                    await asyncio.sleep(0.05)
                assert "sweep" not in rounds.done
                assert "deliver" in rounds.done
            while "sweep" not in rounds.done:  # noqa: ASYNC110 — same
                await asyncio.sleep(0.05)

    with capture_logs() as logs:
        await rounds.service.run(until=some_seconds())
    told = [line for line in logs if line.get("loop") in ("sweep", "summaries")]
    assert {(line["event"], line["log_level"]) for line in told} == {("the store refused a round", "error")}
    assert all("timeout" in line["error"] and "exc_info" not in line for line in told)
    core.engine.dispose()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_config_says_how_much_and_each_process_bears_its_name(engine: Engine, tmp_path: Path) -> None:
    """A crawl process, which its parent starts, keeps the same time limit with fewer connections."""
    url = engine.url.render_as_string(hide_password=False)
    told = {"database_url": url, "database_pool": 7, "database_timeout": "9s", "var_dir": tmp_path}
    settings = make_settings(service=told)
    app = scheduler.build(settings, HandClock(NOW), "pingshao serve")
    child = scheduler.open_core(settings.model_dump(mode="json"), NOW.isoformat())
    for core, name, pool in ((app.core, "pingshao serve", 7), (child, "pingshao crawler", 2)):
        assert (shown(core.engine, "application_name"), shown(core.engine, "statement_timeout")) == (name, "9s")
        assert isinstance(core.engine.pool, QueuePool)
        assert core.engine.pool.size() == pool
        core.engine.dispose()


def test_what_was_called_is_what_the_process_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``pg_stat_activity`` tells a service from a command."""

    def build(_settings: Settings, _clock: Clock, name: str = "") -> Any:
        raise WrongCall(name)

    monkeypatch.setattr(scheduler, "build", build)
    monkeypatch.setattr(scheduler.SystemClock, "now", lambda _: NOW)
    (tmp_path / "pingshao.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for words in (["once"], ["outbox", "list"]):
        assert scheduler.run(words) == 2
        assert capsys.readouterr().err == f"pingshao: pingshao {' '.join(words)}\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('database_timeout = "0s"', "database_timeout: 应在 1s 到 1h 之间，实为 0s"),
        ('database_timeout = "2h"', "database_timeout: 应在 1s 到 1h 之间，实为 2h"),
        ("database_pool = 1", "database_pool"),
        ("database_pool = 1000", "database_pool"),
    ],
)
def test_limits_that_nobody_can_live_with_are_refused(tmp_path: Path, line: str, says: str) -> None:
    """Neither a pool that starves nor a time that ends everything."""
    file = tmp_path / "pingshao.toml"
    file.write_text(f"[service]\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=says):
        load(file)
