"""Feishu's door: clicks on an app's cards, signed and encrypted with its Encrypt Key, answered with a toast."""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse

from alerts.actions import Click
from alerts.desk import bodies, clicks
from alerts.desk.envelope import unsealed
from monitor.config import secret
from monitor.core import Core

_ANSWER_WITHIN = 2.0  # seconds; Feishu gives three
_FRESH = 300.0  # seconds
_BLOCK = 16


def router(core: Core) -> APIRouter:
    """``POST /feishu/actions``, the request address of card callbacks."""
    routes = APIRouter()

    @routes.post("/feishu/actions", summary="飞书卡片按钮的回调")
    async def feishu_actions(request: Request) -> JSONResponse:
        payload = _opened(core, await bodies.read(request), dict(request.headers))
        if payload.get("type") == "url_verification":
            told = str(payload.get("challenge", "")).encode("utf-8", "replace").decode()
            return JSONResponse({"challenge": told})
        asked = click(payload)
        if asked is None:
            return JSONResponse({})
        outcome = await clicks.outcome(core, asked, _ANSWER_WITHIN)
        return JSONResponse({"toast": {"type": "success" if outcome.done else "warning", "content": outcome.text}})

    return routes


def click(payload: dict[str, Any]) -> Click | None:
    """The click a ``card.action.trigger`` event holds; None where it holds nothing for us to do.

    Raises:
        HTTPException: 400, it is not shaped as Feishu's are.
    """
    try:
        header, event = payload["header"], payload["event"]
        if header["event_type"] != "card.action.trigger":
            return None
        value = event["action"]["value"]
        what, about, key = str(value["action"]), str(value["about"]), str(header["event_id"])
        person = str(event["operator"]["open_id"])
    except (KeyError, TypeError):
        raise HTTPException(400, clicks.UNREADABLE) from None
    return clicks.click("feishu", key, person, what, about)


def _opened(core: Core, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """What the body holds, signed and encrypted with the key of one of the config's apps.

    Raises:
        HTTPException: 401, it was not; 400, it is no JSON object.
    """
    names = {one.signing_secret_env for one in core.settings.channels if one.kind == "feishu" and one.app_id}
    for key in filter(None, map(secret, names)):
        text = _decrypted(key, body)
        if text is None:
            continue
        try:
            payload = json.loads(text)
        except (ValueError, RecursionError):
            raise HTTPException(400, "没有看懂这个请求。") from None
        if not isinstance(payload, dict):
            raise HTTPException(400, "没有看懂这个请求。")
        # the challenge that proves the address is encrypted, but not signed
        if payload.get("type") == "url_verification" or _signed(core, key, body, headers):
            return payload
    raise HTTPException(401, "签名不对，或者时间差太多。")


def _signed(core: Core, key: str, body: bytes, headers: dict[str, str]) -> bool:
    stamp, nonce = headers.get("x-lark-request-timestamp", ""), headers.get("x-lark-request-nonce", "")
    expected = hashlib.sha256(f"{stamp}{nonce}{key}".encode() + body).hexdigest()
    given = headers.get("x-lark-signature", "")
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        return False
    try:
        return abs(float(stamp) - core.clock.now().timestamp()) <= _FRESH
    except ValueError:
        return False


def _decrypted(key: str, body: bytes) -> bytes | None:
    """The plain text of ``{"encrypt": …}``: the vector in front; None where this key does not open it."""
    try:
        sealed = base64.b64decode(json.loads(body)["encrypt"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return None
    if len(sealed) < 2 * _BLOCK:
        return None
    return unsealed(hashlib.sha256(key.encode()).digest(), sealed[:_BLOCK], sealed[_BLOCK:], _BLOCK)
