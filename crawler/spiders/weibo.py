"""``kind = "weibo"``: what is said to a 微博 account of one's own, by the open platform: mentions and comments."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import Id, answer
from crawler.bases.base import EndedError, Fetch, Output, SourceError, ThrottledError
from crawler.bases.json_pages import dig, items_at, load
from crawler.bases.newest import Call, NewestConnector, NewestOptions
from crawler.bases.recounting import Post, RecountOptions, missed, recounted
from crawler.bases.refusals import refusal
from crawler.bases.renewing import RenewingConnector, RenewingOptions

if TYPE_CHECKING:
    from scrapy.http import TextResponse

List = Literal["statuses/mentions", "comments/to_me", "comments/mentions"]
_RENEW = ("10006", "21301", "21314", "21315", "21316", "21317", "21319", "21327", "21332")
_BUSY = ("10001", "10002", "10003", "10009", "10010", "10011", "10022", "10023", "10024")
_MENTIONS, _SHOW = "statuses/mentions", "statuses/show"
_ROOT = "status"  # where a comment holds the post it stands under
_YES = (True, 1, "1")


class Options(NewestOptions, RenewingOptions, RecountOptions):
    """Keys of ``kind = "weibo"``."""

    needed: ClassVar[tuple[str, ...]] = ("app_key", "secret_env")

    token_env: str = Field(min_length=1, description="环境变量名，值为账号授权得到的 access_token")
    lists: list[List] = Field(
        default=["statuses/mentions", "comments/to_me", "comments/mentions"],
        min_length=1,
        description="读哪些：@我的微博、收到的评论、@我的评论",
    )
    app_key: Id = Field(default="", description="应用的 App Key；只有换新令牌时用")
    secret_env: str = Field(default="", description="环境变量名，值为 App Secret；只有换新令牌时用")
    url: HttpUrl = Field(default="https://api.weibo.com/2", description="接口地址")
    token_url: HttpUrl = Field(default="https://api.weibo.com/oauth2/access_token", description="换新令牌的地址")
    page_size: int = Field(default=200, ge=2, le=200, description="每页条数")
    history_days: int = Field(default=30, ge=1, description="第一次往回读多少天")
    overlap_hours: int = Field(default=2, ge=1, description="每次多往回读多少小时，收晚显示的微博和评论")
    again_days: int = Field(default=3, ge=0, description="每天一次往回读这么多天，更新转评赞数；0 为不再读")


class WeiboConnector(RenewingConnector[Options], NewestConnector[Options]):
    """Posts and comments that mention a 微博 account of one's own, and comments on its posts, by the official API."""

    Options = Options
    title = "自己微博账号收到的提及和评论（官方接口）"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._settled: dict[str, int] = {}

    def trails(self) -> list[str]:
        """The three lists, or those of them that are wanted."""
        return list(dict.fromkeys(self.options.lists))

    def recount(self, posts: Sequence[Post]) -> Iterable[Fetch]:
        """Posts by their numbers; comments are not given singly."""
        return (self.ask(post) for post in posts if post.id.isdecimal())

    def ask(self, call: Call | Post) -> Fetch:
        """A page: ids from ``since_id`` up to ``max_id``, so that what is written meanwhile moves nothing."""
        if isinstance(call, Post):
            return self._call(_SHOW, {"id": call.id}, call)
        since = 0 if call.deep else self.source.watermark[call.trail].get("since", 0)
        params = {"count": self.options.page_size}
        ids = {"since_id": since, "max_id": call.at, "isGetLongText": int(call.trail == _MENTIONS)}
        return self._call(call.trail, params | {name: value for name, value in ids.items() if value}, call)

    def _call(self, name: str, params: Mapping[str, Any], carry: Any) -> Fetch:
        query = urlencode({"access_token": self.token(), **params})
        return Fetch(f"{self.options.url.rstrip('/')}/{name}.json?{query}", api=True, carry=carry)

    def aside(self, page: "TextResponse", call: Any) -> Iterator[Output]:
        """A post's counts; one that is gone, or that the platform does not let us ask for, is none of our trouble."""
        try:
            yield from recounted(call, _counts(self._opened(page, _SHOW)))
        except (EndedError, ThrottledError):
            raise
        except SourceError as error:
            missed(call, error)

    def renew(self, refresh_token: str) -> Fetch:
        """The platform gives refresh tokens to some applications only."""
        form = {"grant_type": "refresh_token", "client_id": self.options.app_key, "refresh_token": refresh_token}
        form["client_secret"] = self.secret("secret_env")
        return Fetch(self.options.token_url, form=form, api=True)

    def rows(self, page: "TextResponse", call: Call) -> tuple[list[dict[str, Any]], int | None]:
        """The page's posts or comments; hidden ones make pages a little shorter than asked for."""
        body = self._opened(page, call.trail)
        rows = items_at(body, call.trail.partition("/")[0], {"id": "id"}) if body else []
        if call.trail != _MENTIONS:
            rows = [{_ROOT: None, **row} for row in rows]  # a comment, even where the post is gone
        ids = [number for row in rows if (number := _id(row))]
        self._settle(call, rows)
        more = ids and len(rows) * 2 >= self.options.page_size
        return rows, min(ids) - 1 if more else None

    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """The fields of a post or a comment."""
        own = {
            "time": row.get("created_at"),
            "author": _said(row, "user.screen_name"),
            "deleted": row.get("deleted") in _YES,
        }
        return own | (_comment(row) if _ROOT in row else _status(row))

    def is_known(self, found: list[dict[str, object]], call: Call) -> bool:
        """Ids only fall from row to row, so what follows one that was read was read too."""
        return super().is_known(found, call) or (bool(found) and self.was_read(found[-1], call))

    def mark(self, call: Call) -> dict[str, Any]:
        """The id from which the next run reads on."""
        before = self.source.watermark.get(call.trail, {}).get("since", 0)
        return {"since": max(before, self._settled.get(call.trail, 0))}

    def _opened(self, page: "TextResponse", trail: str) -> Any:
        """An answer that is no error; errors come with HTTP 200 too."""
        try:
            body = load(page.text)
        except SourceError:
            body = None
        if isinstance(body, dict) and (code := body.get("error_code")):
            said = str(body.get("error", ""))
            raise refusal(trail, code, said, self.options.token_env, renew=_RENEW, busy=_BUSY)
        return answer(page, trail)

    def _settle(self, call: Call, rows: list[dict[str, Any]]) -> None:
        """Remember the highest id that is older than the overlap: what is shown late may still come above it."""
        old = self._now - timedelta(hours=self.options.overlap_hours)
        times = [(_id(row), self.time(self.raw(row))) for row in rows]
        ids = [number for number, time in times if number and time and time < old]
        self._settled[call.trail] = max([self._settled.get(call.trail, 0), *ids])


