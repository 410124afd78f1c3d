"""What comes in at the desk's doors: callbacks of chat providers, pushes, links, tokens, forms, queries, the API.

The desk is called as a server would, by ASGI, over a store of its own; whatever comes in, its answer is none of 5xx.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import wecom_double
from callers import ROLES, bearer, seed
from factories import NOW, make_core, make_settings
from fuzzing import target
from test_alerts_desk_feishu import sealed as sealed_for_feishu

from alerts import dingtalk_api, http_channel
from alerts.channel import SendError, Uncertain
from alerts.desk import oidc, tokens
from alerts.desk.app import create_app
from alerts.desk.oidc import Provider, Unbelieved, Unreachable
from alerts.desk.tokens import SCOPES, Wish
from alerts.http_channel import Answer, Codes
from alerts.links import Links
from alerts.tokens import Token
from monitor import db, directory
from monitor.clock import HandClock
from monitor.company_login import Oidc
from monitor.core import Core
from monitor.endpoint import Unusable
from monitor.verdicts import verdict

STAMP = str(int(NOW.timestamp()))
_ENV = {
    "F_SLACK": "slack-key", "F_FEISHU": "feishu-key", "F_DING": "ding-key", "F_WECOM": wecom_double.TOKEN,
    "F_AES": wecom_double.LETTERS, "F_HOOK": "hook-key",
}  # fmt: skip
_CHANNELS = [
    {"name": "slack", "kind": "slack", "target": "C1", "signing_secret_env": "F_SLACK", "base_url": "http://127.0.0.1:9"},
    {"name": "飞书", "kind": "feishu", "app_id": "cli_1", "token_env": "X", "signing_secret_env": "F_FEISHU"},
    {"name": "钉钉", "kind": "dingtalk", "app_id": "d1", "token_env": "X", "signing_secret_env": "F_DING"},
    {
        "name": "企微", "kind": "wecom", "app_id": "1000002", "corp_id": wecom_double.CORP, "token_env": "X",
        "signing_secret_env": "F_WECOM", "aes_key_env": "F_AES", "base_url": "http://127.0.0.1:9",
    },
]  # fmt: skip
_FIELDS = {"id": "id", "text": "text", "stars": "stars", "time": "time", "author": "author", "likes": "likes"}
_SOURCE = {"name": "crm", "kind": "webhook", "shop": "demo", "secret_env": "F_HOOK", "fields": _FIELDS}
_OFTEN = 400  # requests after which the store is made anew


@dataclass
class House:
    """A desk over its own store, and the headers of who may do everything."""

    core: Core
    app: Any
    loop: asyncio.AbstractEventLoop
    token: dict[str, str]
    asked: int = 0

    def ask(self, method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> tuple[int, bytes]:
        """The answer to a request: status and body.

        Raises:
            AssertionError: It is a 500, or any other fault of the server's own.
        """
        status, text = self.loop.run_until_complete(self._asked(method, path, body, query, headers))
        assert status < 500, (status, text[:200])  # noqa: PLR2004 — HTTP: the server's fault
        return status, text

    async def _asked(
        self, method: str, path: str, body: bytes, query: str, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        told = {"host": "127.0.0.1:8000", "x-user": "admin", **{k.replace("_", "-"): v for k, v in headers.items()}}
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode("utf-8", "replace"), "root_path": "",
            "query_string": query.encode("latin-1", "replace"), "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 5000),
            "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in told.items()],
        }  # fmt: skip
        status, parts, sent = 0, bytearray(), False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.extend(message.get("body", b""))

        await self.app(scope, receive, send)
        return status, bytes(parts)


@cache
def _template() -> bytes:
    folder = Path(tempfile.mkdtemp(prefix="pingshao-fuzz-"))
    engine = db.connect(f"sqlite:///{folder / 'a.db'}")
    db.upgrade(engine, folder, NOW)
    core = _core(engine)
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
    seed(core)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return (folder / "a.db").read_bytes()


def _core(engine: Any) -> Core:
    people = [{"name": role, "role": role, "slack": "U1", "feishu": "ou_1", "wecom": "w1"} for role in ROLES.values()]
    shops = [{"id": "demo", "name": "示例旗舰店"}, {"id": "other", "name": "另一家店"}]
    desk = {"api_rate": "1000000/1m", "user_header": "X-User"}
    told = {"people": people, "shops": shops, "channels": _CHANNELS, "sources": [_SOURCE], "desk": desk}
    return make_core(engine, make_settings(**told), HandClock(NOW))


_houses: list[House] = []


def house() -> House:
    """The desk; a new one now and then, so that it does not fill up."""
    if _houses and _houses[0].asked < _OFTEN:
        _houses[0].asked += 1
        return _houses[0]
    os.environ.update(_ENV)
    file = Path(tempfile.gettempdir()) / f"pingshao-fuzz-{os.getpid()}.db"
    for old in _houses:
        old.core.engine.dispose()
    for end in ("", "-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    file.write_bytes(_template())
    core = _core(db.connect(f"sqlite:///{file}"))
    with db.writing(core.engine) as session:
        token = bearer(tokens.add(core, session, Wish("erp", tuple(SCOPES), role="admin"), "老板", "cli"))
    loop = _houses[0].loop if _houses else asyncio.new_event_loop()
    _houses[:] = [House(core, create_app(core, Links(core.secret, "http://127.0.0.1:8000", core.clock)), loop, token)]
    return _houses[0]


@target("json")
def slack(data: bytes) -> None:
    """Slack's clicks and forms, signed."""
    body = data[1:] if data[:1] == b"!" else urlencode({"payload": data}).encode()
    digest = hmac.new(b"slack-key", b"v0:" + STAMP.encode() + b":" + body, hashlib.sha256).hexdigest()
    said = {"x_slack_request_timestamp": STAMP, "x_slack_signature": f"v0={digest}"}
    house().loop.run_until_complete(_patient(house()._asked("POST", "/slack/actions", body, "", said)))


