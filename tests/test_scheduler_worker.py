"""``pingshao worker`` as a real process: takes up what a killed one left, keeps to sites, ends when told."""

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from factories import make_core, make_item, make_settings
from queues import CONFIG, SOURCE, WorkerProcess, database, jobs, put_crawls, site, wait_until, workers
from sqlalchemy import Engine, text
from sqlmodel import col, func, select

import scheduler
from monitor import db, directory, doctor, intake, runs, shared_queue
from monitor.models import Feedback, Known, Run
from monitor.models import Source as Row

pytestmark = pytest.mark.slow
PG = "postgresql+psycopg://nobody@127.0.0.1:1/none"
QUEUED = f'[service]\ndatabase_url = "{PG}"\nqueue = "procrastinate"\n'


@pytest.fixture
def store(postgres: str, tmp_path: Path) -> Iterator[Engine]:
    """A database with a queue, named in a config in the test's folder."""
    with database(postgres, f"work-{tmp_path.name[:30]}") as url:
        (tmp_path / "pingshao.toml").write_text(CONFIG.format(url=url), encoding="utf-8")
        engine = db.connect(url)
        shared_queue.prepare(engine)
        yield engine
        engine.dispose()


async def add_sources(folder: Path, engine: Engine, *urls: str) -> None:
    """Name them in the config, and queue a crawl of each."""
    with (folder / "pingshao.toml").open("a", encoding="utf-8") as file:
        for url in urls:
            file.write(SOURCE.format(name=url.rpartition("/")[2], url=url, every="1h"))
    await put_crawls(engine, *urls)


def outcomes(engine: Engine) -> Counter[tuple[str, str]]:
    with db.reading(engine) as session:
        told = select(Row.name, Run.status).join(Run, col(Run.source_id) == col(Row.id))
        return Counter(session.exec(told).all())


def stored(engine: Engine) -> int:
    with db.reading(engine) as session:
        return session.exec(select(func.count()).select_from(Feedback)).one()


async def test_what_a_killed_worker_left_is_taken_up(store: Engine, tmp_path: Path) -> None:
    """Its crawl is done by another within seconds, everything is stored once, and its site is free again."""
    first, second = WorkerProcess(tmp_path, "first"), WorkerProcess(tmp_path, "second")
    with site(pages=3) as shop, workers(first):
        shop.hold.clear()
        await add_sources(tmp_path, store, f"{shop.url}/one", f"{shop.url}/two")
        wait_until(lambda: shop.log, first)
        first.kill()
        shop.hold.set()
        with workers(second):
            wait_until(lambda: stored(store) == 60 and not jobs(store), second)
            assert "job_put_back" in second.log()
    found = outcomes(store)
    assert (found["one", "ok"], found["two", "ok"]) == (1, 1)


async def test_two_workers_ask_one_site_one_after_another(store: Engine, tmp_path: Path) -> None:
    """Of two sources of a site the second waits for the first to end, though another worker is free."""
    pair = [WorkerProcess(tmp_path, name, "--queues", "crawl") for name in ("left", "right")]
    with site(pages=2, slow=0.2) as shop:
        await add_sources(tmp_path, store, f"{shop.url}/one", f"{shop.url}/two")
        with workers(*pair):
            wait_until(lambda: stored(store) == 40 and not jobs(store), *pair)
    assert outcomes(store) == {("one", "ok"): 1, ("two", "ok"): 1}
    spans = sorted((min(at), max(at)) for at in (shop.asked("one"), shop.asked("two")))
    assert spans[0][1] < spans[1][0], spans


async def test_a_worker_that_is_told_to_end_gives_its_job_back(store: Engine, tmp_path: Path) -> None:
    """In the middle of a crawl SIGTERM ends it within ten seconds, and the job waits for the next."""
    worker = WorkerProcess(tmp_path, "one", "--concurrency", "2")
    with site() as shop, workers(worker):
        shop.hold.clear()
        await add_sources(tmp_path, store, f"{shop.url}/one")
        wait_until(lambda: shop.log, worker)
        status, seconds = worker.end()
    assert (status, seconds < 10) == (0, True), (status, seconds, worker.log())
    assert [(state, queue) for state, queue, *_ in jobs(store)] == [("todo", "crawl")]
    assert shared_queue.look(store).workers == 0


