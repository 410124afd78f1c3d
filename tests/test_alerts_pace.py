"""The rate of each place: never exceeded by all senders together, used where there is something to say."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from delivering import Blind, PlainLinks, make_house, rows, run, states, tell, timer, trouble, updated
from factories import NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_double import SlackDouble, slack_double
from sqlalchemy import Engine
from sqlmodel import SQLModel
from subjects import open_case, open_crisis

from alerts import pace
from alerts.channel import SendError, Uncertain, open_all
from alerts.channels.slack import Slack
from alerts.outbox import next_slot
from alerts.pace import Bucket, bucket
from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.durations import pace as parsed
from monitor.notices import Notice
from scheduler import App, SystemClock

PLACE = ("ops", "C1")
SECOND = timedelta(seconds=1)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackDouble]:
    monkeypatch.setenv("TOKEN", "xoxb-test")
    with slack_double() as running:
        yield running


def make_paced(engine: Engine, clock: HandClock, url: str, rate: str | None = None) -> Core:
    channel = {"name": "ops", "kind": "slack", "target": "C1", "token_env": "TOKEN", "base_url": url}
    return make_house(engine, clock, channels=[channel | ({"rate": rate} if rate else {})])


def most_within(moments: list[datetime], span: timedelta) -> int:
    """The most of these moments that lie in any one span."""
    return max(sum(start <= at < start + span for at in moments) for start in moments)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["1/1s", "3/2s", "20/1m", "30/30s", "100/10s"]),
    st.lists(st.floats(0, 20), min_size=1, max_size=60),
    st.booleans(),
)
def test_no_span_holds_more_than_the_rate(rate: str, pauses: list[float], again: bool) -> None:
    """However the asking falls, no span holds more calls than its number; an idle place takes one at once."""
    count, span = parsed(rate)
    size, now, taken = bucket(rate, second_try=2), NOW, []
    engine = db.connect("sqlite://")
    SQLModel.metadata.create_all(engine, tables=[SQLModel.metadata.tables["pace"]])
    with db.writing(engine) as session:
        for n, pause in enumerate(pauses):
            for _ in range(4):
                ahead = pace.moments(session, ["ops"], now)
                if not pace.full(ahead, {"ops": size}, now):
                    pace.take(session, PLACE, size, max(now, ahead.get(PLACE, now)), again=again and n % 2 == 0)
                    taken.append(now)
            now += timedelta(seconds=pause)
        assert taken[0] == NOW
        assert most_within(taken, span) <= count
        assert pace.moments(session, ["ops"], now + 2 * len(taken) * span) == {}
    engine.dispose()


def test_a_rate_is_used_up(double: SlackDouble, sqlite: Engine, clock: HandClock) -> None:
    """While much waits, what is sent stays near the rate: no slot is lost to a look that comes late."""
    core = make_paced(sqlite, clock, double.url, "20/10s")
    tell(core, *(trouble(n) for n in range(40)))
    for _ in range(60):
        run(core)
        clock.move(timedelta(seconds=0.5))
    assert len(double.posts()) == 40


def test_senders_share_one_bucket(engine: Engine, clock: HandClock, double: SlackDouble) -> None:
    """Four senders at once, on one place: together they keep its rate, and nobody sleeps."""
    core = make_paced(engine, clock, double.url, "8/10s")
    tell(core, *(trouble(n) for n in range(30)))
    sent = []
    with ThreadPoolExecutor(4) as pool:
        for _ in range(60):
            done = list(pool.map(lambda n: run(core, owner=f"sender {n}").sent, range(4)))
            sent += [clock.now()] * sum(done)
            clock.move(SECOND)
    assert most_within(sent, 10 * SECOND) <= 8
    assert sorted(double.keys()) == sorted(f"source:{n}:trouble" for n in range(30))


def test_each_place_has_its_own(sqlite: Engine, clock: HandClock) -> None:
    """A full place does not hold up another; waiting rows are untouched."""
    channels = [{"name": name, "kind": "slack", "target": name, "rate": "1/1m"} for name in ("a", "b")]
    core = make_house(sqlite, clock, channels=channels, routes={"crisis": ["a", "b"]})
    tell(core, trouble(1), trouble(2))
    before = [row.not_before for row in rows(core)]
    senders = {"a": Blind(), "b": Blind()}
    assert run(core, senders).sent == 2
    assert [len(sender.letters) for sender in senders.values()] == [1, 1]
    assert [(row.state, row.attempts, row.not_before) for row in rows(core)] == [
        (state, attempts, at)
        for (state, attempts), at in zip(
            [("sent", 1), ("sent", 1), ("pending", 0), ("pending", 0)], before, strict=True
        )
    ]


def test_published_rate_holds_unless_the_config_says_otherwise(double: SlackDouble, sqlite: Engine) -> None:
    """Slack's own limit without a word in the config; mail has none; the config's word counts."""
    channels = open_all(make_paced(sqlite, HandClock(NOW), double.url).settings)
    assert Slack.rate
    assert pace.buckets(make_paced(sqlite, HandClock(NOW), "").settings, channels)["ops"] == bucket(Slack.rate, 2)
    assert pace.buckets(make_paced(sqlite, HandClock(NOW), "", "1/1m").settings, channels)["ops"] == bucket("1/1m", 2)
    assert pace.bucket("") == Bucket()


def test_asking_counts_as_a_call(double: SlackDouble, sqlite: Engine, clock: HandClock) -> None:
    """A second try takes two calls of the rate: one to ask, one to send."""
    core = make_paced(sqlite, clock, double.url, "60/60s")
    tell(core, trouble(1))
    double.fail("chat.postMessage", "drop")
    run(core)
    clock.move(timedelta(minutes=5))
    tell(core, *(trouble(n) for n in range(2, 40)))
    run(core)
    calls = len(double.calls) - 1
    assert [method for method, _ in double.calls].count("conversations.history") == 1
    assert calls == 60 // 4


def test_next_slot_is_told(double: SlackDouble, sqlite: Engine, clock: HandClock) -> None:
    """Whoever may wait hears until when; nobody waits for a row of another time or an empty outbox."""
    core = make_paced(sqlite, clock, double.url, "1/1m")
    channels = open_all(core.settings)
    tell(core, trouble(1))
    assert next_slot(core, channels) is None
    run(core)
    assert next_slot(core, channels) is None
    tell(core, trouble(2))
    assert next_slot(core, channels) == clock.now() + timedelta(minutes=1)
    clock.move(timedelta(minutes=1))
    assert next_slot(core, channels) is None
    assert run(core).sent == 1


def test_unreachable_provider_rests_for_everybody(sqlite: Engine, clock: HandClock) -> None:
    """While nothing listens, no other sender and no other target of the channel is tried for some seconds."""
    core = make_house(
        sqlite,
        clock,
        smtp={"host": "127.0.0.1"},
        summaries={"recipients": ["a@x.cn", "b@x.cn"]},
        routes={"crisis": ["mail"]},
    )
    tell(core, *(trouble(n) for n in range(5)))
    channel = Blind(SendError("没人", down=True), SendError("没人", down=True))
    for owner in ("one", "two"):
        run(core, {"mail": channel}, owner)
    assert len(channel.letters) == 1
    assert next_slot(core, {"mail": channel}) == clock.now() + 2 * SECOND
    clock.move(2 * SECOND)
    run(core, {"mail": channel})
    assert len(channel.letters) == 2, "the first failure after the rest ends the round again"
    clock.move(15 * SECOND)
    assert run(core, {"mail": channel}).sent == 10


def test_one_refusing_recipient_does_not_hold_up_others(sqlite: Engine, clock: HandClock) -> None:
    """A mailbox that fails rests alone."""
    core = make_house(
        sqlite,
        clock,
        smtp={"host": "127.0.0.1"},
        summaries={"recipients": ["a@x.cn", "b@x.cn"]},
        routes={"crisis": ["mail"]},
    )
    tell(core, trouble(1), trouble(2))
    channel = Blind(Uncertain("断了"))
    assert run(core, {"mail": channel}).sent == 2
    assert [letter.target for letter in channel.letters] == ["a@x.cn", "b@x.cn", "b@x.cn"]


def test_crises_pass_a_flood_of_cases(double: SlackDouble, sqlite: Engine, clock: HandClock) -> None:
    """What is said about a crisis does not wait behind a hundred cases that came before it."""
    core = make_paced(sqlite, clock, double.url, "4/4s")
    case = open_case(core, ["漏水"])
    tell(core, *(Notice("source.trouble", f"s{n}", "source", n, None, {"name": "site"}) for n in range(100)))
    run(core)
    clock.move(10 * SECOND)
    crisis = open_crisis(core, ["没收到货"])
    tell(core, timer("timer.breached", crisis))
    run(core)
    clock.move(SECOND)
    run(core)
    assert states(core, "crisis.opened", "timer.breached") == ["sent", "sent"]
    assert states(core, "source.trouble").count("sent") == 1
    assert case


def test_a_flood_is_one_card_within_the_rate(engine: Engine, clock: HandClock, double: SlackDouble) -> None:
    """1,200 changes of one crisis in a minute: one card, edited as often as the rate allows, and to the end."""
    core = make_paced(engine, clock, double.url)
    crisis = open_crisis(core, ["没收到货"])
    called, version = [], 1
    for second in range(90):
        if second < 60:
            tell(core, *(updated(crisis, version + n) for n in range(1, 21)))
            version += 20
        before = len(double.calls)
        run(core)
        called += [clock.now()] * (len(double.calls) - before)
        clock.move(SECOND)
    count, span = parsed(Slack.rate)
    assert version > 1200
    assert most_within(called, span) <= count
    assert 40 <= len(called) <= 90, "kept current, but never faster than Slack allows"
    assert [method for method, _ in double.calls].count("chat.postMessage") == len(double.messages) == 1
    assert set(states(core)) == {"sent", "folded"}


def test_commands_that_end_wait_for_slots(double: SlackDouble, sqlite: Engine, clock: HandClock) -> None:
    """A command sends all that is due, a slot after the other; it gives up where the clock stands still."""
    core = replace(make_paced(sqlite, clock, double.url, "5/1s"), clock=SystemClock())
    app = App(core, open_all(core.settings), PlainLinks())
    tell(core, *(trouble(n) for n in range(5)))
    assert app.deliver_patiently() == len(double.messages) == 5
    still = replace(core, clock=HandClock(SystemClock().now() + timedelta(minutes=1)))
    tell(core, *(trouble(n) for n in range(5, 8)))
    assert replace(app, core=still).deliver_patiently() == 1
    assert states(core).count("pending") == 2
