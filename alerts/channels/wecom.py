"""WeCom: a group by its robot; or people by an app, whose cards are edited once after each post and each click.

The app's posts go through WeCom's duplicate check, and a card's name is taken once: the same post again is no second.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import structlog

from alerts.channel import Gone, Letter, SendError, Uncertain
from alerts.content import Card
from alerts.http_channel import Codes, HttpChannel, accepted, packed
from alerts.markdown import fitted, links, markdown, pieces, wide
from alerts.tokens import Token
from alerts.wecom_card import template
from monitor import settings as config

_MOST = 4096  # bytes of UTF-8
_MOST_OF_APP = 2048
_CHECKED = 4 * 3600  # seconds that the duplicate check looks back, at most
_SAME = timedelta(seconds=_CHECKED - 300)
_JSON = {"Content-Type": "application/json"}
_CHAT = "chat:"
_TO = {"party:": "toparty", "tag:": "totag"}
_MISSED = ("invaliduser", "invalidparty", "invalidtag", "unlicenseduser")
_WRONG_TOKEN = frozenset({40014, 42001})
_CODES = Codes(
    code="errcode",
    said="errmsg",
    passing=frozenset({-1, 6000, *_WRONG_TOKEN}),  # busy; somebody else was writing
    slow={45009: 60.0, 45033: 5.0},  # more than 20 a minute; too many at once
    advice={
        93000: "机器人的 key 不对，或机器人已被移出群",
        93004: "机器人已停用",
        93008: "机器人不在群里",
        45009: "发得太快，企业微信限每分钟 20 条（应用对每个人 30 条）",
        45033: "同时发得太多",
        40058: "企业微信说内容的格式不对",
        45002: "内容超过企业微信的长度",
        40001: "应用的密钥不对",
        40013: "corp_id 不对",
        40056: "app_id（AgentId）不对",
        301002: "密钥不是这个应用的，请核对 app_id（AgentId）",
        60020: "本机的地址不在应用的“企业可信 IP”里",
        81013: "target 里的人、部门或标签都不在应用的可见范围里",
        86001: "没有这个群聊（chatid 不对）",
    },
)
_log = structlog.get_logger()


class WeCom(HttpChannel):
    """A WeCom (企业微信) group by its robot, or with ``app_id`` people, parties, tags or an app's chat by an app."""

    provider = "企业微信"
    home = "https://qyapi.weixin.qq.com/"
    live = True
    clicks = True
    scarce = True
    page = 10
    rate = "20/1m"

    def __init__(self, channel: config.Channel, settings: config.Settings) -> None:
        super().__init__(channel, settings)
        self.live = self.clicks = self.edits(channel)
        if channel.app_id:
            self.rate = "30/1m"  # to one person; what is above it WeCom drops without a word
        self._token = Token(self._new_token)

    @classmethod
    def edits(cls, channel: config.Channel) -> bool:
        """Only an app with a callback may post cards with buttons; a chat takes none."""
        door = channel.signing_secret_env and channel.aes_key_env
        return bool(channel.app_id and door) and not channel.target.startswith(_CHAT)

    def send(self, letter: Letter) -> str:
        """Post a message; of a card with buttons, its name and the code that lets it be edited once."""
        if not self._channel.app_id:
            return self._send_by_robot(letter.card)
        if not (self.live and letter.live):
            for part in pieces(_content(letter.card, ids=False), _MOST_OF_APP):
                self._post(letter.target, {"msgtype": "markdown", "markdown": {"content": part}})
            return ""
        task = letter.name
        answer = self._post(letter.target, {"msgtype": "template_card", "template_card": template(letter.card, task)})
        return f"{task} {answer.get('response_code') or ''}".strip()

    def update(self, ref: str, letter: Letter) -> str:
        """Edit a card for everybody who has it; its code is spent by that.

        Raises:
            Gone: there is no code, or WeCom does not take it any more.
        """
        task, _, code = ref.partition(" ")
        if not code:
            raise Gone("企业微信只让改一次，等有人点了按钮才能再改", permanent=True)
        body = {"atall": 1, "agentid": self._agent(), "response_code": code}
        try:
            self._ask("message/update_template_card", body | {"template_card": template(letter.card, task)})
        except SendError as error:
            if error.permanent:
                raise Gone(str(error), permanent=True) from error
            raise
        return task

    def lookup(self, letter: Letter) -> str | None:
        """What an app posts again within hours WeCom does not deliver again; a robot and a chat cannot be asked."""
        checked = self._channel.app_id and not letter.target.startswith(_CHAT)
        return "" if checked and letter.at - (letter.since or letter.at) < _SAME else None

    def tell(self, person: str, text: str) -> None:
        """Say something to one person; raises as `send` does."""
        self._post(person, {"msgtype": "text", "text": {"content": text}, "enable_duplicate_check": 0})

    def check(self) -> str | None:
        """Whether the app gets its token; a robot cannot be asked without posting."""
        try:
            if self._channel.app_id:
                self._agent()
                self._token()
                trouble = None
            else:
                trouble = self._reach("cgi-bin/webhook/send") if self._key() else self._missing()
        except (SendError, Uncertain) as error:
            trouble = str(error)
        return f"渠道 {self._channel.name}：{trouble}" if trouble else None

    def _send_by_robot(self, card: Card) -> str:
        key = self._key()
        if not key:
            raise SendError(self._missing(), permanent=True)
        path = f"cgi-bin/webhook/send?{urlencode({'key': key})}"
        accepted(self.provider, self._call(path, packed(form(card)), _JSON), _CODES)
        return ""

    def _post(self, target: str, said: dict[str, Any]) -> dict[str, Any]:
        if target.startswith(_CHAT):
            return self._ask("appchat/send", {"chatid": target.removeprefix(_CHAT), **said})
        checked = {"enable_duplicate_check": 1, "duplicate_check_interval": _CHECKED}
        answer = self._ask("message/send", {**_recipients(target), "agentid": self._agent(), **checked, **said})
        missed = {name: who for name, who in answer.items() if name in _MISSED and who}
        if missed:
            _log.warning("wecom_recipients_missed", channel=self._channel.name, **missed)
        return answer

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call the API as the app; a token that was refused is replaced at once, as nothing was done with it."""
        try:
            return self._ask_once(path, body)
        except SendError as error:
            if error.code not in _WRONG_TOKEN:
                raise
        self._token.forget()
        return self._ask_once(path, body)

    def _ask_once(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"cgi-bin/{path}?{urlencode({'access_token': self._token()})}"
        return accepted(self.provider, self._call(url, packed(body), _JSON), _CODES)

    def _new_token(self) -> tuple[str, float]:
        key = self._key()
        if not key:
            raise SendError(self._missing(), permanent=True)
        query = urlencode({"corpid": self._channel.corp_id, "corpsecret": key})
        answer = accepted(self.provider, self._call(f"cgi-bin/gettoken?{query}", b"", {}, "GET"), _CODES)
        return str(answer.get("access_token", "")), float(answer.get("expires_in") or 0)

    def _agent(self) -> int:
        if not self._channel.app_id.isdecimal():
            raise SendError(f"app_id 应为应用的 AgentId（数字），实为 {self._channel.app_id!r}", permanent=True)
        return int(self._channel.app_id)

    def _key(self) -> str:
        return self._secret(self._channel.token_env)

    def _missing(self) -> str:
        what = "应用的 Secret" if self._channel.app_id else "机器人的 key"
        return f"环境变量 {self._channel.token_env or '（没有设 token_env）'} 里没有{what}"


def form(card: Card) -> dict[str, Any]:
    """A robot's message."""
    card = fitted(card, lambda one: len(_content(one).encode()), _MOST)
    return {"msgtype": "markdown", "markdown": {"content": _content(card)}}


def _content(card: Card, *, ids: bool = True) -> str:
    """The card as Markdown; only a robot's calls on people by their ids."""
    called = " ".join(f"<@{one.id}>" if ids and one.id.isalnum() else wide(f"@{one.name}") for one in card.ping)
    return "\n\n".join(filter(None, (markdown(card, called=called), links(card))))


def _recipients(target: str) -> dict[str, str]:
    prefix = next((prefix for prefix in _TO if target.startswith(prefix)), "")
    whom = target.removeprefix(prefix)
    if not whom:
        raise SendError("target 应为 成员|成员、party:部门|部门、tag:标签 或 chat:群聊", permanent=True)
    return {_TO.get(prefix, "touser"): whom}
