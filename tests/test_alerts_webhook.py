"""The webhook channel: signed JSON under a key, and the guide's receiver."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delivering import make_house, rows, run, states, tell, trouble
from factories import NOW
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine
from subjects import open_crisis
from werkzeug import Request, Response

from alerts.channel import Letter, SendError, open_all
from alerts.content import Button, Card, Ping, line
from monitor.clock import HandClock
from monitor.core import Core

GUIDE = Path(__file__).parent.parent / "docs" / "how-to" / "send-to-a-webhook.md"
SECRET = "a shared secret of some length"


class Receiver:
    """What came, and what to answer next: a status, or ``known`` for a key that was taken before."""

    def __init__(self, server: HTTPServer) -> None:
        self.requests: list[Request] = []
        self.answers: list[int | str] = []
        self.url = server.url_for("/hooks/")
        server.clear()
        server.expect_request("/hooks/alerts", method="POST").respond_with_handler(self._take)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.get_data()) for request in self.requests]

    def _take(self, request: Request) -> Response:
        request.get_data()
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 202
        if answer == "known":
            return Response(json.dumps({"key": self.bodies[-1]["key"]}), 409)
        return Response("ok", int(answer))


@pytest.fixture
def receiver(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    return Receiver(httpserver)


def make_crm(engine: Engine, clock: HandClock, url: str, **values: Any) -> Core:
    channel = {
        "name": "crm",
        "kind": "webhook",
        "target": "alerts",
        "base_url": url,
        "signing_secret_env": "CRM_SECRET",
    }
    return make_house(engine, clock, channels=[channel | values], routes={"crisis": ["crm"]})


@pytest.fixture
def house(sqlite: Engine, clock: HandClock, receiver: Receiver) -> Core:
    return make_crm(sqlite, clock, receiver.url)


def genuine() -> Callable[[str, Any, bytes], bool]:
    """The guide's function."""
    code = re.findall(r"(?m)^    (.*)$|^()$", GUIDE.read_text("utf-8").partition("## Verify")[2].partition("## ")[0])
    names: dict[str, Any] = {}
    exec("\n".join(text for text, _ in code), names)  # noqa: S102 — our own page
    return names["genuine"]  # type: ignore[no-any-return]


def test_message_is_whole_and_signed(house: Core, clock: HandClock, receiver: Receiver) -> None:
    """A crisis arrives with its key, kind, shop and words; the guide's lines find it genuine, and nothing else."""
    clock.move(datetime.now(UTC) - clock.now())
    crisis = open_crisis(house, ["没收到货，没人管"])
    assert run(house).sent == 1
    (request,), (body,) = receiver.requests, receiver.bodies
    assert set(body) == {
        *("key", "kind", "about", "shop", "at", "title", "text", "lines", "buttons", "people", "carries", "maybe_twice")
    }
    assert (body["key"], body["kind"], body["about"]) == (
        f"crisis:{crisis}:opened:0",
        "crisis.opened",
        f"crisis:{crisis}",
    )
    assert (body["shop"], body["people"], body["maybe_twice"]) == ("demo", ["主管"], False)
    assert datetime.fromisoformat(body["at"]) == clock.now()
    assert "没收到货" in body["text"]
    assert body["buttons"][-1]["url"] == f"http://desk.test/v/crisis/{crisis}"
    assert request.headers["Idempotency-Key"] == body["key"]
    raw, check = request.get_data(), genuine()
    assert check(SECRET, request.headers, raw)
    assert not check("another secret", request.headers, raw)
    assert not check(SECRET, request.headers, raw + b" ")
    assert not check(SECRET, {**request.headers, "X-Pingshao-Timestamp": str(int(NOW.timestamp()))}, raw)
    assert rows(house)[0].provider_ref == body["key"]


def test_same_key_on_every_attempt(house: Core, clock: HandClock, receiver: Receiver) -> None:
    """What may have arrived goes again under its key and says so; 409 with that key is an acceptance."""
    tell(house, trouble(1))
    receiver.answers += [504, 503, "known"]
    assert run(house).uncertain == 1
    clock.move(timedelta(minutes=1))
    assert run(house).failed == 1
    clock.move(timedelta(minutes=1))
    assert run(house).sent == 1
    assert {body["key"] for body in receiver.bodies} == {"source:1:trouble"}
    assert [body["maybe_twice"] for body in receiver.bodies] == [False, True, True]
    assert rows(house)[0].maybe_twice


@pytest.mark.parametrize("answer", [400, 401, 404, 409, 410, 302])
def test_final_answers(house: Core, receiver: Receiver, answer: int) -> None:
    """What time does not mend is dead, with the status told; 409 without our key is no acceptance."""
    tell(house, trouble(1))
    receiver.answers.append(answer)
    assert run(house).dead == 1
    assert str(answer) in rows(house)[0].last_error


def test_token_and_odd_keys(
    sqlite: Engine, clock: HandClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token goes along; a key that no header holds is percent-encoded there and whole in the body."""
    monkeypatch.setenv("CRM_TOKEN", "t-1")
    core = make_crm(sqlite, clock, receiver.url, token_env="CRM_TOKEN")
    card = Card("标题\ud800", (line("正文"),), (Button("view", "看详情", "http://x/"),), ping=(Ping("主管"),))
    open_all(core.settings)["crm"].send(Letter("outbox:运营\r\n:dead", "alerts", card, NOW))
    (request,), (body,) = receiver.requests, receiver.bodies
    assert request.headers["Authorization"] == "Bearer t-1"
    assert request.headers["Idempotency-Key"] == "outbox:%E8%BF%90%E8%90%A5%0D%0A:dead"
    assert body["key"] == "outbox:运营\r\n:dead"


def test_without_a_secret_nothing_is_sent(house: Core, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsigned message is none; doctor and outbox name the variable."""
    channel = open_all(house.settings)["crm"]
    assert channel.check() is None
    monkeypatch.delenv("CRM_SECRET")
    assert "CRM_SECRET" in str(channel.check())
    with pytest.raises(SendError, match="CRM_SECRET") as caught:
        channel.send(Letter("k", "alerts", Card("x"), NOW))
    assert caught.value.permanent
    assert not receiver.requests


def test_check_says_what_is_missing(sqlite: Engine, clock: HandClock, receiver: Receiver) -> None:
    """The doctor's line names the channel and the cure."""
    assert "连不上" in str(open_all(make_crm(sqlite, clock, "http://127.0.0.1:9").settings)["crm"].check())
    unnamed = make_crm(sqlite, clock, receiver.url, signing_secret_env="")
    assert "signing_secret_env" in str(open_all(unnamed.settings)["crm"].check())


def test_edits_do_not_come_here(house: Core, receiver: Receiver) -> None:
    """Nothing that was posted is posted again as an edit."""
    crisis = open_crisis(house, ["没收到货"])
    run(house)
    assert states(house) == ["sent"]
    assert crisis
    assert len(receiver.requests) == 1
