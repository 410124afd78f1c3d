"""Feishu: a group by its robot, or by an app whose cards are edited in place and whose posts are never doubled."""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from alerts.channel import Gone, Letter, SendError, Uncertain
from alerts.content import Button, Card
from alerts.http_channel import Codes, HttpChannel, accepted
from alerts.markdown import fitted, markdown
from alerts.tokens import Token
from monitor import settings as config

_MOST = 18_000  # bytes of a robot's body may be 20,000, of an app's card 30,000
_HEADERS = {"Content-Type": "application/json; charset=utf-8"}
_TOKEN = "open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105 — an address
_SAME = timedelta(minutes=55)  # Feishu takes the same uuid for the same message for an hour
_ID = re.compile(r"ou_[0-9a-z]+")
_WRONG_TOKEN = frozenset({99991661, 99991663, 99991668, 99991671})
_GONE = frozenset({230011, 230027, 230031, 230110})  # recalled, not visible any more, older than a fortnight, deleted
_CODES = Codes(
    code="code",
    said="msg",
    passing=frozenset({11232, 9499001, 99991400, 230020, 1000004, 1000005, *_WRONG_TOKEN}),
    advice={
        19001: "机器人的地址不对",
        19021: "签名不对，或者机器的时间差太多",
        19022: "本机的地址不在机器人的白名单里",
        19024: "内容里没有机器人要求的关键词",
        10003: "app_id 或密钥不对",
        10014: "app_id 或密钥不对",
        230002: "应用的机器人不在群里",
        230006: "应用没有开启机器人能力",
        230013: "机器人对群里的人不可用",
        11232: "发得太快，飞书要求放慢",
        99991400: "发得太快，飞书要求放慢",
        99991672: "应用缺权限：需要 im:message 和 im:message:send_as_bot",
    },
)
_ENTITIES = str.maketrans({mark: f"&#{ord(mark)};" for mark in "<>*~[]()#:+\"'`$_-!&\\|"})


class Feishu(HttpChannel):
    """A Feishu group: by its robot, or with ``app_id`` by an app."""

    provider = "飞书"
    home = "https://open.feishu.cn/"
    live = True
    clicks = True
    page = 20
    rate = "100/1m"  # of a robot; an app may do more

    def __init__(self, channel: config.Channel, settings: config.Settings) -> None:
        super().__init__(channel, settings)
        self.live = bool(channel.app_id)
        self.clicks = self.live and bool(channel.signing_secret_env)
        self._token = Token(self._new_token)

    @classmethod
    def edits(cls, channel: config.Channel) -> bool:
        """Only an app may change what it posted."""
        return bool(channel.app_id)

    def send(self, letter: Letter) -> str:
        """Post a message; an app's is taken once, however often it is posted within an hour."""
        if not self.live:
            return self._send_by_robot(letter)
        body: dict[str, Any] = {"msg_type": "interactive", "content": _json(card(letter.card)), "uuid": _uuid(letter)}
        if letter.thread:
            path = f"open-apis/im/v1/messages/{quote(letter.thread, safe='')}/reply"
            body["reply_in_thread"] = True
        else:
            path = "open-apis/im/v1/messages?receive_id_type=chat_id"
            body["receive_id"] = letter.target
        answer = self._ask("POST", path, body)
        return str((answer.get("data") or {}).get("message_id") or "")

    def update(self, ref: str, letter: Letter) -> None:
        """Edit a card in place."""
        self._ask("PATCH", f"open-apis/im/v1/messages/{quote(ref, safe='')}", {"content": _json(card(letter.card))})

    def lookup(self, letter: Letter) -> str | None:
        """An app need not ask: the same post again is the same message; a robot cannot."""
        return "" if self.live and letter.at - (letter.since or letter.at) < _SAME else None

    def check(self) -> str | None:
        """Whether the app gets its token; a robot cannot be asked without posting."""
        try:
            if self.live:
                self._token()
                trouble = None
            else:
                trouble = self._reach("open-apis/bot/v2/hook/") if self._key() else self._missing()
        except (SendError, Uncertain) as error:
            trouble = str(error)
        return f"渠道 {self._channel.name}：{trouble}" if trouble else None

    def _send_by_robot(self, letter: Letter) -> str:
        hook = self._key()
        if not hook:
            raise SendError(self._missing(), permanent=True)
        body: dict[str, Any] = {"msg_type": "interactive", "card": card(letter.card)}
        if key := self._secret(self._channel.signing_secret_env):
            body |= _signature(key, int(letter.at.timestamp()))
        path = f"open-apis/bot/v2/hook/{quote(hook, safe='')}"
        accepted(self.provider, self._call(path, _json(body).encode(), _HEADERS), _CODES)
        return ""

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {**_HEADERS, "Authorization": f"Bearer {self._token()}"}
        answer = self._call(path, _json(body).encode(), headers, method)
        if answer.status in (400, 401):  # the code in the body says more than the status
            answer = replace(answer, status=200)
        try:
            return accepted(self.provider, answer, _CODES)
        except SendError as error:
            if error.code in _WRONG_TOKEN:
                self._token.forget()  # the next try asks for another
            if error.code in _GONE:
                raise Gone(str(error), permanent=True) from error
            raise

    def _new_token(self) -> tuple[str, float]:
        key = self._key()
        if not key:
            raise SendError(self._missing(), permanent=True)
        body = _json({"app_id": self._channel.app_id, "app_secret": key}).encode()
        answer = accepted(self.provider, self._call(_TOKEN, body, _HEADERS), _CODES)
        return str(answer.get("tenant_access_token", "")), float(answer.get("expire") or 0)

    def _key(self) -> str:
        return self._secret(self._channel.token_env)

    def _missing(self) -> str:
        what = "应用的密钥" if self.live else "机器人地址最后那一段"
        return f"环境变量 {self._channel.token_env or '（没有设 token_env）'} 里没有{what}"


