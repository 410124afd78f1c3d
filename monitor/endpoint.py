"""A chat endpoint that speaks OpenAI's ``/chat/completions``: one question, one answer, and every way it can go wrong.

Exceptions:
    Trouble: no answer came that can be read; the fault is the endpoint's or the network's.
    Unusable: an answer came, and it does not decide this text.
"""

import json
import time
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from monitor.config import secret
from monitor.settings import Llm

_LONGEST_ANSWER = 1 << 20  # bytes
_PIECE = 1 << 14
_REFUSED = ("HTTP 401", "HTTP 403")


class Trouble(Exception):
    """The endpoint gave no answer that can be read; the message is one of few words and quotes nothing.

    Attributes:
        wait: Seconds it asks to be left alone; None where it does not say.
    """

    def __init__(self, kind: str, wait: float | None = None) -> None:
        super().__init__(kind)
        self.wait = wait


class Unusable(Exception):
    """The answer does not decide the text: refused, cut short or not in the form asked for."""


class _NoRedirect(HTTPRedirectHandler):
    """Another address would be given the key and the text."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Never; the redirect itself becomes the error."""


class Endpoint:
    """Asks one endpoint; several threads may at once. The environment's proxy settings hold."""

    def __init__(self, settings: Llm) -> None:
        self._settings = settings
        self._base = settings.base_url.rstrip("/")
        self._timeout = settings.timeout.total_seconds()
        self._opener = build_opener(_NoRedirect)

    def ask(self, messages: list[dict[str, str]], schema: dict[str, Any]) -> str:
        """What the model says, which should be JSON of the schema.

        Raises:
            Trouble, Unusable: see the module.
        """
        asked = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
        body = {"model": self._settings.model, "messages": messages, "response_format": asked}
        try:
            answer = json.loads(self._call("/chat/completions", self._settings.options | body))
            choice = answer["choices"][0]
            message, ending = choice["message"], choice.get("finish_reason")
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            raise Trouble("unreadable answer") from None
        if not isinstance(message, dict) or not isinstance(content := message.get("content"), str):
            raise Unusable("refused")
        if message.get("refusal") or ending in ("length", "content_filter"):
            raise Unusable("cut short" if ending == "length" else "refused")
        return content

    def check(self) -> tuple[str, str]:
        """What a request that costs nothing shows: what was seen, and what is to be done (empty when all is well)."""
        base, name = self._base, self._settings.key_env
        if name and not secret(name):
            return f"环境变量 {name} 里没有密钥", f"设置环境变量 {name}"
        try:
            self._call("/models")
        except Trouble as trouble:
            said = str(trouble)
            if said in _REFUSED:
                todo = f"检查环境变量 {name} 里的密钥" if name else "写上 scoring.llm.key_env"
                return f"{base} 不认密钥（{said}）", todo
            if said.startswith("HTTP 4"):  # it is there, and has no list of models to offer
                return f"{base} 连得上（{said}）", ""
            return f"{base} 用不了：{said}", "检查 scoring.llm.base_url、网络和代理；期间由内置模型打分"
        return f"{base} 连得上{'，密钥有效' if name else ''}", ""

    def _call(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "pingshao"}
        if key := secret(self._settings.key_env).strip():
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._base + path, data, headers)  # noqa: S310 — http(s), by the settings
        until = time.monotonic() + self._timeout
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return _read(answer, until)
        except HTTPError as error:
            with error:
                raise Trouble(f"HTTP {error.code}", _wait(error.headers.get("Retry-After"))) from None
        except TimeoutError:
            raise Trouble("timeout") from None
        except URLError as error:
            kind = type(error.reason).__name__
            raise Trouble("timeout" if kind == "TimeoutError" else f"unreachable: {kind}") from None
        except (OSError, HTTPException) as error:
            raise Trouble(f"broken off: {type(error).__name__}") from None
        except ValueError:  # a key or an address that no header or request line can hold; its message quotes it
            raise Trouble("request cannot be made") from None


def _read(answer: HTTPResponse, until: float) -> bytes:
    """The whole body, if it comes in time: the socket's own time-out starts anew with every byte."""
    parts, size = [], 0
    while part := answer.read1(_PIECE):
        size += len(part)
        if time.monotonic() > until:
            raise TimeoutError
        if size > _LONGEST_ANSWER:
            raise Trouble("answer too long")
        parts.append(part)
    return b"".join(parts)


def _wait(header: str | None) -> float | None:
    """Seconds out of a Retry-After header; None for none, a date or rubbish."""
    return float(header) if header and header.isascii() and header.isdigit() else None
