"""``kind = "googleplay"``: an app's reviews by the Google Play Developer API (``androidpublisher`` v3)."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import answer
from crawler.bases.base import AttentionError, Fetch, Output, SourceError
from crawler.bases.json_pages import MISSING, complaint, dig, load
from crawler.bases.newest import Call, NewestConnector, NewestOptions
from crawler.bases.tokens import jwt

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE = timedelta(minutes=30)  # of the signed request for a token; the platform allows up to 60
_SPARE = timedelta(minutes=5)  # before its end a token is exchanged anew
_LASTS = 3600  # seconds of a token that does not say
_REFUSED = range(400, 500)


class Options(NewestOptions):
    """Keys of ``kind = "googleplay"``."""

    package: str = Field(min_length=1, description="应用包名，如 com.example.app")
    key_env: str = Field(min_length=1, description="环境变量名，值为服务账号密钥（整个 JSON 文件的内容）")
    product: str = Field(default="", description="产品名；不写则用包名")
    url: HttpUrl = Field(default="https://androidpublisher.googleapis.com", description="接口地址")
    token_url: HttpUrl = Field(default="https://oauth2.googleapis.com/token", description="换取令牌的地址")
    language: str = Field(default="", description="要平台翻译成的语言，如 zh；不写则是原文")
    page_size: int = Field(default=100, ge=1, le=100, description="每页条数")
    history_days: int = Field(default=7, ge=1, le=7, description="往回读多少天；平台只给最近一周")
    again_days: int = Field(default=7, ge=0, le=7, description="每天一次往回读这么多天，收迟来的回复；0 为不再读")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A token is asked for, to be used for the call."""

    call: Call


class GoogleplayConnector(NewestConnector[Options]):
    """Reviews of an app on Google Play, with the developer's service account; those with text, of the last week."""

    Options = Options
    title = "Google Play 应用评价（官方接口）"

    _token = ""
    _ends: datetime | None = None

    def ask(self, call: Call) -> Fetch:
        """A page of reviews; a token first where there is none that lasts."""
        lasts = self._ends is not None and self.source.clock() + _SPARE < self._ends
        return self._page(call) if lasts else self._exchange(call)

    def _page(self, call: Call) -> Fetch:
        params = {"maxResults": self.options.page_size, "translationLanguage": self.options.language, "token": call.at}
        query = urlencode({name: value for name, value in params.items() if value})
        path = f"androidpublisher/v3/applications/{quote(self.options.package, safe='')}/reviews"
        url = f"{self.options.url.rstrip('/')}/{path}?{query}"
        return Fetch(url, headers={"Authorization": f"Bearer {self._token}"}, api=True, carry=call)

    def again(self, fetch: Fetch) -> Fetch:
        """The same, signed anew."""
        return self.ask(fetch.carry.call if isinstance(fetch.carry, Exchange) else fetch.carry)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """Keeps a token, or reads a page."""
        if isinstance(fetch.carry, Exchange):
            self._keep(page)
            yield self._page(fetch.carry.call)
        else:
            yield from super().read(page, fetch)

    def rows(self, page: "TextResponse", call: Call) -> tuple[list[dict[str, Any]], str | None]:
        """The page's reviews; an app without any has no list."""
        del call
        body = answer(page, "Google Play reviews")
        if not isinstance(body, dict):
            raise SourceError(f"Google Play reviews：应答不是对象，开头是 {page.text[:80]!r}")
        rows = body.get("reviews") or []
        following = dig(body, "tokenPagination.nextPageToken")
        entries = [row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)]
        return entries, following if isinstance(following, str) and following else None

    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A review's fields: the writer's latest words, and the developer's."""
        said, replied = _latest(row, "userComment"), _latest(row, "developerComment")
        return {
            "id": row.get("reviewId"),
            "text": said.get("text"),
            "stars": said.get("starRating"),
            "time": _seconds(said),
            "author": row.get("authorName"),
            "product": self.options.product or self.options.package,
            "reply": replied.get("text"),
            "likes": said.get("thumbsUpCount"),
            "batch": said.get("appVersionName"),
        }

    def _exchange(self, call: Call) -> Fetch:
        account = self._account()
        now = int(self.source.clock().timestamp())
        url = self.options.token_url
        claims = {"iss": account["client_email"], "scope": _SCOPE, "aud": url, "iat": now}
        claims["exp"] = now + int(_LIFE.total_seconds())
        where = f"环境变量 {self.options.key_env} 的 private_key"
        token = jwt(claims, account["private_key"], "RS256", where, account.get("private_key_id", ""))
        form = {"grant_type": _GRANT, "assertion": self.source.secrets.keep(token)}
        return Fetch(url, form=form, api=True, carry=Exchange(call))

    def _account(self) -> dict[str, str]:
        try:
            account = json.loads(self.secret("key_env"))
        except ValueError:
            account = None
        wanted = ("client_email", "private_key")
        if not isinstance(account, dict) or not all(isinstance(account.get(key), str) for key in wanted):
            raise AttentionError(
                f"环境变量 {self.options.key_env}：应是服务账号密钥文件的内容（JSON，有 {'、'.join(wanted)}）"
            )
        return account

    def _keep(self, page: "TextResponse") -> None:
        what = "Google 令牌"
        if page.status in _REFUSED:
            raise AttentionError(
                f"{what}：HTTP {page.status}{_told(page.text)}；请检查服务账号密钥是否有效、时钟是否准"
            )
        body = answer(page, what)
        token, lasts = dig(body, "access_token"), dig(body, "expires_in")
        if not isinstance(token, str):
            raise SourceError(f"{what}：应答里没有 access_token{complaint(body)}")
        self._token = self.source.secrets.keep(token)
        self._ends = self.source.clock() + timedelta(
            seconds=max(0, min(lasts, _LASTS)) if isinstance(lasts, int) else _LASTS
        )


def _told(text: str) -> str:
    try:
        body = load(text)
    except SourceError:
        return ""
    described = dig(body, "error_description")
    return complaint(body) if described is MISSING else f"；对方说：{described}"


def _latest(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The last word of one side; both may have edited theirs."""
    comments = row.get("comments")
    entries = [one for one in (comments if isinstance(comments, list) else [comments]) if isinstance(one, dict)]
    spoken = [one[kind] for one in entries if isinstance(one.get(kind), dict)]
    return max(spoken, key=lambda comment: _seconds(comment) or 0, default={})


def _seconds(comment: Mapping[str, Any]) -> int | None:
    value = str(dig(comment, "lastModified.seconds"))
    return int(value) if re.fullmatch(r"\d{1,15}", value) else None
