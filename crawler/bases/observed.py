"""What connectors of endpoints share that a platform's own pages use: off by default, with the user's own cookie.

Nobody has promised these endpoints to anyone. So they ask slowly, one page at a time, and stop for a person at the
first sign of a login or verification page; they sign nothing, solve nothing and try nothing twice.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import Field, field_validator

from crawler.bases.base import AttentionError, Connector, Fetch, Output, SourceError
from crawler.bases.json_pages import complaint, dig, load
from crawler.bases.recounting import Post, RecountOptions, missed, recounted
from crawler.items import BadRow, FeedbackItem

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_OK = range(200, 300)
# What platforms answer instead of 200 where they want a login, a captcha, or less of one.
_STOP = frozenset({401, 403, 412, 414, 418, 429, 432, 451})
_KNOWN = 500  # ids remembered of each list
_HELP = "请在浏览器里登录、按提示验证后换上新的 Cookie，并把间隔调长"
_WHY = (
    "读的是平台网页自己用的接口，不是开放接口：可能违反平台条款、随时会变、账号可能受限；"
    "确认要用请写 observed = true，并用 cookie_env 给出自己账号的 Cookie"
)


class ObservedOptions(RecountOptions):
    """Keys of every observed endpoint."""

    observed: bool = Field(
        default=False, validate_default=True, description="必须写 true：知道这不是开放接口，仍要用自己的账号读"
    )
    cookie_env: str = Field(min_length=1, description="环境变量名，值为自己账号在浏览器里的 Cookie")
    pages: int = Field(default=5, ge=1, le=50, description="每次每处最多翻几页；读到已经读过的就停")

    @field_validator("observed")
    @classmethod
    def _meant(cls, observed: bool) -> bool:
        if not observed:
            raise ValueError(_WHY)
        return observed


O = TypeVar("O", bound=ObservedOptions)  # noqa: E741 — O for options


class ObservedConnector(Connector[O]):
    """Lists that are read newest first, page by page, until nothing is new.

    Attributes:
        stops: Codes in an answer's ``code`` that mean "log in" or "prove that you are a person".
    """

    least_delay: ClassVar[float] = 5.0
    stops: ClassVar[frozenset[object]] = frozenset()

    def start(self) -> Iterable[Output]:
        """The first page of each list."""
        for place in self.places():
            yield self._fetch(place, 1)

    @abstractmethod
    def places(self) -> Iterable[str]:
        """The lists: keywords, videos, questions, threads."""

    @abstractmethod
    def address(self, place: str, number: int) -> str:
        """Where a list's page is; numbers count from 1."""

    @abstractmethod
    def found(self, page: "TextResponse", place: str) -> tuple[list[FeedbackItem | BadRow], bool]:
        """A page's items, newest first, and whether there may be another page."""

    @abstractmethod
    def single(self, post: Post) -> str:
        """Where one known item is; empty where that cannot be told."""

    @abstractmethod
    def counts(self, page: "TextResponse", post: Post) -> Mapping[str, object]:
        """Its ``likes``, ``reposts`` and ``comments`` there."""

    def recount(self, posts: Sequence[Post]) -> Iterable[Fetch]:
        """One request each, on the same site only."""
        return (replace(self._asked(url, post), link=True) for post in posts if (url := self.single(post)))

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """A page's items; the next page while there is something new."""
        if page.status in _STOP:
            raise AttentionError(f"HTTP {page.status}：平台要求登录、验证或已限制访问；{_HELP}")
        if isinstance(fetch.carry, Post):
            yield from self._again(page, fetch.carry)
            return
        place, number = fetch.carry
        if page.status not in _OK:
            raise SourceError(f"HTTP {page.status}")
        items, more = self.found(page, place)
        fresh = self._fresh(place, [one.external_id for one in items if isinstance(one, FeedbackItem)])
        yield from items
        if more and fresh and number < self.options.pages:
            yield self._fetch(place, number + 1)

    def body(self, page: "TextResponse") -> Any:
        """The JSON of an answer that says nothing of a login or a captcha.

        Raises:
            AttentionError: It does.
            SourceError: It is no JSON.
        """
        body = load(page.text)
        code = body.get("code", body.get("ok")) if isinstance(body, dict) else None
        if isinstance(code, int | str) and code in self.stops:
            self.stop(f"{code}{complaint(body)}")
        return body

    def table(self, page: "TextResponse", path: str) -> Mapping[str, Any]:
        """The object at a dotted path of an answer.

        Raises:
            SourceError: There is none, or the answer says something else.
        """
        body = self.body(page)
        found = dig(body, path)
        if not isinstance(found, dict):
            raise SourceError(f"应答里没有 {path}{complaint(body)}")
        return found

    def stop(self, said: str) -> None:
        """End the run for a person.

        Raises:
            AttentionError: Always.
        """
        raise AttentionError(f"平台要求登录或验证（{said}）；{_HELP}")

    def _again(self, page: "TextResponse", post: Post) -> Iterator[Output]:
        if page.status not in _OK:
            missed(post, f"HTTP {page.status}")
            return
        try:
            counts = self.counts(page, post)
        except AttentionError:
            raise
        except SourceError as error:
            missed(post, error)
        else:
            yield from recounted(post, counts)

    def _fetch(self, place: str, number: int) -> Fetch:
        return self._asked(self.address(place, number), (place, number))

    def _asked(self, url: str, carry: Any) -> Fetch:
        cookie = self.secret("cookie_env")
        for part in cookie.split(";"):
            self.source.secrets.keep(part.partition("=")[2].strip())
        return Fetch(url, carry=carry, headers={"Cookie": cookie}, observed=True)

    def _fresh(self, place: str, ids: list[str]) -> bool:
        """Whether an id was unknown; all of them are known from now on."""
        known = self.watermark.setdefault(place, list(self.source.watermark.get(place, ())))
        fresh = [one for one in ids if one not in known]
        self.watermark[place] = [*fresh, *known][:_KNOWN]
        return bool(fresh)
