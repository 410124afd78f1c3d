"""The channel through apprise, against a real HTTP server that its ``json://`` reaches."""

import importlib.util
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from delivering import make_house, rows, run, tell, trouble
from factories import NOW
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine
from subjects import open_crisis
from werkzeug import Request, Response

from alerts.channel import Letter, SendError, Uncertain, load, open_all
from alerts.channels import apprise
from alerts.content import Button, Card, Ping, line, link
from alerts.markdown import TooLong
from monitor import config
from monitor.clock import HandClock
from monitor.core import Core

# apprise's mail plugin looks for a module that Python 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
CARD = Card(
    "【危机】示例旗舰店 · 漏发",
    (line("「根本没收到」", role="quote"), line("看", link("原文", "https://shop.test/1")), line(role="divider")),
    (Button("claim", "我来负责"), Button("view", "看全部 3 条", "https://desk.test/v/x")),
    ping=(Ping("主管"),),
)
LETTER = Letter("crisis:1:opened:0", "phones", CARD, NOW)
Said = list[dict[str, Any]]


@pytest.fixture
def house(sqlite: Engine, clock: HandClock, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Core:
    monkeypatch.setenv("PHONES", f"json://{httpserver.host}:{httpserver.port}/in/")
    channel = {"name": "phones", "kind": "apprise", "target": "phones", "token_env": "PHONES"}
    return make_house(sqlite, clock, channels=[channel], routes={"crisis": ["phones"], "case": ["phones"]})


@pytest.fixture
def channel(house: Core) -> apprise.Apprise:
    opened = open_all(house.settings)["phones"]
    assert isinstance(opened, apprise.Apprise)
    return opened


def answer(httpserver: HTTPServer, *statuses: int) -> Said:
    """What is posted, in a list that fills; answered with these statuses, then with 200."""
    heard: Said = []
    waiting = list(statuses)

    def hear(request: Request) -> Response:
        heard.append(request.get_json())
        return Response("{}", waiting.pop(0) if waiting else 200)

    httpserver.expect_request("/in/", method="POST").respond_with_handler(hear)
    return heard


def test_a_card_arrives_as_plain_text(channel: apprise.Apprise, httpserver: HTTPServer) -> None:
    """Title, who is called on, every line, links with their addresses; no button that nothing would happen on."""
    heard = answer(httpserver)
    assert channel.send(LETTER) == ""
    (said,) = heard
    assert said["title"] == "【危机】示例旗舰店 · 漏发"
    assert said["message"].split("\n") == [
        "请 主管 处理",
        "「根本没收到」",
        "看原文（https://shop.test/1）",
        "看全部 3 条：https://desk.test/v/x",
    ]


def test_a_bare_title_is_a_message_too(channel: apprise.Apprise, httpserver: HTTPServer) -> None:
    """apprise sends no empty bodies: the title stands in both places."""
    heard = answer(httpserver)
    channel.send(Letter("k", "phones", Card("【来源恢复】site"), NOW))
    assert (heard[0]["title"], heard[0]["message"]) == ("【来源恢复】site", "【来源恢复】site")


def test_fault_43_nothing_in_a_text_calls_or_formats(channel: apprise.Apprise, httpserver: HTTPServer) -> None:
    """Whatever service is behind it: no mention, no markup, no tag, no template survives; addresses of ours do."""
    heard = answer(httpserver)
    hostile = "@everyone <!channel> **粗** [点我](https://evil.test) <b>x</b> `rm` \\n {{7*7}}"
    card = Card(hostile, (line(hostile),), (Button("view", "看", "https://desk.test/a@b"),), ping=(Ping("@here"),))
    channel.send(Letter("k", "phones", card, NOW))
    said = heard[0]["title"] + heard[0]["message"].replace("https://desk.test/a@b", "")
    assert not set(said) & set("@<>*[]`\\")


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (401, True), (404, True), (429, False), (500, False), (503, False)]
)
def test_what_the_service_refuses_is_refused(
    channel: apprise.Apprise, httpserver: HTTPServer, status: int, permanent: bool
) -> None:
    """A status that says no is no, for now or for good."""
    answer(httpserver, status)
    with pytest.raises(SendError) as caught:
        channel.send(LETTER)
    assert caught.value.permanent == permanent


def test_a_gateway_that_gave_up_is_uncertain(channel: apprise.Apprise, httpserver: HTTPServer) -> None:
    """Behind a 504 the message may have been taken."""
    answer(httpserver, 504)
    with pytest.raises(Uncertain):
        channel.send(LETTER)


def test_nobody_knows_what_a_broken_connection_did(channel: apprise.Apprise, monkeypatch: pytest.MonkeyPatch) -> None:
    """apprise tells a refused connection from a lost answer to nobody: uncertain."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PHONES", f"json://127.0.0.1:{free.getsockname()[1]}/")
    with pytest.raises(Uncertain):
        channel.send(LETTER)


def test_one_of_several_targets_says_nothing_of_the_others(
    channel: apprise.Apprise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL with several targets failed at one: another may have it, so it is never sent again unmarked."""
    two = _Service(2)
    monkeypatch.setattr(channel, "_service", lambda: two)
    with pytest.raises(Uncertain):
        channel.send(LETTER)
    monkeypatch.setattr(channel, "_service", lambda: _Service(1))
    with pytest.raises(SendError):
        channel.send(LETTER)


