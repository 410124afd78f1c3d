"""Who hears what: rows made of notices."""

from typing import Any

import pytest
from delivering import make_house, rows, tell
from factories import NOW, make_settings
from sqlalchemy import Engine
from subjects import open_case, open_crisis

from alerts.channel import UnknownKindError, kinds, load, open_all
from alerts.routing import enqueue_report
from monitor import db, lifecycle
from monitor.clock import HandClock
from monitor.core import Core
from monitor.notices import Kind, Notice

SMTP = {"host": "127.0.0.1", "port": 9}
CHANNELS = [
    {"name": "ops", "kind": "slack", "target": "C1"},
    {"name": "desk", "kind": "email", "target": "desk@example.com"},
]
FACTS: dict[str, Any] = {"stage": "respond", "due_at": "2026-11-20T07:00:00+00:00"}


@pytest.fixture
def house(engine: Engine, clock: HandClock) -> Core:
    return make_house(
        engine,
        clock,
        channels=CHANNELS,
        smtp=SMTP,
        routes={"crisis": ["ops", "desk"], "case": ["ops"], "summary": ["ops", "mail"]},
        summaries={"recipients": ["head@example.com"], "cc": ["brand@example.com"]},
    )


def places(core: Core, *kind: str) -> list[tuple[str, str]]:
    return [(row.channel, row.target) for row in rows(core, *kind)]


def notice(kind: Kind, subject: str, subject_id: int, **facts: Any) -> Notice:
    return Notice(kind, f"{subject}:{subject_id}:{kind}", subject, subject_id, "demo", FACTS | facts)


def pinged(core: Core, kind: str) -> list[str]:
    return list(rows(core, kind)[0].payload["ping"])


def test_same_notice_is_queued_once(house: Core) -> None:
    """Told three times, in one transaction and in another, a notice is one row a place."""
    crisis = open_crisis(house)
    opened = Notice("crisis.opened", f"crisis:{crisis}:opened:0", "crisis", crisis, "demo")
    tell(house, opened, opened)
    assert places(house) == [("ops", "C1"), ("desk", "desk@example.com")]
    assert pinged(house, "crisis.opened") == ["主管"]


def test_edits_go_where_cards_can_be_edited(house: Core) -> None:
    """An update is no mail; a breach brings the live card up to date as well."""
    crisis = open_crisis(house)
    tell(house, notice("crisis.updated", "crisis", crisis), notice("timer.breached", "crisis", crisis))
    assert places(house, "crisis.updated") == [("ops", "C1")] * 2
    assert places(house, "timer.breached") == [("ops", "C1"), ("desk", "desk@example.com")]


def test_reminders_call_the_holder_else_the_floor(house: Core) -> None:
    """While nobody holds a case all agents are called on, then the one who does."""
    case = open_case(house)
    tell(house, notice("timer.reminder", "case", case))
    assert pinged(house, "timer.reminder") == ["客服一号"]
    with db.writing(house.engine) as session:
        actor = lifecycle.Actor("主管", "lead", "link")
        lifecycle.act(house, session, lifecycle.Action("claim", "case", case), actor)
    tell(house, notice("timer.breached", "case", case))
    assert pinged(house, "timer.breached") == ["主管"]


@pytest.mark.parametrize(
    ("rung", "names", "mail"),
    [
        ("assignee", ["客服一号"], "agent1@example.com"),
        ("channel", ["客服一号"], "agent1@example.com"),
        ("lead", ["主管"], "lead@example.com"),
        ("manager", ["经理"], "manager@example.com"),
    ],
)
def test_rungs_reach_people(house: Core, rung: str, names: list[str], mail: str) -> None:
    """Each rung of the ladder names its people in the channels and writes to their own addresses."""
    crisis = open_crisis(house)
    tell(house, notice("timer.rung", "crisis", crisis, rung=rung))
    assert pinged(house, "timer.rung") == names
    assert places(house, "timer.rung") == [("ops", "C1"), ("desk", "desk@example.com"), ("mail", mail)]


def test_lists_are_paged_by_the_channel(house: Core) -> None:
    """A long list is cut into pages that say where they belong; only the first calls on people."""
    ids = list(range(1, 46))
    tell(house, Notice("cases.overdue", "k", "case", 1, "demo", {"case_ids": ids, "stage": "respond"}))
    pages = rows(house, "cases.overdue")
    assert [row.dedupe_key for row in pages] == ["k", "k:21", "k:41"]
    assert [number for row in pages for number in row.payload["page"]] == ids
    assert [row.payload["ping"] for row in pages] == [["客服一号"], [], []]


