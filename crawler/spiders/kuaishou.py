"""``kind = "kuaishou"``: a 快手小店's reviews (``open.comment.list.get``)."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import answer
from crawler.bases.base import Fetch, SourceError
from crawler.bases.refusals import refusal
from crawler.bases.renewing import RenewingConnector
from crawler.bases.signed import SignedOptions, from_china, joined_md5, listed
from crawler.bases.windows import Step, WindowConnector

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_METHOD = "open.comment.list.get"
_UNITS = {"ms": 1000, "s": 1}


class Options(SignedOptions):
    """Keys of ``kind = "kuaishou"``."""

    needed: ClassVar[tuple[str, ...]] = ("app_secret_env",)

    sign_secret_env: str = Field(min_length=1, description="环境变量名，值为 signSecret（不是 appSecret）")
    token_env: str = Field(min_length=1, description="环境变量名，值为店铺授权得到的 access_token")
    app_secret_env: str = Field(default="", description="环境变量名，值为 appSecret；只有换新令牌时用")
    url: HttpUrl = Field(default="https://openapi.kwaixiaodian.com", description="网关地址，不含接口路径")
    page_size: int = Field(default=20, ge=1, le=20, description="每页条数")
    overlap_hours: int = Field(default=12, ge=1, description="每次多往回读多少小时，收晚显示的评价")
    time_unit: Literal["ms", "s"] = Field(default="ms", description="查询时间用毫秒还是秒；应答里的时间按大小自动辨认")
    stars_from: Literal["quality", "service", "logistics", "lowest"] = Field(
        default="quality", description="星级取自哪一项评分：商品质量、服务、物流，或三项中最低的"
    )
    invalid_is_deleted: bool = Field(
        default=False, description="valid = false 的评价是否算作已删除；平台未公布这一项的含义"
    )


class KuaishouConnector(RenewingConnector[Options], WindowConnector[Options]):
    """Reviews of a 快手小店, by the official API with the shop's authorization."""

    Options = Options
    title = "快手小店评价（官方接口）"

    def ask(self, call: Step) -> Fetch:
        """A page of reviews."""
        unit = _UNITS[self.options.time_unit]
        business = {
            "createTimeFrom": int(call.window.start.timestamp()) * unit,
            "createTimeTo": int(call.window.end.timestamp()) * unit,
            "limit": self.options.page_size,
            "offset": call.page * self.options.page_size,
        }
        params = {
            "appkey": self.options.app_key,
            "access_token": self.token(),
            "method": _METHOD,
            "param": json.dumps(business, separators=(",", ":")),
            "signMethod": "MD5",
            "timestamp": str(int(self.source.clock().timestamp() * 1000)),
            "version": "1",
        }
        params["sign"] = joined_md5(params, self.secret("sign_secret_env"))
        address = f"{self.options.url.rstrip('/')}/{_METHOD.replace('.', '/')}"
        return Fetch(f"{address}?{urlencode(params)}", api=True, carry=call)

    def renew(self, refresh_token: str) -> Fetch:
        """The refresh token is good for one exchange and five minutes more."""
        form = {"grant_type": "refresh_token", "app_id": self.options.app_key, "refresh_token": refresh_token}
        form["app_secret"] = self.secret("app_secret_env")
        return Fetch(f"{self.options.url.rstrip('/')}/oauth2/refresh_token", form=form, api=True)

    def rows(self, page: "TextResponse", step: Step) -> tuple[list[dict[str, Any]], bool]:
        """The page's root comments; a full page may have one after it."""
        del step
        body = answer(page, _METHOD)
        if not isinstance(body, dict) or str(body.get("result")) != "1":
            told = body if isinstance(body, dict) else {}
            said = " ".join(str(told[key]) for key in ("error", "error_msg", "sub_msg") if told.get(key))
            raise refusal(_METHOD, told.get("result"), said, self.options.token_env)
        data = body.get("data")
        if not isinstance(data, dict):
            raise SourceError(f"{_METHOD}：应答里没有 data，开头是 {page.text[:80]!r}")
        comments = listed(data.get("rootComment"))
        return comments, len(comments) >= self.options.page_size

    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A comment's fields; the platform gives no nickname."""
        return {
            "id": row.get("commentId"),
            "text": row.get("content"),
            "stars": self._stars(row),
            "time": from_china(row.get("createTime"), self.source.now),
            "author": "匿名" if row.get("anonymous") is True else "",
            "product": row.get("itemTitle") or row.get("itemId"),
            "sku": row.get("itemSkuId") or row.get("itemId"),
            "order": row.get("orderId") or None,
            "deleted": self.options.invalid_is_deleted and row.get("valid") is False,
        }

    def _stars(self, row: Mapping[str, Any]) -> object:
        names = ("quality", "service", "logistics")
        given = {name: row.get(f"{name}Score") for name in names}
        if self.options.stars_from != "lowest":
            return given[self.options.stars_from]
        return min((score for score in given.values() if isinstance(score, (int, float)) and score > 0), default=None)
