"""Logs: one line an event, with the ids to follow it by, without personal data and without secrets."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from delivering import Blind, make_house, run, tell, timer
from factories import make_item, make_settings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from serving import browse
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from structlog.contextvars import bound_contextvars
from subjects import open_crisis

from alerts.channel import SendError
from alerts.desk.app import create_app
from alerts.links import Links
from crawler.job import CrawlResult
from monitor import config, crawling, db, intake, journal, logs
from monitor.bulk import insert_rows
from monitor.clock import HandClock
from monitor.core import Core
from monitor.incoming import Origin
from monitor.models import Event, Known, Outbox, Source

PHONE, NAME, TOKEN, MAIL, CARD = (
    "13812345678",
    "欧阳翠花",
    "psh_Zx81kQ-top-secret",
    "cuihua@example.com",
    "6222020200112233445",
)
PLANTED = (PHONE, NAME, TOKEN, MAIL, CARD)
WORDS = f"我叫{NAME}，电话{PHONE}，邮箱 {MAIL}，卡号{CARD}"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What the log said since it was asked last, to standard error alone."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    logs.set_up([TOKEN])

    def read() -> str:
        told = capsys.readouterr()
        assert told.out == ""
        return told.err

    yield read
    root.handlers = handlers


def clean(line: str) -> bool:
    return not [secret for secret in PLANTED if secret in line]


def test_one_line_an_event(said: Callable[[], str]) -> None:
    """Ours and libraries' in the same form, with what is bound around them; nobody makes a line of his own."""
    with bound_contextvars(run=7):
        structlog.get_logger().info("left out", what="第 3 行\n2026 level=error event=forged \x1b[31m\u202e")
        logging.getLogger("some.library").warning("slow %s", "host\nlevel=error")
        logging.getLogger("some.library").info("chatter")
    ours, theirs = said().splitlines()
    assert ours.startswith("timestamp=")
    assert 'event="left out"' in ours
    assert r'what="第 3 行\n2026 level=error event=forged ' in ours
    assert not {"\x1b", "\u202e"} & set(ours)
    assert "run=7" in ours
    assert "run=7" in theirs
    assert "level=warning" in theirs
    assert "logger=some.library" in theirs


@pytest.mark.parametrize(
    "value",
    [
        WORDS,
        {"author": f"收货人：{NAME}", "phone": PHONE},
        [f"{MAIL}，{PHONE}"],
        f"https://robot.example/send?access_token={TOKEN}&key={TOKEN}",
        f"postgresql+psycopg://pingshao:{TOKEN}@db/pingshao",
        "Authorization: Bearer abcdef.ghijkl",
        "POST /a/eyJhIjoxfQ.Zx81kQ failed",
        "xoxb-12345-abcdef",
        "https://hooks.slack.example/services/T000/B000/abcdefgh",
        ValueError(f"收件人：{NAME}"),
    ],
    ids=str,
)
def test_a_value_loses_what_is_nobodys_business(said: Callable[[], str], value: Any) -> None:
    """Phones, cards, mail addresses, labelled names, tokens by value, by name and by place."""
    structlog.get_logger().warning("seen", what=value)
    line = said()
    assert clean(line)
    for secret in ("eyJhIjoxfQ", "abcdef", "12345-"):
        assert secret not in line


def test_numbers_and_ids_stay(said: Callable[[], str]) -> None:
    """What a line is for can still be read."""
    facts = {"key": "crisis:12:respond:deadline:0", "run": 20261120, "late": 12.5, "ok": True, "error": "HTTP 503"}
    structlog.get_logger().info("crawled", **facts, at="2026-11-20T06:00:00+00:00", name="天猫旗舰店")
    line = said()
    for shown in ("key=crisis:12:respond:deadline:0", "run=20261120", "late=12.5", "ok=true", 'error="HTTP 503"'):
        assert shown in line
    assert "at=2026-11-20T06:00:00+00:00" in line
    assert "name=天猫旗舰店" in line


