"""Socket Mode against a websocket server of our own: clicks are kept once, and acknowledged when kept."""

import json
import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import pytest
from factories import make_core, make_settings
from faulty_stores import impatient, locked
from pytest_httpserver import HTTPServer
from slack_rules import view_problem
from slack_views import filled
from sqlmodel import select
from subjects import open_case, open_crisis
from test_alerts_desk_slack import make_payload
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve
from werkzeug import Request, Response

from alerts.desk.sockets import SocketDoor, open_all
from alerts.links import Links
from monitor import db
from monitor.core import Core
from monitor.models import Crisis, Event, Inbound

TOKEN = "xapp-1-test"
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


class Slack:
    """Gives addresses of websockets, sends envelopes over them, and keeps what was acknowledged.

    Attributes:
        refusing: So many requests for an address are answered with an error first.
        hang_up: The connection is cut as soon as an acknowledgement comes, which is lost.
    """

    def __init__(self, http: HTTPServer) -> None:
        self.acknowledged: list[str] = []
        self.answers: dict[str, Any] = {}
        self.views: list[dict[str, Any]] = []
        self.connections: list[ServerConnection] = []
        self.refusing = 0
        self.hang_up = 0
        self._server: Server = serve(self._talk, "127.0.0.1", 0)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = self._server.socket.getsockname()[1]
        http.expect_request("/api/apps.connections.open").respond_with_handler(self._address)
        http.expect_request("/api/views.open").respond_with_handler(self._open)

    def send(self, envelope: str, payload: dict[str, Any], kind: str = "interactive") -> None:
        wait_for(lambda: self.connections)
        said = {"envelope_id": envelope, "type": kind, "accepts_response_payload": True, "payload": payload}
        self.connections[-1].send(json.dumps(said))

    def close(self) -> None:
        self._server.shutdown()

    def _address(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Response(json.dumps({"ok": False, "error": "invalid_auth"}), content_type="application/json")
        if self.refusing:
            self.refusing -= 1
            return Response("down", 503)
        url = f"ws://127.0.0.1:{self.port}/link"
        return Response(json.dumps({"ok": True, "url": url}), content_type="application/json")

    def _open(self, request: Request) -> Response:
        view = request.get_json()["view"]
        wrong = view_problem(view)
        if not wrong:
            self.views.append(view | {"id": f"V{len(self.views)}", "hash": "1.1"})
        return Response(json.dumps({"ok": not wrong, "error": wrong}), content_type="application/json")

    def _talk(self, connection: ServerConnection) -> None:
        connection.send(json.dumps({"type": "hello", "num_connections": 1}))
        self.connections.append(connection)
        try:
            for message in connection:
                if self.hang_up:
                    self.hang_up -= 1
                    self.connections.remove(connection)
                    connection.close()
                    return
                said = json.loads(message)
                self.answers[said["envelope_id"]] = said.get("payload")
                self.acknowledged.append(said["envelope_id"])
        except ConnectionClosed:
            pass


def wait_for(ready: Callable[[], Any], seconds: float = 15) -> Any:
    until = monotonic() + seconds
    while not (found := ready()) and monotonic() < until:
        sleep(0.02)
    assert found, "nothing came"
    return found


@pytest.fixture
def slack(httpserver: HTTPServer) -> Iterator[Slack]:
    double = Slack(httpserver)
    yield double
    double.close()


@pytest.fixture
def core(core: Core, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Core:
    monkeypatch.setenv("APP_TOKEN", TOKEN)
    channels = [
        {"name": "ops", "kind": "slack", "app_token_env": "APP_TOKEN", "base_url": httpserver.url_for("/api/")},
        {"name": "bare", "kind": "slack"},
    ]
    return make_core(core.engine, make_settings(channels=channels), core.clock)


@pytest.fixture
def door(core: Core, slack: Slack) -> Iterator[SocketDoor]:
    (opened,) = open_all(core, Links(core.secret, "https://desk.example.com", core.clock))
    yield opened
    opened.close()


def claims(core: Core) -> int:
    with db.reading(core.engine) as session:
        return len(session.exec(select(Event).where(Event.what == "claim")).all())


@pytest.mark.usefixtures("door")
def test_a_click_is_kept_and_then_acknowledged(core: Core, slack: Slack) -> None:
    """Over the socket a click does what it does over HTTP; what is not ours is acknowledged and left alone."""
    slack.send("e1", make_payload(value=f"case:{open_case(core)}"))
    wait_for(lambda: "e1" in slack.acknowledged)
    assert claims(core) == 1
    for n, (payload, kind) in enumerate(
        (
            ({"type": "event_callback"}, "events_api"),
            ({"type": "block_actions"}, "interactive"),
            (make_payload("view"), "interactive"),
        )
    ):
        slack.send(f"x{n}", payload, kind)
        wait_for(lambda n=n: f"x{n}" in slack.acknowledged)
    assert claims(core) == 1


@pytest.mark.usefixtures("door")
def test_a_form_does_over_the_socket_what_it_does_over_http(core: Core, slack: Slack) -> None:
    """Opened by a click, refused at the field, then done; delivered again, it is done once and closes again."""
    slack.send("e1", make_payload("plan", f"crisis:{open_crisis(core)}", trigger_id="1.2.a"))
    (view,) = wait_for(lambda: slack.views)
    slack.send("e2", filled(view, "U0001"))
    wait_for(lambda: "e2" in slack.acknowledged)
    assert slack.answers["e2"] == {"response_action": "errors", "errors": {"note": "请写上这一项"}}
    for envelope in ("e3", "e4"):
        slack.send(envelope, filled(view, "U0001", note="先补发"))
        wait_for(lambda envelope=envelope: envelope in slack.acknowledged)
        assert slack.answers[envelope] is None
    with db.reading(core.engine) as session:
        assert session.exec(select(Crisis)).one().plan == "先补发"
        assert len(session.exec(select(Inbound)).all()) == 1


def test_a_form_that_is_not_kept_says_so_over_the_socket(core: Core, slack: Slack) -> None:
    """While the store refuses, the form stays open with a sentence."""
    engine = impatient(core.engine)
    hasty = make_core(engine, core.settings, core.clock)
    (door,) = open_all(hasty, Links(core.secret, "https://desk.example.com", core.clock))
    slack.send("e1", make_payload("note", f"case:{open_case(core)}", trigger_id="1.2.a"))
    (view,) = wait_for(lambda: slack.views)
    with locked(core.engine):
        slack.send("e2", filled(view, "U0001", note="在"))
        wait_for(lambda: "e2" in slack.acknowledged)
    assert "再点一次" in slack.answers["e2"]["errors"]["note"]
    door.close()
    engine.dispose()


@pytest.mark.slow
@pytest.mark.usefixtures("door")
def test_fault_28_the_socket_drops_before_the_acknowledgement(core: Core, slack: Slack) -> None:
    """The connection is made anew, Slack delivers again, and the click was still done once."""
    payload = make_payload(value=f"case:{open_case(core)}")
    wait_for(lambda: slack.connections)
    slack.hang_up = 1
    slack.send("e1", payload)
    wait_for(lambda: claims(core) == 1)
    wait_for(lambda: slack.hang_up == 0)
    wait_for(lambda: slack.connections, 30)  # the client looks after its connection every few seconds
    slack.send("e2", payload)
    wait_for(lambda: "e2" in slack.acknowledged)
    assert claims(core) == 1
    with db.reading(core.engine) as session:
        assert len(session.exec(select(Inbound)).all()) == 1


@pytest.mark.slow
def test_slack_may_be_away_at_the_start(core: Core, slack: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service starts all the same, and the door opens when Slack is back."""
    monkeypatch.setattr("alerts.desk.sockets._PAUSES", (0.05,))
    slack.refusing = 3
    (door,) = open_all(core, Links(core.secret, "https://desk.example.com", core.clock))
    slack.send("e1", make_payload(value=f"case:{open_case(core)}"))
    wait_for(lambda: "e1" in slack.acknowledged)
    door.close()


def test_a_door_that_never_opened_closes(core: Core, slack: Slack) -> None:
    """Stopping does not wait for a Slack that is away."""
    slack.refusing = 1000
    (door,) = open_all(core, Links(core.secret, "https://desk.example.com", core.clock))
    started = monotonic()
    door.close()
    assert monotonic() - started < 5
    assert slack.connections == []


@pytest.mark.slow
def test_what_is_not_kept_is_not_acknowledged(core: Core, slack: Slack) -> None:
    """While the store refuses, Slack hears no yes; delivered again later, the click is done."""
    engine = impatient(core.engine)
    hasty = make_core(engine, core.settings, core.clock)
    (door,) = open_all(hasty, Links(core.secret, "https://desk.example.com", core.clock))
    payload = make_payload(value=f"case:{open_case(core)}")
    wait_for(lambda: slack.connections)
    with locked(core.engine):
        slack.send("e1", payload)
        slack.send("e2", {"type": "event_callback"}, "events_api")
        wait_for(lambda: "e2" in slack.acknowledged)
        sleep(0.5)
        assert "e1" not in slack.acknowledged
    slack.send("e3", payload)
    wait_for(lambda: "e3" in slack.acknowledged)
    assert claims(core) == 1
    door.close()
    engine.dispose()
