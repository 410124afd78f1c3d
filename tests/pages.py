"""What a reader has of the desk's pages."""

import re
from html import unescape
from urllib.parse import urlsplit

import httpx


def path_of(url: str) -> str:
    return urlsplit(url).path


def text_of(page: httpx.Response) -> str:
    """What stands on it, white space folded."""
    body = page.text.split("<main>")[1]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", body)))
