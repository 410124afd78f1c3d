"""DingTalk: a group by its custom robot; or by an app, whose cards (of a template) are edited and never doubled."""

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode, urljoin

from alerts import dingtalk_api as api
from alerts.channel import Gone, Letter, SendError, Uncertain
from alerts.content import Card
from alerts.http_channel import Codes, HttpChannel, accepted, packed
from alerts.markdown import fitted, links, markdown, wide
from alerts.tokens import Token
from monitor import settings as config

_MOST = 18_000  # bytes; a body may have 20,000
_MOST_OF_APP = 12_000  # bytes; a message's parts may have 15,000
_TITLE = 64  # characters shown in the list of chats
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_USER = "user:"
_CARDS = "v1.0/card/instances"
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
    """A DingTalk group by its robot (access token, secret of 加签), or with ``app_id`` a group or user by an app."""

    provider = api.PROVIDER
    home = "https://oapi.dingtalk.com/"
    live = True
    clicks = True
    page = 20
    rate = "20/1m"  # faster ones are shut out for ten minutes

    def __init__(self, channel: config.Channel, settings: config.Settings) -> None:
        super().__init__(channel, settings)
        self.live = self.edits(channel)
        self.clicks = self.live and bool(channel.signing_secret_env)
        self.second_try = 2 if self.live else 1
        if channel.app_id:
            self.home = "https://api.dingtalk.com/"
        self._callback = urljoin(f"{settings.service.public_url.rstrip('/')}/", "dingtalk/actions")
        self._registered = False
        self._token = Token(self._new_token)

    @classmethod
    def edits(cls, channel: config.Channel) -> bool:
        """Only cards of an app's template can be changed."""
        return bool(channel.app_id and channel.card_template)

    def send(self, letter: Letter) -> str:
        """Post a message; a card is named by us, so that it is the same however often it is posted."""
        if not self._channel.app_id:
            return self._send_by_robot(letter)
        if not (self.live and letter.live):
            return self._send_by_app(letter)
        track, data = letter.name, {"cardParamMap": api.variables(letter.card)}
        body = {"cardTemplateId": self._channel.card_template, "outTrackId": track, "cardData": data, "userIdType": 1}
        try:
            answer = self._ask("POST", f"{_CARDS}/createAndDeliver", {**body, **self._route(), **self._space(letter)})
        except api.Refused as error:
            if error.said != api.EXISTS:
                raise
            # it was made by a try that failed to deliver it: what may have arrived was looked up before
            answer = self._ask("POST", f"{_CARDS}/deliver", {"outTrackId": track, **self._space(letter, made=True)})
        api.delivered(answer)
        return track

    def update(self, ref: str, letter: Letter) -> None:
        """Edit a card in place."""
        data = {"cardParamMap": api.variables(letter.card)}
        body = {"outTrackId": ref, "cardData": data, "cardUpdateOptions": {"updateCardDataByKey": True}}
        self._ask("PUT", _CARDS, body)

    def lookup(self, letter: Letter) -> str | None:
        """Whether the card is there: what can be edited is. Other messages cannot be asked for."""
        if not (self.live and letter.live):
            return None
        track = letter.name
        try:
            self.update(track, letter)
        except Gone:
            return ""
        return track

    def check(self) -> str | None:
        """Whether the app gets its token; a robot cannot be asked without posting."""
        try:
            if self._channel.app_id:
                self._token()
                trouble = None
            else:
                trouble = self._reach("robot/send") if self._key() else self._missing()
        except (SendError, Uncertain) as error:
            trouble = str(error)
        return f"渠道 {self._channel.name}：{trouble}" if trouble else None

    def _send_by_robot(self, letter: Letter) -> str:
        token = self._key()
        if not token:
            raise SendError(self._missing(), permanent=True)
        query = {"access_token": token}
        if key := self._secret(self._channel.signing_secret_env):
            query |= _signature(key, int(letter.at.timestamp() * 1000))
        accepted(self.provider, self._call(f"robot/send?{urlencode(query)}", packed(form(letter.card)), _JSON), _CODES)
        return ""

    def _send_by_app(self, letter: Letter) -> str:
        card = fitted(letter.card, lambda one: len(packed(api.message(one)[1])), _MOST_OF_APP)
        kind, parts = api.message(card)
        said = {"robotCode": self._channel.app_id, "msgKey": kind, "msgParam": packed(parts).decode()}
        if letter.target.startswith(_USER):
            to = {"userIds": [letter.target.removeprefix(_USER)]}
            answer = self._ask("POST", "v1.0/robot/oToMessages/batchSend", said | to)
            for missed in ("invalidStaffIdList", "flowControlledStaffIdList"):
                if answer.get(missed):
                    raise api.Refused(missed, "钉钉没有把消息发给这个人")
        else:
            self._ask("POST", "v1.0/robot/groupMessages/send", said | {"openConversationId": letter.target})
        return ""

    def _space(self, letter: Letter, *, made: bool = False) -> dict[str, Any]:
        """Where a card goes, and how; what is made already is only to be delivered."""
        robot = {"robotCode": self._channel.app_id}
        if letter.target.startswith(_USER):
            kind, place = "imRobot", f"IM_ROBOT.{letter.target.removeprefix(_USER)}"
            robot |= {"spaceType": "IM_ROBOT"}
        else:
            kind, place = "imGroup", f"IM_GROUP.{letter.target}"
        called = {one.id: one.name for one in letter.card.ping if one.id} if kind == "imGroup" else {}
        deliver = {f"{kind}OpenDeliverModel": robot | ({"atUserIds": called} if called else {})}
        if made:
            return {"openSpaceId": f"dtv1.card//{place}", **deliver}
        told = {"supportForward": False, "lastMessageI18n": {"ZH_CN": letter.card.headline[:_TITLE]}}
        return {"openSpaceId": f"dtv1.card//{place}", f"{kind}OpenSpaceModel": told, **deliver}

    def _route(self) -> dict[str, str]:
        """Where clicks go: an address of ours that DingTalk is told once, under a name of that address."""
        if not self.clicks:
            return {}
        name = f"pingshao-{hashlib.sha256(self._callback.encode()).hexdigest()[:16]}"
        if not self._registered:
            key = self._secret(self._channel.signing_secret_env)
            if not key:
                raise SendError(f"环境变量 {self._channel.signing_secret_env} 里没有卡片回调的密钥", permanent=True)
            body = {"callbackRouteKey": name, "callbackUrl": self._callback, "apiSecret": key, "forceUpdate": True}
            self._ask("POST", "v1.0/card/callbacks/register", body)
            self._registered = True
        return {"callbackType": "HTTP", "callbackRouteKey": name}

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call the API as the app; a token that was refused is replaced at once, as nothing was done with it."""
        try:
            return self._ask_once(method, path, body)
        except api.Refused as error:
            if error.said != api.WRONG_TOKEN:
                raise
        self._token.forget()
        return self._ask_once(method, path, body)

    def _ask_once(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {**_JSON, "x-acs-dingtalk-access-token": self._token()}
        return api.accepted(self._call(path, packed(body), headers, method))

    def _new_token(self) -> tuple[str, float]:
        key = self._key()
        if not key:
            raise SendError(self._missing(), permanent=True)
        body = packed({"appKey": self._channel.app_id, "appSecret": key})
        answer = api.accepted(self._call("v1.0/oauth2/accessToken", body, _JSON))
        return str(answer.get("accessToken", "")), float(answer.get("expireIn") or 0)

    def _key(self) -> str:
        return self._secret(self._channel.token_env)

    def _missing(self) -> str:
        what = "应用的 AppSecret" if self._channel.app_id else "机器人的 access_token"
        return f"环境变量 {self._channel.token_env or '（没有设 token_env）'} 里没有{what}"


def form(card: Card) -> dict[str, Any]:
    """A robot's message: an ActionCard with buttons; plain Markdown where people are called on, as only that can."""
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
