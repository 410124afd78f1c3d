"""What came back from a site: the page as text, or in Chinese why there is none."""

import zlib

from scrapy import exceptions
from scrapy.exceptions import IgnoreRequest
from scrapy.http import HtmlResponse, Response, TextResponse

from crawler.guard import RefusedAddressError
from crawler.text import decode

_GZIP = b"\x1f\x8b"
_ROBOTS = "robots.txt 不允许抓取"
_HEAD = 2000  # characters in which HTML shows its first tag
_REASONS: dict[type[BaseException], str] = {
    exceptions.CannotResolveHostError: "域名无法解析",
    exceptions.DownloadConnectionRefusedError: "连接被拒绝",
    exceptions.DownloadTimeoutError: "超时没有应答",
    exceptions.ResponseDataLossError: "页面没有传完，连接中断",
    exceptions.DownloadFailedError: "连接中断",
}


class UnreadableError(Exception):
    """An answer that is no page; the message says why."""


def as_page(response: Response, max_bytes: int) -> TextResponse:
    """The answer with its text decoded right, whatever its header said, and unpacked if it is a gzip file.

    Raises:
        UnreadableError: It is empty, no text, or too large.
    """
    body = _unpacked(response.body, max_bytes)
    text = decode(body, response.encoding if isinstance(response, TextResponse) else "")
    if text is None:
        raise UnreadableError("不是文本：二进制内容，或编码无法识别")
    if not text.strip():
        raise UnreadableError("页面是空的")
    kind = HtmlResponse if "<" in text[:_HEAD] else TextResponse
    utf8 = text.encode("utf-8", "replace")
    return kind(response.url, response.status, response.headers, utf8, request=response.request, encoding="utf-8")


def _unpacked(body: bytes, max_bytes: int) -> bytes:
    if not body.startswith(_GZIP):
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with gzip's header
    try:
        plain = unpacker.decompress(body, max_bytes)
    except zlib.error as error:
        raise UnreadableError("gzip 文件已损坏") from error
    if unpacker.unconsumed_tail:
        raise UnreadableError(too_large(max_bytes))
    if not unpacker.eof:
        raise UnreadableError("gzip 文件不完整")
    return plain


def too_large(max_bytes: int) -> str:
    """Why a page was not read."""
    return f"页面超过 {max_bytes} 字节，没有读"


def why_lost(error: BaseException | None, max_bytes: int) -> str:
    """Why a request got no answer."""
    said = str(error)
    if isinstance(error, RefusedAddressError):
        return said
    if "DOWNLOAD_MAXSIZE" in said or "max size" in said:
        return too_large(max_bytes)
    if isinstance(error, IgnoreRequest) and "robots.txt" in said:
        return _ROBOTS
    if isinstance(error, IgnoreRequest) and "redirect" in said:
        return "重定向次数过多"
    known = (reason for kind, reason in _REASONS.items() if isinstance(error, kind))
    return next(known, f"无法读取（{said or repr(error)}）")


def is_robots(reason: str) -> bool:
    """Whether robots.txt is why."""
    return reason == _ROBOTS
