"""An OpenID provider on loopback that checks what it is asked as strictly as a real one, and can be told to lie."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from serving import Asked, Told, answering

from monitor.clock import HandClock

CLIENT, SECRET = "desk", "the client's secret"


@cache
def key(kid: str) -> RSAPrivateKey:
    """An RSA key by name; making one takes a while."""
    assert kid
    return generate_private_key(65537, 2048)


@dataclass
class Provider:
    """What it does, and how it misbehaves.

    Attributes:
        person: Claims about whoever logs in.
        lies: Claims that the ID token gets instead of the right ones; None leaves one out.
        kid: The key that signs; ``shown`` are those it shows to the world.
        algorithm: RS256, or what an attacker would try.
        broken: Answers by path in place of the right ones.
        asked: Paths that were asked for.
    """

    clock: HandClock
    back: str
    issuer: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    kid: str = "one"
    shown: list[str] = field(default_factory=lambda: ["one"])
    algorithm: str = "RS256"
    broken: dict[str, Told] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def log_in(self, address: str) -> str:
        """Somebody follows the desk's redirect and proves who he is; gives the address that he is sent back to."""
        parts = urlsplit(address)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize"
        assert (asked["response_type"], asked["client_id"], asked["redirect_uri"]) == ("code", CLIENT, self.back)
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        assert min(len(asked["state"]), len(asked["nonce"]), len(asked["code_challenge"])) >= 32
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return f"{urlsplit(self.back).path}?code={code}&state={asked['state']}"

    def answer(self, asked: Asked) -> Told:
        """One request of the desk's."""
        self.asked.append(asked.path)
        if asked.path in self.broken:
            return self.broken[asked.path]
        if asked.path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            return _json({"issuer": self.issuer} | {name: f"{self.issuer}/{end}" for name, end in ends.items()})
        if asked.path == "/jwks":
            odd = [{"kty": "oct", "k": "c2VjcmV0", "kid": "o"}, {"kty": "RSA", "kid": "half"}, {"kty": "new"}]
            return _json({"keys": [*odd, *(_public(kid) for kid in self.shown)]})
        assert (asked.method, asked.path) == ("POST", "/token")
        return self._token(asked)

    def _token(self, asked: Asked) -> Told:
        told = base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()
        given = self.codes.pop(asked.form["code"], None)
        challenge = _text(hashlib.sha256(asked.form["code_verifier"].encode()).digest())
        right = (
            told == f"{CLIENT}:{SECRET}"
            and given is not None
            and asked.form["redirect_uri"] == self.back
            and asked.form["grant_type"] == "authorization_code"
            and challenge == given["code_challenge"]
        )
        if not right or given is None:
            return _json({"error": "invalid_grant"}, 400)
        now = int(self.clock.now().timestamp())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300, "nonce": given["nonce"]}
        claims |= self.person | self.lies
        token = self._signed({name: value for name, value in claims.items() if value is not None})
        return _json({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _signed(self, claims: dict[str, Any]) -> str:
        header = {"alg": self.algorithm, "kid": self.kid}
        text = ".".join(_text(json.dumps(part).encode()) for part in (header, claims))
        if self.algorithm == "RS256":
            return f"{text}.{_text(key(self.kid).sign(text.encode(), PKCS1v15(), SHA256()))}"
        if self.algorithm == "HS256":
            return f"{text}.{_text(hmac.digest(SECRET.encode(), text.encode(), 'sha256'))}"
        return f"{text}."


@contextmanager
def provider(clock: HandClock, back: str, **person: Any) -> Iterator[Provider]:
    """A provider that serves, at which one person logs in."""
    made = Provider(clock, back, person=person)
    with answering(made.answer) as issuer:
        made.issuer = issuer
        yield made


def _json(body: Any, status: int = 200) -> Told:
    return Told(body, status, {"Content-Type": "application/json"})


def _public(kid: str) -> dict[str, str]:
    numbers = key(kid).public_key().public_numbers()
    n = numbers.n.to_bytes(256, "big")
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": _text(n), "e": "AQAB"}


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
