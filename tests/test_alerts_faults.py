"""Faults of senders and of Slack: the provider's own log shows each message once, rows are unique, nothing is lost."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta

import mortal
import pytest
from delivering import make_house, rows, run, states, tell, trouble, updated
from slack_double import SlackDouble, slack_double
from sqlalchemy import Engine
from sqlmodel import col, select
from subjects import open_crisis

from alerts.channels import slack
from alerts.claims import LEASE
from monitor import db, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Crisis, Event, Outbox, Timer
from monitor.notices import Notice

TWO_CHANNELS = [
    {"name": name, "kind": "slack", "target": target, "token_env": "TOKEN"}
    for name, target in (("ops", "C1"), ("aside", "C2"))
]
FIRST, SECOND = timedelta(seconds=2), timedelta(seconds=4)  # pauses without a word from the provider


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackDouble]:
    monkeypatch.setenv("TOKEN", "xoxb-test")
    with slack_double() as running:
        yield running


@pytest.fixture
def house(engine: Engine, clock: HandClock, double: SlackDouble) -> Core:
    return make_house(engine, clock, double.url)


def once_each(core: Core, double: SlackDouble) -> None:
    """Every row arrived, once, under its own key; no second copy is even thought possible."""
    keys = [row.dedupe_key for row in rows(core) if row.state == "sent"]
    assert sorted(double.keys()) == sorted(keys)
    assert len(set(keys)) == len(keys) == len(rows(core))
    assert not any(row.maybe_twice for row in rows(core))
    assert {row.provider_ref for row in rows(core)} == {message["ts"] for message in double.messages}


def kill_in(method: str, core: Core, double: SlackDouble) -> None:
    """A sending process dies while the provider, which has done as asked, has not answered yet."""
    double.hanging.clear()
    double.released.clear()
    double.fail(method, "hang")
    with mortal.process(mortal.send, core) as (child, _):
        assert double.hanging.wait(20)
        mortal.kill(child)
    double.released.set()


def test_fault_01_killed_before_the_commit(house: Core, double: SlackDouble) -> None:
    """Nothing happened: no crisis, clock, event or message; done again, there is one of each."""
    with mortal.process(mortal.open_crisis, house, "before") as (child, told):
        assert told.recv() == "now"
        mortal.kill(child)
    with db.reading(house.engine) as session:
        assert not any(session.exec(select(table)).all() for table in (Crisis, Timer, Event, Outbox))
    assert run(house).sent == 0
    open_crisis(house)
    assert run(house).sent == 1
    once_each(house, double)


def test_fault_02_killed_after_the_commit(house: Core, double: SlackDouble) -> None:
    """What was committed is sent by whoever comes next, once."""
    with mortal.process(mortal.open_crisis, house, "after") as (child, told):
        assert told.recv() == "now"
        mortal.kill(child)
    assert [run(house).sent for _ in range(3)] == [1, 0, 0]
    once_each(house, double)


def test_fault_03_killed_after_the_provider_accepted(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """The look-up finds the message; it is not sent again."""
    open_crisis(house)
    kill_in("chat.postMessage", house, double)
    assert states(house) == ["sending"]
    assert run(house).sent == 0, "the lease still runs"
    clock.move(LEASE)
    assert run(house).sent == 1
    assert len(double.posts()) == 1
    once_each(house, double)


def test_fault_04_killed_during_the_lookup(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """The look-up is made again, as often as its sender dies."""
    open_crisis(house)
    kill_in("chat.postMessage", house, double)
    for _ in range(2):
        clock.move(LEASE)
        kill_in("conversations.history", house, double)
    clock.move(LEASE)
    assert run(house).sent == 1
    assert len(double.posts()) == 1
    once_each(house, double)


def test_fault_05_stopped_past_the_lease(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """A sender stopped while it asked, and told on waking that the message is not there, does not send it."""
    open_crisis(house)
    double.fail("chat.postMessage", "drop")
    run(house)
    clock.move(LEASE)
    double.fail("conversations.history", "hang")
    with mortal.process(mortal.send, house) as (child, told):
        assert double.hanging.wait(20)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)
        clock.move(LEASE)
        assert run(house, owner="other").sent == 1
        double.released.set()
        os.kill(child.pid, signal.SIGCONT)
        assert told.poll(20)
        assert told.recv() == 0
        child.join(10)
    assert len(double.posts()) == 2, "the one that was dropped, and the other sender's"
    once_each(house, double)


def is_looked_up(core: Core, clock: HandClock, double: SlackDouble, fault: str) -> None:
    tell(core, trouble(1))
    double.fail("chat.postMessage", fault)
    assert run(core).uncertain == 1
    assert run(core).sent == 0, "it waits before asking"
    clock.move(FIRST)
    assert run(core).sent == 1
    assert len(double.posts()) == 1
    once_each(core, double)


def test_fault_06_accepted_then_reset(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """A connection reset after acceptance is uncertain; the look-up finds the message."""
    is_looked_up(house, clock, double, "reset")


def test_fault_07_accepted_but_answered_too_late(
    engine: Engine, clock: HandClock, double: SlackDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that does not come in time is uncertain; the look-up finds the message."""
    monkeypatch.setattr(slack, "TIMEOUT", 1)
    house = make_house(engine, clock, double.url)
    is_looked_up(house, clock, double, "slow")


