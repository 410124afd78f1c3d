"""A stand-in for WeCom's app API, as strict as its documents, that seals callbacks and can misbehave on demand."""

import base64
import hashlib
import json
import os
import re
from collections import deque
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

CORP, AGENT, SECRET = "ww7d31c0", 1000002, "app-secret-41"
TOKEN, LETTERS = "callback-token", base64.b64encode(bytes(range(7, 39))).decode().rstrip("=")
_THREE_DAYS = 72 * 3600
_LIMITS = {"title": 36, "sub_title_text": 160, "keyname": 5, "value": 30, "label": 10}


@dataclass
class WeComDouble:
    """What WeCom keeps.

    Attributes:
        now: Seconds since the epoch, as WeCom sees them.
        taken: Messages delivered, in order.
        edited: Edits made: task and card.
        answers: What to answer next instead: an errcode, an HTTP status under 600, ``html``, or ``lost`` (takes it,
            answers rubbish).
    """

    server: HTTPServer
    now: float
    taken: list[dict[str, Any]] = field(default_factory=list)
    edited: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: deque[Any] = field(default_factory=deque)
    tokens: list[str] = field(default_factory=list)
    codes: dict[str, tuple[str, float]] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    bodies: dict[bytes, float] = field(default_factory=dict)
    tasks: set[str] = field(default_factory=set)
    missed: str = ""

    def __post_init__(self) -> None:
        for path, method, handler in (
            ("/cgi-bin/gettoken", "GET", self._token),
            ("/cgi-bin/message/send", "POST", self._send),
            ("/cgi-bin/message/update_template_card", "POST", self._update),
            ("/cgi-bin/appchat/send", "POST", self._chat),
        ):
            self.server.expect_request(path, method=method).respond_with_handler(handler)

    def said(self, nth: int) -> dict[str, Any]:
        """The message of this number, once it is there."""
        until = monotonic() + 10
        while len(self.taken) <= nth and monotonic() < until:
            sleep(0.005)
        return self.taken[nth]

    def expire(self) -> None:
        """The token ends early."""
        self.tokens.append("taken back")

    def code(self, task: str) -> str:
        """A new code that edits a card once."""
        code = hashlib.sha256(f"{task}{len(self.codes)}".encode()).hexdigest()[:48]
        self.codes[code] = (task, self.now)
        return code

    def click(self, person: str, task: str, button: str, **more: str) -> tuple[dict[str, str], bytes]:
        """Query and body of the callback of a click on a card's button."""
        event = {
            "ToUserName": CORP,
            "FromUserName": person,
            "CreateTime": str(int(self.now)),
            "MsgType": "event",
            "Event": "template_card_event",
            "EventKey": button,
            "TaskId": task,
            "CardType": "button_interaction",
            "ResponseCode": self.code(task),
            "AgentID": str(AGENT),
        } | more
        inside = "".join(f"<{name}><![CDATA[{said}]]></{name}>" for name, said in event.items())
        return envelope(f"<xml>{inside}</xml>".encode(), int(self.now))

    def _token(self, request: Request) -> Response:
        if request.args.get("corpid") != CORP:
            return _json({"errcode": 40013, "errmsg": "invalid corpid"})
        if request.args.get("corpsecret") != SECRET:
            return _json({"errcode": 40001, "errmsg": "invalid credential"})
        self.tokens.append(f"token-{len(self.tokens)}")
        return _json({"errcode": 0, "errmsg": "ok", "access_token": self.tokens[-1], "expires_in": 7200})

    def _send(self, request: Request) -> Response:
        if trouble := self._refusal(request):
            return trouble
        body = json.loads(request.data)
        kind = body.get("msgtype")
        wrong = (
            (not any(body.get(to) for to in ("touser", "toparty", "totag")), 40031),
            (body.get("agentid") != AGENT, 301002),
            (kind not in ("text", "markdown", "template_card"), 40008),
            (kind in ("text", "markdown") and not 0 < len(body[kind]["content"].encode()) <= 2048, 45002),
            (kind == "template_card" and _card_problem(body["template_card"]), 40058),
        )
        if code := next((code for bad, code in wrong if bad), 0):
            return _json({"errcode": code, "errmsg": "refused"})
        seen = self.bodies.get(request.data)
        if body.get("enable_duplicate_check") and seen and self.now - seen < body["duplicate_check_interval"] <= 14400:
            return self._taken({})
        task = body["template_card"]["task_id"] if kind == "template_card" else ""
        if task and task in self.tasks:
            return _json({"errcode": 40058, "errmsg": "task_id was used"})
        self.tasks.add(task)
        self.bodies[request.data] = self.now
        self.taken.append(body)
        interactive = task and body["template_card"]["card_type"] == "button_interaction"
        return self._taken({"response_code": self.code(task)} if interactive else {})

    def _update(self, request: Request) -> Response:
        if trouble := self._refusal(request):
            return trouble
        body = json.loads(request.data)
        code, card = body.get("response_code", ""), body.get("template_card")
        task, made = self.codes.get(code, ("", 0.0))
        if not task or code in self.spent or self.now - made > _THREE_DAYS:
            return _json({"errcode": 42099, "errmsg": "response_code is of no use"})
        whom = body.get("atall") == 1 or body.get("userids")
        if not whom or body.get("agentid") != AGENT or _card_problem(card):
            return _json({"errcode": 40058, "errmsg": "invalid"})
        self.spent.add(code)
        self.edited.append((task, card))
        return self._taken({})

    def _chat(self, request: Request) -> Response:
        if trouble := self._refusal(request):
            return trouble
        body = json.loads(request.data)
        if not body.get("chatid") or body.get("msgtype") != "markdown":
            return _json({"errcode": 40008, "errmsg": "invalid msgtype"})
        self.taken.append(body)
        return self._taken({})

    def _refusal(self, request: Request) -> Response | None:
        if not self.tokens or request.args.get("access_token") != self.tokens[-1]:
            code = 42001 if request.args.get("access_token") in self.tokens else 40014
            return _json({"errcode": code, "errmsg": "access_token expired"})
        if not self.answers or self.answers[0] == "lost":
            return None
        wanted = self.answers.popleft()
        if wanted == "html":
            return Response("<html>", 200)
        if wanted in range(100, 600):
            return Response("", wanted)
        return _json({"errcode": wanted, "errmsg": "as told"})

    def _taken(self, more: dict[str, Any]) -> Response:
        if self.answers and self.answers[0] == "lost":
            self.answers.popleft()
            return Response("<html>bad gateway</html>", 200)
        return _json({"errcode": 0, "errmsg": "ok", "invaliduser": self.missed, "msgid": "m1", **more})


