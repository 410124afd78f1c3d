"""``kind = "weibo_search"``: posts on 微博 that contain a word, from the search of its mobile site. Opt-in."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.base import SourceError
from crawler.bases.json_pages import complaint
from crawler.bases.observed import ObservedConnector, ObservedOptions
from crawler.bases.recounting import Post
from crawler.items import BadRow, FeedbackItem

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_LOGIN_NEEDED = -100


class Options(ObservedOptions):
    """Keys of ``kind = "weibo_search"``."""

    words: list[str] = Field(min_length=1, description="搜哪些词，每个词搜一遍")
    container: str = Field(
        default="100103type=61&q={word}&t=0", description="containerid 的写法；type=61 按时间，type=1 综合"
    )
    url: HttpUrl = Field(default="https://m.weibo.cn/api/container/getIndex", description="搜索接口的地址")
    post_url: str = Field(
        default="https://m.weibo.cn/statuses/show?id={id}", description="一条微博的地址，要和 url 在同一站点"
    )


class WeiboSearchConnector(ObservedConnector[Options]):
    """Posts on 微博 found by a word, with the user's own cookie."""

    Options = Options
    title = "微博搜索：含某个词的微博"
    stops = frozenset({_LOGIN_NEEDED})

    def places(self) -> Iterable[str]:
        """The words."""
        return self.options.words

    def address(self, place: str, number: int) -> str:
        """A page of a word's results."""
        container = self.options.container.replace("{word}", place)
        return f"{self.options.url}?{urlencode({'containerid': container, 'page_type': 'searchall', 'page': number})}"

    def found(self, page: "TextResponse", place: str) -> tuple[list[FeedbackItem | BadRow], bool]:
        """Posts on cards and on cards in groups; an answer without cards ends the list."""
        del place
        body = self.body(page)
        data = body.get("data") if isinstance(body, dict) else None
        cards = data.get("cards") if isinstance(data, dict) else None
        if not isinstance(cards, list):
            raise SourceError(f"应答里没有 data.cards{complaint(body)}")
        posts = list(_posts(cards))
        return [self._item(post, page.url) for post in posts], bool(posts)

    def single(self, post: Post) -> str:
        """A post by its number."""
        return post.fill(self.options.post_url)

    def counts(self, page: "TextResponse", post: Post) -> Mapping[str, object]:
        """As in the list."""
        del post
        return _counts(self.table(page, "data"))

    def _item(self, post: Mapping[str, Any], where: str) -> FeedbackItem | BadRow:
        user, original = post.get("user"), post.get("retweeted_status")
        raw = {
            "id": post.get("id") or post.get("mid"),
            "text": post.get("text"),
            "time": post.get("created_at"),
            "author": user.get("screen_name") if isinstance(user, dict) else None,
            "repost": original.get("id") if isinstance(original, dict) else None,
            "url": f"https://m.weibo.cn/detail/{post.get('id') or post.get('mid')}",
        }
        return self.item(raw | _counts(post), where=where, page=self.options.url)


def _counts(post: Mapping[str, Any]) -> dict[str, object]:
    names = {"likes": "attitudes_count", "reposts": "reposts_count", "comments": "comments_count"}
    return {name: post.get(theirs) for name, theirs in names.items()}


def _posts(cards: list[Any]) -> Iterator[dict[str, Any]]:
    for card in cards:
        if isinstance(card, dict):
            if isinstance(card.get("mblog"), dict):
                yield card["mblog"]
            group = card.get("card_group")
            yield from _posts(group if isinstance(group, list) else [])
