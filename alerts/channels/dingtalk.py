"""A DingTalk group, by its custom robot: signed, ActionCards with links, no edits and nothing to ask afterwards."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

from alerts.channel import Letter, SendError
from alerts.content import Card
from alerts.http_channel import Codes, HttpChannel, accepted
from alerts.markdown import fitted, links, markdown, wide

_MOST = 18_000  # bytes; a body may have 20,000
_TITLE = 64  # characters shown in the list of chats
_CODES = Codes(
    code="errcode",
    said="errmsg",
    passing=frozenset({-1, 130101, 410100}),  # busy; faster than 20 a minute, two spellings
    advice={
        310000: "签名、关键词或来源地址不对，请核对机器人的安全设置",
        300001: "access_token 不对",
        300005: "access_token 不对",
        400013: "群已解散",
        400101: "access_token 不存在",
        400102: "机器人已停用",
        400106: "机器人已被移出群",
        130101: "发得太快，钉钉限每分钟 20 条",
        410100: "发得太快，钉钉限每分钟 20 条",
        430101: "内容里有钉钉不让发的链接",
        430102: "内容里有钉钉不让发的文字",
        430104: "内容里有钉钉不让发的东西",
    },
)


class DingTalk(HttpChannel):
    """A DingTalk group, by its robot (access token, and the secret of 加签)."""

    provider = "钉钉"
    home = "https://oapi.dingtalk.com/"
    page = 20
    rate = "20/1m"  # faster ones are shut out for ten minutes

    def send(self, letter: Letter) -> str:
        """Post a message; DingTalk gives it no name."""
        token = self._secret(self._channel.token_env)
        if not token:
            raise SendError(self._missing(), permanent=True)
        query = {"access_token": token}
        if key := self._secret(self._channel.signing_secret_env):
            query |= _signature(key, int(letter.at.timestamp() * 1000))
        body = json.dumps(form(letter.card), ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json; charset=utf-8"}
        accepted(self.provider, self._call(f"robot/send?{urlencode(query)}", body, headers), _CODES)
        return ""

    def check(self) -> str | None:
        """Whether there is a token and somebody at the address; a robot cannot be asked without posting."""
        trouble = self._reach("robot/send") if self._secret(self._channel.token_env) else self._missing()
        return f"渠道 {self._channel.name}：{trouble}" if trouble else None

    def _missing(self) -> str:
        return f"环境变量 {self._channel.token_env or '（没有设 token_env）'} 里没有机器人的 access_token"


def form(card: Card) -> dict[str, Any]:
    """The message: an ActionCard with buttons; plain Markdown where people are called on, as only that can."""
    card = fitted(card, lambda one: len(markdown(one).encode()), _MOST)
    title = wide(card.headline)[:_TITLE]
    ids = [one.id for one in card.ping if one.id]
    buttons = [{"title": one.label, "actionURL": one.url} for one in card.buttons if one.url]
    called = " ".join(wide(f"@{one.id or one.name}") for one in card.ping)
    if ids or not buttons:
        text = "\n\n".join(filter(None, (markdown(card, called=called), links(card))))
        return {"msgtype": "markdown", "markdown": {"title": title, "text": text}, "at": {"atUserIds": ids}}
    text = markdown(card, called=called)
    shown = {"title": title, "text": text, "btns": buttons, "btnOrientation": "0"}
    return {"msgtype": "actionCard", "actionCard": shown}


def _signature(key: str, stamp: int) -> dict[str, str]:
    digest = hmac.new(key.encode(), f"{stamp}\n{key}".encode(), hashlib.sha256).digest()
    return {"timestamp": str(stamp), "sign": base64.b64encode(digest).decode()}
