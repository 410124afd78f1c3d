"""crawler.answers: pages as text, and why there is none."""

import gzip

import pytest
from scrapy import exceptions
from scrapy.exceptions import IgnoreRequest
from scrapy.http import HtmlResponse, Response, TextResponse

from crawler.answers import UnreadableError, as_page, is_robots, why_lost
from crawler.guard import RefusedAddressError

URL = "http://shop.example/p/1"
LIMIT = 10_000


def test_gbk_under_a_wrong_header() -> None:
    """The page is read by what it is, and its selectors see the right text."""
    body = "<html><meta charset=utf-8><p>质量差</p></html>".encode("gbk")
    page = as_page(HtmlResponse(URL, headers={"Content-Type": "text/html; charset=utf-8"}, body=body), LIMIT)
    assert page.css("p::text").get() == "质量差"
    page = as_page(Response(URL, body="质量差".encode("gbk")), LIMIT)
    assert (page.text, type(page)) == ("质量差", TextResponse)


def test_gzip_files() -> None:
    """A .gz is unpacked, up to the limit."""
    assert as_page(Response(URL, body=gzip.compress(b"<urlset/>", mtime=0)), LIMIT).text == "<urlset/>"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "空的"),
        (b" \r\n ", "空的"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "不是文本"),
        (gzip.compress(b"0" * 1_000_000, mtime=0), "超过 10000 字节"),
        (gzip.compress(b"<urlset/>", mtime=0)[:-9], "不完整"),
        (b"\x1f\x8bxxxxxxxx", "损坏"),
    ],
)
def test_what_is_no_page(body: bytes, words: str) -> None:
    """Empty, binary, a bomb, cut off, damaged: each by name."""
    with pytest.raises(UnreadableError, match=words):
        as_page(Response(URL, body=body), LIMIT)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.CannotResolveHostError("x"), "域名无法解析"),
        (exceptions.DownloadConnectionRefusedError("x"), "连接被拒绝"),
        (exceptions.DownloadTimeoutError("x"), "超时"),
        (exceptions.ResponseDataLossError("x"), "没有传完"),
        (exceptions.DownloadFailedError("x"), "连接中断"),
        (exceptions.DownloadCancelledError("larger than download max size (3)"), "超过 10000 字节"),
        (IgnoreRequest("exceeded DOWNLOAD_MAXSIZE (3 B) during decompression"), "超过 10000 字节"),
        (IgnoreRequest("Forbidden by robots.txt"), "robots.txt 不允许"),
        (IgnoreRequest("max redirections reached"), "重定向次数过多"),
        (RefusedAddressError("x 指向内网"), "x 指向内网"),
        (ValueError("odd"), "odd"),
        (ValueError(), "ValueError"),
    ],
)
def test_why_there_was_no_answer(error: Exception, words: str) -> None:
    """One line a person understands."""
    reason = why_lost(error, LIMIT)
    assert words in reason
    assert is_robots(reason) is ("robots" in words)
