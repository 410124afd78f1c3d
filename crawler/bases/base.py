"""What every connector is: options, where to start, how to read a page. It fetches nothing itself.

The crawl process (``crawler.spider``) asks for the pages a connector names, politely, and hands it the answers; so a
connector is a few lines, imports nothing heavy and is tested with a saved page.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from crawler.bases.fields import make_item
from crawler.items import BadRow, FeedbackItem

if TYPE_CHECKING:
    from scrapy.http import TextResponse


class SourceError(Exception):
    """This page or file cannot be read; the message says why, in Chinese. The rest of the source goes on."""


class Options(BaseModel):
    """A connector's own keys in the config; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Source:
    """What a connector is told besides its options.

    Attributes:
        zone: Zone of times that name none.
        now: Aware; what relative times are counted from.
        base_dir: Folder relative paths start from.
        watermark: The connector's own part of what the last good run returned.
        max_bytes: Largest page or file that is read, unpacked.
    """

    zone: ZoneInfo
    now: datetime
    base_dir: Path = Path()
    watermark: Mapping[str, Any] = field(default_factory=dict)
    max_bytes: int = 20_000_000


@dataclass(frozen=True, slots=True)
class Fetch:
    """A page to ask for.

    Attributes:
        url: Absolute http or https address.
        link: Found on a page rather than configured: same site only, and gone (404) is no fault.
        conditional: Ask with ETag and If-Modified-Since; a page "not modified" is not read again.
        carry: What the connector itself wants back with the page.
    """

    url: str
    link: bool = False
    conditional: bool = False
    carry: Any = None


@dataclass(frozen=True, slots=True)
class Visited:
    """A file was looked at; ``unchanged`` where it is as it was at the last good run and was not read."""

    where: str
    unchanged: bool = False


Output = FeedbackItem | BadRow | Fetch | Visited | SourceError
O = TypeVar("O", bound=Options)  # noqa: E741 — O for options


class Connector(ABC, Generic[O]):
    """One kind of source.

    Attributes:
        Options: The kind's keys in the config.
        watermark: What the next run gets as ``source.watermark`` if this one ends well.
    """

    Options: ClassVar[type[Options]]

    def __init__(self, options: O, source: Source) -> None:
        self.options = options
        self.source = source
        self.watermark: dict[str, Any] = {}

    @abstractmethod
    def start(self) -> Iterable[Output]:
        """The first pages, or items where there are none to fetch."""

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """Items, bad elements and further pages of a page that answered 200 with text.

        Raises:
            SourceError: The page is not what was expected.
        """
        raise NotImplementedError

    def item(
        self,
        raw: Mapping[str, object],
        *,
        where: str,
        page: str = "",
        words: Mapping[str, float] | None = None,
    ) -> FeedbackItem | BadRow:
        """One item out of raw field values, see ``crawler.bases.fields``."""
        return make_item(raw, self.source.zone, self.source.now, where=where, page=page, words=words)


def absolute(page: "TextResponse", url: object) -> str:
    """An address found on a page, made absolute; empty where it is none."""
    try:
        found = page.urljoin(str(url or "").strip()) if url else ""
        _ = urlsplit(found).port  # refuses what no request could be made of
    except ValueError:
        return ""
    return found if found.startswith(("http://", "https://")) else ""


def _is_http(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"应为 http:// 或 https:// 开头的网址，而不是 {url!r}")
    return url


HttpUrl = Annotated[str, AfterValidator(_is_http)]
Stars = Annotated[float, Field(ge=1, le=5)]