def card(content: Card) -> dict[str, Any]:
    """The card: literal text as entities, a red head on what is urgent."""
    content = fitted(content, lambda one: len(_json(_card(one)).encode()), _MOST)
    return _card(content)


def _card(content: Card) -> dict[str, Any]:
    marks = (f"<at id={one.id}></at>" if _ID.fullmatch(one.id) else _literal(f"@{one.name}") for one in content.ping)
    called = " ".join(marks)
    text = markdown(content, _literal, title=False, called=called)
    elements: list[dict[str, Any]] = [{"tag": "markdown", "content": text}] if text else []
    if content.buttons:
        actions = [_button(button, content.about) for button in content.buttons]
        elements.append({"tag": "action", "layout": "flow", "actions": actions})
    urgent = content.title.startswith(("【危机", "【超时"))
    return {
        "config": {"wide_screen_mode": True, "update_multi": True},
        "header": {
            "title": {"tag": "plain_text", "content": content.headline},
            "template": "red" if urgent else "blue",
        },
        "elements": elements,
    }


def _button(button: Button, about: str) -> dict[str, Any]:
    built: dict[str, Any] = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": button.label},
        "type": "primary" if button.action == "claim" else "default",
    }
    if button.url:
        return built | {"url": button.url}
    if button.confirm:
        built["confirm"] = {
            "title": {"tag": "plain_text", "content": button.label},
            "text": {"tag": "plain_text", "content": button.confirm},
        }
    return built | {"value": {"action": button.action, "about": about}}


def _literal(text: str) -> str:
    return text.translate(_ENTITIES)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _uuid(letter: Letter) -> str:
    return hashlib.sha256(f"{letter.key}|{letter.target}".encode()).hexdigest()[:40]


def _signature(key: str, stamp: int) -> dict[str, str]:
    digest = hmac.new(f"{stamp}\n{key}".encode(), b"", hashlib.sha256).digest()
    return {"timestamp": str(stamp), "sign": base64.b64encode(digest).decode()}
