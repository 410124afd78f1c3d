"""``kind = "html"``: any page, by CSS selectors in the config."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, field_validator

from crawler.bases import base
from crawler.bases.base import Connector, Fetch, HttpUrl, Output, Stars, absolute
from crawler.bases.fields import Field as FieldName
from crawler.bases.fields import page_identity
from crawler.bases.html_pages import links, read_fields, split_field

if TYPE_CHECKING:
    from scrapy.http import TextResponse


def _is_css(css: str) -> str:
    from parsel.csstranslator import css2xpath

    try:
        css2xpath(css)
    except Exception as error:
        raise ValueError(f"不是有效的 CSS 选择器：{css!r}（{error}）") from error
    return css


Css = Annotated[str, AfterValidator(_is_css)]


class Options(base.Options):
    """Keys of ``kind = "html"``."""

    start: list[HttpUrl] = Field(min_length=1, description="从哪些页面开始")
    follow: list[Css] = Field(default=[], description="CSS：沿哪些链接继续，只在同一站点内")
    item: Css = Field(description="CSS：每处匹配是一条反馈")
    fields: dict[FieldName, str] = Field(
        description=(
            '字段 → "css"（文字）、"@attr"（条目自身的属性）或 "css@attr"；取第一处匹配，'
            "product、parent 在条目内没有时到整页找"
        )
    )
    stars: dict[str, Stars] = Field(default={}, description="评分字段里出现的词 → 星数，如 { One = 1, Two = 2 }")

    @field_validator("fields")
    @classmethod
    def _selectors(cls, fields: dict[FieldName, str]) -> dict[FieldName, str]:
        if not fields.keys() & {"text", "title", "stars"}:
            raise ValueError("至少要有 text、title 或 stars")
        for field in fields.values():
            if css := split_field(field)[0]:
                _is_css(css)
        return fields


class HtmlConnector(Connector[Options]):
    """Reviews or posts on pages, found by following links."""

    Options = Options

    def start(self) -> Iterator[Output]:
        """The pages in ``start``."""
        yield from (Fetch(url, conditional=True) for url in self.options.start)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """The page's items, then its links."""
        del fetch
        fields = {str(name): field for name, field in self.options.fields.items()}
        identity = page_identity(page.url)
        for item in page.css(self.options.item):
            raw = read_fields(item, page, fields)
            raw["url"] = absolute(page, raw.get("url")) or page.url
            yield self.item(raw, where=page.url, page=identity, words=self.options.stars)
        for url in links(page, self.options.follow):
            yield Fetch(url, link=True, conditional=True)
