"""Login walls and verification pages: where one stands, crawling stops and a person is asked."""

import re
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from scrapy.exceptions import IgnoreRequest
from scrapy.http import HtmlResponse, Request

from crawler.parsing import plain_text

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import TextResponse

_ADDRESS = re.compile(
    r"(?:^|[./_-])(?:log[_-]?in|sign[_-]?in|log[_-]?on|passport|sso|captcha|nocaptcha|verif(?:y|ication)|checkcode"
    r"|punish|anti[_-]?spider)(?:$|[./_-])",
    re.IGNORECASE,
)
_VERIFICATION = re.compile(
    r"验证码|(?:安全|访问|人机|身份|滑动)验证|拖动滑块|完成验证|访问过于频繁"
    r"|captcha|are you a robot|you are (?:a )?human|unusual traffic|security check",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"请先登录|请登录后|(?:未|没有)登录|登录(?:状态)?已?(?:过期|失效)|(?:login|log in|sign in) (?:required|first)"
    r"|not logged in|please (?:log|sign) in|unauthori[sz]ed",
    re.IGNORECASE,
)
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
_TITLE_OF_WALL = re.compile(r"登录|验证|^\s*(?:log|sign)[ -]?in\b|captcha", re.IGNORECASE)
_PASSWORD = re.compile(r"""<input[^<>]*\btype\s*=\s*["']?password""", re.IGNORECASE)
_SHORT = 600  # visible characters; a page with more to say is no mere wall
_LOGIN_NEEDED, _FORBIDDEN = 401, 403


class WallError(IgnoreRequest):
    """A redirect led to a login or verification page; the message says where to, in Chinese."""


class WallMiddleware:
    """Stops a redirect to a wall before it is followed."""

    @classmethod
    def from_crawler(cls, crawler: "Crawler") -> Self:
        """Scrapy's way of making a middleware."""
        del crawler
        return cls()

    def process_request(self, request: Request) -> None:
        """Refuse the request if a redirect made it and its address is a wall's.

        Raises:
            WallError: It is.
        """
        origins = request.meta.get("redirect_urls")
        if origins and is_wall_address(request.url) and not is_wall_address(origins[0]):
            raise WallError(f"被转到登录或验证页 {request.url}")


def is_wall_address(url: str) -> bool:
    """Whether host or path say login, passport, captcha or the like."""
    parts = urlsplit(url)
    return _ADDRESS.search(f"{parts.hostname or ''}{parts.path}") is not None


def wall_by_status(status: int, text: str) -> str:
    """Why an answer with this status is a wall, in Chinese; empty if it is none."""
    if status == _LOGIN_NEEDED:
        return "需要登录（HTTP 401）"
    if status == _FORBIDDEN and (_VERIFICATION.search(text) or _LOGIN.search(text) or _PASSWORD.search(text)):
        return "要求登录或验证（HTTP 403）"
    return ""


def wall_on_page(page: "TextResponse") -> str:
    """Why a page on which nothing was found is a wall, in Chinese; empty if it is none."""
    is_html = isinstance(page, HtmlResponse)
    title = _TITLE.search(page.text) if is_html else None
    if title and _TITLE_OF_WALL.search(title[1]):
        return f"是登录或验证页（标题「{title[1].strip()[:40]}」）"
    if len(page.text) > _SHORT and len(plain_text(page.text)) > _SHORT:
        return ""
    if _VERIFICATION.search(page.text):
        return "页面要求验证（验证码或人机验证）"
    # A shop page may ask visitors to log in beside its content; an answer in JSON says it instead of content.
    if _PASSWORD.search(page.text) or (not is_html and _LOGIN.search(page.text)):
        return "要求登录"
    return ""
