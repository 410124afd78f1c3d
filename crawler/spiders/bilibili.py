"""``kind = "bilibili"``: comments under videos on B站, from the endpoint its pages use. Opt-in."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import Id
from crawler.bases.base import SourceError
from crawler.bases.json_pages import complaint, with_children
from crawler.bases.observed import ObservedConnector, ObservedOptions
from crawler.bases.recounting import Post
from crawler.items import BadRow, FeedbackItem

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_PAGE_SIZE = 20
_NO_PARENT = ("0", "None")


class Options(ObservedOptions):
    """Keys of ``kind = "bilibili"``."""

    oids: list[Id] = Field(min_length=1, description="视频的 av 号（数字），或其他评论区的编号")
    type: int = Field(default=1, description="评论区的类型：1 视频，12 专栏，17 动态")
    sort: int = Field(default=0, description="排序：0 按时间，1 按点赞；按时间才能只读新的")
    url: HttpUrl = Field(default="https://api.bilibili.com/x/v2/reply", description="评论接口的地址")
    reply_url: str = Field(
        default="https://api.bilibili.com/x/v2/reply/info?type={type}&oid={thread}&rpid={id}",
        description="一条评论的地址，要和 url 在同一站点",
    )


class BilibiliConnector(ObservedConnector[Options]):
    """Comments on B站 and the answers shown under them, with the user's own cookie."""

    Options = Options
    title = "B站评论：指定视频下的评论"
    stops = frozenset({-101, -111, -352, -401, -403, -412, -509, -799})

    def places(self) -> Iterable[str]:
        """The videos."""
        return self.options.oids

    def address(self, place: str, number: int) -> str:
        """A page of a video's comments."""
        query = {"type": self.options.type, "oid": place, "sort": self.options.sort, "ps": _PAGE_SIZE, "pn": number}
        return f"{self.options.url}?{urlencode(query)}"

    def found(self, page: "TextResponse", place: str) -> tuple[list[FeedbackItem | BadRow], bool]:
        """Comments, each followed by the answers that stand under it."""
        body = self.body(page)
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict) or body.get("code") != 0:
            raise SourceError(f"{place} 的评论读不了{complaint(body)}")
        told = data.get("replies")
        replies = [reply for reply in told if isinstance(reply, dict)] if isinstance(told, list) else []
        return [self._item(reply, place, page.url) for reply in with_children(replies, "replies")], bool(replies)

    def single(self, post: Post) -> str:
        """A comment by its number and its video's."""
        return post.fill(self.options.reply_url.replace("{type}", str(self.options.type)))

    def counts(self, page: "TextResponse", post: Post) -> Mapping[str, object]:
        """As in the list."""
        del post
        reply = self.table(page, "data.reply")
        return {"likes": reply.get("like"), "comments": reply.get("rcount")}

    def _item(self, reply: Mapping[str, Any], place: str, where: str) -> FeedbackItem | BadRow:
        content, member = reply.get("content"), reply.get("member")
        number, parent = reply.get("rpid"), str(reply.get("parent"))
        video = f"https://www.bilibili.com/video/av{place}#reply{number}" if self.options.type == 1 else ""
        raw = {
            "id": number,
            "text": content.get("message") if isinstance(content, dict) else None,
            "time": reply.get("ctime"),
            "author": member.get("uname") if isinstance(member, dict) else None,
            "likes": reply.get("like"),
            "comments": reply.get("rcount"),
            "thread": place,
            "parent": None if parent in _NO_PARENT else parent,
            "url": video,
        }
        return self.item(raw, where=where, page=place)
