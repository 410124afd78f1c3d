"""``kind = "appstore"``: an app's reviews in the App Store, by the public RSS or by App Store Connect."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import parse_qs, urlencode

from pydantic import Field, StringConstraints, model_validator

from crawler.bases.addresses import HttpUrl
from crawler.bases.api import Id, answer
from crawler.bases.base import Fetch, Output, SourceError
from crawler.bases.json_pages import MISSING, dig, items_at, load
from crawler.bases.newest import Call, NewestConnector, NewestOptions
from crawler.bases.tokens import jwt

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_CONNECT = "connect"  # the one list of App Store Connect; the RSS has one a country
_LAST = 10  # pages a country's RSS has
_LIFE = timedelta(minutes=15)  # of a token; the platform allows 20
_SPARE = timedelta(minutes=3)
_UNPUBLISHED = "PENDING_PUBLISH"
_MARKED = {
    "id": "id",
    "title": "title",
    "text": "content",
    "stars": "rating",
    "time": "updated",
    "author": "author/name",
    "batch": "version",
    "likes": "voteSum",
}  # where the XML has what
_LABELS = {
    "id": "id.label",
    "title": "title.label",
    "text": "content.label",
    "stars": "im:rating.label",
    "time": "updated.label",
    "author": "author.name.label",
    "batch": "im:version.label",
    "likes": "im:voteSum.label",
}  # and where the JSON


class Options(NewestOptions):
    """Keys of ``kind = "appstore"``."""

    app: Id = Field(pattern=r"^\d+$", description="应用的数字 id，商店网址里 id 后面的那串")
    countries: list[Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]] = Field(
        default=["cn"], min_length=1, description="公开 RSS 读哪些国家或地区，如 cn、hk；用密钥时不看"
    )
    product: str = Field(default="", description="产品名；不写则用应用 id")
    key_env: str = Field(
        default="", description="环境变量名，值为 App Store Connect API 私钥（.p8 文件的内容）；不写则读公开 RSS"
    )
    key_id: str = Field(default="", description="密钥 id（Key ID）")
    issuer: str = Field(default="", description="Issuer ID；个人密钥没有，不写")
    url: HttpUrl = Field(default="https://itunes.apple.com", description="公开 RSS 的地址")
    connect_url: HttpUrl = Field(
        default="https://api.appstoreconnect.apple.com", description="App Store Connect 的地址"
    )
    page_size: int = Field(default=200, ge=1, le=200, description="App Store Connect 每页条数")

    @model_validator(mode="after")
    def _key_has_an_id(self) -> Self:
        if bool(self.key_env) != bool(self.key_id):
            raise ValueError("key_env 和 key_id 要么都写，要么都不写")
        return self


class AppstoreConnector(NewestConnector[Options]):
    """Reviews of an app in the App Store: the public RSS, or with a key App Store Connect, which has replies too."""

    Options = Options
    title = "App Store 应用评价"

    _token = ""
    _ends: datetime | None = None
    _read = 0

    def trails(self) -> list[str]:
        """Countries, or App Store Connect."""
        return [_CONNECT] if self.options.key_env else list(dict.fromkeys(self.options.countries))

    def ask(self, call: Call) -> Fetch:
        """A page of a country's RSS, or of App Store Connect."""
        if call.trail != _CONNECT:
            number, kind = call.at or (1, "json")
            path = f"{call.trail}/rss/customerreviews/page={number}/id={self.options.app}/sortby=mostrecent/{kind}"
            return Fetch(f"{self.options.url.rstrip('/')}/{path}", carry=call)
        params = {"sort": "-createdDate", "limit": self.options.page_size, "include": "response"}
        query = urlencode(params | ({"cursor": call.at} if call.at else {}))
        url = f"{self.options.connect_url.rstrip('/')}/v1/apps/{self.options.app}/customerReviews?{query}"
        return Fetch(url, headers={"Authorization": f"Bearer {self._signed()}"}, api=True, carry=call)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """Items of a page, and the next page; that no list holds anything is a fault and not silence."""
        ended = True
        for output in super().read(page, fetch):
            ended = ended and not isinstance(output, Fetch)
            yield output
        self._read += ended
        if self._read == len(self.trails()) and not self._seen:
            hint = "" if self.options.key_env else "，或苹果的公开 RSS 停了，可改用 App Store Connect 密钥"
            raise SourceError(f"应用 {self.options.app} 一条评价也没有读到：请检查 app 和 countries{hint}")

    def rows(self, page: "TextResponse", call: Call) -> tuple[list[dict[str, Any]], Any]:
        """The page's reviews; an empty page of JSON is asked for again as XML."""
        if call.trail == _CONNECT:
            return _connect_rows(answer(page, "App Store Connect customerReviews"))
        number, kind = call.at or (1, "json")
        rows = _json_rows(page) if kind == "json" else _xml_rows(page)
        if kind == "json" and not rows:
            return [], (number, "xml")
        return rows, (number + 1, kind) if rows and number < _LAST else None

    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A review's fields; both ways have made them."""
        return {**row, "product": self.options.product or self.options.app}

    def _signed(self) -> str:
        now = self.source.clock()
        if self._ends is None or now + _SPARE >= self._ends:
            self._ends = now + _LIFE
            claims = {"iss": self.options.issuer} if self.options.issuer else {"sub": "user"}
            times = {"iat": int(now.timestamp()), "exp": int(self._ends.timestamp())}
            where = f"环境变量 {self.options.key_env}"
            told = {**claims, **times, "aud": "appstoreconnect-v1"}
            token = jwt(told, self.secret("key_env"), "ES256", where, self.options.key_id)
            self._token = self.source.secrets.keep(token)
        return self._token