async def _patient(asking: Any) -> None:
    """Slack hears 503 where a click may not be kept, and asks again."""
    status, text = await asking
    assert status in (200, 400, 401, 413), (status, text)


@target("json")
def feishu(data: bytes) -> None:
    """Feishu's clicks, signed and sealed; a "!" in front leaves the body as it is."""
    if data[:1] == b"!":
        body = data[1:]
    else:
        try:
            body = sealed_for_feishu(json.loads(data), "feishu-key")
        except (ValueError, RecursionError):
            return
    digest = hashlib.sha256(f"{STAMP}nfeishu-key".encode() + body).hexdigest()
    said = {"x_lark_request_timestamp": STAMP, "x_lark_request_nonce": "n", "x_lark_signature": digest}
    house().ask("POST", "/feishu/actions", body, **said)


@target("json")
def dingtalk(data: bytes) -> None:
    """DingTalk's clicks."""
    stamp = f"{STAMP}000"
    digest = base64.b64encode(hmac.digest(b"ding-key", stamp.encode(), "sha256")).decode()
    said = {"x_ddpaas_signature_timestamp": stamp, "x_ddpaas_signature": digest}
    house().ask("POST", "/dingtalk/actions", data, **said)


@target()
def wecom(data: bytes) -> None:
    """WeCom's clicks: what is sealed inside, the envelope around it, and the proof of the address."""
    if data[:1] == b"!":
        house().ask("POST", "/wecom/actions", data[1:], f"timestamp={STAMP}&nonce=n&msg_signature=x")
        return
    if data[:1] == b"?":
        house().ask("GET", "/wecom/actions", b"", data[1:].decode("latin-1"))
        return
    query, body = wecom_double.envelope(data, int(STAMP))
    house().ask("POST", "/wecom/actions", body, urlencode(query))


@target("json")
def pushes(data: bytes) -> None:
    """Items of other systems, signed, and all the way into the store."""
    digest = hmac.new(b"hook-key", f"{STAMP}.".encode() + data, hashlib.sha256).hexdigest()
    said = {"x_pingshao_timestamp": STAMP, "x_pingshao_signature": f"sha256={digest}"}
    status, text = house().ask("POST", "/hooks/crm", data, **said)
    assert status in (202, 400, 409), (status, text)


@target()
def links(data: bytes) -> None:
    """Tokens of signed and guests' links, and the cookie."""
    token = quote_from_bytes(data, safe="")[:4000]
    for place in ("a", "v", "n"):
        house().ask("GET", f"/{place}/{data.decode('utf-8', 'replace')}")
        house().ask("GET", f"/{place}/{token}")
    house().ask("POST", f"/a/{token}", data)
    house().ask("GET", "/cases", b"", cookie=f"pingshao={data.decode('latin-1')}", x_user="")
    house().ask("GET", "/api/v1/me", b"", authorization=f"Bearer {data.decode('latin-1')}", x_user="")


_PAGES = (
    "/cases", "/feedback", "/mentions", "/audit", "/indicators", "/corrections", "/answers", "/improvements",
    "/settings/people/one", "/reports", "/api/v1/cases", "/api/v1/feedback", "/api/v1/mentions", "/api/v1/audit",
    "/api/v1/indicators", "/api/v1/behind", "/api/v1/outbox", "/api/v1/cases/1/drafts", "/cases/1/drafts", "/login",
)  # fmt: skip


@target()
def queries(data: bytes) -> None:
    """What is asked for behind the question mark of a page, or of the API: the first byte says which."""
    if data:
        path = _PAGES[data[0] % len(_PAGES)]
        said = house().token if path.startswith("/api") else {}
        house().ask("GET", path, b"", data[1:].decode("latin-1"), **said)


