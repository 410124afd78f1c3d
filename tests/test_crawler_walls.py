"""crawler.walls: login and verification pages."""

import pytest
from crawler_factories import make_page
from scrapy.http import Request

from crawler.walls import WallError, WallMiddleware, is_wall_address, wall_by_status, wall_on_page


@pytest.mark.parametrize(
    "url",
    [
        "https://passport.shop.example/x",
        "http://shop.example/login?back=/p/1",
        "http://shop.example/user/sign-in.html",
        "http://login.shop.example/",
        "http://shop.example/verify/",
        "http://shop.example/captcha.jsp",
        "http://sso.a.example/",
        "http://shop.example/antispider/?from=x",
    ],
)
def test_addresses_of_walls(url: str) -> None:
    """A redirect to one stops the crawl; asking for one on purpose does not."""
    assert is_wall_address(url)
    with pytest.raises(WallError, match="登录或验证页"):
        WallMiddleware().process_request(Request(url, meta={"redirect_urls": ["http://shop.example/p/1"]}))
    WallMiddleware().process_request(Request(url))
    WallMiddleware().process_request(Request(url, meta={"redirect_urls": [url]}))


@pytest.mark.parametrize(
    "url", ["http://shop.example/p/1?from=login", "http://shop.example/blogin", "http://shop.example/verified-reviews"]
)
def test_other_addresses(url: str) -> None:
    """Words inside other words are none."""
    assert not is_wall_address(url)
    WallMiddleware().process_request(Request(url, meta={"redirect_urls": ["http://shop.example/"]}))


@pytest.mark.parametrize(
    ("status", "text", "is_wall"),
    [
        (401, "", True),
        (403, "请完成安全验证", True),
        (403, "<input type='password'>", True),
        (403, "请先登录", True),
        (403, "forbidden", False),
        (500, "请先登录", False),
    ],
)
def test_statuses(status: int, text: str, is_wall: bool) -> None:
    """401 always, 403 where the page asks for login or verification."""
    assert bool(wall_by_status(status, text)) is is_wall


@pytest.mark.parametrize(
    "text",
    [
        "<html><title>请登录 - 某站</title>" + "字" * 5000,
        "<p>请拖动滑块完成验证</p>",
        "<form><input name=p type=password></form>",
        '{"code": 401, "msg": "请先登录"}',
        "<title>Security</title>Checking that you are human, unusual traffic",
    ],
)
def test_pages_that_are_walls(text: str) -> None:
    """By title, or short and asking for a password or a check."""
    assert wall_on_page(make_page(text))


@pytest.mark.parametrize(
    "text",
    [
        "<p>还没有评价</p>",
        "<title>保温杯</title><p>请登录后发表评论</p>",
        "{}",
        "<p>" + "字" * 700 + "</p><input type=password>",
        "<p>" + "字" * 700 + "验证码</p>",
    ],
)
def test_pages_that_only_look_like_it(text: str) -> None:
    """A product page without reviews yet stays a product page."""
    assert not wall_on_page(make_page(text))
