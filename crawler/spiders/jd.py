"""``kind = "jd"``: a 京东 POP shop's reviews by JOS (``…PopCommentJsfService.getVenderCommentsForJos``)."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import answer
from crawler.bases.base import Fetch, SourceError
from crawler.bases.refusals import refusal
from crawler.bases.renewing import RenewingConnector
from crawler.bases.signed import SignedOptions, china_time, from_china, listed, wrapped_md5
from crawler.bases.windows import Step, WindowConnector

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_METHOD = "jingdong.pop.PopCommentJsfService.getVenderCommentsForJos"
_ENVELOPES = ("_responce", "_response")  # the platform's spelling, and the one it may mend it to
_RENEW = ("19",)
_BUSY = ("2",)
_FINE = ("", "0", "None")


class Options(SignedOptions):
    """Keys of ``kind = "jd"``."""

    secret_env: str = Field(min_length=1, description="环境变量名，值为 AppSecret")
    token_env: str = Field(min_length=1, description="环境变量名，值为店铺授权得到的 access_token")
    url: HttpUrl = Field(default="https://api.jd.com/routerjson", description="网关地址")
    token_url: HttpUrl = Field(default="https://open-oauth.jd.com/oauth2/refresh_token", description="换新令牌的地址")
    page_size: int = Field(default=50, ge=1, le=50, description="每页条数")
    timestamp: Literal["seconds", "milliseconds"] = Field(
        default="seconds", description="请求时间的写法：到秒，或带毫秒和 +0800；平台的两份文档写法不同"
    )
    deleted_status: list[int] = Field(
        default=[], description="评价的 status 为这些值时算作已删除；平台未公布各值的含义"
    )


class JdConnector(RenewingConnector[Options], WindowConnector[Options]):
    """Reviews of a 京东 POP shop, by the official API with the shop's authorization."""

    Options = Options
    title = "京东 POP 店铺评价（官方接口）"

    def ask(self, call: Step) -> Fetch:
        """A page of reviews."""
        business = {
            "beginTime": china_time(call.window.start),
            "endTime": china_time(call.window.end),
            "page": call.page + 1,
            "pageSize": self.options.page_size,
            "score": 0,  # all
        }
        params = {
            "method": _METHOD,
            "app_key": self.options.app_key,
            "access_token": self.token(),
            "timestamp": self._timestamp(),
            "v": "2.0",
            "360buy_param_json": json.dumps(business, separators=(",", ":"), sort_keys=True),
        }
        params["sign"] = wrapped_md5(params, self.secret("secret_env"))
        return Fetch(self.options.url, form=params, api=True, carry=call)

    def renew(self, refresh_token: str) -> Fetch:
        """All of it stands in the address, as the platform wants it."""
        params = {"app_key": self.options.app_key, "app_secret": self.secret("secret_env")}
        params |= {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return Fetch(f"{self.options.token_url}?{urlencode(params)}", api=True)

    def _timestamp(self) -> str:
        now = self.source.clock()
        exact = f".{now.microsecond // 1000:03d}+0800" if self.options.timestamp == "milliseconds" else ""
        return china_time(now) + exact

    def rows(self, page: "TextResponse", step: Step) -> tuple[list[dict[str, Any]], bool]:
        """The page's comments; a full page may have one after it."""
        del step
        comments = listed(_opened(page, self.options.token_env).get("comments"))
        return comments, len(comments) >= self.options.page_size

    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A comment's fields."""
        return {
            "id": row.get("commentId"),
            "text": row.get("content"),
            "stars": row.get("score"),
            "time": from_china(row.get("creationTime"), self.source.now),
            "author": row.get("nickName"),
            "product": row.get("skuName"),
            "sku": row.get("skuid"),
            "order": row.get("orderId") or None,  # 0: the platform keeps it to itself
            "reply": _reply(row),
            "likes": row.get("usefulCount"),
            "deleted": row.get("status") in self.options.deleted_status,
        }


def _reply(row: Mapping[str, Any]) -> str:
    """What the shop has answered; buyers may answer too, the reviewer among them."""
    if row.get("isVenderReply") is not True:
        return ""
    answers = [one for one in listed(row.get("replies")) if one.get("nickName") != row.get("nickName")]
    return "\n".join(str(one["content"]) for one in answers if one.get("content"))


def _opened(page: "TextResponse", variable: str) -> dict[str, Any]:
    """What lies in the envelope; errors come with HTTP 200 too, around it or in it."""
    body = answer(page, _METHOD)
    names = [_METHOD.replace(".", "_") + end for end in _ENVELOPES]
    told = body if isinstance(body, dict) else {}
    opened: dict[str, Any] | None = next(
        (told[name] for name in ("error_response", *names) if isinstance(told.get(name), dict)), None
    )
    if opened is None:
        raise SourceError(f"{_METHOD}：应答里没有 {names[0]}，开头是 {page.text[:80]!r}")
    if "error_response" in told or str(opened.get("code", "")) not in _FINE:
        said = " ".join(str(opened[key]) for key in ("zh_desc", "en_desc", "msg") if opened.get(key))
        raise refusal(_METHOD, opened.get("code"), said, variable, renew=_RENEW, busy=_BUSY)
    return opened
