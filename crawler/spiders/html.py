"""``kind = "html"``: any page, by CSS selectors in the config."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from crawler.bases.addresses import HttpUrl, absolute
from crawler.bases.base import Connector, Fetch, Output, SourceError, Stars
from crawler.bases.fields import Field as FieldName
from crawler.bases.fields import page_identity
from crawler.bases.html_pages import is_html, linked, links, read_fields, read_page, split_field
from crawler.bases.presets import with_preset
from crawler.bases.recounting import Post, RecountOptions

if TYPE_CHECKING:
    from scrapy.http import TextResponse


def _is_css(css: str) -> str:
    from parsel.csstranslator import css2xpath

    try:
        css2xpath(css)
    except Exception as error:
        raise ValueError(f"不是有效的 CSS 选择器：{css!r}（{error}）") from error
    return css


def _is_field(field: str) -> str:
    if css := split_field(field)[0]:
        _is_css(css)
    return field


def _is_element(css: str) -> str:
    if "::" in css:
        raise ValueError(f"应选中元素，不能用 ::text 或 ::attr：{css!r}")
    return css


Css = Annotated[str, AfterValidator(_is_css)]
Choices = Annotated[
    list[Annotated[str, AfterValidator(_is_field)]],
    BeforeValidator(lambda told: [told] if isinstance(told, str) else told),
    Field(min_length=1),
]


class Options(RecountOptions):
    """Keys of ``kind = "html"``."""

    preset: str = Field(default="", description="现成的一套键：discuz、nodebb、discourse；自己写的键优先")
    start: list[HttpUrl] = Field(min_length=1, description="从哪些页面开始")
    follow: list[Css] = Field(default=[], description="CSS：沿哪些链接继续，只在同一站点内")
    depth: int | None = Field(default=None, ge=0, description="离起始页最多几层链接，翻页也算一层；不写则不限")
    item: Css = Field(description="CSS：每处匹配是一条反馈")
    fields: dict[FieldName, Choices] = Field(
        description=(
            '字段 → "css"（文字）、"@attr"（条目自身的属性）或 "css@attr"；取第一处匹配，'
            "product、parent 在条目内没有时到整页找；写成列表则取第一个有内容的"
        )
    )
    page_fields: dict[FieldName, Choices] = Field(
        default={}, description="整页只有一处的字段，如帖子标题；条目自己有时以条目为准"
    )
    drop: list[Annotated[Css, AfterValidator(_is_element)]] = Field(
        default=[], description="CSS：读之前从页面去掉的部分，如引用、签名"
    )
    stars: dict[str, Stars] = Field(default={}, description="评分字段里出现的词 → 星数，如 { One = 1, Two = 2 }")

    @model_validator(mode="before")
    @classmethod
    def _ready(cls, given: Any) -> Any:
        return with_preset("html", given)

    @property
    def recounts(self) -> int:
        """A derived id begins with the page the item was found on, so its address has to be that page."""
        return self.recount if "id" in self.fields or "url" not in self.fields else 0

    @field_validator("fields")
    @classmethod
    def _something_to_read(cls, fields: dict[FieldName, Any]) -> dict[FieldName, Any]:
        if not fields.keys() & {"text", "title", "stars"}:
            raise ValueError("至少要有 text、title 或 stars")
        return fields


class HtmlConnector(Connector[Options]):
    """Reviews or posts on pages, found by following links."""

    Options = Options
    title = "任意网页、论坛：用 CSS 选择器"

    def start(self) -> Iterator[Output]:
        """The pages in ``start``."""
        yield from (Fetch(url, conditional=True) for url in self.options.start)

    def link(self, url: str, fetch: Fetch) -> Fetch:
        """A link found on a page, one deeper than that."""
        return Fetch(url, link=True, conditional=True, carry=(fetch.carry or 0) + 1)

    def recount(self, posts: Sequence[Post]) -> Iterable[Fetch]:
        """The pages they stand on."""
        return (Fetch(post.url, link=True, conditional=True) for post in posts if post.url)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """The page's items, then its links."""
        if not is_html(page):
            raise SourceError("不是网页")
        onward = list(links(page, self.options.follow)) if self._may_follow(fetch) else []
        for part in (part for css in self.options.drop for part in page.css(css)):
            part.root.clear(keep_tail=True)  # and stays: lxml takes none away that control characters follow
            part.root.tag = "wbr"  # nothing, and no item any more
        fields = {str(name): choices for name, choices in self.options.fields.items()}
        around = read_page(page, fields, {str(name): choices for name, choices in self.options.page_fields.items()})
        identity = page_identity(page.url)
        for item in page.css(self.options.item):
            raw = read_fields(item, fields, around)
            raw |= linked(page, raw)
            raw["url"] = absolute(page, raw.get("url")) or page.url
            yield self.item(raw, where=page.url, page=identity, words=self.options.stars)
        yield from (self.link(url, fetch) for url in onward)

    def _may_follow(self, fetch: Fetch) -> bool:
        return self.options.depth is None or (fetch.carry or 0) < self.options.depth
