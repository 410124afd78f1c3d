"""Doubles of shops' and stores' APIs on real sockets, written from their documents and not from our connectors.

They check credentials as strictly as the platforms, page, say no, and change while being paged.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from crawler_driving import Run, drive
from crawler_factories import NOW, make_connector
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from serving import Asked, Told, answering

from crawler.secrets import Secrets

Row = dict[str, Any]


@dataclass
class Store:
    """Reviews at a platform, newest first; ``before`` is called with the number of each request."""

    rows: list[Row] = field(default_factory=list)
    clock: datetime = NOW
    asked: list[Asked] = field(default_factory=list)
    refusals: list[Told] = field(default_factory=list)
    before: Callable[[int], None] = lambda _: None
    root: str = ""

    def handle(self, asked: Asked) -> Told:
        self.asked.append(asked)
        self.before(len(self.asked))
        return self.refusals.pop(0) if self.refusals else self.answer(asked)

    def answer(self, asked: Asked) -> Told:
        raise NotImplementedError


@contextmanager
def opened(store: Store) -> Iterator[str]:
    """Serve a store; gives its root address."""
    with answering(store.handle) as store.root:
        yield store.root


def read(kind: str, store: Store, mark: dict[str, Any] | None = None, **options: Any) -> Run:
    """One run of a connector, at the store's time."""
    secrets = Secrets(ENV | {"WRONG": "a-wrong-secret"})
    connector = make_connector(kind, options, now=store.clock, watermark=mark or {}, secrets=secrets)
    return drive(connector)


def while_200_come_in(store: Store, crawl: Callable[..., Run], add: Callable[[range], None]) -> None:
    """Twenty more with each of the first ten requests: none of 1 to 1000 twice in a run, and none missed over two."""

    def push(number: int) -> None:
        if number <= 10:
            add(range(1000 + number * 20, 1020 + number * 20))

    with opened(store):
        store.before = push
        first = crawl(store)
        assert len(first.ids) == len(set(first.ids))
        assert {str(n) for n in range(1, 1001)} <= set(first.ids)
        store.before = lambda _: None
        store.clock += timedelta(minutes=10)
        second = crawl(store, first.watermark)
    assert {str(n) for n in range(1020, 1220)} <= {*first.ids, *second.ids}


class _Env(dict[str, str]):
    """Stand-ins for every secret; keys are made when they are asked for."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return stand_in(name) if name in _MADE else super().get(name, default)

    def __or__(self, other: dict[str, str]) -> "_Env":  # type: ignore[override]
        return _Env({**self, **other})


ENV = _Env(
    {"WOO_KEY": "ck_0a1b2c3d", "WOO_SECRET": "cs_9f8e7d6c", "JUDGEME_TOKEN": "jm-t0ken", "WEIBO_TOKEN": "2.00wb"}
)
_MADE = ("APPSTORE_KEY", "PLAY_KEY")


def stand_in(variable: str) -> str:
    """A secret's value in tests: a real key where one is needed to sign, else words."""
    if variable == "APPSTORE_KEY":
        return pem(apple_key())
    if variable == "PLAY_KEY":
        account = {"type": "service_account", "client_email": "reader@shop.example", "private_key_id": "k1"}
        return json.dumps(account | {"private_key": pem(google_key())})
    return f"value-of-{variable}"


@cache
def apple_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def google_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def unpacked(part: str) -> bytes:
    return base64.b64decode(part.translate(str.maketrans("-_", "+/")) + "=" * (-len(part) % 4), validate=True)


def es256_holds(token: str, key: ec.EllipticCurvePublicKey) -> bool:
    """RFC 7518, 3.4: the signature is R and S, 32 bytes each."""
    told, _, signature = token.rpartition(".")
    raw = unpacked(signature)
    if len(raw) != 64:
        return False
    numbers = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(numbers, told.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def rs256_holds(token: str, modulus: int, exponent: int) -> bool:
    """RFC 8017, 8.2.2, by hand: the number raised to e is 00 01 FF … 00, SHA-256's name and the digest."""
    told, _, signature = token.rpartition(".")
    raw = unpacked(signature)
    size = (modulus.bit_length() + 7) // 8
    name = bytes.fromhex("3031300d060960864801650304020105000420")
    tail = name + hashlib.sha256(told.encode()).digest()
    padded = b"\x00\x01" + b"\xff" * (size - len(tail) - 3) + b"\x00" + tail
    return len(raw) == size and pow(int.from_bytes(raw, "big"), exponent, modulus).to_bytes(size, "big") == padded


def parts(token: str) -> tuple[Row, Row]:
    header, claims, _ = token.split(".")
    return json.loads(unpacked(header)), json.loads(unpacked(claims))


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
