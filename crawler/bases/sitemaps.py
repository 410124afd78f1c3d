"""Addresses a sitemap names."""

from collections.abc import Iterator

from crawler.bases.base import SourceError


def addresses(text: str) -> Iterator[tuple[str, bool]]:
    """Each address, and whether it is a further sitemap.

    Raises:
        SourceError: It is no sitemap.
    """
    from scrapy.utils.sitemap import Sitemap

    try:
        sitemap = Sitemap(text.encode("utf-8", "replace"))
        kind = sitemap.type
    except (ValueError, AttributeError, TypeError, StopIteration):
        kind = ""
    if kind not in {"urlset", "sitemapindex"}:
        raise SourceError(f"不是站点地图：开头是 {text.strip()[:60]!r}")
    for entry in sitemap:
        yield str(entry.get("loc", "")), kind == "sitemapindex"
