"""``kind = "json"``: any JSON endpoint, by dotted paths in the config."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from crawler.bases import base
from crawler.bases.addresses import HttpUrl, absolute
from crawler.bases.base import Connector, Fetch, Output, SourceError, Stars
from crawler.bases.fields import Field as FieldName
from crawler.bases.json_pages import filled, items_at, load, read_fields, with_children
from crawler.bases.presets import with_preset
from crawler.bases.recounting import Post, RecountOptions, missed, recounted
from crawler.items import BadRow, FeedbackItem

if TYPE_CHECKING:
    from scrapy.http import TextResponse


class Page(base.Options):
    """How an endpoint pages."""

    param: str = Field(min_length=1, description="页码参数名")
    first: int = Field(default=1, description="第一页的页码")
    step: int = Field(default=1, ge=1, description="每页加多少；按条数偏移（offset）的接口写每页条数")
    size_param: str = Field(default="", description="每页条数的参数名；不写则不传")
    size: int = Field(default=50, ge=1, description="每页条数，配合 size_param")


class Options(RecountOptions):
    """Keys of ``kind = "json"``."""

    preset: str = Field(default="", description="现成的一套键：nodebb、discourse；自己写的键优先")
    urls: list[HttpUrl] = Field(min_length=1, description="接口地址")
    items: str = Field(default="$", description='列表所在的路径，如 "data.comments"；不写或 "$" 表示应答本身就是列表')
    children: str = Field(
        default="", description='条目里再放着回复的列表的路径，如 "replies"：每条回复也是一条，层层往下'
    )
    fields: dict[FieldName, str] = Field(description='字段 → 条目里的路径，如 { text = "content" }，可写列表下标')
    link: str = Field(
        default="", description='条目的网址，花括号里是条目里的路径，如 "/post/{pid}"；fields.url 有内容时以它为准'
    )
    stars: dict[str, Stars] = Field(default={}, description="评分字段里出现的词 → 星数")
    page: Page | None = Field(default=None, description="翻页；遇到空页或重复的页为止")
    recount_url: str = Field(
        default="", description='按编号再取一条的地址，如 "/posts/{id}.json"；写了才会再看旧帖的转评赞'
    )
    recount_items: str = Field(default="$", description="那个应答里条目所在的路径")

    @property
    def recounts(self) -> int:
        """Only an id of the source's own leads to the same post again."""
        return self.recount if self.recount_url and "id" in self.fields else 0

    @model_validator(mode="before")
    @classmethod
    def _ready(cls, given: Any) -> Any:
        return with_preset("json", given)

    @field_validator("fields")
    @classmethod
    def _something_to_read(cls, fields: dict[FieldName, str]) -> dict[FieldName, str]:
        if not fields.keys() & {"text", "title", "stars"}:
            raise ValueError("至少要有 text、title 或 stars")
        return fields


class JsonConnector(Connector[Options]):
    """Reviews or posts from a JSON endpoint."""

    Options = Options
    title = "任意 JSON 接口：用点分路径"

    def start(self) -> Iterator[Output]:
        """The first page of each address."""
        for url in self.options.urls:
            yield self._fetch(url, 0, frozenset())

    def recount(self, posts: Sequence[Post]) -> Iterable[Fetch]:
        """Each by its id."""
        for post in posts:
            yield Fetch(urljoin(self.options.urls[0], post.fill(self.options.recount_url)), link=True, carry=post)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """The page's items; the next page unless this one is empty or was there before."""
        if isinstance(fetch.carry, Post):
            yield from self._again(page, fetch.carry)
            return
        url, number, before = fetch.carry
        fields = self._fields
        made: list[FeedbackItem | BadRow] = []
        marks: set[str] = set()
        entries = items_at(load(page.text), self.options.items, fields)
        for entry in with_children(entries, self.options.children):
            raw = read_fields(entry, fields)
            raw["url"] = absolute(page, raw.get("url") or filled(self.options.link, entry))
            one = self.item(raw, where=page.url, page=url, words=self.options.stars)
            made.append(one)
            marks.add(one.external_id if isinstance(one, FeedbackItem) else repr(entry))
        if marks <= before:
            return
        yield from made
        if self.options.page:
            yield self._fetch(url, number + 1, before | marks)

    def _again(self, page: "TextResponse", post: Post) -> Iterator[Output]:
        try:
            entries = items_at(load(page.text), self.options.recount_items, self._fields)
        except SourceError as error:
            missed(post, error)
            return
        for raw in (read_fields(entry, self._fields) for entry in entries[:1]):
            yield from recounted(post, raw)

    @property
    def _fields(self) -> dict[str, str]:
        return {str(name): path for name, path in self.options.fields.items()}

    def _fetch(self, url: str, number: int, before: frozenset[str]) -> Fetch:
        carry: Any = (url, number, before)
        paging = self.options.page
        if paging is None:
            return Fetch(url, conditional=True, carry=carry)
        told = {paging.param: paging.first + number * paging.step}
        if paging.size_param:
            told[paging.size_param] = paging.size
        return Fetch(_with_query(url, told), carry=carry)


def _with_query(url: str, told: dict[str, int]) -> str:
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in told]
    return urlunsplit(parts._replace(query=urlencode([*kept, *told.items()])))
