"""``kind = "schema_org"``: reviews marked up by schema.org on product pages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from crawler.bases import base
from crawler.bases.addresses import HttpUrl, absolute
from crawler.bases.base import Connector, Fetch, Output, SourceError
from crawler.bases.fields import page_identity
from crawler.bases.sitemaps import addresses
from crawler.bases.structured import reviews

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_SITEMAP = "sitemap"


class Options(base.Options):
    """Keys of ``kind = "schema_org"``."""

    urls: list[HttpUrl] = Field(default=[], description="商品页地址")
    sitemap: HttpUrl | None = Field(default=None, description="站点地图地址（可为索引或 .gz），逐页查找评价")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.urls and not self.sitemap:
            raise ValueError("urls 和 sitemap 至少写一个")
        return self


class SchemaOrgConnector(Connector[Options]):
    """Reviews in JSON-LD or microdata."""

    Options = Options
    title = "商品页里的 schema.org 评价标记"

    def start(self) -> Iterator[Output]:
        """The pages, and the sitemap that names more."""
        yield from (Fetch(url, conditional=True) for url in self.options.urls)
        if self.options.sitemap:
            yield Fetch(self.options.sitemap, carry=_SITEMAP)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """A page's reviews, or a sitemap's pages."""
        if fetch.carry == _SITEMAP:
            for found, is_sitemap in addresses(page.text):
                if url := absolute(page, found):
                    yield Fetch(url, link=True, conditional=not is_sitemap, carry=_SITEMAP if is_sitemap else None)
            return
        if "<" not in page.text:
            raise SourceError("不是网页")
        identity = page_identity(page.url)
        for raw in reviews(page.text, page.url):
            if isinstance(raw, dict):
                raw["url"] = absolute(page, raw["url"]) or page.url
                yield self.item(raw, where=page.url, page=identity)
            else:
                yield raw
