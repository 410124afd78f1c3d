"""``kind = "zhihu"``: answers to questions on 知乎, from the endpoint its pages use. Opt-in."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import Field

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import Id
from crawler.bases.base import SourceError
from crawler.bases.json_pages import complaint
from crawler.bases.observed import ObservedConnector, ObservedOptions
from crawler.bases.recounting import Post
from crawler.items import BadRow, FeedbackItem

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_PAGE_SIZE = 20


class Options(ObservedOptions):
    """Keys of ``kind = "zhihu"``."""

    questions: list[Id] = Field(min_length=1, description="问题的编号（网址里 /question/ 后面的数字）")
    url: HttpUrl = Field(
        default=(
            "https://www.zhihu.com/api/v4/questions/{id}/answers"
            "?include=data[*].content,voteup_count,comment_count,created_time,updated_time"
            "&sort_by=created&limit={limit}&offset={offset}"
        ),
        description="接口的地址；平台改了写法或要求签名时在这里换，评哨不做签名",
    )
    answer_url: str = Field(
        default="https://www.zhihu.com/api/v4/answers/{id}?include=voteup_count,comment_count",
        description="一个回答的地址，要和 url 在同一站点",
    )


class ZhihuConnector(ObservedConnector[Options]):
    """Answers to questions on 知乎, with the user's own cookie."""

    Options = Options
    title = "知乎：指定问题下的回答"

    def places(self) -> Iterable[str]:
        """The questions."""
        return self.options.questions

    def address(self, place: str, number: int) -> str:
        """A page of a question's answers, newest first."""
        told = {"{id}": quote(place, safe=""), "{limit}": str(_PAGE_SIZE), "{offset}": str((number - 1) * _PAGE_SIZE)}
        url = self.options.url
        for slot, value in told.items():
            url = url.replace(slot, value)
        return url

    def found(self, page: "TextResponse", place: str) -> tuple[list[FeedbackItem | BadRow], bool]:
        """Answers; the platform says itself whether there are more."""
        told = self._told(page, f"问题 {place}")
        if not isinstance(told.get("data"), list):
            raise SourceError(f"应答里没有 data{complaint(told)}")
        paging = told.get("paging")
        rows = [row for row in told["data"] if isinstance(row, dict)]
        more = isinstance(paging, dict) and paging.get("is_end") is False
        return [self._item(row, place, page.url) for row in rows], more and bool(rows)

    def single(self, post: Post) -> str:
        """An answer by its number."""
        return post.fill(self.options.answer_url)

    def counts(self, page: "TextResponse", post: Post) -> Mapping[str, object]:
        """As in the list."""
        row = self._told(page, f"回答 {post.id}")
        return {"likes": row.get("voteup_count"), "comments": row.get("comment_count")}

    def _told(self, page: "TextResponse", what: str) -> dict[str, Any]:
        """An answer of the endpoint that is no error."""
        body = self.body(page)
        told: dict[str, Any] = body if isinstance(body, dict) else {}
        if isinstance(error := told.get("error"), dict):
            said = f"{error.get('code')}{complaint(told)}"
            if error.get("need_login") or error.get("redirect"):
                self.stop(said)
            raise SourceError(f"{what} 读不了：{said}")
        return told

    def _item(self, row: Mapping[str, Any], place: str, where: str) -> FeedbackItem | BadRow:
        author, question = row.get("author"), row.get("question")
        raw = {
            "id": row.get("id"),
            "text": row.get("content") or row.get("excerpt"),
            "title": question.get("title") if isinstance(question, dict) else None,
            "time": row.get("created_time"),
            "author": author.get("name") if isinstance(author, dict) else None,
            "likes": row.get("voteup_count"),
            "comments": row.get("comment_count"),
            "thread": place,
            "url": f"https://www.zhihu.com/question/{place}/answer/{row.get('id')}",
        }
        return self.item(raw, where=where, page=place)
