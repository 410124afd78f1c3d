"""``kind = "woocommerce"``: a WooCommerce shop's reviews by its REST API (``wc/v3/products/reviews``)."""

from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import answer
from crawler.bases.base import Fetch
from crawler.bases.json_pages import items_at
from crawler.bases.newest import Call, NewestConnector, NewestOptions

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_PATH = "wp-json/wc/v3/products/reviews"
_TRASH = "trash"


class Options(NewestOptions):
    """Keys of ``kind = "woocommerce"``."""

    url: HttpUrl = Field(description="店铺网址，如 https://shop.example；须为 https，否则 WooCommerce 不认密钥")
    key_env: str = Field(min_length=1, description="环境变量名，值为 consumer key（ck_…），只读权限即可")
    secret_env: str = Field(min_length=1, description="环境变量名，值为 consumer secret（cs_…）")
    auth: Literal["header", "query"] = Field(
        default="header", description="密钥放在请求头（header）还是网址参数（query）：有的服务器会丢掉请求头"
    )
    page_size: int = Field(default=100, ge=1, le=100, description="每页条数")
    status: Literal["all", "approved"] = Field(default="all", description="all：待审核的也读；approved：只读已公开的")
    trash: bool = Field(default=True, description="也读回收站，好知道哪些评价被删了；每次多一次请求")


class WoocommerceConnector(NewestConnector[Options]):
    """Reviews of a WooCommerce shop, by its own API with a read-only key."""

    Options = Options
    title = "WooCommerce 商品评价（官方接口）"

    def trails(self) -> list[str]:
        """The reviews, and those that the shop has deleted: they stay in the recycle bin for 30 days."""
        return [self.options.status, _TRASH] if self.options.trash else [self.options.status]

    def ask(self, call: Call) -> Fetch:
        """A page of reviews, or of deleted ones."""
        params: dict[str, Any] = {"status": call.trail, "orderby": "date_gmt", "order": "desc"}
        params |= {"per_page": self.options.page_size, "page": call.at or 1}
        key, secret = self.secret("key_env"), self.secret("secret_env")
        headers = {}
        if self.options.auth == "query":
            params |= {"consumer_key": key, "consumer_secret": secret}
        else:
            headers["Authorization"] = (
                f"Basic {self.source.secrets.keep(b64encode(f'{key}:{secret}'.encode()).decode())}"
            )
        return Fetch(
            f"{self.options.url.rstrip('/')}/{_PATH}?{urlencode(params)}", headers=headers, api=True, carry=call
        )

    def rows(self, page: "TextResponse", call: Call) -> tuple[list[dict[str, Any]], int | None]:
        """The page's reviews; the answer's header says how many pages there are."""
        rows = items_at(answer(page, "WooCommerce products/reviews"), "$", {"id": "id"})
        number = call.at or 1
        total = (page.headers.get("X-WP-TotalPages") or b"").decode("latin-1")
        more = number < int(total[:9]) if total.isdecimal() else len(rows) >= self.options.page_size
        return rows, number + 1 if rows and more else None

    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A review's fields; 0 stars mean that none were given."""
        created = row.get("date_created_gmt")
        return {
            "id": row.get("id"),
            "text": row.get("review"),
            "stars": row.get("rating") or None,
            "time": f"{created}+00:00" if created else row.get("date_created"),
            "author": row.get("reviewer"),
            "product": row.get("product_name") or row.get("product_id"),
            "sku": row.get("product_id"),
            "url": row.get("product_permalink"),
            "deleted": row.get("status") == _TRASH,
        }

    def is_known(self, found: list[dict[str, object]], call: Call) -> bool:
        """The recycle bin is not sorted by when something was thrown into it, and is read to its end."""
        return call.trail != _TRASH and super().is_known(found, call)
