"""Authorizations that a platform prolongs: new tokens are asked for before the old ones end, or when one is refused.

The refresh token is used up by being used, so the new pair is written down before anything else is done with it.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import IO, TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, model_validator

from crawler.bases.api import ApiOptions
from crawler.bases.base import (
    AttentionError,
    Connector,
    EndedError,
    Fetch,
    Output,
    Source,
    SourceError,
    ThrottledError,
)
from crawler.bases.grants import EARLY, Tokens
from crawler.bases.json_pages import complaint, load
from crawler.bases.refusals import refusal
from crawler.secrets import MissingSecretError

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_WHAT = "换新令牌"
_CODES = ("result", "code", "error_code", "error")
_SERVERS_FAULT = 500


class RenewingOptions(ApiOptions):
    """Keys of every connector whose authorization can be prolonged."""

    needed: ClassVar[tuple[str, ...]] = ()  # keys that prolonging takes besides

    refresh_token_env: str = Field(
        default="",
        description="环境变量名，值为授权时一起得到的 refresh_token；写了就在令牌到期前自动换新，新的加密存在 var_dir",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        missing = [key for key in self.needed if not getattr(self, key)]
        if self.refresh_token_env and missing:
            raise ValueError(f"refresh_token_env 要和 {'、'.join(missing)} 一起写")
        return self


@dataclass(frozen=True, slots=True)
class Renewal:
    """New tokens are asked for."""


R = TypeVar("R", bound=RenewingOptions)


class RenewingConnector(Connector[R]):
    """Prolongs its authorization; stands before the base that reads.

    Attributes:
        access_option: The option that names the access token's variable.
    """

    access_option: ClassVar[str] = "token_env"

    def __init__(self, options: R, source: Source) -> None:
        super().__init__(options, source)
        self._held: Tokens | None = None
        self._renewal: Literal["", "asked", "done", "refused"] = ""
        self._waiting: list[Fetch] = []
        self._lock: IO[bytes] | None = None

    @abstractmethod
    def renew(self, refresh_token: str) -> Fetch:
        """The call that exchanges a refresh token for new tokens."""

    def granted(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where an answer to it holds ``access_token``, ``refresh_token`` and ``expires_in`` (seconds)."""
        return body

    def token(self) -> str:
        """The access token of now."""
        return self._tokens().access

    def expires(self) -> date | None:
        """The last day of what the platform gave in exchange, else what the config says."""
        return self._held.lasts if self._held and self._held.renewed else super().expires()

    def start(self) -> Iterator[Output]:
        """New tokens where it is time; meanwhile the old ones still hold."""
        if self._may_renew() and (at := self._tokens().renew_at) and self.source.clock() >= at:
            yield from self._exchange()
        yield from super().start()  # type: ignore[safe-super]  # the base that reads has one

    def again(self, fetch: Fetch) -> Fetch:
        """The same, with the tokens of now."""
        return self._renewal_call() if isinstance(fetch.carry, Renewal) else super().again(fetch)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """A page, or new tokens; a call that was refused for its token is made once more with a new one."""
        if isinstance(fetch.carry, Renewal):
            yield from self._answered(page)
            return
        try:
            yield from super().read(page, fetch)
        except EndedError as error:
            if self._renewal == "done" and not fetch.tries:
                yield self._repeated(fetch)
            elif self._may_renew() and self._renewal in {"", "asked"}:
                self._waiting.append(fetch)
                yield from self._exchange() if not self._renewal else ()
            else:
                raise error from None

    def _tokens(self) -> Tokens:
        if self._held is None:
            self._held = self._found()
        return self._held

    def _found(self) -> Tokens:
        """The pair that was kept, if it came of what stands in the environment: a person's new tokens win."""
        access, expires = self.secret(self.access_option), self.options.expires
        if not self.options.refresh_token_env:
            return Tokens(access)
        refresh, kept = self.secret("refresh_token_env"), self.source.vault.read()
        if kept.pop("seed", "") != self._seed():
            ends = datetime(expires.year, expires.month, expires.day, tzinfo=self.source.zone) if expires else None
            return Tokens(access, refresh, ends - EARLY if ends else None)
        tokens = Tokens.loads(kept)
        for token in (tokens.access, tokens.refresh):
            self.source.secrets.keep(token)
        return tokens

    def _seed(self) -> str:
        """Tells what a person has put into the environment from what he puts there after another authorization."""
        told = f"{self.secret(self.access_option)}\n{self.secret('refresh_token_env')}"
        return hashlib.sha256(told.encode()).hexdigest()

    def _may_renew(self) -> bool:
        return bool(self.options.refresh_token_env and self.source.vault)

    def _write(self, tokens: Tokens) -> None:
        self.source.vault.write({"seed": self._seed(), **tokens.dumps()})

    def _renewal_call(self) -> Fetch:
        return replace(self.renew(self._tokens().refresh), carry=Renewal())

    def _exchange(self) -> Iterator[Output]:
        """The call; where another source of the same authorization has just made it, what waits for its tokens.

        Nothing is asked for that could not be kept: the old tokens would be used up and the new ones lost.
        """
        self._renewal = "asked"
        try:
            self._lock = self.source.vault.lock()
            if (found := self._found()) != self._tokens():
                yield from self._go_on(found)
                return
            self._write(found)
            yield self._renewal_call()
        except OSError as error:
            said = f"存不了（{error}），所以没有换；请检查 {self.source.vault.file} 所在的目录"
            yield from self._give_up(AttentionError(f"{_WHAT}：{said}"))
        except MissingSecretError as error:
            yield from self._give_up(AttentionError(f"{_WHAT}：{error}"))

    def _go_on(self, tokens: Tokens) -> Iterator[Fetch]:
        """With new tokens; what was refused is asked for once more."""
        self._held, self._renewal = tokens, "done"
        self._unlock()
        waiting, self._waiting = self._waiting, []
        yield from map(self._repeated, waiting)

    def _give_up(self, error: SourceError) -> Iterator[SourceError]:
        """Without new tokens: people are told, and until their end the old ones do."""
        self._renewal = "refused"
        self._unlock()
        if self._waiting:
            raise error
        yield error

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _answered(self, page: "TextResponse") -> Iterator[Output]:
        try:
            tokens = self._made(self._grant(page))
        except ThrottledError:
            raise
        except SourceError as error:
            yield from self._give_up(error)
            return
        try:
            self._write(tokens)
        except OSError as error:
            yield AttentionError(f"{_WHAT}：换到了但存不下来（{error}）；请检查磁盘，重启后可能要店铺重新授权")
        yield from self._go_on(tokens)

    def _repeated(self, fetch: Fetch) -> Fetch:
        return replace(self.again(fetch), tries=fetch.tries + 1)

    def _grant(self, page: "TextResponse") -> Mapping[str, Any]:
        """What was granted; nothing of an answer is quoted, for it holds tokens."""
        try:
            body = load(page.text)
        except SourceError:
            body = None
        if page.status >= _SERVERS_FAULT or not isinstance(body, dict):
            raise SourceError(f"{_WHAT}：HTTP {page.status}，应答不是 JSON 对象或对方出错，下次再换")
        granted = self.granted(body)
        if isinstance(granted.get("access_token"), str) and granted["access_token"]:
            return granted
        code = next((body[name] for name in _CODES if name in body and not isinstance(body[name], dict)), page.status)
        refused = refusal(_WHAT, code, complaint(body).removeprefix("；"), self.options.refresh_token_env)
        if isinstance(refused, ThrottledError):
            raise refused
        raise self._person_needed(f"平台回答 {code}{complaint(body)}")

    def _person_needed(self, said: str) -> AttentionError:
        variables = f"{getattr(self.options, self.access_option)} 和 {self.options.refresh_token_env}"
        return AttentionError(f"{_WHAT}：{said}；请店铺重新授权，更新环境变量 {variables} 后重启服务")

    def _made(self, granted: Mapping[str, Any]) -> Tokens:
        old = self._tokens()
        tokens = old.exchanged(granted, self.source.clock(), self.source.zone)
        if self._waiting and tokens.access == old.access:
            raise self._person_needed("换到的还是刚才被拒绝的那个令牌")
        for token in (tokens.access, tokens.refresh):
            self.source.secrets.keep(token)
        return tokens
