"""The Slack channel against a strict double of Slack's Web API."""

from collections.abc import Iterator

import pytest
from delivering import make_house, rows, run, states, tell
from factories import NOW
from slack_double import SlackDouble, slack_double
from sqlalchemy import Engine
from subjects import open_case, open_crisis

from alerts.channel import Gone, Letter, SendError, Uncertain, open_all
from alerts.channels import slack
from alerts.content import Card, Ping, line
from monitor.clock import HandClock
from monitor.core import Core
from monitor.notices import Notice


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackDouble]:
    monkeypatch.setenv("TOKEN", "xoxb-test")
    with slack_double() as running:
        yield running


@pytest.fixture
def house(sqlite: Engine, clock: HandClock, double: SlackDouble) -> Core:
    return make_house(sqlite, clock, double.url)


@pytest.fixture
def channel(house: Core) -> slack.Slack:
    opened = open_all(house.settings)["ops"]
    assert isinstance(opened, slack.Slack)
    return opened


LETTER = Letter("crisis:1:opened:0", "C1", Card("标题", (line("正文"),), about="crisis:1"), NOW, live="crisis:1")


def test_post_carries_key_and_gives_its_name(channel: slack.Slack, double: SlackDouble) -> None:
    """A post returns Slack's ts and carries the dedupe key in its metadata."""
    assert channel.send(LETTER) == double.messages[0]["ts"]
    assert double.messages[0]["metadata"] == {
        "event_type": "pingshao",
        "event_payload": {"key": "crisis:1:opened:0", "card": "crisis:1"},
    }


@pytest.mark.parametrize(
    ("fault", "wait"), [("429:7", 7.0), ("429", None), ("429:soon", None), ("429:-3", None), ("429:1e9", 6 * 3600.0)]
)
def test_too_many_requests(channel: slack.Slack, double: SlackDouble, fault: str, wait: float | None) -> None:
    """429 is a refusal for now, with Slack's own pause where it names a usable one."""
    double.fail("chat.postMessage", fault)
    with pytest.raises(SendError) as caught:
        channel.send(LETTER)
    assert (caught.value.permanent, caught.value.retry_after) == (False, wait)


@pytest.mark.parametrize("fault", ["500", "503", "service_unavailable"])
def test_server_errors_are_passing(channel: slack.Slack, double: SlackDouble, fault: str) -> None:
    """A server error is a refusal for now."""
    double.fail("chat.postMessage", fault)
    with pytest.raises(SendError) as caught:
        channel.send(LETTER)
    assert not caught.value.permanent


@pytest.mark.parametrize("fault", ["token_revoked", "is_archived", "not_in_channel", "invalid_blocks", "a_new_code"])
def test_final_refusals(channel: slack.Slack, double: SlackDouble, fault: str) -> None:
    """What time does not mend is permanent, and the code is told."""
    double.fail("chat.postMessage", fault)
    with pytest.raises(SendError, match=fault) as caught:
        channel.send(LETTER)
    assert caught.value.permanent


@pytest.mark.parametrize("fault", ["reset", "drop", "html", "cut", "list", "slow", "502", "fatal_error"])
def test_unreadable_answers_are_uncertain(
    monkeypatch: pytest.MonkeyPatch, house: Core, double: SlackDouble, fault: str
) -> None:
    """Reset, time-out, rubbish and half-done errors leave it open whether Slack has the message."""
    monkeypatch.setattr(slack, "TIMEOUT", 0.3)
    double.fail("chat.postMessage", fault)
    with pytest.raises(Uncertain):
        open_all(house.settings)["ops"].send(LETTER)
    assert len(double.posts()) == 1, "the SDK must not retry by itself"


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, sqlite: Engine, clock: HandClock) -> None:
    """A refused connection is a refusal for now that says the provider is down."""
    monkeypatch.setenv("TOKEN", "xoxb-test")
    core = make_house(sqlite, clock, "http://127.0.0.1:9/api")
    with pytest.raises(SendError) as caught:
        open_all(core.settings)["ops"].send(LETTER)
    assert (caught.value.permanent, caught.value.down) == (False, True)


def test_accepted_without_ts_is_looked_up(channel: slack.Slack, double: SlackDouble) -> None:
    """ok:true without ts is sent; the name is found by metadata."""
    double.fail("chat.postMessage", "no_ts")
    assert channel.send(LETTER) == double.messages[0]["ts"]


def test_accepted_without_ts_and_no_way_to_ask(channel: slack.Slack, double: SlackDouble) -> None:
    """ok:true without ts is sent even when the look-up fails."""
    double.fail("chat.postMessage", "no_ts")
    double.fail("conversations.history", "500")
    assert channel.send(LETTER) == ""


def test_lookup_pages_through_history(channel: slack.Slack, double: SlackDouble) -> None:
    """The look-up follows cursors, tells the other messages apart, and says when the message is not there."""
    double.page = 2
    names = [channel.send(Letter(f"case:{n}:opened:0", "C1", LETTER.card, NOW)) for n in range(7)]
    double.messages.insert(2, {"channel": "C1", "ts": "1.1", "text": "有人说话"})
    assert channel.lookup(Letter("case:1:opened:0", "C1", LETTER.card, NOW)) == names[1]
    assert channel.lookup(Letter("case:9:opened:0", "C1", LETTER.card, NOW)) == ""


def test_lookup_that_cannot_end_says_so(channel: slack.Slack, double: SlackDouble) -> None:
    """Where history is longer than what is looked through, nobody can say."""
    double.page = 1
    for n in range(slack._PAGES + 2):
        channel.send(Letter(f"case:{n}:opened:0", "C1", LETTER.card, NOW))
    assert channel.lookup(Letter("case:0:opened:0", "C1", LETTER.card, NOW)) is None