def test_an_exception_keeps_its_frames_and_loses_what_it_quotes(said: Callable[[], str]) -> None:
    """A message may quote somebody's words, as validation and conversion do; also that of the cause before it."""
    try:
        try:
            TypeAdapter(int).validate_python(f"{NAME} {PHONE}")
        except ValueError:
            int(f"“{NAME}”")
    except ValueError:
        structlog.get_logger().exception("round broke", loop="x")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    told = said()
    assert clean(told)
    for line in told.splitlines():
        assert "test_monitor_logs.py" in line
        assert "invalid literal for int" in line
        assert "input_value=…" in line
        assert "ValidationError" in line
    first, second = OSError("errno 5"), OSError("errno 6")
    first.__cause__, second.__cause__ = second, first  # a knot
    structlog.get_logger().error("again", exc_info=first)
    assert said().count("OSError: errno") == 2


@given(st.text(max_size=60))
def test_whatever_is_quoted(text: str) -> None:
    """Quoted words that are not plain English are not kept, and a second look changes nothing."""
    once = logs.unquoted(f"could not read {text + NAME!r} there")
    assert NAME not in once
    assert logs.unquoted(once) == once


def test_secrets_of_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of every variable that the config names, connectors' own keys too."""
    for name in ("SLACK", "SMTP", "HC", "JD"):
        monkeypatch.setenv(name, f"value of {name}")
    settings = make_settings(
        channels=[{"name": "ops", "kind": "slack", "target": "C1", "token_env": "SLACK", "app_token_env": "UNSET"}],
        smtp={"password_env": "SMTP"},
        upkeep={"heartbeat_env": "HC"},
        sources=[{"name": "s", "kind": "jd", "shop": "demo", "secret_env": "JD"}],
    )
    assert config.secrets_of(settings) == {f"value of {name}" for name in ("SLACK", "SMTP", "HC", "JD")}


def test_a_crisis_can_be_followed_in_the_log(engine: Engine, clock: HandClock, said: Callable[[], str]) -> None:
    """Each of its events once, by its id, without who did it; not those of before, also not in two processes."""
    core = make_house(engine, clock)
    open_crisis(core)
    first, second = journal.Journal(core), journal.Journal(core)
    assert (first.write(), first.write()) == (0, 0)
    crisis = open_crisis(core)
    with db.writing(core.engine) as session:
        about = {"at": clock.now(), "door": "desk", "actor": NAME, "subject_id": crisis}
        session.add_all([Event(subject="crisis", what="claimed", **about), Event(subject="case", what="x", **about)])
    assert (second.write(), first.write(), first.write()) == (0, 2, 0), "opened, claimed"
    opened, claimed = said().splitlines()
    assert f"event=crisis_event crisis={crisis} what=opened door=system" in opened
    assert f"event=crisis_event crisis={crisis} what=claimed door=desk" in claimed
    assert clean(claimed)


