"""``kind = "judgeme"``: a Shopify shop's reviews by Judge.me (``/api/v1/reviews``)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import answer
from crawler.bases.base import Fetch
from crawler.bases.json_pages import dig, items_at
from crawler.bases.newest import Call, NewestConnector, NewestOptions

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_SPAM = "spam"


class Options(NewestOptions):
    """Keys of ``kind = "judgeme"``."""

    shop_domain: str = Field(min_length=1, description="店铺域名，如 example.myshopify.com")
    token_env: str = Field(min_length=1, description="环境变量名，值为 Judge.me 的 private API token")
    url: HttpUrl = Field(default="https://judge.me/api/v1", description="接口地址")
    page_size: int = Field(default=100, ge=1, le=100, description="每页条数")
    newest_first: bool = Field(
        default=True, description="列表是否新的在前；平台文档没有写，若发现漏收请改为 false：每次从头读到尾"
    )
    hidden_is_deleted: bool = Field(
        default=False, description="店铺隐藏的评价算作已删除；false 则照常处理，免得差评一藏就不再跟进"
    )


class JudgemeConnector(NewestConnector[Options]):
    """Reviews of a Shopify shop, by Judge.me with the shop's own token; hidden and unpublished ones too."""

    Options = Options
    title = "Shopify 的 Judge.me 评价（官方接口）"

    def ask(self, call: Call) -> Fetch:
        """A page of reviews."""
        params = {
            "shop_domain": self.options.shop_domain,
            "api_token": self.secret("token_env"),
            "per_page": self.options.page_size,
            "page": call.at or 1,
        }
        return Fetch(f"{self.options.url.rstrip('/')}/reviews?{urlencode(params)}", api=True, carry=call)

    def rows(self, page: "TextResponse", call: Call) -> tuple[list[dict[str, Any]], int | None]:
        """The page's reviews; a short page is the last."""
        rows = items_at(answer(page, "Judge.me reviews"), "reviews", {"id": "id"})
        return rows, (call.at or 1) + 1 if len(rows) >= self.options.page_size else None

    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A review's fields."""
        name = dig(row, "reviewer.name")
        return {
            "id": row.get("id"),
            "title": row.get("title"),
            "text": row.get("body"),
            "stars": row.get("rating"),
            "time": row.get("created_at"),
            "author": name if isinstance(name, str) else "",
            "product": row.get("product_title") or row.get("product_external_id"),
            "sku": row.get("product_external_id"),
            "deleted": row.get("curated") == _SPAM or (self.options.hidden_is_deleted and row.get("hidden") is True),
        }

    def is_known(self, found: list[dict[str, object]], call: Call) -> bool:
        """Where the order cannot be relied on nothing is."""
        return self.options.newest_first and super().is_known(found, call)