def _Service(targets: int) -> Any:  # noqa: N802 — makes an instance of a class that needs apprise
    from apprise import NotifyBase

    class Failing(NotifyBase):  # type: ignore[misc]
        service_name = "failing"
        secure_protocol = "failing"

        def send(self, **_: Any) -> bool:
            self.logger.warning("Failed to send: error=400.")
            return False

        def url(self, **_: Any) -> str:
            return "failing://"

        def __len__(self) -> int:
            return targets

    return Failing(host="x")


def test_a_url_cannot_ask_for_retries_or_patience(
    channel: apprise.Apprise, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """apprise's own retries would post twice unmarked, and long waits outlive the lease: neither is left to the URL."""
    url = f"json://{httpserver.host}:{httpserver.port}/in/?retry=3&wait=0.01&rto=300&cto=300"
    monkeypatch.setenv("PHONES", url)
    heard = answer(httpserver, 500, 500, 500, 500)
    with pytest.raises(SendError):
        channel.send(LETTER)
    assert len(heard) == 1
    service = channel._service()
    assert max(service.socket_connect_timeout, service.socket_read_timeout) <= 10


def test_two_messages_do_not_wait_for_each_other(channel: apprise.Apprise, httpserver: HTTPServer) -> None:
    """apprise's pause of seconds between two posts keeps no sender from its work: the pace is the outbox's."""
    from time import monotonic

    answer(httpserver)
    started = monotonic()
    for _ in range(3):
        channel.send(LETTER)
    assert monotonic() - started < 5


def test_fault_07_an_uncertain_message_comes_marked(house: Core, clock: HandClock, httpserver: HTTPServer) -> None:
    """Nobody can be asked: what may have arrived is sent again as 「可能重复」."""
    heard = answer(httpserver, 504)
    open_crisis(house, ["没收到货"])
    assert run(house).uncertain == 1
    clock.move(timedelta(minutes=5))
    run(house)
    first, second = heard
    assert not first["title"].startswith("【可能重复】")
    assert second["title"].startswith("【可能重复】")
    assert [(row.state, row.maybe_twice) for row in rows(house)] == [("sent", True)]


def test_edits_are_not_sent(house: Core, httpserver: HTTPServer) -> None:
    """What only changes a card says nothing where no card can be changed; other news does arrive."""
    heard = answer(httpserver)
    crisis = open_crisis(house, ["没收到货"])
    run(house)
    from monitor import db, lifecycle
    from monitor.moves import Action, Actor

    with db.writing(house.engine) as session:
        lifecycle.act(house, session, Action("claim", "crisis", crisis), Actor("主管", "lead", "desk"))
    tell(house, trouble(1))
    run(house)
    assert [one["title"][:6] for one in heard] == ["【危机】示例", "【来源异常】"]


def test_what_is_wrong_with_the_set_up(house: Core, channel: apprise.Apprise, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor's line says what to do, and never shows the URL; a post fails for good with the same words."""
    assert channel.check() is None
    for url, told in {
        "": "PHONES",
        "nonsense": "不是 apprise 的网址",
        "nosuchservice://secret/": "不是 apprise 的网址",
        "tgram://": "不是 apprise 的网址",
        "dingtalk://secret@token/": "kind = 'dingtalk'",
        "WeComBot://secret/": "kind = 'wecom'",
        "feishu://secret/": "kind = 'feishu'",
    }.items():
        monkeypatch.setenv("PHONES", url)
        said = str(channel.check())
        assert told in said
        assert "secret" not in said
        with pytest.raises(SendError) as caught:
            channel.send(LETTER)
        assert caught.value.permanent


def test_without_the_extra_the_config_is_wrong(house: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the channel and what to install; the kind is still listed."""
    monkeypatch.setattr(importlib.util, "find_spec", _nothing_named("apprise"))
    with pytest.raises(config.ConfigError, match=r"phones.*pip install 'pingshao\[apprise\]'"):
        open_all(house.settings)
    assert load("apprise").rate == "10/1m"


def _nothing_named(missing: str) -> Callable[..., Any]:
    real = importlib.util.find_spec
    return lambda name, *rest: None if name == missing else real(name, *rest)


LONG = (line("「" + "字" * 900 + "」", role="quote"), line("负责人：还没人认领"))
PAGE = (Button("view", "看详情", "https://desk.test/v/x"),)


def test_long_text_is_made_to_fit_and_says_so() -> None:
    """Quotes are shortened to the service's limit, and what is left out is counted."""
    title, body = apprise.written(Card("标题", LONG, PAGE), 250, 500)
    assert (title, len(body) <= 500) == ("标题", True)
    assert "……（还有 " in body
    assert "https://desk.test/v/x" in body


def test_what_never_fits_sends_people_to_the_page() -> None:
    """A text message holds a headline and an address; where not even that fits, it is an error and not a cut."""
    many: Sequence[Any] = [line(f"第 {n} 行") for n in range(60)]
    assert apprise.written(Card("标题", tuple(many), PAGE), 0, 160) == (
        "",
        "标题\n放不下全文，请打开看：https://desk.test/v/x",
    )
    for card, most in ((Card("标题", tuple(many)), 160), (Card("标题", tuple(many), PAGE), 20)):
        with pytest.raises(TooLong):
            apprise.written(card, 0, most)


@pytest.mark.parametrize("most", [0, 3])
def test_a_title_too_long_for_its_field_begins_the_body(most: int) -> None:
    """No service cuts our title."""
    title, body = apprise.written(Card("【危机】示例", (line("正文"),)), most, 500)
    assert (title, body) == ("", "【危机】示例\n正文")
