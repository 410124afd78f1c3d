"""Web addresses, as people write them into the config and as pages name them."""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

if TYPE_CHECKING:
    from scrapy.http import TextResponse


def absolute(page: "TextResponse", url: object) -> str:
    """An address found on a page, made absolute; empty where it is none."""
    try:
        found = page.urljoin(str(url or "").strip()) if url else ""
        _ = urlsplit(found).port  # refuses what no request could be made of
    except ValueError:
        return ""
    return found if found.startswith(("http://", "https://")) else ""


def _is_http(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"应为 http:// 或 https:// 开头的网址，而不是 {url!r}")
    return url


HttpUrl = Annotated[str, AfterValidator(_is_http)]
