"""What channels that are called with JSON over HTTP have in common: one call, and what each way it ends means.

A connection that never came about has delivered nothing; once the request is on its way, nobody knows.
"""

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from alerts.channel import Channel, SendError, Uncertain, retry_after
from monitor import settings as config
from monitor.config import secret

TIMEOUT = 10.0
"""Seconds for the connection and again for the whole answer; together well under the outbox's lease."""
_LONGEST_ANSWER = 1 << 20  # bytes
_PIECE = 1 << 14


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Codes:
    """What a provider says in answers that are 200 all the same.

    Attributes:
        code: The key of the code; nought is success.
        said: The key of the words.
        passing: Codes that time mends; all others are final.
        advice: What to do about a code, in the words of whoever has to do it.
        slow: Codes that ask to be left alone, and for how many seconds.
    """

    code: str
    said: str
    passing: frozenset[int] = frozenset()
    advice: Mapping[int, str] = field(default_factory=dict)
    slow: Mapping[int, float] = field(default_factory=dict)


class HttpChannel(Channel):
    """A channel reached by HTTP: its address is ``base_url`` with ``target`` or a path of the provider's behind it.

    Attributes:
        provider: What people call it.
        home: The provider's own address, where the config names no ``base_url``.
    """

    provider = ""
    home = ""

    def __init__(self, channel: config.Channel, settings: config.Settings) -> None:
        del settings
        self._channel = channel

    def _call(self, path: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> Answer:
        """Send a body; gives the answer whatever its status.

        Raises:
            SendError: the provider was not reached.
            Uncertain: the connection broke, or the answer did not come in time.
        """
        url = self._url(path)
        connection = self._connected(url)
        try:
            connection.request(method, url.path + (f"?{url.query}" if url.query else ""), body, dict(headers))
            return _read(connection)
        except (ValueError, http.client.InvalidURL):  # the error would quote the secret; nothing was sent
            raise SendError("网址或密钥里有请求放不下的字符", permanent=True) from None
        except (OSError, http.client.HTTPException) as error:
            raise Uncertain(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _reach(self, path: str) -> str | None:
        """Why the provider cannot be reached; None when it can. Nothing is sent."""
        try:
            self._connected(self._url(path)).close()
        except SendError as error:
            return str(error)
        return None

    def _secret(self, name: str) -> str:
        return secret(name).strip()

    def _url(self, path: str) -> SplitResult:
        whole = urljoin(self._channel.base_url or self.home, path)
        try:
            url = urlsplit(whole)
            if url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0):
                return url._replace(path=url.path or "/")
        except ValueError:
            pass
        raise SendError(f"不是网址：{whole!r}，请核对 base_url 和 target", permanent=True)

    def _connected(self, url: SplitResult) -> http.client.HTTPConnection:
        host, port = url.hostname or "", url.port
        connection = (
            http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=self._tls)
            if url.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        )
        try:
            connection.connect()
        except (OSError, ValueError) as error:  # ValueError: a name that no host can have
            connection.close()
            raise SendError(f"连不上{self.provider}：{error}", down=True) from error
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def packed(value: Any) -> bytes:
    """A body of JSON."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def refusal(provider: str, answer: Answer) -> SendError | Uncertain | None:
    """What an answer's status means for the message; None for 2xx."""
    status, wait = answer.status, retry_after(answer.headers.get("retry-after"))
    if 200 <= status < 300:  # noqa: PLR2004 — HTTP: success
        return None
    if status == 429:  # noqa: PLR2004 — too many requests
        return SendError(f"{provider}要求放慢", retry_after=wait)
    if status in (502, 504):  # a gateway gave up on an answer: behind it, the message may have been taken
        return Uncertain(f"HTTP {status}")
    passing = status >= 500 or status in (408, 425)  # noqa: PLR2004 — server errors, too slow, too early
    said = f"{provider}{'出错' if status >= 500 else '拒绝'}：HTTP {status}"  # noqa: PLR2004 — server errors
    return SendError(said, permanent=not passing, retry_after=wait)


def accepted(provider: str, answer: Answer, codes: Codes) -> dict[str, Any]:
    """The JSON object of an answer that says yes, by its status and in its body.

    Raises:
        SendError: it says no.
        Uncertain: it is no such object.
    """
    if trouble := refusal(provider, answer):
        raise trouble
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        data = None
    code = data.get(codes.code) if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(code, int):
        raise Uncertain(f"看不懂的回答：{answer.body[:200]!r}")
    if code != 0:
        said = codes.advice.get(code) or str(data.get(codes.said) or "没有说明原因")
        wait = codes.slow.get(code)
        final = wait is None and code not in codes.passing
        raise SendError(f"{provider}拒绝：{said}（{code}）"[:300], permanent=final, retry_after=wait, code=code)
    return data


def _read(connection: http.client.HTTPConnection) -> Answer:
    """The whole answer, if it comes in time: the socket's own time-out starts anew with every byte."""
    until = time.monotonic() + TIMEOUT
    with connection.getresponse() as answer:
        headers = {name.lower(): value for name, value in answer.getheaders()}
        parts, size = [], 0
        while part := answer.read1(_PIECE):
            size += len(part)
            if size > _LONGEST_ANSWER or time.monotonic() > until:
                raise TimeoutError("回答太长或太慢")
            parts.append(part)
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return Answer(answer.status, headers, b"".join(parts))
