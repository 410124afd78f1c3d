"""A WeCom group, by its robot: Markdown of at most 4,096 bytes, no edits and nothing to ask afterwards."""

import json
from typing import Any
from urllib.parse import urlencode

from alerts.channel import Letter, SendError
from alerts.content import Card
from alerts.http_channel import Codes, HttpChannel, accepted
from alerts.markdown import fitted, links, markdown, wide

_MOST = 4096  # bytes of UTF-8
_CODES = Codes(
    code="errcode",
    said="errmsg",
    passing=frozenset({-1, 45009, 45033}),  # busy; more than 20 a minute; too many at once
    advice={
        93000: "机器人的 key 不对，或机器人已被移出群",
        93004: "机器人已停用",
        93008: "机器人不在群里",
        45009: "发得太快，企业微信限每分钟 20 条",
        40058: "企业微信说内容的格式不对",
        45002: "内容超过 4096 字节",
    },
)


class WeCom(HttpChannel):
    """A WeCom (企业微信) group, by its robot (the key in its webhook address)."""

    provider = "企业微信"
    home = "https://qyapi.weixin.qq.com/"
    page = 10
    rate = "20/1m"

    def send(self, letter: Letter) -> str:
        """Post a message; WeCom gives it no name."""
        key = self._secret(self._channel.token_env)
        if not key:
            raise SendError(self._missing(), permanent=True)
        body = json.dumps(form(letter.card), ensure_ascii=False).encode("utf-8", "replace")
        path = f"cgi-bin/webhook/send?{urlencode({'key': key})}"
        accepted(self.provider, self._call(path, body, {"Content-Type": "application/json"}), _CODES)
        return ""

    def check(self) -> str | None:
        """Whether there is a key and somebody at the address; a robot cannot be asked without posting."""
        there = self._secret(self._channel.token_env)
        trouble = self._reach("cgi-bin/webhook/send") if there else self._missing()
        return f"渠道 {self._channel.name}：{trouble}" if trouble else None

    def _missing(self) -> str:
        return f"环境变量 {self._channel.token_env or '（没有设 token_env）'} 里没有机器人的 key"


def form(card: Card) -> dict[str, Any]:
    """The message."""
    card = fitted(card, lambda one: len(_content(one).encode()), _MOST)
    return {"msgtype": "markdown", "markdown": {"content": _content(card)}}


def _content(card: Card) -> str:
    called = " ".join(f"<@{one.id}>" if one.id.isalnum() else wide(f"@{one.name}") for one in card.ping)
    return "\n\n".join(filter(None, (markdown(card, called=called), links(card))))
