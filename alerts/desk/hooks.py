"""The door for other systems: ``POST /hooks/<source>`` with JSON, signed with the source's secret.

``X-Pingshao-Timestamp`` holds epoch seconds, ``X-Pingshao-Signature`` ``sha256=`` and the hex HMAC-SHA256 of the
timestamp, a dot and the raw body. Every answer is JSON.
"""

import asyncio
import hashlib
import hmac
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import structlog
from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from alerts.desk import bodies
from monitor.config import secret
from monitor.core import Core
from monitor.pushes import Busy, Replayed, Unreadable, is_pushed, receive
from monitor.settings import Source

_AGE = timedelta(minutes=5)
_AHEAD = timedelta(minutes=1)  # by which the sender's clock may run before ours
_WAITING = 20  # pushes of one source at a time; the sender of the next comes again
_AGAIN = {"Retry-After": "5"}
_log = structlog.get_logger()


def router(core: Core) -> APIRouter:
    """``POST /hooks/<source>``; one push of a source at a time, none of them in the event loop."""
    routes = APIRouter()
    turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    waiting: Counter[str] = Counter()

    @routes.post("/hooks/{name}", summary="别的系统推送评价或提及，带签名", status_code=202)
    async def push(name: str, request: Request) -> JSONResponse:
        source = next((one for one in core.settings.sources if one.name == name and one.enabled), None)
        if source is None or not is_pushed(source):
            return _refused(404, "没有这个来源，或者它不收推送")
        try:
            body = await bodies.read(request)
        except HTTPException:
            return _refused(413, f"内容超过 {bodies.LIMIT:,} 字节，请分几次推送")
        key = secret(str(source.options["secret_env"]))
        if not key:
            return _refused(503, "这个来源的密钥没有设置，请告诉管理员")
        if not _signed(core, key, body, request):
            return _refused(401, "签名不对，或者时间差超过 5 分钟")
        if waiting[name] >= _WAITING:
            return _refused(503, "这个来源的推送太多了，请稍后再推", _AGAIN)
        waiting[name] += 1
        try:
            async with turns[name]:
                return await run_in_threadpool(_receive, core, source, body, _key(name, request))
        finally:
            waiting[name] -= 1

    return routes


def _receive(core: Core, source: Source, body: bytes, key: str) -> JSONResponse:
    try:
        return JSONResponse(receive(core, source, body, key).as_json(), 202)
    except Unreadable as error:
        return _refused(400, str(error))
    except Replayed:
        return _refused(409, "这个请求已经收过，没有再入库")
    except Busy:
        return _refused(503, "上一次推送还没入库完，请稍后再推", _AGAIN)
    except Exception:  # noqa: BLE001 — whatever it was, the sender must know that it has to come again
        _log.exception("push_failed", source=source.name)
        return _refused(500, "没能入库，请稍后再推", _AGAIN)


def _signed(core: Core, key: str, body: bytes, request: Request) -> bool:
    stamp = request.headers.get("x-pingshao-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= len("9999999999")):
        return False
    age = core.clock.now().timestamp() - int(stamp)
    expected = hmac.new(key.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    given = request.headers.get("x-pingshao-signature", "")
    same = hmac.compare_digest(given.encode(), f"sha256={expected}".encode())
    return same and -_AHEAD.total_seconds() <= age <= _AGE.total_seconds()


def _key(name: str, request: Request) -> str:
    """The same for the same signed request, whatever else it says."""
    signed = f"{request.headers['x-pingshao-timestamp']}.{request.headers['x-pingshao-signature']}"
    return f"{name}:{hashlib.sha256(signed.encode()).hexdigest()}"


def _refused(status: int, error: str, headers: dict[str, str] | None = None) -> JSONResponse:
    told: dict[str, Any] = {"error": error}
    return JSONResponse(told, status, headers)
