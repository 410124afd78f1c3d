"""Who asks the API: a token with its scopes, or a person who is logged in; and how often a token may."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from alerts.desk import tokens
from alerts.desk.accounts import Resting
from alerts.desk.api_problems import HEADERS
from alerts.desk.entrance import homes
from alerts.desk.sessions import COOKIE, FORM_KEY, Doorkeeper, Viewer, own_form
from alerts.pace import bucket
from monitor.core import Core
from monitor.models import ApiToken, Person

FORM_HEADER = "X-Form-Key"
"""The header in which what changes something brings the key of the page's forms, where no token comes with it."""
_TOKEN = HTTPBearer(auto_error=False, scheme_name="token", description="psh_… 开头的令牌")
_SESSION = APIKeyCookie(
    name=COOKIE, auto_error=False, scheme_name="session", description=f"登录后的会话；改东西时还要 {FORM_HEADER} 请求头"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        viewer: As the desk's pages know people; of a program its name, role and shops.
        scopes: What may be asked; of a logged-in person all, since the role decides.
        key: What the caller's idempotency keys begin with.
        program: Whether it is no person.
    """

    viewer: Viewer
    scopes: Collection[str]
    key: str
    program: bool = False

    @property
    def leads(self) -> bool:
        """Whether it may see what is of all shops."""
        return self.viewer.leads and not self.viewer.shops


class Access:
    """The API's door; it remembers how much each token has asked of late."""

    def __init__(self, core: Core, door: Doorkeeper) -> None:
        self._core, self._door = core, door
        self._next: dict[int, datetime] = {}

    def may(self, *scopes: str) -> Any:
        """A dependency: the caller, who has one of these scopes, or any at all."""

        def caller(
            request: Request,
            response: Response,
            bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_TOKEN)],
            _cookie: Annotated[str | None, Security(_SESSION)],
        ) -> Caller:
            response.headers.update(HEADERS)
            by_token = bearer is not None and bearer.credentials.startswith(tokens.PREFIX)
            found = self._by_token(request, bearer.credentials) if bearer and by_token else self._by_session(request)
            if scopes and not set(scopes) & set(found.scopes):
                raise HTTPException(403, f"这个令牌不能“{tokens.SCOPES[scopes[0]]}”（{scopes[0]}）。")
            return found

        return Depends(caller)

    def _by_session(self, request: Request) -> Caller:
        viewer = self._door.viewer(request)
        if request.method not in ("GET", "HEAD"):
            own_form(viewer, {FORM_KEY: request.headers.get(FORM_HEADER, "")}, request, homes(self._core, request))
        return Caller(viewer, tuple(tokens.SCOPES), f"person:{viewer.person_id}")

    def _by_token(self, request: Request, given: str) -> Caller:
        address = request.client.host if request.client else ""
        try:
            row, person = tokens.find(self._core, given, address)
        except tokens.Unknown as error:
            raise HTTPException(401, str(error), {"WWW-Authenticate": 'Bearer error="invalid_token"'}) from None
        except Resting as resting:
            self._too_many(resting.until, "错的令牌太多了，请稍后再试。")
        self._count(row)
        return _caller(row, person)

    def _count(self, row: ApiToken) -> None:
        assert row.id is not None
        now, size = self._core.clock.now(), bucket(self._core.settings.desk.api_rate)
        due = max(self._next.get(row.id, now), now)
        if due > now + size.ahead:
            self._too_many(due - size.ahead, "这个令牌请求得太快了，请稍后再试。")
        self._next[row.id] = due + size.every

    def _too_many(self, until: datetime, said: str) -> None:
        wait = max(1, -((self._core.clock.now() - until) // timedelta(seconds=1)))
        raise HTTPException(429, said, {"Retry-After": str(wait)})


def _caller(row: ApiToken, person: Person | None) -> Caller:
    shops = set(row.shops)
    if person is not None and person.shops:
        shops = shops & set(person.shops) if shops else set(person.shops)
        if not shops:
            raise HTTPException(403, "这个令牌的店铺都不归它代表的人管了。")
    name, role = (person.name, person.role) if person else (f"程序 {row.name}", row.role)
    viewer = Viewer(name, role, tuple(sorted(shops)), "", person.id if person else None)
    return Caller(viewer, tuple(row.scopes), f"token:{row.id}", program=person is None)
