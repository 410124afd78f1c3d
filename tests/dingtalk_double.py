"""A stand-in for DingTalk's app API, as strict as its documents, that signs callbacks and can misbehave on demand."""

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

KEY, SECRET, TEMPLATE, CALLBACK = "dingabc", "app-secret-17", "f3a1.schema", "callback-secret"
_VARIABLES = {"title", "buttons", *(f"text{n}" for n in range(1, 7))}
_BUTTONS = {"sampleMarkdown": 0, "sampleActionCard": 1, **{f"sampleActionCard{n}": n for n in range(2, 6)}}


@dataclass
class DingTalkDouble:
    """What DingTalk keeps.

    Attributes:
        now: Seconds since the epoch, as DingTalk sees them.
        cards: Cards by their outTrackId: their variables as they stand.
        delivered: Deliveries, in order: outTrackId and space.
        sent: Robot messages, in order.
        routes: Registered addresses and their secrets.
        answers: What to answer next instead: a code with its status (``400 param.x``), ``html``, ``lost`` (takes it,
            answers rubbish), ``undelivered`` (makes the card and does not deliver it).
    """

    server: HTTPServer
    now: float
    cards: dict[str, dict[str, str]] = field(default_factory=dict)
    delivered: list[tuple[str, str]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    edits: int = 0
    routes: dict[str, tuple[str, str]] = field(default_factory=dict)
    answers: deque[str] = field(default_factory=deque)
    tokens: list[str] = field(default_factory=list)
    called: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path, method, handler in (
            ("/v1.0/oauth2/accessToken", "POST", self._token),
            ("/v1.0/card/callbacks/register", "POST", self._register),
            ("/v1.0/card/instances/createAndDeliver", "POST", self._create),
            ("/v1.0/card/instances/deliver", "POST", self._deliver),
            ("/v1.0/card/instances", "PUT", self._edit),
            ("/v1.0/robot/groupMessages/send", "POST", self._message),
            ("/v1.0/robot/oToMessages/batchSend", "POST", self._message),
        ):
            self.server.expect_request(path, method=method).respond_with_handler(self._guarded(handler))

    def expire(self) -> None:
        """The token ends early."""
        self.tokens.append("taken back")

    def click(self, person: str, track: str, action: str, **more: Any) -> tuple[dict[str, str], bytes]:
        """Headers and body of the callback of a click on a card's button."""
        content = {"cardPrivateData": {"actionIds": ["1"], "params": {"action": action}}}
        body = {
            "type": "actionCallback",
            "outTrackId": track,
            "corpId": "dingcorp",
            "userId": person,
            "content": json.dumps(content),
        } | more
        return self.headers(), json.dumps(body).encode()

    def headers(self, secret: str = CALLBACK) -> dict[str, str]:
        stamp = str(int(self.now * 1000))
        digest = hmac.digest(secret.encode(), stamp.encode(), "sha256")
        return {"x-ddpaas-signature-timestamp": stamp, "x-ddpaas-signature": base64.b64encode(digest).decode()}

    def _guarded(self, handler: Any) -> Any:
        def guarded(request: Request) -> Response:
            body = json.loads(request.data)
            if handler == self._token:
                return self._token(body)
            given = request.headers.get("x-acs-dingtalk-access-token", "")
            if not self.tokens or given != self.tokens[-1]:
                return _no("InvalidAuthentication", "不合法的access_token", 401)
            lost = bool(self.answers) and self.answers[0] == "lost"
            if self.answers and self.answers[0] not in ("lost", "undelivered"):
                wanted = self.answers.popleft()
                status, _, code = wanted.partition(" ")
                return Response("<html>", 200) if wanted == "html" else _no(code, "as told", int(status))
            answer: Response = handler(body)
            if lost:
                self.answers.popleft()
                return Response("<html>bad gateway</html>", 200)
            return answer

        return guarded

    def _token(self, body: dict[str, Any]) -> Response:
        if body != {"appKey": KEY, "appSecret": SECRET}:
            return _no("invalidClientIdOrSecret", "无效的clientId或者clientSecret", 400)
        self.tokens.append(f"token-{len(self.tokens)}")
        return _yes({"accessToken": self.tokens[-1], "expireIn": 7200})

    def _register(self, body: dict[str, Any]) -> Response:
        name, address = body.get("callbackRouteKey"), body.get("callbackUrl")
        if not name or not address:
            return _no("param.callbackRouteKeyEmpty", "", 400)
        if name in self.routes and not body.get("forceUpdate"):
            return _no("param.callbackRouteKeyExist", "", 500)
        self.routes[name] = (address, body.get("apiSecret", ""))
        return _yes({"success": True, "result": {"callbackUrl": address, "apiSecret": body.get("apiSecret", "")}})

    def _create(self, body: dict[str, Any]) -> Response:
        track, data = body.get("outTrackId", ""), body.get("cardData", {}).get("cardParamMap", {})
        kind = "imGroup" if ".cid" in body.get("openSpaceId", "") else "imRobot"
        wrong = (
            (not re.fullmatch(r"[0-9A-Za-z_\-]{1,64}", track), "param.outTrackIdEmpty"),
            (body.get("cardTemplateId") != TEMPLATE, "param.templateNotExist"),
            (not _fits(data) or set(data) != _VARIABLES, "param.cardPublicDataEmpty"),
            (
                not isinstance(body.get(f"{kind}OpenSpaceModel", {}).get("supportForward"), bool),
                "param.openSpaceModelInvalid",
            ),
            (body.get("callbackType") not in (None, "HTTP", "STREAM"), "param.invalid"),
            (body.get("callbackType") == "HTTP" and body.get("callbackRouteKey") not in self.routes, "param.invalid"),
            (track in self.cards, "param.cardAlreadyExist"),
        )
        if code := next((code for bad, code in wrong if bad), self._space_problem(body)):
            return _no(code, code, 400)
        self.cards[track] = data
        return self._delivery(body)

    def _deliver(self, body: dict[str, Any]) -> Response:
        if body.get("outTrackId") not in self.cards:
            return _no("param.cardNotExist", "", 400)
        if code := self._space_problem(body):
            return _no(code, code, 400)
        return self._delivery(body)

    def _delivery(self, body: dict[str, Any]) -> Response:
        fine = not (self.answers and self.answers[0] == "undelivered")
        if fine:
            self.delivered.append((body["outTrackId"], body["openSpaceId"]))
            self.called.append(body.get("imGroupOpenDeliverModel", {}).get("atUserIds", {}))
        else:
            self.answers.popleft()
        told = {"spaceType": "IM", "success": fine, "errorMsg": "" if fine else "robot not in group"}
        return _yes({"success": True, "result": {"outTrackId": body["outTrackId"], "deliverResults": [told]}})

    def _space_problem(self, body: dict[str, Any]) -> str:
        space = re.fullmatch(r"dtv1\.card//(IM_GROUP\.cid\S+|IM_ROBOT\.\w+)", body.get("openSpaceId", ""))
        if not space:
            return "param.openSpaceIdInvalid"
        robot = space[1].startswith("IM_ROBOT")
        model = body.get("imRobotOpenDeliverModel" if robot else "imGroupOpenDeliverModel", {})
        fine = model.get("robotCode") == KEY and (not robot or model.get("spaceType") == "IM_ROBOT")
        return "" if fine else "param.openDeliverModelError"

    def _edit(self, body: dict[str, Any]) -> Response:
        track, data = body.get("outTrackId", ""), body.get("cardData", {}).get("cardParamMap", {})
        if track not in self.cards:
            return _no("param.cardNotExist", "param.cardNotExist", 400)
        if not data or not _fits(data):
            return _no("param.cardDataAndPrivateDataBothEmpty", "", 400)
        by_key = body.get("cardUpdateOptions", {}).get("updateCardDataByKey")
        self.cards[track] = {**(self.cards[track] if by_key else {}), **data}
        self.edits += 1
        return _yes({"success": True, "result": True})

    def _message(self, body: dict[str, Any]) -> Response:
        parts = json.loads(body.get("msgParam", "{}"))
        count = _BUTTONS.get(body.get("msgKey", ""))
        names = ["singleURL"] if count == 1 else [f"actionURL{n}" for n in range(1, (count or 0) + 1)]
        labels = ["singleTitle"] if count == 1 else [f"actionTitle{n}" for n in range(1, (count or 0) + 1)]
        fine = (
            body.get("robotCode") == KEY
            and (body.get("openConversationId") or body.get("userIds"))
            and count is not None
            and set(parts) == {"title", "text", *names, *labels}
            and all(parts[name].startswith("http") and len(parts[name]) <= 500 for name in names)
            and all(0 < len(parts[name]) <= 20 for name in labels)
            and len(body["msgParam"].encode()) <= 15_000
        )
        if not fine:
            return _no("invalidParameter", "无效的参数", 400)
        missed = [one for one in body.get("userIds", []) if one == "gone"]
        self.sent.append(body)
        return _yes({"processQueryKey": "q1", "invalidStaffIdList": missed})


def _fits(data: dict[str, Any]) -> bool:
    return all(isinstance(said, str) and len(said.encode()) <= 1024 and len(name) <= 100 for name, said in data.items())


def _yes(value: Any) -> Response:
    return Response(json.dumps(value), 200, content_type="application/json")


def _no(code: str, said: str, status: int) -> Response:
    body = {"code": code, "message": said, "requestid": hashlib.sha256(said.encode()).hexdigest()[:8]}
    return Response(json.dumps(body), status, content_type="application/json")
