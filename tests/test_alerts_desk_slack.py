"""Slack's door: signatures, doubles, refusals told to the one who clicked."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import httpx
import pytest
from factories import make_core, make_settings
from faulty_stores import impatient, locked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from serving import browse
from slack_sdk.signature import SignatureVerifier
from sqlmodel import SQLModel, func, select
from subjects import open_case, open_crisis
from werkzeug import Request, Response

from alerts.desk.app import create_app
from alerts.desk.slack_clicks import _ours
from alerts.links import Links
from monitor import db, lifecycle
from monitor.core import Core
from monitor.models import Case, Crisis, Event, Inbound

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def core(core: Core, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Core:
    """The common ground with two Slack channels; a local server stands in for Slack."""
    monkeypatch.setenv("OPS_SECRET", SECRET)
    monkeypatch.setenv("EMPTY_SECRET", "")
    slack = {"kind": "slack", "target": "C1", "base_url": httpserver.url_for("/api/")}
    channels = [
        {"name": "ops", "signing_secret_env": "OPS_SECRET", **slack},
        {"name": "other", "signing_secret_env": "EMPTY_SECRET", "kind": "slack"},
        {"name": "bare", "kind": "slack", "base_url": "nonsense"},
    ]
    return make_core(core.engine, make_settings(channels=channels), core.clock)


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    app = create_app(core, Links(core.secret, "https://desk.example.com", core.clock))
    with browse(app) as client:
        yield client


def make_payload(what: str = "claim", value: str = "case:1", user: str = "U0001", **more: Any) -> dict[str, Any]:
    """A click on a button of a card, as Slack sends it."""
    button = {"type": "button", "action_id": what, "value": value, "action_ts": "1795154400.123456"}
    return {
        "type": "block_actions",
        "user": {"id": user, "name": "someone"},
        "container": {"type": "message", "message_ts": "1795154000.000100", "channel_id": "C1"},
        "actions": [button],
    } | more


def signed(core: Core, body: bytes, seconds: float = 0, secret: str = SECRET) -> dict[str, str]:
    """Headers with which Slack would send the body, its clock ahead of ours by so many seconds."""
    stamp = str(int(core.clock.now().timestamp() + seconds))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    assert signature
    return {
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": signature,
        "content-type": "application/x-www-form-urlencoded",
    }


def form(payload: Any) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def press(desk: httpx.Client, core: Core, payload: Any) -> httpx.Response:
    body = form(payload)
    return desk.post("/slack/actions", content=body, headers=signed(core, body))


def rows(core: Core, model: type[SQLModel]) -> int:
    with db.reading(core.engine) as session:
        return session.exec(select(func.count()).select_from(model)).one()


def listen(httpserver: HTTPServer, path: str = "/reply") -> list[dict[str, Any]]:
    """What is posted to a response_url, in a list that fills."""
    heard: list[dict[str, Any]] = []

    def hear(request: Request) -> Response:
        heard.append(request.get_json())
        return Response("ok")

    httpserver.expect_request(path, method="POST").respond_with_handler(hear)
    return heard


def wait_for(heard: list[dict[str, Any]]) -> dict[str, Any]:
    until = monotonic() + 10
    while not heard and monotonic() < until:
        sleep(0.01)
    return heard[0]


def test_a_click_is_done(desk: httpx.Client, core: Core) -> None:
    """A signed click on 我来负责 claims the case in the name of the one who clicked."""
    case_id = open_case(core)
    answer = press(desk, core, make_payload(value=f"case:{case_id}"))
    assert (answer.status_code, answer.content) == (200, b"")
    with db.reading(core.engine) as session:
        assert session.get_one(Case, case_id).state == "assigned"
        event = session.exec(select(Event)).one()
        assert (event.actor, event.door) == ("客服一号", "slack")


def test_fault_20_the_same_click_delivered_twice(desk: httpx.Client, core: Core) -> None:
    """Slack delivers again with a new signature and trigger; one event."""
    payload = make_payload("notified_sms", f"crisis:{open_crisis(core)}")
    before = rows(core, Event)
    for trigger in ("1.2.a", "1.2.b"):
        assert press(desk, core, payload | {"trigger_id": trigger}).status_code == 200
    assert (rows(core, Event), rows(core, Inbound)) == (before + 1, 1)


def test_fault_21_a_replayed_request(desk: httpx.Client, core: Core) -> None:
    """The very same signed request within five minutes does nothing more."""
    body = form(make_payload("claim", f"case:{open_case(core)}"))
    headers = signed(core, body)
    for _ in range(3):
        assert desk.post("/slack/actions", content=body, headers=headers).status_code == 200
    assert (rows(core, Inbound), rows(core, Event)) == (1, 1)


def test_two_different_clicks_are_two(desk: httpx.Client, core: Core) -> None:
    """Two buttons, or two people on one button, are not doubles of each other."""
    value = f"crisis:{open_crisis(core)}"
    press(desk, core, make_payload("notified_sms", value))
    press(desk, core, make_payload("notified_call", value))
    press(desk, core, make_payload("claim", value, user="U0002"))
    assert rows(core, Inbound) == 3


def test_fault_22_only_fresh_requests_count(desk: httpx.Client, core: Core) -> None:
    """Older than five minutes, or from the future beyond a clock's ordinary error: 401."""
    body = form(make_payload(value=f"case:{open_case(core)}"))
    for seconds in (-301, -3600, 61, 301, 3600):
        assert desk.post("/slack/actions", content=body, headers=signed(core, body, seconds)).status_code == 401
    assert rows(core, Inbound) == 0
    for seconds in (-300, 60):
        assert desk.post("/slack/actions", content=body, headers=signed(core, body, seconds)).status_code == 200