def test_lookup_in_a_thread(channel: slack.Slack, double: SlackDouble) -> None:
    """Answers are found in their thread; a thread that is gone leaves the channel to be searched."""
    card = channel.send(LETTER)
    reply = Letter("crisis:1:respond:deadline:0", "C1", LETTER.card, NOW, thread=card)
    name = channel.send(reply)
    assert channel.lookup(reply) == name
    double.messages.clear()
    assert channel.lookup(reply) == ""


def test_lookup_of_rubbish_is_uncertain(channel: slack.Slack, double: SlackDouble) -> None:
    """An answer without messages is no answer."""
    double.fail("conversations.history", "list")
    with pytest.raises(Uncertain):
        channel.lookup(LETTER)


def test_update_of_a_deleted_message(channel: slack.Slack) -> None:
    """Editing what is gone says so."""
    with pytest.raises(Gone):
        channel.update("1.1", LETTER)


def test_check_tells_what_to_do(
    monkeypatch: pytest.MonkeyPatch, house: Core, channel: slack.Slack, double: SlackDouble
) -> None:
    """The doctor's line names channel and cure; nothing when all is well."""
    assert channel.check() is None
    double.fail("conversations.history", "not_in_channel")
    assert "/invite" in str(channel.check())
    double.fail("auth.test", "html")
    assert "连不上" in str(channel.check())
    monkeypatch.delenv("TOKEN")
    assert "TOKEN" in str(open_all(house.settings)["ops"].check())


def test_pings_only_whom_we_mean(channel: slack.Slack, double: SlackDouble) -> None:
    """People are called on by id; a text cannot call on anybody."""
    hostile = "<!channel> <@U0002> @here *粗* & <https://evil.test|点我>"
    card = Card(
        hostile, (line(hostile), line(hostile, role="small")), ping=(Ping("主管", "U0002"), Ping("<!here>", "x"))
    )
    channel.send(Letter("k", "C1", card, NOW))
    said = str(double.messages[0]["blocks"]) + double.messages[0]["text"]
    assert said.count("<@U0002>") == 2
    assert "<!" not in said
    assert "<https" not in said


def test_crisis_card_is_edited_in_place(house: Core, clock: HandClock, double: SlackDouble) -> None:
    """A crisis is one message: opened, edited; reminders stand in its thread and call on people."""
    crisis = open_crisis(house, ["没收到货，没人管"] * 3)
    run(house)
    tell(house, Notice("crisis.updated", f"crisis:{crisis}:card:2", "crisis", crisis, "demo"))
    facts = {"stage": "respond", "due_at": "2026-11-20T07:00:00+00:00", "rung": "manager"}
    tell(house, Notice("timer.rung", f"crisis:{crisis}:respond:rung4:0", "crisis", crisis, "demo", facts))
    run(house)
    card, reply = double.messages
    assert set(states(house)) == {"sent"}
    assert reply["thread_ts"] == card["ts"]
    assert "<@U0003>" in reply["text"]
    assert [method for method, _ in double.calls] == ["chat.postMessage", "chat.update", "chat.postMessage"]


def test_fault_15_deleted_card_is_posted_anew_once(house: Core, double: SlackDouble) -> None:
    """message_not_found on an update posts the card anew, and the next update edits that one."""
    crisis = open_crisis(house, ["没收到货"])
    run(house)
    double.messages.clear()
    for version in (2, 3):
        tell(house, Notice("crisis.updated", f"crisis:{crisis}:card:{version}", "crisis", crisis, "demo"))
        run(house)
    assert len(double.messages) == 1
    assert len(double.posts()) == 2
    assert set(states(house)) == {"sent"}


def test_answer_to_a_deleted_card_stands_alone(house: Core, double: SlackDouble) -> None:
    """A reminder whose thread is gone is posted by itself."""
    crisis = open_crisis(house, ["没收到货"])
    run(house)
    double.fail("chat.postMessage", "thread_not_found")
    facts = {"stage": "respond", "due_at": "2026-11-20T07:00:00+00:00"}
    tell(house, Notice("timer.breached", f"crisis:{crisis}:respond:deadline:0", "crisis", crisis, "demo", facts))
    run(house)
    assert states(house, "timer.breached") == ["sent"]
    assert "thread_ts" not in double.messages[-1]


@pytest.mark.parametrize("length", [0, 2_990, 3_001, 20_000])
def test_hostile_and_long_text_fits(house: Core, double: SlackDouble, length: int) -> None:
    """Any review makes a card that Slack takes: escaped, within limits, saying what it leaves out."""
    text = ("<!channel>&*_~`\u202e" * (length // 15 + 1))[:length]
    open_case(house, [text], categories=["quality"])
    crisis = open_crisis(house, [text], evidence=[{"code": "quality", "start": 0, "end": length, "text": text}])
    tell(house, Notice("case.opened", "case:1:opened:0", "case", 1, "demo"))
    run(house)
    assert set(states(house)) == {"sent"}, [row.last_error for row in rows(house)]
    assert crisis
    assert ("全文" in str(double.messages[0]["blocks"])) == (length > 300)


def test_flood_is_listed_whole(house: Core, double: SlackDouble) -> None:
    """Many cases come as one card whose further pages are answers to it, and none is left out."""
    ids = [open_case(house, [f"第{n}个杯子坏了"], categories=["quality"]) for n in range(45)]
    tell(house, Notice("cases.opened", f"cases:{ids[0]}:opened", "case", ids[0], "demo", {"case_ids": ids}))
    run(house)
    first, *others = double.messages
    assert len(others) == 2
    assert all(page["thread_ts"] == first["ts"] for page in others)
    said = str(double.messages)
    assert all(f"第{n}个杯子坏了" in said for n in range(45))
    assert "45 件" in first["text"]
