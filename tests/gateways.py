"""Doubles of the signed gateways on real sockets, written from the platforms' documents and not from our connectors.

They check signatures, timestamps and limits as strictly as the platforms, page, throttle, and change while being paged.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from crawler_factories import NOW
from crawler_grants import Grants
from serving import Asked, Told, answering

_REFRESH = "taobao.top.auth.token.refresh"
GMT8 = timezone(timedelta(hours=8))
SECRETS = {
    "APP_SECRET": "s3cret-of-app",
    "SESSION": "6100-session-key",
    "TOKEN": "t0ken-of-shop",
    "SIGN": "s1gn-secret",
    "REFRESH": "refresh-0-of-shop",
}


@dataclass
class Platform:
    """A shop's reviews at a platform; ``rows`` hold the platform's own fields and ``at``, when they were written."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    clock: datetime = NOW
    cap: int = 10**9
    ignores_end: bool = False
    refusals: list[Any] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    before: Callable[[int], None] = lambda _: None
    grants: Grants | None = None
    path: ClassVar[str] = "/"
    verb: ClassVar[str] = "POST"

    def handle(self, asked: Asked) -> Told:
        params = asked.form or asked.query
        if self.grants and self.renewing(asked.method, asked.path, params):
            return Told(self.grants.answer(params, self.clock))
        assert (asked.method, asked.path) == (self.verb, self.path)
        self.asked.append(params)
        self.before(len(self.asked))
        self.check(dict(params))
        if self.refusals:
            raise Told(*self.refusals.pop(0))
        return Told(self.answer(params))

    def renewing(self, verb: str, path: str, params: dict[str, str]) -> bool:
        """Whether new tokens are asked for."""
        raise NotImplementedError

    def accepts(self, token: str, name: str = "TOKEN") -> bool:
        """Whether this is a token that has not ended."""
        return self.grants.holds(token, self.clock) if self.grants else token == SECRETS[name]

    def check(self, params: dict[str, str]) -> None:
        raise NotImplementedError

    def answer(self, params: dict[str, str]) -> Any:
        raise NotImplementedError

    def window(self, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """What a query sees: newest first, no more than the platform lets on."""
        found = [row for row in self.rows if start <= row["at"] and (self.ignores_end or row["at"] <= end)]
        return sorted(found, key=lambda row: row["at"], reverse=True)[: self.cap]


def china(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=GMT8)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "at"}


@dataclass
class Top(Platform):
    """淘宝's router/rest."""

    feeds: dict[str, Any] = field(default_factory=dict)
    path: ClassVar[str] = "/router/rest"

    def refuse(self, code: int, msg: str, sub_code: str = "", sub_msg: str = "") -> None:
        told = {"code": code, "msg": msg, "sub_code": sub_code, "sub_msg": sub_msg, "request_id": "abc"}
        raise Told({"error_response": told})

    def check(self, params: dict[str, str]) -> None:
        sign = params.pop("sign")
        if params["method"] != _REFRESH and not self.accepts(params["session"], "SESSION"):
            self.refuse(27, "Invalid session", "invalid-sessionkey")
        told = china(params["timestamp"])
        if abs(told - self.clock) > timedelta(minutes=10):
            self.refuse(22, "Invalid Timestamp")
        secret, chain = SECRETS["APP_SECRET"].encode(), b""
        for name in sorted(params):
            chain = chain + name.encode() + params[name].encode()
        digest = {
            "md5": lambda: hashlib.new("md5", secret + chain + secret),  # noqa: S324 — the platform's
            "hmac": lambda: hmac.new(secret, chain, hashlib.md5),
        }[params["sign_method"]]().digest()
        if "".join(f"{byte:02X}" for byte in digest) != sign:
            self.refuse(25, "Invalid signature")

    def renewing(self, verb: str, path: str, params: dict[str, str]) -> bool:
        if params["method"] != _REFRESH:
            return False
        assert (verb, path, "session" in params) == ("POST", self.path, False)
        self.check(dict(params))
        return True

    def answer(self, params: dict[str, str]) -> Any:
        if params["method"] == "tmall.traderate.feeds.get":
            feed = self.feeds.get(params["child_trade_id"])
            if feed is None:
                self.refuse(15, "Remote service error", "isv.order-not-tmall", "不是天猫订单")
            return {"tmall_traderate_feeds_get_response": {"tmall_rate_info": feed, "request_id": "abc"}}
        assert params["method"] == "taobao.traderates.get"
        assert (params["rate_type"], params["role"], params["format"], params["v"]) == ("get", "buyer", "json", "2.0")
        start, end = (
            datetime.strptime(params[name], "%Y-%m-%d %H:%M:%S").replace(tzinfo=GMT8)
            for name in ("start_date", "end_date")
        )
        size, page = int(params["page_size"]), int(params["page_no"])
        if start < self.clock - timedelta(days=180, minutes=5) or not 1 <= page <= 200 or not 1 <= size <= 150:
            self.refuse(41, "Invalid arguments", "isv.invalid-parameter")
        found = self.window(start, end)
        rows = found[(page - 1) * size : page * size]
        body: dict[str, Any] = {"has_next": len(found) > page * size, "request_id": "abc"}
        if rows:
            body["trade_rates"] = {"trade_rate": [plain(row) for row in rows]}
        return {"traderates_get_response": body}


