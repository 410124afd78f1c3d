"""Request bodies, read no further than a limit."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

from fastapi import HTTPException, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

LIMIT = 1_000_000
"""Bytes; far above any click or note."""
_FIELDS = 20


async def read(request: Request) -> bytes:
    """The raw body.

    Raises:
        HTTPException: 413, it is longer than `LIMIT`.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise HTTPException(413, "内容太长了，没有收下。")
    return bytes(body)


def form(body: bytes) -> dict[str, str]:
    """The first value of each field of an urlencoded form.

    Raises:
        HTTPException: 400, it is no such form.
    """
    return {name: values[0] for name, values in lists(body, _FIELDS).items()}


def lists(body: bytes, most: int) -> dict[str, list[str]]:
    """All values of each field of an urlencoded form with so many values at most, without NUL: PostgreSQL takes none.

    Raises:
        HTTPException: 400, it is no such form.
    """
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=most)
    except ValueError:
        raise HTTPException(400, "没有看懂这个请求。") from None
    return {name: [value.replace("\x00", "") for value in values] for name, values in fields.items()}


class _Bounded(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await read(self)
        return self._body


class Bounded(APIRoute):
    """A route whose body FastAPI reads no further than `LIMIT`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's own, with a request that knows the limit."""
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handler(_Bounded(request.scope, request.receive))

        return bounded
