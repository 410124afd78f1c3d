"""``kind = "webhook"``: reviews and mentions that another system pushes to ``POST /hooks/<source>``, signed."""

from collections.abc import Iterable, Iterator

from pydantic import Field

from crawler.bases import base
from crawler.bases.base import Connector, Output, Stars
from crawler.bases.fields import FIELDS, unread
from crawler.bases.fields import Field as FieldName
from crawler.bases.json_pages import items_at, load, read_fields
from crawler.items import BadRow, FeedbackItem

Pushed = tuple[FeedbackItem | BadRow, list[str]]


class Options(base.Options):
    """Keys of ``kind = "webhook"``."""

    secret_env: str = Field(min_length=1, description="环境变量名，值为双方约定的签名密钥")
    items: str = Field(default="$", description='列表所在的路径，如 "data.comments"；不写或 "$" 表示整个就是')
    fields: dict[FieldName, str] = Field(
        default={},
        description='字段 → 条目里的路径，如 { text = "content" }；不写则条目的键就是字段名（text、stars、time…）',
    )
    stars: dict[str, Stars] = Field(default={}, description="评分字段里出现的词 → 星数")
    silent_hours: float | None = Field(
        default=None, gt=0, description="多少小时没有推送来就算异常；不写则和它自己平时的量比"
    )


class WebhookConnector(Connector[Options]):
    """Whatever another system pushes to the desk, signed with a shared secret."""

    Options = Options
    title = "别的系统推送来的评价或提及（签名 webhook）"
    pushed = True

    def start(self) -> Iterable[Output]:
        """Nothing: others come."""
        return ()

    def received(self, body: str) -> Iterator[Pushed]:
        """The items of a push, in order, each with the names of its fields that could not be read.

        Raises:
            SourceError: It is not JSON, or holds no item or list of items where it should.
        """
        fields = {str(name): path for name, path in self.options.fields.items()} or {name: name for name in FIELDS}
        for index, entry in enumerate(items_at(load(body), self.options.items, fields)):
            raw = read_fields(entry, fields)
            item = self.item(raw, where=f"[{index}]", words=self.options.stars)
            yield (
                item,
                [f"{name}: {told[:30]}" for name, told in unread(raw, item)] if isinstance(item, FeedbackItem) else [],
            )