def _status(row: Mapping[str, Any]) -> dict[str, object]:
    root = _id(dig(row, "retweeted_status"))
    return {
        "id": _id(row) or None,
        "text": _said(row, "longText.longTextContent") or row.get("text"),
        "url": _address(_id(row)),
        "repost": root or None,
        "thread": root or None,
        **_counts(row),
    }


def _counts(row: Any) -> dict[str, object]:
    names = {"likes": "attitudes_count", "reposts": "reposts_count", "comments": "comments_count"}
    return {name: row.get(theirs) for name, theirs in names.items()} if isinstance(row, dict) else {}


def _comment(row: Mapping[str, Any]) -> dict[str, object]:
    """Comments count on their own: a letter tells their ids from those of posts."""
    root, to = _id(dig(row, _ROOT)), _id(dig(row, "reply_comment"))
    return {
        "id": _comment_id(_id(row)),
        "text": row.get("text"),
        "url": _address(root),
        "likes": row.get("like_count"),
        "comments": row.get("total_number"),
        "parent": _comment_id(to) or root or None,
        "thread": root or None,
    }


def _comment_id(number: int) -> str | None:
    return f"c{number}" if number else None


def _address(number: int) -> str:
    return f"https://m.weibo.cn/status/{number}" if number else ""


def _id(row: Any) -> int:
    """A post's or comment's number; 0 where there is none."""
    value = row.get("idstr") or row.get("id") if isinstance(row, dict) else None
    return int(str(value)) if re.fullmatch(r"\d{1,20}", str(value)) else 0


def _said(row: Mapping[str, Any], path: str) -> str:
    found = dig(row, path)
    return found if isinstance(found, str) else ""