def test_fault_23_bad_signatures(desk: httpx.Client, core: Core) -> None:
    """A bad timestamp or signature, ASCII or not, is 401."""
    body = form(make_payload(value=f"case:{open_case(core)}"))
    stamps = [{"x-slack-request-timestamp": bad} for bad in ("yesterday", "", "nan", "1e9", "9" * 5000, "٣")]
    signatures = [{"x-slack-signature": bad} for bad in ("v0=签名", "v0=" + "0" * 64, "", "v0", "\xff")]
    for wrong in stamps + signatures:
        headers = {name: value.encode() for name, value in (signed(core, body) | wrong).items()}
        assert desk.post("/slack/actions", content=body, headers=headers).status_code == 401
    assert rows(core, Inbound) == 0


def test_missing_and_foreign_signatures(desk: httpx.Client, core: Core) -> None:
    """Unsigned, signed with another secret or with the empty one, or signed for another body: 401."""
    body = form(make_payload())
    assert desk.post("/slack/actions", content=body).status_code == 401
    assert desk.post("/slack/actions", content=body, headers=signed(core, body, secret="other")).status_code == 401
    assert desk.post("/slack/actions", content=body, headers=signed(core, b"payload={}")).status_code == 401
    assert desk.get("/slack/actions").status_code == 405