@dataclass
class Jos(Platform):
    """京东's routerjson."""

    path: ClassVar[str] = "/routerjson"

    def refuse(self, code: str, said: str) -> None:
        raise Told({"error_response": {"code": code, "zh_desc": said, "en_desc": ""}})

    def check(self, params: dict[str, str]) -> None:
        sign = params.pop("sign")
        if not self.accepts(params["access_token"]):
            self.refuse("19", "token已过期或不存在")
        seconds, _, exact = params["timestamp"].partition(".")
        told = china(seconds)
        if abs(told - self.clock) > timedelta(minutes=6) or (exact and not re.fullmatch(r"\d{3}\+0800", exact)):
            self.refuse("8", "非法的时间戳参数")
        parts = [
            SECRETS["APP_SECRET"],
            *(part for pair in sorted(params.items()) for part in pair),
            SECRETS["APP_SECRET"],
        ]
        if hashlib.new("md5", "".join(parts).encode()).hexdigest().upper() != sign:  # noqa: S324 — the platform's
            self.refuse("12", "无效签名")

    def renewing(self, verb: str, path: str, params: dict[str, str]) -> bool:
        del params
        return (verb, path) == ("GET", "/oauth2/refresh_token")

    def answer(self, params: dict[str, str]) -> Any:
        asked = json.loads(params["360buy_param_json"])
        assert asked["pageSize"] <= 50
        start, end = (
            datetime.strptime(asked[name], "%Y-%m-%d %H:%M:%S").replace(tzinfo=GMT8)
            for name in ("beginTime", "endTime")
        )
        size, page = asked["pageSize"], asked["page"]
        rows = self.window(start, end)[(page - 1) * size : page * size]
        told = {"code": "0", "comments": [plain(row) for row in rows] or None}
        return {"jingdong_pop_PopCommentJsfService_getVenderCommentsForJos_responce": told}


@dataclass
class Kwai(Platform):
    """快手's openapi."""

    unit: int = 1000
    path: ClassVar[str] = "/open/comment/list/get"
    verb: ClassVar[str] = "GET"

    def check(self, params: dict[str, str]) -> None:
        sign = params.pop("sign")
        assert set(params) == {"appkey", "access_token", "method", "param", "signMethod", "timestamp", "version"}
        if not self.accepts(params["access_token"]):
            raise Told({"result": 24, "error": "access_denied", "error_msg": "invalid access token"})
        if abs(int(params["timestamp"]) / 1000 - self.clock.timestamp()) > 600:
            raise Told({"result": 21, "error_msg": "timestamp 不正确"})
        text = "access_token={access_token}&appkey={appkey}&method={method}&param={param}&signMethod={signMethod}"
        text = (text + "&timestamp={timestamp}&version={version}").format(**params) + "&signSecret=" + SECRETS["SIGN"]
        if hashlib.new("md5", text.encode()).hexdigest() != sign:  # noqa: S324 — the platform's
            raise Told({"result": 22, "error_msg": "签名不正确"})

    def renewing(self, verb: str, path: str, params: dict[str, str]) -> bool:
        del params
        return (verb, path) == ("POST", "/oauth2/refresh_token")

    def answer(self, params: dict[str, str]) -> Any:
        asked = json.loads(params["param"])
        assert asked["limit"] <= 20
        start, end = (datetime.fromtimestamp(asked[f"createTime{name}"] / self.unit, GMT8) for name in ("From", "To"))
        rows = self.window(start, end)[asked["offset"] : asked["offset"] + asked["limit"]]
        return {"result": 1, "error_msg": "SUCCESS", "data": {"rootComment": [plain(row) for row in rows]}}


@contextmanager
def gateway(platform: Platform) -> Iterator[str]:
    """Serve a platform; gives its root address."""
    with answering(platform.handle) as root:
        yield root
