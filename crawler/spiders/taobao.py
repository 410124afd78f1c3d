"""``kind = "taobao"``: a 淘宝 or 天猫 shop's reviews by TOP (``taobao.traderates.get``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import answer
from crawler.bases.base import Fetch, SourceError, Stars
from crawler.bases.json_pages import load
from crawler.bases.refusals import refusal
from crawler.bases.renewing import RenewingConnector
from crawler.bases.signed import SignedOptions, china_time, from_china, hmac_md5, listed, wrapped_md5
from crawler.bases.windows import Step, WindowConnector

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_RATES, _FEEDS = "taobao.traderates.get", "tmall.traderate.feeds.get"
_REFRESH = "taobao.top.auth.token.refresh"
_FIELDS = "tid,oid,role,nick,result,created,item_title,content,reply,num_iid"
_RENEW = ("26", "27")  # no session, an invalid one
_LIMITED = "7"
_THEIR_FAULT = "isp."  # how sub-codes begin where a service behind the gateway has failed
_SIGNS = {"md5": wrapped_md5, "hmac": hmac_md5}


class Options(SignedOptions):
    """Keys of ``kind = "taobao"``."""

    secret_env: str = Field(min_length=1, description="环境变量名，值为 AppSecret")
    session_env: str = Field(min_length=1, description="环境变量名，值为店铺授权得到的 session（SessionKey）")
    url: HttpUrl = Field(default="https://eco.taobao.com/router/rest", description="网关地址")
    sign_method: Literal["md5", "hmac"] = Field(default="md5", description="签名方法：md5 或 hmac")
    page_size: int = Field(default=150, ge=1, le=150, description="每页条数")
    history_days: int = Field(default=180, ge=1, le=180, description="第一次往回读多少天；平台只给 180 天")
    window_rows: int = Field(default=1500, ge=0, description="平台一次查询最多给多少条，满了就把时间拆开再查；0 为不限")
    followups: bool = Field(default=False, description="向天猫逐条查追评：满 overlap_hours 的评价每读到一条多一次请求")
    stars: dict[Literal["good", "neutral", "bad"], Stars] = Field(
        default={"good": 5, "neutral": 3, "bad": 1}, description="好评、中评、差评各算几星"
    )


@dataclass(frozen=True, slots=True)
class Feed:
    """A review whose 追评 is to be asked for."""

    row: dict[str, Any]


class TaobaoConnector(RenewingConnector[Options], WindowConnector[Options]):
    """Reviews of a 淘宝 or 天猫 shop, by the official API with the shop's authorization."""

    Options = Options
    title = "淘宝、天猫店铺评价（官方接口）"
    access_option = "session_env"

    def ask(self, call: Any) -> Fetch:
        """A page of reviews, or one review with its 追评."""
        if isinstance(call, Feed):
            feed = {"method": _FEEDS, "child_trade_id": str(call.row["oid"])}
            return self._signed(call, feed | {"session": self.token()})
        business = {
            "method": _RATES,
            "fields": _FIELDS,
            "rate_type": "get",
            "role": "buyer",
            "start_date": china_time(call.window.start),
            "end_date": china_time(call.window.end),
            "page_no": str(call.page + 1),
            "page_size": str(self.options.page_size),
            "use_has_next": "true",
            "session": self.token(),
        }
        return self._signed(call, business)

    def renew(self, refresh_token: str) -> Fetch:
        """A call of the gateway like any other, but without a session."""
        return self._signed(None, {"method": _REFRESH, "refresh_token": refresh_token})

    def granted(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The tokens are JSON within the JSON."""
        opened = body.get("top_auth_token_refresh_response")
        told = opened.get("token_result") if isinstance(opened, dict) else None
        try:
            found = load(told) if isinstance(told, str) else told
        except SourceError:
            found = None
        return found if isinstance(found, dict) else {}

    def _signed(self, call: Any, business: dict[str, str]) -> Fetch:
        params = business | {
            "app_key": self.options.app_key,
            "timestamp": china_time(self.source.clock()),
            "format": "json",
            "v": "2.0",
            "sign_method": self.options.sign_method,
        }
        params["sign"] = _SIGNS[self.options.sign_method](params, self.secret("secret_env"))
        return Fetch(self.options.url, form=params, api=True, carry=call)

    def rows(self, page: "TextResponse", step: Step) -> tuple[list[dict[str, Any]], bool]:
        """The page's rates."""
        del step
        body = self._opened(page, _RATES)
        rates = body.get("trade_rates") or {}
        return listed(rates.get("trade_rate") if isinstance(rates, dict) else rates), body.get("has_next") is True

    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A rate's fields; a rate has no id of its own, its sub-order has."""
        return {
            "id": row.get("oid") or row.get("tid"),
            "text": row.get("content"),
            "stars": next((n for word, n in self.options.stars.items() if word == row.get("result")), None),
            "time": from_china(row.get("created"), self.source.now),
            "author": row.get("nick"),
            "product": row.get("item_title"),
            "sku": row.get("num_iid"),
            "order": row.get("tid") or None,
            "reply": row.get("reply"),
        }

    def details(self, row: dict[str, Any]) -> Feed | None:
        """Its feed, if it is old enough to have one: a younger one is read again when it is."""
        if not self.options.followups or not row.get("oid"):
            return None
        created = from_china(row.get("created"), self.source.now)
        old = self.source.now - timedelta(hours=self.options.overlap_hours)
        return Feed(row) if created and created <= old else None

    def complete(self, page: "TextResponse", call: Feed) -> dict[str, object]:
        """The rate with its 追评; an order that is none of 天猫's has none."""
        try:
            info = (listed(self._opened(page, _FEEDS).get("tmall_rate_info")) or [{}])[0]
        except SourceError as error:
            if type(error) is not SourceError or "isv." not in str(error):  # not of this order's making
                raise
            info = {}
        said, at = info.get("append_content"), from_china(info.get("append_time"), self.source.now)
        return self.raw(call.row) | {"followup": said, "followup_time": at}

    def _opened(self, page: "TextResponse", method: str) -> dict[str, Any]:
        """What lies in the envelope ``…_response``; errors come with HTTP 200 too."""
        body = answer(page, method)
        error = body.get("error_response") if isinstance(body, dict) else None
        if isinstance(error, dict):
            said = " ".join(str(error[key]) for key in ("msg", "sub_code", "sub_msg") if error.get(key))
            code = str(error.get("code"))
            busy = code if str(error.get("sub_code")).startswith(_THEIR_FAULT) else _LIMITED
            raise refusal(method, code, said, self.options.session_env, renew=_RENEW, busy=(busy,))
        name = method.removeprefix("taobao.").replace(".", "_") + "_response"
        opened = body.get(name) if isinstance(body, dict) else None
        if not isinstance(opened, dict):
            raise SourceError(f"{method}：应答里没有 {name}，开头是 {page.text[:80]!r}")
        return opened
