"""What one crawl is told and what it tells back; both travel as JSON between the service and its crawl process."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

Status = Literal["ok", "failed", "attention"]


@dataclass(frozen=True, slots=True)
class CrawlJob:
    """Everything a crawl process needs to know.

    Attributes:
        name: The source's name, for messages.
        kind: Connector, see ``crawler.connectors.kinds()``.
        options: The connector's own keys, as in the config; they name variables of the environment, never hold secrets.
        timezone: Zone of times that name none.
        now: ISO time with offset; what "3分钟前" is counted from.
        delay: Seconds between two requests to one host.
        allow_private_hosts: ``host`` or ``host:port`` that may have an inner address.
        brand: Words one of which a mention must contain; empty for reviews.
        brand_not: Words that make it none, see ``crawler.brands``.
        recount: Known mentions whose likes and answers are to be counted again: ``id``, ``url``, ``thread``.
        watermark: What the last run that ended well returned; empty at first.
        pipelines: Dotted names of Scrapy item pipelines, in order.
        context: Handed to the pipelines untouched, as the setting ``PINGSHAO_CONTEXT``.
        max_pages: Requests after which no further page is asked for.
        max_bytes: Largest page or file that is read, unpacked.
        time_limit: Seconds after which the crawl is killed, 0 for never; one that resumes next time stops before.
        base_dir: Folder relative file paths start from.
        vault: ``file`` and ``key`` of ``crawler.vault``; without them no tokens are exchanged.
    """

    name: str
    kind: str
    options: dict[str, Any]
    timezone: str
    now: str
    delay: float = 1.0
    obey_robots: bool = True
    allow_private_hosts: list[str] = field(default_factory=list)
    brand: list[str] = field(default_factory=list)
    brand_not: list[str] = field(default_factory=list)
    recount: list[dict[str, str]] = field(default_factory=list)
    watermark: dict[str, Any] = field(default_factory=dict)
    pipelines: list[str] = field(default_factory=list)
    context: dict[str, Any] = field(default_factory=dict)
    max_pages: int = 1000
    max_bytes: int = 20_000_000
    time_limit: float = 0.0
    base_dir: str = "."
    vault: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line; the inverse of ``from_json``."""
        return json.dumps(asdict(self), default=str)  # TOML has dates

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """The job that ``to_json`` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class CrawlResult:
    """How a crawl ended. ``seen = new + changed + duplicates + skipped`` whenever the pipeline did its part.

    Attributes:
        status: ``attention`` where a person must act (login wall); ``failed`` where something could not be read.
        pages: Pages or files answered, the unchanged ones among them.
        unchanged: Pages answered "not modified", files that are as they were, and an API's answers without news.
        error: One line in Chinese: where and why; empty when ok.
        watermark: To be handed to the next run; the old one unless ok or ``moved``.
        moved: The watermark has moved although a person must act: what was read is remembered piece by piece.
        anew: What a person must mend has come up in this run; else it is what earlier runs told already.
        log: Reasons of skipped elements and pages, the first of them only.
        expires: ISO date of the last day of the source's credentials; empty where unknown.
        fills: How many items were read (``items``), and how many of them had each field, see ``crawler.fills``.
    """

    status: Status
    pages: int = 0
    unchanged: int = 0
    seen: int = 0
    new: int = 0
    changed: int = 0
    duplicates: int = 0
    skipped: int = 0
    error: str = ""
    watermark: dict[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    expires: str = ""
    fills: dict[str, int] = field(default_factory=dict)
    moved: bool = False
    anew: bool = False

    def to_json(self) -> str:
        """One line; the inverse of ``from_json``."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """The result that ``to_json`` wrote."""
        return cls(**json.loads(line))