def test_without_a_secret_the_door_is_closed(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no signing secret is set, nothing is taken, however it is signed."""
    monkeypatch.delenv("OPS_SECRET")
    body = form(make_payload())
    with browse(create_app(core, Links(core.secret, "http://127.0.0.1", core.clock))) as desk:
        assert desk.post("/slack/actions", content=body, headers=signed(core, body)).status_code == 401


def test_fault_23_bodies_that_are_no_text(desk: httpx.Client, core: Core) -> None:
    """A body that is not UTF-8 is 401, however it is signed."""
    body = b"payload=\xff\xfe"
    assert desk.post("/slack/actions", content=body, headers=signed(core, b"payload=")).status_code == 401


def test_fault_23_huge_bodies(desk: httpx.Client, core: Core) -> None:
    """10 MB are refused with 413, announced or chunked."""
    body = b"payload=" + b"a" * 10_000_000
    headers = signed(core, b"x")

    def chunks() -> Iterator[bytes]:
        yield from (body[at : at + 65536] for at in range(0, len(body), 65536))

    for content in (body, chunks()):
        with suppress(httpx.WriteError):  # the server may hang up on the rest
            assert desk.post("/slack/actions", content=content, headers=headers).status_code == 413
    assert desk.get("/healthz").json() == {"ok": True}


def test_payloads_of_another_shape(desk: httpx.Client, core: Core) -> None:
    """Signed but not a click on a card of ours: 400, nothing stored."""
    values = ("case", "case:99999999999999999999", "case:１", "shop:1", "case:-1", "", " case:1")
    for payload in (
        [],
        7,
        None,
        {"type": "block_actions"},
        {"type": "block_actions", "actions": []},
        {"type": "block_actions", "actions": {}, "user": []},
        {},
        *(make_payload(value=value) for value in values),
    ):
        assert press(desk, core, payload).status_code == 400
    assert rows(core, Inbound) == 0


def test_bodies_of_another_shape(desk: httpx.Client, core: Core) -> None:
    """Signed but no form, no JSON, or JSON nested without end: 400."""
    for body in (b"", b"payload=", b"payload=%7B", b"payload=%ff", b"a=1", b"payload=" + b"%5B" * 90_000):
        assert desk.post("/slack/actions", content=body, headers=signed(core, body)).status_code == 400
    for n in range(0, 256, 15):
        body = b"payload=" + quote_from_bytes(bytes([n, n ^ 0x55])).encode()
        assert desk.post("/slack/actions", content=body, headers=signed(core, body)).status_code == 400


def test_other_interactions_are_acknowledged(desk: httpx.Client, core: Core) -> None:
    """Buttons that only open a page are clicks too: 200, nothing done."""
    for payload in ({"type": "shortcut"}, make_payload("open_page"), make_payload("view", value="")):
        assert press(desk, core, payload).status_code == 200
    assert rows(core, Inbound) == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    what=st.text(max_size=5) | st.sampled_from(["claim", "plan", "assign"]),
    value=st.text(max_size=8) | st.just("case:1"),
    user=st.text(max_size=80) | st.none() | st.integers(),
    stamp=st.text(max_size=300),
)
def test_no_payload_breaks_the_door(
    desk: httpx.Client, core: Core, what: Any, value: Any, user: Any, stamp: str
) -> None:
    """Fault 23: whatever is in the fields (NUL, lone surrogates, numbers), the answer is never 500."""
    payload = make_payload(what, value, user)
    payload["actions"][0]["action_ts"] = stamp
    assert press(desk, core, payload).status_code in {200, 400}


def test_a_refusal_is_told_to_the_one_who_clicked(desk: httpx.Client, core: Core, httpserver: HTTPServer) -> None:
    """Fault 24: who comes second hears, alone, who was first; names cannot smuggle Slack markup."""
    heard = listen(httpserver)
    value = f"case:{open_case(core)}"
    press(desk, core, make_payload(value=value))
    press(desk, core, make_payload(value=value, user="U0002", response_url=httpserver.url_for("/reply")))
    said = wait_for(heard)
    assert said == {"text": "客服一号已经认领了", "response_type": "ephemeral", "replace_original": False}


def test_strangers_are_told(desk: httpx.Client, core: Core, httpserver: HTTPServer) -> None:
    """Somebody Slack knows and the config does not hears what to do about it; his id is text."""
    heard = listen(httpserver)
    payload = make_payload(
        value=f"case:{open_case(core)}", user="<!channel>", response_url=httpserver.url_for("/reply")
    )
    assert press(desk, core, payload).status_code == 200
    said = wait_for(heard)["text"]
    assert "people" in said
    assert "<" not in said


def test_what_is_lacking_is_asked_for_with_a_link(desk: httpx.Client, core: Core, httpserver: HTTPServer) -> None:
    """A button that needs words answers with a personal link to the form, and the link works."""
    heard = listen(httpserver)
    crisis_id = open_crisis(core)
    payload = make_payload("plan", f"crisis:{crisis_id}", response_url=httpserver.url_for("/reply"))
    press(desk, core, payload)
    said = wait_for(heard)["text"]
    path = said.split("<https://desk.example.com")[1].split("|")[0]
    desk.post(path, data={"note": "先补发"})
    with db.reading(core.engine) as session:
        assert session.get_one(Crisis, crisis_id).plan == "先补发"


def test_what_is_done_is_not_told_twice(desk: httpx.Client, core: Core, httpserver: HTTPServer) -> None:
    """The card shows what was done; no further message."""
    heard = listen(httpserver)
    payload = make_payload(value=f"case:{open_case(core)}", response_url=httpserver.url_for("/reply"))
    press(desk, core, payload)
    sleep(0.2)
    assert heard == []


def test_replies_go_to_slack_only(core: Core) -> None:
    """A response_url outside Slack, or what stands in for it, is not called: no reaching into the inner network."""
    own = core.settings.channels[0].base_url
    assert _ours(core, "https://hooks.slack.com/actions/T1/2/3")
    assert _ours(core, own + "x")
    for bad in (
        "",
        "http://hooks.slack.com/x",
        "https://hooks.slack.com.evil.example/x",
        "https://hooks.slack.com@evil.example/x",
        "https://evil.example/hooks.slack.com",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "nonsense",
        "https://[broken",
        own.replace("http://", "https://"),
    ):
        assert not _ours(core, bad)


def test_a_reply_that_cannot_be_given_does_no_harm(desk: httpx.Client, core: Core, httpserver: HTTPServer) -> None:
    """A response_url that answers rubbish, or nobody answers at, changes nothing for the click."""
    httpserver.expect_request("/reply").respond_with_data("no", status=500)
    answer = press(desk, core, make_payload(value="case:1", response_url=httpserver.url_for("/reply")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    core.settings.channels.append(core.settings.channels[0].model_copy(update={"base_url": f"http://127.0.0.1:{port}"}))
    payload = make_payload("answered", value="case:1", response_url=f"http://127.0.0.1:{port}/x")
    assert (answer.status_code, press(desk, core, payload).status_code) == (200, 200)
    assert rows(core, Inbound) == 2


def test_a_failure_is_told_and_the_click_can_come_again(
    desk: httpx.Client, core: Core, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own error: Slack has its 200, the person hears that nothing was kept, nothing was."""
    heard = listen(httpserver)
    monkeypatch.setattr(lifecycle, "act", lambda *_: 1 / 0)
    payload = make_payload(value=f"case:{open_case(core)}", response_url=httpserver.url_for("/reply"))
    assert press(desk, core, payload).status_code == 503
    assert "再点一次" in wait_for(heard)["text"]
    assert rows(core, Inbound) == 0


def test_fault_34_a_click_on_a_locked_store_is_told_to_come_again(core: Core, httpserver: HTTPServer) -> None:
    """Slack shows a failure; the person hears that nothing was kept, and the same button works a moment later."""
    heard, engine = listen(httpserver), impatient(core.engine)
    hasty = make_core(engine, core.settings, core.clock)
    payload = make_payload(value=f"case:{open_case(core)}", response_url=httpserver.url_for("/reply"))
    with browse(create_app(hasty, Links(core.secret, "https://desk.example.com", core.clock))) as desk:
        with locked(core.engine):
            assert press(desk, core, payload).status_code == 503
            assert "再点一次" in wait_for(heard)["text"]
        assert rows(core, Inbound) == 0
        assert press(desk, core, payload).status_code == 200
    assert (rows(core, Inbound), rows(core, Event)) == (1, 1)
    engine.dispose()


def test_slack_is_answered_in_time_even_when_the_store_is_busy(
    desk: httpx.Client, core: Core, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer comes within three seconds, and is no yes: nothing is kept yet; it is done once the store is free."""
    heard, free = listen(httpserver), threading.Event()
    act = lifecycle.act
    monkeypatch.setattr("alerts.desk.slack._ANSWER_WITHIN", 0.2)
    monkeypatch.setattr(lifecycle, "act", lambda *given: free.wait(10) and act(*given))
    payload = make_payload("close", f"case:{open_case(core)}", user="U0002", response_url=httpserver.url_for("/reply"))
    started = monotonic()
    assert press(desk, core, payload).status_code == 503
    assert monotonic() - started < 3
    assert heard == []
    free.set()
    assert "待认领" in wait_for(heard)["text"]


def test_an_old_click_is_known_days_later(desk: httpx.Client, core: Core) -> None:
    """The inbound row outlives the signature's five minutes."""
    payload = make_payload("contacted", f"case:{open_case(core)}")
    press(desk, core, payload)
    core.clock.move(timedelta(days=3))  # type: ignore[attr-defined]
    press(desk, core, payload)
    assert rows(core, Inbound) == 1
