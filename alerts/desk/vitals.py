"""For machines that watch the monitor: ``/healthz``, ``/readyz`` and ``/metrics``; who may see what.

Alive is a process that answers. Ready is a house that tells people in time; why not is told as ``/metrics`` are: to
whoever brings the token, or, where the config names none, to this very machine.
"""

import asyncio
import hmac
import time
from collections.abc import Callable
from ipaddress import ip_address

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor import config
from monitor.checkup import Checkup, Trouble, examine
from monitor.core import Core
from monitor.metrics import Meters

_FRESH = 2.0  # seconds that a look serves all who ask
_PATIENCE = 5.0  # seconds for the store to answer
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NO_STORE = {"Cache-Control": "no-store"}


class Looks:
    """Looks at the monitor for all who ask: one at a time, and none of them waits long for the store.

    Args:
        examine: Looks; runs in a thread.
    """

    def __init__(self, examine: Callable[[], Checkup]) -> None:
        self._examine = examine
        self._look: asyncio.Task[Checkup] | None = None
        self._asked = 0.0

    async def newest(self) -> Checkup:
        """What a look of a moment ago found, or a new one."""
        now = time.monotonic()
        if self._look is None or (self._look.done() and now - self._asked > _FRESH):
            self._asked, self._look = now, asyncio.create_task(run_in_threadpool(self._examine))
        done, _ = await asyncio.wait({self._look}, timeout=_PATIENCE)
        if done:
            return self._look.result()
        said = f"数据库 {_PATIENCE:.0f} 秒没有回答"
        return Checkup((Trouble("database", said, "请看数据库是否在运行"),))


def router(core: Core) -> APIRouter:
    """``/healthz``, ``/readyz`` and ``/metrics``."""
    routes, looks = APIRouter(), Looks(lambda: examine(core))

    @routes.get("/healthz", summary="进程是否活着")
    async def healthz() -> JSONResponse:
        return JSONResponse({"ok": True}, headers=_NO_STORE)

    @routes.get("/readyz", summary="能不能按时把人叫到；不能就是 503")
    async def readyz(request: Request) -> JSONResponse:
        found = await looks.newest()
        told: dict[str, object] = {"ready": not found.unready}
        if _may_look(core, request):
            told["reasons"] = [{"code": one.code, "says": one.says, "todo": one.todo} for one in found.unready]
            others = [one for one in found.troubles if one not in found.unready]
            told["warnings"] = [{"code": one.code, "says": one.says, "todo": one.todo} for one in others]
        return JSONResponse(told, 200 if told["ready"] else 503, _NO_STORE)

    @routes.get("/metrics", summary="给 Prometheus 的指标", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        if not _may_look(core, request):
            return PlainTextResponse("要带令牌，或从本机来看。\n", 401, _NO_STORE | {"WWW-Authenticate": "Bearer"})
        from alerts.desk import exposition

        accept = request.headers.get("accept", "")
        body, kind = await run_in_threadpool(exposition.expose, core, await looks.newest(), accept)
        return Response(body, headers=_NO_STORE | {"Content-Type": kind})

    return routes


def _may_look(core: Core, request: Request) -> bool:
    """Whether the token came, or, where there is to be none, whether it was asked from this very machine.

    Behind a proxy on this machine everybody seems to be on it, hence the headers.
    """
    if variable := core.settings.upkeep.metrics_token_env:
        token, given = config.secret(variable), request.headers.get("authorization", "")
        return bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    passed_on = any(name in request.headers for name in _FORWARDED)
    return not passed_on and _here(request.client.host if request.client else "") and _here(request.url.hostname or "")


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Timed:
    """Counts how long the desk takes from a request to the first byte of its answer, by route, never by address.

    Args:
        app: The rest of the application.
        meters: Where it is counted.
    """

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, looking at the clock."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, method = time.monotonic(), scope["method"] if scope["method"] in _METHODS else "other"

        def answered(status: int) -> None:
            self._meters.answered(_route(scope), method, status, time.monotonic() - began)

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, timed)
        except Exception:  # becomes a page further out
            answered(500)
            raise


def _route(scope: Scope) -> str:
    """The pattern of the address: the address itself may be a signed link."""
    pattern = getattr(scope.get("route"), "path", "")
    return pattern or ("/static" if scope["path"].startswith("/static/") else "other")
