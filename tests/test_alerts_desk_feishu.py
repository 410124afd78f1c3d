"""Feishu's door: what is signed and sealed with the app's key is done once; everything else changes nothing."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from factories import NOW, make_core, make_settings
from serving import browse
from sqlalchemy import Engine
from sqlmodel import select
from test_monitor_lifecycle import make_case

from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, directory
from monitor.core import Core
from monitor.models import Case, Event

KEY = "encrypt-key-42"
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def core(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Core:
    monkeypatch.setenv("FEISHU_KEY", KEY)
    channel = {"name": "群", "kind": "feishu", "app_id": "cli_1", "token_env": "X", "signing_secret_env": "FEISHU_KEY"}
    people = [{"name": "客服一号", "role": "agent", "feishu": "ou_1"}]
    core = make_core(engine, settings=make_settings(tmp_path, channels=[channel], people=people))
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
    return core


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with browse(create_app(core, Links(core.secret, "http://desk.test", core.clock))) as client:
        yield client


def event(case: int, action: str = "claim", who: str = "ou_1", key: str = "e1") -> dict[str, Any]:
    return {
        "schema": "2.0",
        "header": {"event_id": key, "event_type": "card.action.trigger", "token": "v"},
        "event": {
            "operator": {"open_id": who},
            "action": {"tag": "button", "value": {"action": action, "about": f"case:{case}"}},
            "context": {"open_message_id": "om_0", "open_chat_id": "oc_1"},
        },
    }


def sealed(payload: Any, key: str = KEY) -> bytes:
    plain = json.dumps(payload).encode()
    size = 16 - len(plain) % 16
    vector = os.urandom(16)
    cipher = Cipher(algorithms.AES(hashlib.sha256(key.encode()).digest()), modes.CBC(vector)).encryptor()
    secret = cipher.update(plain + bytes([size]) * size) + cipher.finalize()
    return json.dumps({"encrypt": base64.b64encode(vector + secret).decode()}).encode()


def post(desk: httpx.Client, body: bytes, *, at: float = NOW.timestamp(), key: str = KEY) -> Any:
    stamp = str(int(at))
    sign = hashlib.sha256(f"{stamp}n1{key}".encode() + body).hexdigest()
    headers = {"X-Lark-Request-Timestamp": stamp, "X-Lark-Request-Nonce": "n1", "X-Lark-Signature": sign}
    return desk.post("/feishu/actions", content=body, headers=headers)


def assignee(core: Core, case: int) -> int | None:
    with db.reading(core.engine) as session:
        return session.get_one(Case, case).assignee_id


def test_a_click_is_done_once_and_answered(desk: httpx.Client, core: Core) -> None:
    """A claim shows as a toast; the same event delivered again changes nothing; a second claim is told why not."""
    case = make_case(core)
    assert post(desk, sealed(event(case))).json() == {"toast": {"type": "success", "content": "客服一号负责"}}
    assert post(desk, sealed(event(case))).json()["toast"]["type"] == "success"
    with db.reading(core.engine) as session:
        claims = session.exec(select(Event).where(Event.what == "claim")).all()
    assert [claim.door for claim in claims] == ["feishu"]
    again = post(desk, sealed(event(case, key="e2"))).json()["toast"]
    assert again == {"type": "warning", "content": "您已经认领了"}


def test_the_address_is_proved_by_its_challenge(desk: httpx.Client) -> None:
    """Feishu's first request is sealed but unsigned, and wants its own word back."""
    body = sealed({"type": "url_verification", "challenge": "abc", "token": "v"})
    assert desk.post("/feishu/actions", content=body).json() == {"challenge": "abc"}


@pytest.mark.parametrize(
    ("make", "at"),
    [
        (lambda case: sealed(event(case), "other key"), 0),
        (lambda case: sealed(event(case)), -301),
        (lambda case: sealed(event(case)), 301),
        (lambda case: json.dumps(event(case)).encode(), 0),
        (lambda _: b'{"encrypt": "AAAA"}', 0),
        (lambda _: b"\xff\xfe", 0),
    ],
)
def test_what_was_not_sealed_by_feishu_is_401(desk: httpx.Client, core: Core, make: Any, at: float) -> None:
    """A wrong key, an old or future time, an open body, rubbish: refused, and nothing changes."""
    case = make_case(core)
    assert post(desk, make(case), at=NOW.timestamp() + at).status_code == 401
    assert assignee(core, case) is None


def test_a_wrong_signature_or_a_strange_one_is_401(desk: httpx.Client, core: Core) -> None:
    """A sealed body with somebody else's signature, or one that is not even ASCII."""
    case = make_case(core)
    body = sealed(event(case))
    assert post(desk, body, key="other").status_code == 401
    strange = {"X-Lark-Signature": "签名".encode(), "X-Lark-Request-Timestamp": b"soon"}
    assert desk.post("/feishu/actions", content=body, headers=strange).status_code == 401
    assert assignee(core, case) is None


def test_strangers_and_strange_shapes(desk: httpx.Client, core: Core) -> None:
    """An unknown person is told so; a button that is none of ours does nothing; a wrong shape is 400."""
    case = make_case(core)
    assert "没有认出您" in post(desk, sealed(event(case, who="ou_9"))).json()["toast"]["content"]
    assert post(desk, sealed(event(case, action="view", key="e3"))).json() == {}
    assert post(desk, sealed({"header": {"event_type": "im.message"}, "event": {}})).json() == {}
    assert post(desk, sealed({"header": {}})).status_code == 400
    assert post(desk, sealed([1])).status_code == 400
    broken = event(case, key="e4")
    broken["event"]["action"]["value"]["about"] = "case:1; drop"
    assert post(desk, sealed(broken)).status_code == 400
    assert assignee(core, case) is None