def test_a_worker_does_what_a_command_wants(store: Engine, tmp_path: Path) -> None:
    """History is scored again in parts, and an export is written; the commands and the figures tell what came of it."""
    core = make_core(store)
    with db.writing(store) as session:
        directory.sync(session, core.settings)
    started = runs.start(core, "site", "html", "demo")
    assert started is not None
    intake.store(core, started.origin, [make_item(f"{n}", f"第{n}单，很好用") for n in range(300)])
    with db.writing(store) as session:
        session.execute(text("UPDATE score SET model = 'older'"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        door = f"127.0.0.1:{free.getsockname()[1]}"
    worker = WorkerProcess(tmp_path, "one", "--concurrency", "2", "--metrics", door)
    with workers(worker):
        assert '"scored": 300' in run(tmp_path, "rescore", "--batch", "20", "--json")
        assert run(tmp_path, "export", "feedback", "--file", "all.jsonl").strip().endswith("all.jsonl")
        assert httpx.get(f"http://{door}/healthz").json() == {"ok": True}
        told = httpx.get(f"http://{door}/metrics").text
        strangers = httpx.get(f"http://{door}/metrics", headers={"Host": "watch.example"}).status_code
        assert worker.end()[0] == 0
    assert 'pingshao_job_seconds_count{outcome="done",queue="export"} 1.0' in told
    assert 'pingshao_job_last_success_timestamp_seconds{queue="score"}' in told
    assert "pingshao_workers 1.0" in told
    assert strangers == 401
    written = tmp_path / "var" / "exports"
    assert [file.name for file in written.iterdir()] == ["all.jsonl"]
    assert len((written / "all.jsonl").read_text("utf-8").splitlines()) == 300
    with db.reading(store) as session:
        assert not session.exec(select(Known.name).where(col(Known.name).startswith("answer:"))).all()


def run(folder: Path, *arguments: str) -> str:
    env = os.environ | {"PYTHONPATH": str(Path(scheduler.__file__).parent), "PINGSHAO_CONFIG": ""}
    command = [sys.executable, "-m", "scheduler", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=env).stdout


@pytest.mark.parametrize(
    ("config", "options", "expected"),
    [
        ("", [], "SQLite"),
        (f'[service]\ndatabase_url = "{PG}"\n', [], 'queue = "procrastinate"'),
        ("", ["--queues", "crawl,wash"], "crawl、score、report、export"),
        (QUEUED, ["--metrics", "9001"], "主机:端口"),
        (QUEUED, ["--metrics", "127.0.0.1:99999"], "主机:端口"),
        (QUEUED, ["--metrics", "127.0.0.1:ab"], "主机:端口"),
        (QUEUED, ["--metrics", "192.0.2.7:9001"], "192.0.2.7:9001 听不了"),
    ],
)
def test_a_worker_without_a_queue_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str, options: list[str], expected: str
) -> None:
    """On SQLite, without the switch, or for queues that are none: exit status 2 and what to do."""
    (tmp_path / "pingshao.toml").write_text(config, encoding="utf-8")
    assert scheduler.run(["--config", str(tmp_path / "pingshao.toml"), "worker", *options]) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1


def test_without_the_extra_it_is_said_what_to_install(
    store: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``worker`` and ``serve`` end with status 2 and one line; ``doctor`` says the same."""
    for name in [*(name for name in sys.modules if name.partition(".")[0] == "procrastinate"), "procrastinate"]:
        monkeypatch.setitem(sys.modules, name, None)
    with store.begin() as connection:
        connection.execute(text("DROP SCHEMA procrastinate CASCADE"))
    config = ["--config", str(tmp_path / "pingshao.toml")]
    for command in ("worker", "serve"):
        assert scheduler.run([*config, command]) == 2
        assert "pip install 'pingshao[scale]'" in capsys.readouterr().err
    service = {"var_dir": tmp_path, "database_url": PG, "queue": "procrastinate"}
    house = make_core(store, make_settings(tmp_path, service=service))
    [told] = [one for one in doctor.examine(doctor.checks(house)) if one.name == "队列"]
    assert told.todo == "pip install 'pingshao[scale]'"
