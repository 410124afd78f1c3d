"""Delivery of the outbox under kills, bad answers and several senders, on both databases."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from delivering import Blind, PlainLinks, make_house, rows, run, states, tell, timer, trouble, updated
from slack_double import SlackDouble, slack_double
from sqlalchemy import Engine
from subjects import open_case, open_crisis

from alerts import outbox, outcomes
from alerts.channel import Channel, Letter, SendError, Uncertain, open_all
from alerts.channels import slack
from alerts.claims import claim
from alerts.pace import Bucket
from monitor import db, lifecycle, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.notices import Notice

TWO_CHANNELS = [
    {"name": name, "kind": "slack", "target": target, "token_env": "TOKEN"}
    for name, target in (("ops", "C1"), ("aside", "C2"))
]


class Killed(BaseException):
    """The process died here."""


class Mortal(slack.Slack):
    """Slack, with a sender that dies at a named point, once."""

    def __init__(self, inner: Core, point: str) -> None:
        super().__init__(inner.settings.channels[0], inner.settings)
        self.point = point

    def _die(self, point: str) -> None:
        if self.point == point:
            self.point = ""
            raise Killed

    def send(self, letter: Letter) -> str:
        self._die("before")
        ref = super().send(letter)
        self._die("after")
        return ref

    def lookup(self, letter: Letter) -> str | None:
        self._die("lookup")
        return super().lookup(letter)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackDouble]:
    monkeypatch.setenv("TOKEN", "xoxb-test")
    monkeypatch.setattr(slack.Slack, "rate", "")  # tests of the pace have a file of their own
    with slack_double() as running:
        yield running


@pytest.fixture
def house(engine: Engine, clock: HandClock, double: SlackDouble) -> Core:
    return make_house(engine, clock, double.url)


@pytest.fixture
def small(sqlite: Engine, clock: HandClock, double: SlackDouble) -> Core:
    """A house on SQLite, where the database makes no difference."""
    return make_house(sqlite, clock, double.url)


def die(core: Core, channel: Channel, owner: str) -> None:
    with pytest.raises(Killed):
        run(core, {"ops": channel}, owner)


def test_sent_once_however_often_told(house: Core, double: SlackDouble) -> None:
    """The same notice raised twice, and delivered twice, is one message."""
    for _ in range(2):
        tell(house, trouble(1), trouble(1), trouble(2))
        run(house)
    assert double.keys() == ["source:1:trouble", "source:2:trouble"]


def test_several_senders_share_the_work(house: Core, double: SlackDouble) -> None:
    """Senders at the same time send every row once."""
    tell(house, *(trouble(n) for n in range(40)))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda n: run(house, owner=f"sender {n}").sent, range(4)))
    assert sum(done) == 40
    assert sorted(double.keys()) == sorted(f"source:{n}:trouble" for n in range(40))


def test_lookup_that_fails_is_repeated(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """While the provider cannot be asked, nothing is sent again."""
    tell(house, trouble(1))
    double.fail("chat.postMessage", "reset")
    double.fail("conversations.history", "500", "reset", "429:5")
    run(house)
    for _ in range(3):
        clock.move(timedelta(minutes=1))
        assert run(house).uncertain == 1
    clock.move(timedelta(minutes=1))
    assert (run(house).sent, len(double.posts())) == (1, 1)


def test_lookup_that_is_forbidden_marks_the_second_copy(small: Core, clock: HandClock, double: SlackDouble) -> None:
    """Without the right to ask, the message goes again and says that it may be a repetition."""
    tell(small, trouble(1))
    double.fail("chat.postMessage", "reset")
    double.fail("conversations.history", "missing_scope")
    run(small)
    clock.move(timedelta(minutes=1))
    run(small)
    assert ["可能重复" in message["text"] for message in double.messages] == [False, True]
    assert rows(small)[0].maybe_twice


def test_channel_that_cannot_be_asked(house: Core, clock: HandClock) -> None:
    """A rare resend is marked, in the message and in the store."""
    tell(house, trouble(1))
    channel = Blind(Uncertain("断了"))
    run(house, {"ops": channel})
    clock.move(timedelta(minutes=1))
    run(house, {"ops": channel})
    assert [letter.card.maybe_twice for letter in channel.letters] == [False, True]
    assert (rows(house)[0].state, rows(house)[0].maybe_twice) == ("sent", True)


def test_a_bug_in_a_channel_is_uncertain(small: Core) -> None:
    """Whatever breaks while sending, the provider may have the message."""
    tell(small, trouble(1))
    run(small, {"ops": Blind(ZeroDivisionError("嗯"))})
    assert (rows(small)[0].state, rows(small)[0].last_error) == ("uncertain", "ZeroDivisionError: 嗯")


def test_pauses_grow_to_ten_minutes(small: Core, clock: HandClock) -> None:
    """Without Retry-After the pauses double up to a limit, spread by the jitter."""
    tell(small, trouble(1))
    waits = []
    for _ in range(12):
        outbox.deliver(small, {"ops": Blind(SendError("忙"))}, "s", links=PlainLinks(), jitter=lambda: 0.0)
        waits.append((rows(small)[0].not_before - clock.now()).total_seconds())
        clock.move(timedelta(minutes=11))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_endless_refusal_ends(small: Core, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many attempts a row is dead, whether refused or not known."""
    monkeypatch.setattr(outcomes, "MAX_ATTEMPTS", 2)
    for n, error in enumerate((SendError("忙"), Uncertain("断了"))):
        tell(small, trouble(n))
        for _ in range(2):
            run(small, {"ops": Blind(error)})
            clock.move(timedelta(minutes=1))
    assert states(small, "source.trouble") == ["dead", "dead"]
    assert [row.maybe_twice for row in rows(small, "source.trouble")] == [False, True]


