"""What people and programs send to the desk, and what others answer it: queries, forms, the API, providers."""

import contextlib
import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from factories import NOW
from fuzz_house import house
from fuzzing import target

from alerts import dingtalk_api, http_channel
from alerts.channel import SendError, Uncertain
from alerts.desk import oidc
from alerts.desk.oidc import Provider, Unbelieved, Unreachable
from alerts.http_channel import Answer, Codes
from alerts.tokens import Token
from monitor.clock import HandClock
from monitor.company_login import Oidc
from monitor.endpoint import Unusable
from monitor.verdicts import verdict

_PAGES = (
    "/cases", "/feedback", "/mentions", "/audit", "/indicators", "/corrections", "/answers", "/improvements",
    "/settings/people/one", "/reports", "/api/v1/cases", "/api/v1/feedback", "/api/v1/mentions", "/api/v1/audit",
    "/api/v1/indicators", "/api/v1/behind", "/api/v1/outbox", "/api/v1/cases/1/drafts", "/cases/1/drafts", "/login",
    "/deadlines", "/api/v1/deadlines",
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
    "/settings/drafts/quality", "/tokens", "/answers/1/mended", "/outbox/1/retry", "/login", "/logout", "/indicators",
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
    ("PUT", "/settings/rules/policy"), ("PUT", "/settings/people/新人"), ("PUT", "/settings/rotas"),
    ("PUT", "/settings/routes"),
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
    with contextlib.suppress(SendError, Uncertain):
        http_channel.accepted("企业微信", answer, codes)
    with contextlib.suppress(SendError, Uncertain):
        dingtalk_api.delivered(dingtalk_api.accepted(answer))
    with contextlib.suppress(SendError):
        Token(lambda: _token(answer))()
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
