"""What every connector is: options, where to start, how to read a page. It fetches nothing itself.

The crawl process (``crawler.spider``) asks for the pages a connector names, politely, and hands it the answers; so a
connector is a few lines, imports nothing heavy and is tested with a saved page.
"""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from crawler.bases.fields import make_item
from crawler.items import BadRow, FeedbackItem
from crawler.secrets import Secrets
from crawler.vault import Vault

if TYPE_CHECKING:
    from scrapy.http import TextResponse

    from crawler.bases.recounting import Post


class SourceError(Exception):
    """This page or file cannot be read; the message says why, in Chinese. The rest of the source goes on."""


class AttentionError(SourceError):
    """Only a person can help: an expired token, a missing permission. The message says what to renew.

    Raised, it stops the run; yielded, the run goes on.

    Attributes:
        known: People were told of it in an earlier run.
    """

    def __init__(self, message: str, *, known: bool = False) -> None:
        super().__init__(message)
        self.known = known


class EndedError(AttentionError):
    """The authorization has ended; where the platform prolongs it and the config lets us, nobody has to act."""


class ThrottledError(SourceError):
    """The platform asks for patience: the same is asked again after a pause.

    Attributes:
        pause: Seconds it named; 0 where it named none.
    """

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class Options(BaseModel):
    """A connector's own keys in the config; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def recounts(self) -> int:
        """How many known posts a run may be given to ask for again, see ``Connector.recount``."""
        return 0


@dataclass(frozen=True, slots=True)
class Source:
    """What a connector is told besides its options.

    Attributes:
        zone: Zone of times that name none.
        now: Aware; what relative times are counted from.
        base_dir: Folder relative paths start from.
        watermark: The connector's own part of what the last good run returned.
        max_bytes: Largest page or file that is read, unpacked.
        secrets: Where ``…_env`` keys are looked up.
        vault: Where tokens are kept that a platform gives in exchange.
        begun: Monotonic seconds at ``now``.
    """

    zone: ZoneInfo
    now: datetime
    base_dir: Path = Path()
    watermark: Mapping[str, Any] = field(default_factory=dict)
    max_bytes: int = 20_000_000
    secrets: Secrets = field(default_factory=Secrets)
    vault: Vault = field(default_factory=Vault)
    begun: float = field(default_factory=time.monotonic)

    def clock(self) -> datetime:
        """``now`` moved on by what the crawl has taken: what a request's timestamp says."""
        return self.now + timedelta(seconds=time.monotonic() - self.begun)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A page to ask for, or a call of an API.

    Attributes:
        url: Absolute http or https address.
        link: Found on a page rather than configured: same site only, and gone (404) is no fault.
        conditional: Ask with ETag and If-Modified-Since; a page "not modified" is not read again.
        carry: What the connector itself wants back with the page.
        headers: Sent beside the usual ones; secrets in them are never shown.
        form: Sent as a POST form.
        json: Sent as a POST body of JSON.
        api: An API asked with the owner's credentials: robots.txt is for pages and not asked, redirects are not
            followed, and ``read`` gets the answer whatever its status is (``page.status``).
        tries: How often the platform has put this off already; the spider counts.
        observed: What a page asks for itself, with a person's own cookie: robots.txt and redirects as for pages, but
            ``read`` gets the answer whatever its status is, and nothing is tried twice.
    """

    url: str
    link: bool = False
    conditional: bool = False
    carry: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    json: Any = None
    api: bool = False
    tries: int = 0
    observed: bool = False

    @property
    def body(self) -> bytes:
        """The bytes that are sent; empty for a GET."""
        if self.form is not None:
            return urlencode(self.form).encode()
        return b"" if self.json is None else json.dumps(self.json, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def content_type(self) -> str:
        """What the body is; empty for a GET."""
        if self.form is not None:
            return "application/x-www-form-urlencoded; charset=utf-8"
        return "" if self.json is None else "application/json; charset=utf-8"


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
        title: What it reads, in a few Chinese words.
        least_delay: Seconds between two requests, even where the source's ``delay`` is less.
        watermark: What the next run gets as ``source.watermark`` if this one ends well.
        pushed: Whether others push its items to the desk: there is nothing to crawl.
        piecewise: Whether what was read is remembered piece by piece: where a person has to mend one, the others' are.
        resumes: Whether a run that is cut short leaves the rest to the next one; its watermark says where it stopped.
    """

    Options: ClassVar[type[Options]]
    title: ClassVar[str] = ""
    least_delay: ClassVar[float] = 0.0
    resumes: ClassVar[bool] = False
    pushed: ClassVar[bool] = False
    piecewise: ClassVar[bool] = False

    def __init__(self, options: O, source: Source) -> None:
        self.options = options
        self.source = source
        self.watermark: dict[str, Any] = {}

    @abstractmethod
    def start(self) -> Iterable[Output]:
        """The first pages, or items where there are none to fetch."""

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """Items, bad elements and further pages of a page that answered 200 with text; see ``Fetch.api`` for others.

        Raises:
            SourceError: The page is not what was expected.
            AttentionError: A person must act; nothing more is asked for.
            ThrottledError: The same is to be asked again later; nothing may have been yielded yet.
        """
        raise NotImplementedError

    def link(self, url: str, fetch: Fetch) -> Fetch:
        """How a link is asked for that was found on the page which ``fetch`` led to."""
        del fetch
        return Fetch(url, link=True, conditional=True)

    def again(self, fetch: Fetch) -> Fetch:
        """What to ask for when a call is repeated: with a new timestamp and signature, say."""
        return fetch

    def recount(self, posts: "Sequence[Post]") -> Iterable[Fetch]:
        """Requests for known posts whose likes, reposts and comments are due, one each at most."""
        del posts
        return ()

    def expires(self) -> date | None:
        """The last day of the owner's credentials, where it is known: the ``expires`` key, if the kind has it."""
        return getattr(self.options, "expires", None)

    def secret(self, key: str) -> str:
        """The secret whose variable the ``key`` of the options names; empty where the key is.

        Raises:
            MissingSecretError: The variable is not set.
        """
        variable = getattr(self.options, key)
        return self.source.secrets.read(key, variable) if variable else ""

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


Stars = Annotated[float, Field(ge=1, le=5)]