def test_trouble_of_the_monitor_has_a_route(house: Core, sqlite: Engine, clock: HandClock) -> None:
    """Trouble with sources goes to the system route, else to the crisis route."""
    trouble = Notice("source.trouble", "s", "source", 1, None, {"name": "site", "error": "", "since": ""})
    tell(house, trouble)
    assert places(house) == [("ops", "C1"), ("desk", "desk@example.com")]
    other = make_house(sqlite, clock, channels=CHANNELS, smtp=SMTP, routes={"crisis": ["ops"], "system": ["desk"]})
    tell(other, Notice("source.trouble", "t", "source", 1, None, trouble.facts))
    assert ("desk", "desk@example.com") in places(other)
    assert [row.channel for row in rows(other) if row.dedupe_key == "t"] == ["desk"]


@pytest.mark.parametrize(
    ("overrides", "failed", "expected"),
    [
        ({"routes": {"crisis": ["ops", "desk"]}}, ("ops", "C1"), [("desk", "desk@example.com")]),
        ({"routes": {"crisis": ["ops"]}}, ("ops", "C1"), [("desk", "desk@example.com")]),
        (
            {"routes": {"crisis": ["ops"]}, "channels": CHANNELS[:1]},
            ("ops", "C1"),
            [("mail", "lead@example.com"), ("mail", "manager@example.com")],
        ),
        ({"routes": {"crisis": ["ops"]}, "channels": CHANNELS[:1], "smtp": None}, ("ops", "C1"), []),
    ],
)
def test_dead_letters_are_told_elsewhere(
    sqlite: Engine, clock: HandClock, overrides: dict[str, Any], failed: tuple[str, str], expected: list[Any]
) -> None:
    """News of dead letters takes the route without the broken place, else any other channel, else people's mail."""
    core = make_house(sqlite, clock, **({"channels": CHANNELS, "smtp": SMTP} | overrides))
    facts = {"channel": failed[0], "target": failed[1], "kind": "x", "error": "y"}
    tell(core, Notice("outbox.dead", "d", "outbox", 1, None, facts))
    assert places(core) == expected


def test_reports_go_to_their_readers(house: Core) -> None:
    """Channels get the lines, recipients the mail, and those in copy all but the morning check."""
    payload = {"title": "小结", "lines": ["一行"], "eml": "/x.eml"}
    for kind in ("daily", "evening", "weekly", "monthly"):
        with db.writing(house.engine) as session:
            enqueue_report(session, house.settings, f"report:{kind}", kind, payload, NOW)
    assert places(house, "report.daily") == [("ops", "C1"), ("mail", "head@example.com")]
    for kind in ("report.evening", "report.weekly", "report.monthly"):
        assert places(house, kind)[1:] == [("mail", "head@example.com"), ("mail", "brand@example.com")]
    assert rows(house, "report.daily")[0].payload == {"title": "小结", "lines": ["一行"]}
    assert rows(house, "report.daily")[1].payload == payload


def test_without_a_mail_server_no_mail_is_queued(sqlite: Engine, clock: HandClock) -> None:
    """Routes to mail stay silent where there is no [smtp]."""
    summaries = {"recipients": ["head@example.com"], "cc": ["brand@example.com"]}
    core = make_house(sqlite, clock, channels=[], routes={"crisis": ["mail"], "summary": ["mail"]}, summaries=summaries)
    crisis = open_crisis(core)
    tell(core, notice("timer.rung", "crisis", crisis, rung="lead"))
    with db.writing(core.engine) as session:
        enqueue_report(session, core.settings, "r", "evening", {"title": "", "lines": [], "eml": ""}, NOW)
    assert places(core) == []


def test_channels_are_found_by_file_name() -> None:
    """A file in the folder is a channel; an unknown kind names the nearest."""
    assert {"email", "slack"} <= set(kinds())
    assert all(load(kind).check for kind in kinds())
    with pytest.raises(UnknownKindError, match="slack"):
        load("slak")


def test_all_channels_are_opened_by_name() -> None:
    """Every configured channel has its name, and mail is there when there is a server."""
    assert set(open_all(make_settings(channels=CHANNELS))) == {"ops", "desk"}
    assert set(open_all(make_settings(smtp=SMTP))) == {"mail"}
