"""Posts that are known, asked for once more one by one: how often they are liked, passed on and answered by now."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import Field

from crawler.bases import base
from crawler.bases.fields import COUNTS
from crawler.items import FeedbackItem
from crawler.parsing import parse_count

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """A stored mention whose counts are due.

    Attributes:
        thread: What it stands in, where its source said so.
    """

    id: str
    url: str = ""
    thread: str = ""

    def fill(self, template: str) -> str:
        """An address with ``{id}`` and ``{thread}`` replaced; empty where it takes a thread and there is none."""
        if "{thread}" in template and not self.thread:
            return ""
        return template.replace("{id}", quote(self.id, safe="")).replace("{thread}", quote(self.thread, safe=""))


class RecountOptions(base.Options):
    """Keys of every connector that can ask for a known post again."""

    recount: int = Field(
        default=20,
        ge=0,
        description="每次最多再看几条旧帖的转评赞（发现后 10 分钟、1、6、24、72 小时各一次，每条一次请求）；0 为不看",
    )

    @property
    def recounts(self) -> int:
        """How many posts a run may be given."""
        return self.recount


def recounted(post: Post, raw: Mapping[str, object]) -> Iterator[FeedbackItem]:
    """The post with its counts of now; nothing where the answer has none."""
    counts = {name: count for name in COUNTS if (count := parse_count(raw.get(name))) is not None}
    if counts:
        yield FeedbackItem(post.id, "", extra=dict(counts), counts_only=True)


def missed(post: Post, why: object) -> None:
    """A post that is gone or hidden by now is no fault of the source."""
    logger.info("%s was not counted again: %s", post.url or post.id, why)
