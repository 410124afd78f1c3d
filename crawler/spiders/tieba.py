"""``kind = "tieba"``: threads of 百度贴吧, from its desktop pages. Opt-in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import Id
from crawler.bases.base import SourceError
from crawler.bases.html_pages import first, is_html
from crawler.bases.json_pages import load
from crawler.bases.observed import ObservedConnector, ObservedOptions
from crawler.bases.recounting import Post
from crawler.items import BadRow, FeedbackItem
from crawler.parsing import plain_text

if TYPE_CHECKING:
    from parsel import Selector
    from scrapy.http import TextResponse

_TEXT = (".d_post_content", "[id^='post_content_']")
_AUTHOR = (".p_author_name", ".d_name a", ".d_name")
_TIME = (".post-tail-wrap", ".core_reply_tail", ".p_tail")
_TITLE = (".core_title_txt@title", ".core_title_txt", "title")


class Options(ObservedOptions):
    """Keys of ``kind = "tieba"``."""

    threads: list[Id] = Field(min_length=1, description="帖子的编号（网址里 /p/ 后面的数字）")
    url: HttpUrl = Field(default="https://tieba.baidu.com/p/", description="帖子页的地址，不含编号")


class TiebaConnector(ObservedConnector[Options]):
    """Posts in threads of 百度贴吧, with the user's own cookie."""

    Options = Options
    title = "百度贴吧：指定帖子里的楼层"

    def places(self) -> Iterable[str]:
        """The threads."""
        return self.options.threads

    def address(self, place: str, number: int) -> str:
        """A thread's page, the newest posts first."""
        return f"{self.options.url}{place}?{urlencode({'sort': 1, 'pn': number})}"

    def found(self, page: "TextResponse", place: str) -> tuple[list[FeedbackItem | BadRow], bool]:
        """A page's posts; a link that says so leads to the next."""
        posts = _posts(page)
        if not posts:
            raise SourceError(f"帖子 {place} 里没有楼层：已删除，或页面改版")
        title = plain_text(first(page, _TITLE) or "")
        items = [self._item(post, title, place, page.url) for post in posts]
        return items, bool(page.xpath('//a[normalize-space()="下一页"]'))

    def single(self, post: Post) -> str:
        """The thread's page on which it stands."""
        return f"{self.options.url}{post.thread}?{urlencode({'pid': post.id})}" if post.thread else ""

    def counts(self, page: "TextResponse", post: Post) -> Mapping[str, object]:
        """As in the list, of that post."""
        for one in _posts(page):
            content = _table(_field(one), "content")
            if str(content.get("post_id") or one.root.get("data-pid")) == post.id:
                return {"comments": content.get("comment_num")}
        raise SourceError(f"{page.url} 里没有 {post.id} 这一楼")

    def _item(self, post: "Selector", title: str, place: str, where: str) -> FeedbackItem | BadRow:
        told = _field(post)
        author, content = (_table(told, name) for name in ("author", "content"))
        number = content.get("post_id") or post.root.get("data-pid")
        raw = {
            "id": number,
            "text": first(post, _TEXT) or content.get("content"),
            "title": title,
            "time": content.get("date") or plain_text(first(post, _TIME) or ""),
            "author": author.get("user_nickname") or author.get("user_name") or first(post, _AUTHOR),
            "comments": content.get("comment_num"),
            "thread": place,
            "url": f"https://tieba.baidu.com/p/{place}?pid={number}#{number}",
        }
        return self.item(raw, where=where, page=place)


def _posts(page: "TextResponse") -> "Sequence[Selector]":
    return page.css(".l_post[data-field]") if is_html(page) else ()


def _field(post: "Selector") -> Mapping[str, Any]:
    """What the page itself notes of a post, as JSON in an attribute."""
    try:
        told = load(post.root.get("data-field", ""))
    except SourceError:
        return {}
    return told if isinstance(told, dict) else {}


def _table(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = told.get(name)
    return value if isinstance(value, dict) else {}