_FORMS = (
    "/cases/1/claim", "/cases/1/refile", "/cases/1/assign", "/crises/1/plan", "/crises/1/merge", "/cases/1/drafts",
    "/improvements", "/settings/rules", "/settings/people", "/settings/rotas", "/settings/routes", "/corrections",
    "/settings/drafts/quality", "/tokens", "/answers/1/done", "/outbox/1/retry", "/login", "/logout", "/indicators",
)  # fmt: skip
_KEY = hmac.new(b"test secret", b"form:proxy:admin", hashlib.sha256).hexdigest()[:32]
_BOUNDARY = "multipart/form-data; boundary=B"


@target()
def forms(data: bytes) -> None:
    """Forms of the desk, sent off by who may: the first byte says which; the last is one with a file."""
    if not data:
        return
    path, body = _FORMS[data[0] % len(_FORMS)], data[1:]
    if path == "/indicators":
        key = f'--B\r\nContent-Disposition: form-data; name="form_key"\r\n\r\n{_KEY}\r\n'.encode()
        house().ask("POST", path, key + body, content_type=_BOUNDARY)
    else:
        house().ask("POST", path, body + f"&form_key={_KEY}".encode(), content_type="application/x-www-form-urlencoded")


_BODIES = (
    ("POST", "/cases/1/actions"), ("POST", "/crises/1/actions"), ("POST", "/indicators"), ("POST", "/improvements"),
    ("PUT", "/settings/rules/policy"), ("PUT", "/settings/people/新人"), ("PUT", "/settings/rotas"), ("PUT", "/settings/routes"),
    ("PUT", "/settings/drafts/quality"), ("POST", "/corrections"), ("POST", "/settings/rotas/swaps"),
    ("POST", "/settings/drafts/quality/try"), ("POST", "/cases/1/drafts/check"),
)  # fmt: skip


@target("json")
def bodies(data: bytes) -> None:
    """What programs send to the API: the first byte says where to."""
    if data:
        method, path = _BODIES[data[0] % len(_BODIES)]
        house().ask(method, f"/api/v1{path}", data[1:], content_type="application/json", **house().token)


@target("json")
def providers(data: bytes) -> None:
    """What chat providers and a scoring endpoint answer."""
    at = data[0] if data else 0
    answer = Answer((200, 400, 429, 500)[at % 4], {"retry-after": data[1:20].decode("latin-1")}, data[1:])
    codes = Codes("errcode", "errmsg")
    for asked in (
        lambda: http_channel.accepted("企业微信", answer, codes),
        lambda: dingtalk_api.delivered(dingtalk_api.accepted(answer)),
        Token(lambda: _token(answer)),
    ):
        with contextlib.suppress(SendError, Uncertain):
            asked()
    with contextlib.suppress(Unusable):
        verdict(data[1:].decode("utf-8", "replace"), "漏水了，退款", "漏水了，退款", "m")


def _token(answer: Answer) -> tuple[str, float]:
    said = http_channel.accepted("飞书", answer, Codes("code", "msg"))
    return str(said.get("tenant_access_token", "")), float(said.get("expire") or 0)


@dataclass
class _Told:
    """What an OpenID provider answers, whatever it is asked."""

    body: bytes
    status_code: int = 200

    def get(self, *_: Any, **__: Any) -> "_Told":
        return self

    def raise_for_status(self) -> None:
        """All is well."""

    def json(self) -> Any:
        return json.loads(self.body)


@cache
def _signer() -> Any:
    from joserfc.jwk import ECKey

    return ECKey.generate_key("P-256", {"kid": "1"}, private=True)


@target("json")
def company(data: bytes) -> None:
    """An OpenID provider's words of itself, its keys, its ID token as it comes, and signed claims."""
    from joserfc import jwt

    at, body = data[:1], data[1:]
    provider = Provider(Oidc(issuer="https://id.example", client_id="desk"), HandClock(NOW), "http://127.0.0.1/back")
    with contextlib.suppress(Unreachable, Unbelieved):
        if at == b"d":
            provider._described(_Told(body))
        elif at == b"k":
            _told_keys(body)
        else:
            keys = json.dumps({"keys": [_signer().as_dict(private=False)]}).encode()
            token: Any = body.decode("latin-1")
            if at == b"c":
                try:
                    claims = json.loads(body)
                    token = jwt.encode({"alg": "ES256", "kid": "1"}, claims, _signer(), algorithms=["ES256"])
                except (ValueError, TypeError, RecursionError, AttributeError):
                    return
            provider._believed(_Told(keys), {"jwks_uri": "https://id.example/k"}, {"id_token": token}, "n")


def _told_keys(body: bytes) -> None:
    oidc._keys(oidc._fetched(_Told(body), "https://id.example/k"))