def test_the_journal_keeps_up(sqlite: Engine, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """More at once than one look takes, and one that was committed behind others, are logged once each."""
    monkeypatch.setattr(journal, "_MOST", 3)
    monkeypatch.setattr(journal, "_OVERLAP", 2)
    core = make_house(sqlite, clock)
    written = journal.Journal(core)
    written.write()
    about = {"at": clock.now(), "actor": "a", "door": "desk", "subject": "crisis", "subject_id": 1, "what": "x"}

    def happen(*numbers: int) -> None:
        with db.writing(core.engine) as session:
            session.add_all([Event(id=number, **about) for number in numbers])

    happen(*range(1001, 1008))
    counts = [written.write() for _ in range(6)]
    happen(1009)
    counts.append(written.write())
    happen(1008)
    assert sum(counts) + written.write() == 9
    assert written.write() == 0


class Plants(Blind):
    """A provider whose answers repeat the buyer's words."""

    def send(self, _letter: Any) -> str:
        structlog.get_logger().warning("channel_says", text=WORDS)
        raise SendError(f"rejected: {WORDS}", permanent=True)


def test_nobody_is_found_in_the_log_of_a_bad_day(
    engine: Engine, clock: HandClock, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reviews that break intake, providers that repeat them, links that fail, a store that refuses: ids, no people."""
    monkeypatch.setenv("SLACK_TOKEN", TOKEN)
    people = [{"name": NAME, "role": "agent", "email": MAIL, "slack": "U1"}]
    core = make_house(engine, clock, people=people)
    crisis = open_crisis(core, [WORDS])
    tell(core, timer("timer.breached", crisis))
    clock.move(timedelta(hours=2))
    run(core, {"ops": Plants()})
    poison = Outbox(
        dedupe_key="case:77:poison", channel="ops", target=MAIL, kind="case.opened", subject="case", subject_id=77,
        payload={}, created_at=clock.now(), not_before=clock.now(),
    )  # fmt: skip
    with db.writing(core.engine) as session:
        session.add_all([poison, Source(name="site", kind="feed")])
    run(core, {"ops": Blind()})
    asyncio.run(crawl_badly(core, monkeypatch))
    take_in_badly(core, monkeypatch)
    store_badly(core)
    token = click_badly(core, monkeypatch)
    told = said()
    assert token not in told
    assert clean(told), [line for line in told.splitlines() if not clean(line)]
    for expected in (f"crisis={crisis}", "event=outbox_dead", "event=outbox_render_failed", "case=77", "run=1"):
        assert expected in told, told
    assert "UnicodeError" in told
    assert "IntegrityError" in told


async def crawl_badly(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crawl that leaves out what it read, and says what."""

    async def crawl(*_: object) -> CrawlResult:
        return CrawlResult("ok", seen=1, skipped=1, log=[f"site: 第 2 行看不懂：{WORDS}"])

    monkeypatch.setattr(crawling, "crawl", crawl)
    source = make_settings(sources=[{"name": "site", "kind": "feed", "shop": "demo"}]).sources[0]
    line = await crawling.crawl_source(core, source, "scheduler:open_core")
    structlog.get_logger().info("crawled", **line)
    assert line["run"] == 1


def take_in_badly(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intake that breaks over a text, as the service logs it."""

    def breaks(*_: object) -> None:
        raise UnicodeError(f"cannot score {WORDS!r}")

    monkeypatch.setattr(Core, "judge", property(breaks))
    try:
        intake.store(core, Origin(1, "demo", "feed", "review", True), [make_item("1", WORDS, author=NAME)])
    except UnicodeError:
        structlog.get_logger().exception("round broke", loop="intake")


def store_badly(core: Core) -> None:
    """A store that refuses a row, and would say which, as a loop of the service logs it."""
    twice = [{"name": WORDS, "value": {"author": NAME, "text": WORDS}, "at": core.clock.now()} for _ in range(2)]
    try:
        with db.writing(core.engine) as session:
            insert_rows(session, Known, twice)
    except IntegrityError as error:
        structlog.get_logger().exception("round broke", loop="index")
        structlog.get_logger().error("refused", error=str(error.orig))


def click_badly(core: Core, monkeypatch: pytest.MonkeyPatch) -> str:
    """A desk that breaks behind a signed link, with the buyer's words in the address; gives the link's token."""
    links = Links(core.secret, core.settings.service.public_url, core.clock)
    monkeypatch.setattr("alerts.desk.subjects.read", lambda *_: 1 / 0)
    path = links.view("crisis", 1).removeprefix(core.settings.service.public_url)
    with browse(create_app(core, links)) as desk:
        assert desk.get(path, params={"q": WORDS}).status_code == 500
    logging.getLogger("uvicorn.error").error("broken: %s", path)
    return path.rpartition("/")[2]
