"""DingTalk's door: clicks on an app's cards, answered with what the one who clicked is to read on his own copy.

What is signed is the time alone (``x-ddpaas-signature``); that nobody changed the body rests on TLS.
"""

import base64
import hashlib
import hmac
import json
import re
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from alerts.actions import Click, Outcome
from alerts.desk import bodies, clicks
from alerts.links import Links
from monitor.config import secret
from monitor.core import Core

_ANSWER_WITHIN = 1.5  # seconds; DingTalk gives two
_FRESH = 300.0  # seconds
_TRACK = re.compile(r"(case|crisis)-([0-9]{1,9})-[0-9a-f]{24}")


def router(core: Core, links: Links) -> APIRouter:
    """``POST /dingtalk/actions``, the address that card callbacks are registered for."""
    routes = APIRouter()

    @routes.post("/dingtalk/actions", summary="钉钉卡片按钮的回调")
    async def dingtalk_actions(request: Request) -> Response:
        body = await bodies.read(request)
        stamp = _signed(core, dict(request.headers))
        asked = click(_payload(body), stamp)
        if asked is None:
            return JSONResponse({})
        return JSONResponse(_answer(_told(links, asked, await clicks.outcome(core, asked, _ANSWER_WITHIN))))

    return routes


def click(payload: dict[str, Any], stamp: str) -> Click | None:
    """The click that an ``actionCallback`` holds; None where it holds nothing for us to do.

    Raises:
        HTTPException: 400, it is not shaped as DingTalk's are.
    """
    if payload.get("type") != "actionCallback":
        return None
    try:
        person, track = str(payload["userId"]), str(payload["outTrackId"])
        what = str(json.loads(payload["content"])["cardPrivateData"]["params"]["action"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise HTTPException(400, clicks.UNREADABLE) from None
    subject = _TRACK.fullmatch(track)
    about = f"{subject[1]}:{subject[2]}" if subject else ""
    key = hashlib.sha256(f"{stamp}|{person}|{track}|{what}".encode("utf-8", "replace")).hexdigest()
    return clicks.click("dingtalk", key, person, what, about)


def _signed(core: Core, headers: dict[str, str]) -> str:
    """The time that was signed with the key of one of the config's apps.

    Raises:
        HTTPException: 401, it was not, or not just now.
    """
    stamp, given = headers.get("x-ddpaas-signature-timestamp", ""), headers.get("x-ddpaas-signature", "")
    names = {one.signing_secret_env for one in core.settings.channels if one.kind == "dingtalk" and one.app_id}
    fresh = stamp.isdecimal() and abs(int(stamp[:18]) / 1000 - core.clock.now().timestamp()) <= _FRESH
    for key in filter(None, map(secret, names)) if fresh else ():
        expected = base64.b64encode(hmac.new(key.encode(), stamp.encode(), hashlib.sha256).digest())
        if hmac.compare_digest(expected, given.encode("utf-8", "replace")):
            return stamp
    raise HTTPException(401, "签名不对，或者时间差太多。")


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise HTTPException(400, "没有看懂这个请求。")
    return payload


def _told(links: Links, asked: Click, outcome: Outcome) -> str:
    """What the one who clicked reads; what was done shows on the card itself."""
    if not outcome.lacking:
        return "" if outcome.done else outcome.text
    action = asked.action
    page = links.make(action.what, action.subject, action.subject_id, outcome.person)
    return f"{outcome.text} [在这里填写]({page})"


def _answer(said: str) -> dict[str, Any]:
    """The answer that sets one variable of the clicker's own copy."""
    return {"cardUpdateOptions": {"updatePrivateDataByKey": True}, "userPrivateData": {"cardParamMap": {"said": said}}}