@pytest.mark.parametrize("fault", ["html", "cut", "list"])
def test_fault_12_unreadable_answers(house: Core, clock: HandClock, double: SlackDouble, fault: str) -> None:
    """200 with HTML, cut-off JSON or other rubbish is uncertain; the look-up finds the message."""
    is_looked_up(house, clock, double, fault)


def test_fault_08_retry_after(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """One 429 quiets the whole place for as long as it asks, for all senders, without anybody sleeping."""
    tell(house, *(trouble(n) for n in range(3)))
    double.fail("chat.postMessage", "429:30")
    assert run(house).failed == 1
    clock.move(timedelta(seconds=30))
    assert run(house, owner="other").sent == 0
    assert len(double.posts()) == 1
    for _ in range(5):
        clock.move(timedelta(seconds=2))
        run(house)
    assert len(double.posts()) == 4
    once_each(house, double)


@pytest.mark.parametrize("fault", ["429", "429:soon", "429:-3", "429:Fri, 20 Nov 2026 06:00:30 GMT"])
def test_fault_09_no_usable_retry_after(house: Core, clock: HandClock, double: SlackDouble, fault: str) -> None:
    """429 without a pause that can be read gets ours, longer each time."""
    tell(house, trouble(1))
    double.fail("chat.postMessage", fault, fault)
    for pause in (FIRST, SECOND):
        assert run(house).failed == 1
        assert rows(house)[0].not_before == clock.now() + pause
        assert run(house) == type(run(house))(), "nobody asks again before that"
        clock.move(pause)
    assert run(house).sent == 1
    once_each(house, double)


@pytest.mark.slow
def test_fault_10_six_hours_down(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """Clocks break on time, the provider is not hammered, and what is left to say afterwards is said once."""
    opened = clock.now()
    crisis = open_crisis(house, ["没收到货"])
    double.fail("chat.postMessage", *["500", "503"] * 1_000)
    for step in range(6 * 12):
        if step % 6 == 0:
            tell(house, updated(crisis, 2 + step))
        timers.sweep(house)
        run(house)
        clock.move(timedelta(minutes=5))
    with db.reading(house.engine) as session:
        deadlines = session.exec(select(Timer).where(Timer.step == "deadline", col(Timer.due_at) <= clock.now())).all()
    assert {timer.stage: timer.fired_at for timer in deadlines} == {
        "respond": opened + timedelta(hours=1),
        "notice": opened + timedelta(hours=3),
    }
    assert {timer.state for timer in deadlines} == {"breached"}
    assert len(double.posts()) < 60, "pauses grow to ten minutes"
    double.faults.clear()
    before = len(double.calls)
    for _ in range(20):
        clock.move(timedelta(minutes=1))
        run(house)
    assert set(states(house)) == {"sent", "folded"}
    card, *replies = double.messages
    assert [reply["thread_ts"] for reply in replies] == [card["ts"]] * 2, "one for each breached stage"
    assert all(f"<@U000{n}>" in reply["text"] for reply in replies for n in (1, 2, 3))
    assert len(double.calls) - before <= 4, "the card, its edit, two breaches"
    assert len(set(double.keys())) == 3


def test_fault_11_ok_false(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """HTTP 200 with ok:false is a refusal: for now where time mends it, else for good, with the code told."""
    tell(house, trouble(1), trouble(2))
    double.fail("chat.postMessage", "service_unavailable", "channel_not_found")
    assert run(house).failed == 1
    clock.move(FIRST)
    assert run(house).dead == 1
    clock.move(FIRST)
    assert run(house).sent == 1
    assert {row.dedupe_key: row.state for row in rows(house, "source.trouble")} == {
        "source:1:trouble": "sent",
        "source:2:trouble": "dead",
    }
    assert "找不到频道" in rows(house)[1].last_error
    assert double.keys() == ["source:1:trouble"]


def test_fault_13_accepted_without_ts(house: Core, double: SlackDouble) -> None:
    """ok:true without ts is sent, and its ts is looked up."""
    tell(house, trouble(1))
    double.fail("chat.postMessage", "no_ts")
    assert run(house).sent == 1
    assert [method for method, _ in double.calls] == ["chat.postMessage", "conversations.history"]
    once_each(house, double)


@pytest.mark.parametrize("fault", ["token_revoked", "is_archived", "account_inactive", "not_in_channel"])
def test_fault_14_dead_is_told_elsewhere(engine: Engine, clock: HandClock, double: SlackDouble, fault: str) -> None:
    """Token revoked, channel archived, robot removed: dead, and told on another channel once for all of an hour."""
    core = make_house(engine, clock, channels=[channel | {"base_url": double.url} for channel in TWO_CHANNELS])
    tell(core, trouble(1), trouble(2))
    double.fail("chat.postMessage", fault, fault)
    assert run(core).dead == 2
    (said,) = [message for message in double.messages if message["channel"] == "C2"]
    assert "没送到的有 2 条" in str(said["blocks"])
    assert fault in str(said["blocks"])
    assert states(core, "outbox.dead") == ["sent"]


def test_dead_crisis_is_told_at_once(engine: Engine, clock: HandClock, double: SlackDouble) -> None:
    """A crisis that cannot be delivered is told though the hour's news of its place is out, by name, to the leads."""
    core = make_house(engine, clock, channels=[channel | {"base_url": double.url} for channel in TWO_CHANNELS])
    tell(core, trouble(1))
    double.fail("chat.postMessage", "is_archived")
    run(core)
    crises = [open_crisis(core), open_crisis(core)]
    tell(core, updated(crises[0], 2))
    double.fail("chat.postMessage", *["is_archived"] * 3)
    assert run(core, limit=3).dead == 3
    run(core)
    said = [message for message in double.messages if message["channel"] == "C2"]
    assert ["危机没送到" in message["text"] for message in said] == [False, True, True]
    assert all(f"危机 #{n} 的消息没送到" in str(message["blocks"]) for n, message in zip(crises, said[1:], strict=True))
    assert all("<@U0002>" in message["text"] for message in said[1:])
    assert f"http://desk.test/v/crisis/{crises[0]}" in str(said[1]["blocks"])


def test_fault_39_poison(house: Core, double: SlackDouble) -> None:
    """A row that cannot be written is dead with its error; the others go."""
    tell(house, trouble(1), Notice("crisis.opened", "crisis:99:opened:0", "crisis", 99, "demo"), trouble(2))
    done = run(house)
    assert (done.dead, done.sent) == (1, 2)
    (poison,) = rows(house, "crisis.opened")
    assert (poison.state, "99" in poison.last_error) == ("dead", True)
    assert double.keys() == ["source:1:trouble", "source:2:trouble"]