def test_failing_row_does_not_hold_up_the_others(small: Core, clock: HandClock) -> None:
    """What fails again and again goes behind what was never tried."""
    tell(small, trouble(1), trouble(2))
    channel = Blind(SendError("忙"))
    assert run(small, {"ops": channel}).sent == 0, "the place rests for the round"
    clock.move(timedelta(seconds=2))
    run(small, {"ops": channel})
    assert [letter.key for letter in channel.letters] == ["source:1:trouble", "source:2:trouble", "source:1:trouble"]


def test_unreachable_channel_rests_as_a_whole(sqlite: Engine, clock: HandClock) -> None:
    """Where nothing listens, other targets of the channel are not tried in the same round."""
    core = make_house(
        sqlite,
        clock,
        smtp={"host": "127.0.0.1"},
        summaries={"recipients": ["a@x.cn", "b@x.cn"]},
        routes={"crisis": ["mail"]},
    )
    tell(core, trouble(1))
    channel = Blind(SendError("没人", down=True), SendError("没人", down=True))
    assert run(core, {"mail": channel}).failed == 1
    assert len(channel.letters) == 1


def test_dead_news_of_the_dead_goes_to_the_log_only(small: Core, double: SlackDouble) -> None:
    """With nowhere else to go, nothing loops."""
    tell(small, trouble(1))
    tell(small, Notice("outbox.dead", "k", "outbox", 1, None, {"channel": "x", "target": "y", "error": "z"}))
    double.fail("chat.postMessage", "token_revoked", "token_revoked")
    assert run(small).dead == 2
    assert states(small) == ["dead", "dead"]


def test_channel_gone_from_the_config(engine: Engine, clock: HandClock, double: SlackDouble) -> None:
    """Rows for a channel that is no longer configured are dead, and that is told."""
    old = make_house(engine, clock, double.url, channels=[TWO_CHANNELS[1]], routes={"crisis": ["aside"]})
    tell(old, trouble(1))
    core = make_house(engine, clock, double.url)
    assert run(core).dead == 1
    assert "aside" in str(double.messages[0]["blocks"])