def envelope(
    inside: bytes, now: int, *, token: str = TOKEN, letters: str = LETTERS, owner: str = CORP, nonce: str = "n-1"
) -> tuple[dict[str, str], bytes]:
    """Query and body as WeCom seals them; written apart from what opens them."""
    sealed = seal(inside, letters, owner)
    query = signature(sealed, now, token=token, nonce=nonce)
    outside = f"<xml><ToUserName><![CDATA[{owner}]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
    return query, outside.encode()


def signature(sealed: str, now: int, *, token: str = TOKEN, nonce: str = "n-1") -> dict[str, str]:
    parts = [token, str(now), nonce, sealed]
    parts.sort()
    return {
        "msg_signature": hashlib.new("sha1", "".join(parts).encode()).hexdigest(),  # noqa: S324 — WeCom's
        "timestamp": str(now),
        "nonce": nonce,
    }


def seal(inside: bytes, letters: str = LETTERS, owner: str = CORP) -> str:
    key = base64.b64decode(letters + "=")
    plain = os.urandom(16) + len(inside).to_bytes(4, "big") + inside + owner.encode()
    short = 32 - len(plain) % 32
    plain += bytes([short] * short)
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(cipher.update(plain) + cipher.finalize()).decode()


def _card_problem(card: Any) -> str:
    """What the documents do not allow about a template card."""
    kind = card.get("card_type")
    buttons, rows = card.get("button_list", []), card.get("horizontal_content_list", [])
    menu = card.get("action_menu", {}).get("action_list", [])
    keys = [one["key"] for one in (*buttons, *menu)]
    checks = {
        "card_type": kind in ("button_interaction", "text_notice"),
        "task_id": re.fullmatch(r"[0-9A-Za-z_\-@]{1,128}", card.get("task_id", "")),
        "buttons": (1 <= len(buttons) <= 6) == (kind == "button_interaction"),
        "menu": len(menu) <= 3 and ("action_menu" not in card or menu),
        "keys": len(set(keys)) == len(keys) and all(0 < len(key.encode()) <= 1024 for key in keys),
        "labels": all(0 < len(one["text"]) <= _LIMITS["label"] and one["style"] in (1, 2, 3, 4) for one in buttons),
        "rows": len(rows) <= 6,
        "title": 0 < len(card["main_title"]["title"]) <= _LIMITS["title"],
        "text": len(card.get("sub_title_text", "")) <= _LIMITS["sub_title_text"],
        "page": kind != "text_notice" or card.get("card_action", {}).get("type") in (1, 2),
        "links": all(one.get("url", "http").startswith("http") for one in (*rows, card.get("card_action", {}))),
        "linked": all(one.get("url") for one in rows if one.get("type") == 1),
        "names": all(0 < len(one["keyname"]) <= _LIMITS["keyname"] for one in rows),
        "values": all(len(one["value"]) <= _LIMITS["value"] for one in rows),
    }
    return next((name for name, fine in checks.items() if not fine), "")


def _json(value: Any) -> Response:
    return Response(json.dumps(value), 200, content_type="application/json")
