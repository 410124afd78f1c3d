"""What the API says when something is wrong: RFC 9457 problems with a Chinese sentence, never a page."""

import re
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from alerts.desk import editing_fields
from alerts.desk.sessions import NotLoggedIn
from monitor.audit import Refused
from monitor.errors import WrongCall

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""What every answer of the API says of itself."""
_SENTENCES = {
    "Not Found": "没有这个地址。",
    "Method Not Allowed": "这个地址不接受这种请求。",
}
_MEANT = {
    401: "没有令牌，或者令牌不算数",
    403: "令牌、角色或店铺不允许",
    404: "没有这一条，或者不归您看",
    409: "现在不能这样做，或者有人快了一步",
    413: "内容太长",
    422: "请求写得不对",
    429: "请求太多了",
    503: "数据库这会儿用不了",
}
_OPTION = re.compile(r"^--[\w-]+: ")  # where the command line names its option
_NO_TEXT = "There was an error parsing the body"  # FastAPI's word for a body that is no UTF-8
_log = structlog.get_logger()


class Problem(BaseModel):
    """What went wrong."""

    type: str = "about:blank"
    title: str
    """The status in few words."""
    status: int
    detail: str
    """One Chinese sentence for a person."""
    places: list[str] = []
    """What in the request was wrong, such as ``query.limit``."""


_SCHEMA = Problem.model_json_schema()


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How an operation can fail, for the OpenAPI; what every one can fail with is added."""
    content = {"application/problem+json": {"schema": _SCHEMA}}
    return {n: {"description": _MEANT[n], "content": content} for n in sorted({401, 403, 422, 429, 503, *statuses})}


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, places: list[str] | None = None
) -> JSONResponse:
    """A problem as a response."""
    told = Problem(title=_MEANT.get(status, "没有办成"), status=status, detail=detail, places=places or [])
    return JSONResponse(
        told.model_dump(), status, {**HEADERS, **(headers or {})}, media_type="application/problem+json"
    )


def add_handlers(api: FastAPI) -> None:
    """Make problems of everything that the API's functions raise."""

    @api.exception_handler(HTTPException)
    def refused(_request: Request, error: HTTPException) -> JSONResponse:
        if error.detail == _NO_TEXT:
            return problem(422, "没有看懂这个请求：body", places=["body"])
        return problem(error.status_code, _SENTENCES.get(error.detail, error.detail), error.headers)

    @api.exception_handler(Refused)
    @api.exception_handler(WrongCall)
    def not_so(_request: Request, error: Exception) -> JSONResponse:
        return problem(409, f"{editing_fields.in_words(_OPTION.sub('', str(error))).rstrip('。')}。")

    @api.exception_handler(NotLoggedIn)
    def unknown(_request: Request, _error: NotLoggedIn) -> JSONResponse:
        return problem(401, "请带上令牌：Authorization: Bearer psh_…", {"WWW-Authenticate": "Bearer"})

    @api.exception_handler(RequestValidationError)
    def unreadable(_request: Request, error: RequestValidationError) -> JSONResponse:
        places = [".".join(map(str, one["loc"])) for one in error.errors()]
        return problem(422, f"没有看懂这个请求：{'、'.join(places)}", places=places)

    @api.exception_handler(OperationalError)
    def refused_by_the_store(request: Request, error: OperationalError) -> JSONResponse:
        _log.error("store_refused", path=request.url.path, error=str(error.orig))
        return problem(503, "数据库这会儿用不了，请稍后用同一个 Idempotency-Key 再试。", {"Retry-After": "5"})

    @api.exception_handler(Exception)
    def broken(_request: Request, _error: Exception) -> JSONResponse:
        return problem(500, "评哨出了点问题，已经记进日志。请稍后再试。")