def test_card_comes_before_what_is_said_about_it(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """Updates and reminders wait until the card is there."""
    crisis = open_crisis(house)
    double.fail("chat.postMessage", "429:30")
    run(house)
    tell(house, updated(crisis, 2), timer("timer.breached", crisis))
    assert run(house).sent == 0
    clock.move(timedelta(seconds=31))
    run(house)
    card, reply = double.messages
    assert card["metadata"]["event_payload"]["card"] == f"crisis:{crisis}"
    assert reply["thread_ts"] == card["ts"]


def test_updates_become_one_edit(house: Core, double: SlackDouble) -> None:
    """However many updates wait, the card is edited once; the folded ones say into which."""
    crisis = open_crisis(house)
    run(house)
    tell(house, *(updated(crisis, version) for version in range(2, 52)))
    run(house)
    assert [method for method, _ in double.calls].count("chat.update") == 1
    assert sorted(set(states(house, "crisis.updated"))) == ["folded", "sent"]
    assert rows(house, "crisis.updated")[-1].last_error == f"并入 crisis:{crisis}:card:2"


def test_uncertain_edit_is_made_again(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """An edit can be repeated without harm, and shows the newest state."""
    crisis = open_crisis(house)
    run(house)
    tell(house, updated(crisis, 2))
    double.fail("chat.update", "reset")
    assert run(house).uncertain == 1
    tell(house, updated(crisis, 3))
    clock.move(timedelta(minutes=1))
    run(house)
    assert (len(double.messages), sorted(states(house, "crisis.updated"))) == (1, ["folded", "sent"])


def test_lost_card_is_found_again(small: Core, double: SlackDouble) -> None:
    """A card whose name never came is found by what it is about, and edited."""
    crisis = open_crisis(small)
    double.fail("chat.postMessage", "no_ts")
    double.fail("conversations.history", "500")
    run(small)
    tell(small, updated(crisis, 2))
    run(small)
    assert (len(double.messages), states(small)) == (1, ["sent", "sent"])


def test_listed_case_gets_no_card_of_its_own(small: Core, double: SlackDouble) -> None:
    """An update of a case that stands in a list is folded with the reason."""
    case = open_case(small)
    tell(small, Notice("case.updated", f"case:{case}:card:2", "case", case, "demo"))
    assert run(small).folded == 1
    assert rows(small)[0].last_error == "没有单独的卡片"
    assert not double.messages


def test_edit_on_a_channel_without_edits_is_folded(small: Core) -> None:
    """A channel that lost the power to edit swallows no attempts."""
    tell(small, updated(open_crisis(small), 2))
    run(small, {"ops": Blind()})
    assert states(small) == ["sent", "folded"]


def test_reminder_after_the_deed_is_not_sent(small: Core, clock: HandClock, double: SlackDouble) -> None:
    """Reminders and rungs of a stage that is done are folded with the reason; its breach is told all the same."""
    crisis = open_crisis(small)
    with db.writing(small.engine) as session:
        actor = lifecycle.Actor("主管", "lead", "link")
        lifecycle.act(small, session, lifecycle.Action("plan", "crisis", crisis, "先补发"), actor)
    tell(
        small,
        timer("timer.reminder", crisis, step="reminder"),
        timer("timer.rung", crisis, step="rung3", rung="lead"),
        timer("timer.breached", crisis),
        timer("timer.reminder", crisis, "notice", "reminder"),
    )
    clock.move(timedelta(hours=4))
    run(small)
    assert states(small, "timer.reminder", "timer.rung", "timer.breached") == ["folded", "folded", "sent", "folded"]
    assert "了结" in rows(small, "timer.rung")[0].last_error
    assert "超时" in rows(small, "timer.reminder")[1].last_error


def test_growth_calls_people_in_the_thread(small: Core, double: SlackDouble) -> None:
    """A crisis that grew is said once, under its card."""
    crisis = open_crisis(small, ["没收到货"])
    run(small)
    grew = [
        Notice("crisis.grew", f"crisis:{crisis}:grew:high:{n}", "crisis", crisis, "demo", {"count": n}) for n in (2, 4)
    ]
    tell(small, *grew)
    run(small)
    assert states(small, "crisis.grew") == ["sent", "folded"]
    assert "<@U0002>" in double.messages[-1]["text"]
    assert double.messages[-1]["metadata"]["event_payload"]["carries"]


def test_outbox_list_and_retry(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """The dead are listed and sent again on request; one whose outcome was not known is asked for first."""
    tell(house, trouble(1), trouble(2))
    double.fail("chat.postMessage", "is_archived", "is_archived")
    run(house)
    with db.reading(house.engine) as session:
        assert [row.state for row in outbox.listing(session)] == ["dead", "dead"]
        first = outbox.listing(session)[0].id or 0
    assert outbox.retry(house, [first]) == 1
    run(house)
    assert double.keys() == ["source:1:trouble"]
    assert outbox.retry(house) == 1
    run(house)
    with db.reading(house.engine) as session:
        assert outbox.listing(session) == []
        assert len(outbox.listing(session, ["sent"])) == 2


def test_retry_of_a_maybe_delivered_row_asks_first(
    small: Core, double: SlackDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead row that may have arrived is looked up before it is sent again."""
    monkeypatch.setattr(outcomes, "MAX_ATTEMPTS", 1)
    tell(small, trouble(1))
    double.fail("chat.postMessage", "reset")
    assert run(small).dead == 1
    assert outbox.retry(small) == 1
    assert run(small).sent == 1
    assert len(double.posts()) == 1


def test_claims_keep_one_row_for_each_card(house: Core) -> None:
    """While one row about a card is on its way, no other about it is taken; other cards go on."""
    first, second = open_crisis(house), open_crisis(house)
    run(house, {"ops": Blind()})
    tell(
        house, timer("timer.breached", first), timer("timer.breached", first, "notice"), timer("timer.breached", second)
    )
    taken = [claim(house, {"ops": Bucket()}, f"sender {n}") for n in range(4)]
    subjects = [one.row.subject_id for one in taken if one]
    assert subjects == [first, second]


@pytest.mark.slow
def test_chaos_in_small(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """Random faults and kills: every message arrives, none twice."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 — to repeat a failure
    dice = random.Random(seed)
    tell(house, *(trouble(n) for n in range(30)))
    faults = ["429:3", "429", "500", "reset", "drop", "html", "cut", "no_ts", "fatal_error"]
    double.fail("chat.postMessage", *dice.choices(faults, k=30))
    double.fail("conversations.history", *dice.choices(["500", "reset", "html"], k=10))
    for n in range(400):
        with suppress(Killed):
            run(house, {"ops": Mortal(house, dice.choice(["before", "after", "lookup", "", "", ""]))}, f"sender {n}")
        clock.move(timedelta(seconds=dice.choice([1, 20, 70, 300])))
        if set(states(house)) == {"sent"}:
            break
    assert sorted(double.keys()) == sorted(f"source:{n}:trouble" for n in range(30)), seed
    assert not any(row.maybe_twice for row in rows(house))


def test_clocks_of_cases_and_long_lists(small: Core, clock: HandClock, double: SlackDouble) -> None:
    """A case's breach answers its card; many at once are one list; what is not in the store is poison."""
    ids = [open_case(small, ["漏水"]) for _ in range(8)]
    tell(small, Notice("case.opened", f"case:{ids[0]}:opened:0", "case", ids[0], "demo"))
    run(small)
    clock.move(timedelta(hours=1))
    timers.sweep(small)
    due = {"stage": "respond", "due_at": "2026-11-20T07:00:00+00:00"}
    tell(
        small,
        Notice("timer.breached", "b", "case", ids[0], "demo", due),
        Notice("timer.breached", "gone", "case", 99, "demo", due),
        Notice("cases.opened", "lost", "case", 98, "demo", {"case_ids": [98]}),
    )
    run(small)
    dead = [row.dedupe_key for row in rows(small) if row.state == "dead"]
    assert dead == ["gone", "lost"]
    answers = [message for message in double.messages if message.get("thread_ts") == double.messages[0]["ts"]]
    assert "首次回复" in answers[0]["text"]
    assert any("8 件差评" in message["text"] for message in double.messages)


def test_links_are_signed_unless_given(small: Core, double: SlackDouble) -> None:
    """Without links of its own a round signs them with the house's secret."""
    open_crisis(small, ["没收到货"])
    outbox.deliver(small, open_all(small.settings), "s")
    (url,) = [one["url"] for one in double.messages[0]["blocks"][-1]["elements"] if "url" in one]
    assert url.startswith("http://127.0.0.1:8000/v/")


def test_crisis_without_a_card_gets_one(small: Core, double: SlackDouble) -> None:
    """Where the opening never arrived, the next update posts the card, once."""
    crisis = open_crisis(small, ["没收到货"])
    double.fail("chat.postMessage", "is_archived")
    run(small)
    for version in (2, 3):
        tell(small, updated(crisis, version))
        run(small)
    assert (len(double.messages), states(small, "crisis.updated")) == (1, ["sent", "sent"])
