"""Request bodies, read no further than a limit."""

from urllib.parse import parse_qs

from fastapi import HTTPException, Request

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
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        raise HTTPException(400, "没有看懂这个请求。") from None
    return {name: values[0] for name, values in fields.items()}