def _json_rows(page: "TextResponse") -> list[dict[str, Any]]:
    body = load(page.text)
    feed = dig(body, "feed")
    if not isinstance(feed, dict):
        raise SourceError(f"应答里没有 feed，开头是 {page.text[:80]!r}")
    entries = [] if feed.get("entry") is None else items_at(feed, "entry", _LABELS)
    rows = []
    for entry in entries:
        if dig(entry, "im:rating") is not MISSING:  # the first entry may be the app itself
            row = {name: found for name, path in _LABELS.items() if isinstance(found := dig(entry, path), str)}
            links = entry.get("link")
            rows.append(row | {"url": dig(links[0] if isinstance(links, list) and links else links, "attributes.href")})
    return rows


def _xml_rows(page: "TextResponse") -> list[dict[str, Any]]:
    from parsel import Selector

    feed = Selector(text=page.text, type="xml")
    try:
        feed.remove_namespaces()
    except ValueError as error:  # a name that is a prefix alone
        raise SourceError(f"XML 坏了（{error}）：开头是 {page.text[:80]!r}") from error
    if not feed.xpath("/feed"):
        raise SourceError(f"不是 Atom：开头是 {page.text[:80]!r}")
    rows = []
    for entry in feed.xpath("/feed/entry[rating]"):
        row: dict[str, Any] = {name: entry.xpath(f"string({path}[1])").get("") for name, path in _MARKED.items()}
        plain = entry.xpath("string(content[@type='text'])").get("")
        rows.append(row | {"text": plain or row["text"], "url": entry.xpath("string(link/@href)").get("")})
    return rows


def _connect_rows(body: Any) -> tuple[list[dict[str, Any]], str | None]:
    entries = items_at(body, "data", {"id": "id"})
    included = body.get("included")
    told = included if isinstance(included, list) else []
    answers = {number: one for one in told if isinstance(number := dig(one, "id"), str)}
    cursor = parse_qs(str(dig(body, "links.next")).partition("?")[2]).get("cursor", [None])[0]
    return [_connect_row(entry, answers) for entry in entries], cursor


def _connect_row(entry: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    said = {"title": "title", "text": "body", "stars": "rating", "time": "createdDate", "author": "reviewerNickname"}
    row = {name: found for name, path in said.items() if (found := dig(entry, f"attributes.{path}")) is not MISSING}
    number = dig(entry, "relationships.response.data.id")
    reply = dig(answers.get(number) if isinstance(number, str) else None, "attributes")
    shown = dig(reply, "responseBody") if dig(reply, "state") != _UNPUBLISHED else MISSING
    return row | {"id": entry.get("id"), "reply": "" if shown is MISSING else shown}
