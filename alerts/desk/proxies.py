"""Who asks, where a proxy stands between: the address that is connected, and the one that a trusted proxy names."""

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_PEER = "pingshao.peer"


class _Peers:
    """Keeps the address that is connected, before the word of a proxy takes its place."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[_PEER] = (scope.get("client") or ("",))[0]
        await self._app(scope, receive, send)


def believe(app: FastAPI, proxies: str) -> None:
    """Take the client's address and scheme from what these proxies say.

    Args:
        app: What they pass requests on to.
        proxies: Addresses and networks between commas, ``*`` for all.
    """
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)
    app.add_middleware(_Peers)


def peer(request: Request) -> str:
    """The address that is connected: the proxy's where there is one."""
    told: str = request.scope[_PEER]
    return told
