"""Stand-ins for DingTalk, WeCom and Feishu: as strict as their documents say, with a log of what they took."""

import base64
import hashlib
import hmac
import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

TOKEN, SECRET, APP = "tok-5d2e", "SEC-81c0", "cli_a1b2"
_HOUR_MS = 3_600_000
_FEISHU_TAGS = {"div", "action", "hr", "note", "img", "markdown"}


@dataclass
class Robots:
    """One server for all three.

    Attributes:
        now: Seconds since the epoch, as the providers see them.
        taken: Messages accepted, in order: provider, body.
        edited: Edits accepted: message id, content.
        answers: What to answer next: a status, an ``errcode``, ``html``, or ``reset`` (takes it, answers rubbish).
    """

    server: HTTPServer
    now: float
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    edited: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: deque[Any] = field(default_factory=deque)
    uuids: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path, method, handler in (
            ("/robot/send", "POST", self._dingtalk),
            ("/cgi-bin/webhook/send", "POST", self._wecom),
            (f"/open-apis/bot/v2/hook/{TOKEN}", "POST", self._feishu_robot),
            ("/open-apis/auth/v3/tenant_access_token/internal", "POST", self._feishu_token),
            ("/open-apis/im/v1/messages", "POST", self._feishu_post),
        ):
            self.server.expect_request(path, method=method).respond_with_handler(handler)
        for method in ("POST", "PATCH"):
            path = re.compile(r"^/open-apis/im/v1/messages/.+")
            self.server.expect_request(path, method=method).respond_with_handler(self._feishu_message)

    def _dingtalk(self, request: Request) -> Response:
        stamp = request.args.get("timestamp", "")
        sign = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
        wrong = (
            (request.args.get("access_token") != TOKEN, 300001),
            (not stamp.isdigit() or abs(int(stamp) - self.now * 1000) > _HOUR_MS, 310000),
            (request.args.get("sign") != base64.b64encode(sign).decode(), 310000),
            (not (request.content_type or "").startswith("application/json"), 43004),
            (not _dingtalk_form(json.loads(request.data)), 40035),
            (len(request.data) > 20_000, 460101),
        )
        return self._answer("dingtalk", request, next((code for bad, code in wrong if bad), 0), "errcode", "errmsg")

    def _wecom(self, request: Request) -> Response:
        body = json.loads(request.data)
        content = body.get(body.get("msgtype"), {}).get("content", "")
        wrong = (
            (request.args.get("key") != TOKEN, 93000),
            (body.get("msgtype") != "markdown" or not content, 40058),
            (len(content.encode()) > 4096, 45002),
        )
        return self._answer("wecom", request, next((code for bad, code in wrong if bad), 0), "errcode", "errmsg")

    def _feishu_robot(self, request: Request) -> Response:
        body = json.loads(request.data)
        sign = hmac.new(f"{body.get('timestamp')}\n{SECRET}".encode(), b"", hashlib.sha256).digest()
        wrong = (
            (body.get("sign") != base64.b64encode(sign).decode(), 19021),
            (abs(int(body.get("timestamp") or 0) - self.now) > 3600, 19021),
            (body.get("msg_type") != "interactive" or not _feishu_card(body.get("card")), 9499),
            (len(request.data) > 20_000, 11246),
        )
        return self._answer("feishu", request, next((code for bad, code in wrong if bad), 0), "code", "msg")

    def _feishu_token(self, request: Request) -> Response:
        if json.loads(request.data) != {"app_id": APP, "app_secret": TOKEN}:
            return _json({"code": 10014, "msg": "app secret invalid"})
        self.tokens.append(f"t-{len(self.tokens)}")
        return _json({"code": 0, "msg": "ok", "tenant_access_token": self.tokens[-1], "expire": 7200})

    def _feishu_post(self, request: Request) -> Response:
        body = json.loads(request.data)
        if request.args.get("receive_id_type") != "chat_id" or not body.get("receive_id"):
            return _json({"code": 230001, "msg": "invalid receive_id"}, 400)
        return self._feishu_new(request, body)

    def _feishu_message(self, request: Request) -> Response:
        name = request.path.removeprefix("/open-apis/im/v1/messages/").removesuffix("/reply")
        if name not in self.uuids.values():
            return _json({"code": 230110, "msg": "message deleted"}, 400)
        body = json.loads(request.data)
        if request.method == "POST":
            return self._feishu_new(request, body)
        if trouble := self._feishu_refusal(request, body):
            return trouble
        self.edited.append((name, json.loads(body["content"])))
        return _json({"code": 0, "msg": "success", "data": {}})

    def _feishu_new(self, request: Request, body: dict[str, Any]) -> Response:
        if trouble := self._feishu_refusal(request, body):
            return trouble
        known = self.uuids.get(body["uuid"])
        if known is None:
            known = self.uuids[body["uuid"]] = f"om_{len(self.uuids)}"
            self.taken.append(("feishu", body))
        if self.answers and self.answers[0] == "reset":
            self.answers.popleft()
            return Response("<html>bad gateway</html>", 200)
        return _json({"code": 0, "msg": "success", "data": {"message_id": known}})

    def _feishu_refusal(self, request: Request, body: dict[str, Any]) -> Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.tokens[-1] if self.tokens else ''}":
            return _json({"code": 99991663, "msg": "Invalid access token"}, 400)
        if self.answers and isinstance(self.answers[0], int):
            return _json({"code": self.answers.popleft(), "msg": "no"}, 400)
        content = json.loads(body.get("content") or "null")
        if not _feishu_card(content) or len(body["content"].encode()) > 30_000 or len(body.get("uuid", "")) > 50:
            return _json({"code": 230001, "msg": "invalid content"}, 400)
        return None

    def _answer(self, provider: str, request: Request, code: int, key: str, said: str) -> Response:
        if not code and self.answers:
            wanted = self.answers.popleft()
            if wanted == "html":
                return Response("<html>", 200)
            if isinstance(wanted, int) and 100 <= wanted < 600:
                return Response("", wanted)
            code = int(wanted)
        if not code:
            self.taken.append((provider, json.loads(request.data)))
        return _json({key: code, said: "ok" if not code else "refused"})


def _dingtalk_form(body: dict[str, Any]) -> bool:
    kind = body.get("msgtype")
    inner = body.get(kind) if isinstance(kind, str) else None
    if kind == "markdown":
        return bool(inner and inner.get("title") and inner.get("text"))
    if kind == "actionCard":
        buttons = inner.get("btns") if inner else None
        whole = bool(inner and inner.get("title") and inner.get("text") and buttons)
        return whole and all(one.get("title") and one.get("actionURL", "").startswith("http") for one in buttons)
    return False


def _feishu_card(card: Any) -> bool:
    if not isinstance(card, dict) or card.get("header", {}).get("title", {}).get("tag") != "plain_text":
        return False
    elements = card.get("elements") or []
    buttons = [one for element in elements if element.get("tag") == "action" for one in element["actions"]]
    return (
        bool(elements)
        and all(element.get("tag") in _FEISHU_TAGS for element in elements)
        and all(one["text"]["content"] and (one.get("url", "http").startswith("http")) for one in buttons)
    )


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, content_type="application/json")
