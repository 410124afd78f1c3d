"""``/tokens``: what programs come in with.

No token makes another: who shuts one would not know of its children.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import Field

from alerts.desk import bodies, token_page, tokens
from alerts.desk.api_access import Access, Caller
from alerts.desk.api_feedback import Number
from alerts.desk.api_given import WHOLE, Given, Lines, Short
from alerts.desk.api_models import Answer, Done
from alerts.desk.api_problems import answers
from alerts.desk.tokens import Wish
from monitor import db
from monitor.core import Core
from monitor.models import ApiToken


class TokenTold(Answer):
    """A token; what it is itself is shown once only."""

    id: int
    name: str
    person: str
    """Who it acts as; empty for a program that acts as itself."""
    role: str
    """Of such a program."""
    scopes: list[str]
    shops: list[str]
    state: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None


class TokenMade(Answer):
    """A new token, shown once."""

    name: str
    token: str


class TokenGiven(Given):
    """A token as somebody wants it: of a person or with a role of its own."""

    name: Short
    scopes: Annotated[list[Short], Field(max_length=20)]
    person: Short = ""
    role: Short = ""
    shops: Lines = []
    days: Annotated[int, Field(ge=1, le=3650), WHOLE] | None = 90
    """Null for good."""


def router(core: Core, access: Access) -> APIRouter:
    """``/tokens`` and ``/tokens/{number}/revoke``."""
    routes = APIRouter(tags=["tokens"], route_class=bodies.Bounded)
    keeper = access.may("admin")

    @routes.get("/tokens", summary="程序的令牌", responses=answers())
    def listed(caller: Annotated[Caller, keeper]) -> Sequence[TokenTold]:
        token_page.admin(caller.viewer)
        now = core.clock.now()
        with db.reading(core.engine) as session:
            return [
                TokenTold.model_validate(row.model_dump() | {"person": person, "state": tokens.state(row, now)})
                for row, person in tokens.listing(session)
            ]

    @routes.post("/tokens", summary="新建一个令牌，只显示一次；要登录，令牌不能造令牌", responses=answers(409, 413))
    def made(caller: Annotated[Caller, keeper], given: TokenGiven) -> TokenMade:
        token_page.admin(caller.viewer)
        if not caller.viewer.form_key:
            raise HTTPException(403, "令牌不能造令牌，请登录后再造。")
        lasts = timedelta(days=given.days) if given.days is not None else None
        wish = Wish(given.name.strip(), given.scopes, given.person, given.role, given.shops, lasts)
        with db.writing(core.engine) as session:
            return TokenMade(name=wish.name, token=tokens.add(core, session, wish, caller.viewer.name, "api"))

    @routes.post("/tokens/{number}/revoke", summary="停用一个令牌", responses=answers(404, 409))
    def revoked(caller: Annotated[Caller, keeper], number: Number) -> Done:
        token_page.admin(caller.viewer)
        with db.writing(core.engine) as session:
            row = session.get(ApiToken, number)
            if row is None:
                raise HTTPException(404, "没有这个令牌。")
            tokens.revoke(core, session, row.name, caller.viewer.name, "api")
        return Done(done=True, words="停用了。")

    return routes
