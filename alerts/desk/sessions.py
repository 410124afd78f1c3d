"""Who is looking: a signed cookie, or a proxy's word for it; and the proof that a form came from our own page."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from fastapi.responses import Response
from itsdangerous import BadData, URLSafeSerializer
from sqlmodel import Session, func, or_, select

from alerts.desk.proxies import peer
from monitor import db
from monitor.core import Core
from monitor.models import Account, Event, Person

COOKIE = "pingshao"
FORM_KEY = "form_key"
_SIGNER = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page.

    Attributes:
        name: The person's.
        role: What the person may do.
        shops: Shops the person may see; all when empty.
        form_key: What a form has to bring back.
        person_id: The person's row.
        since: The newest event when the page was asked for: what came later is news to it.
    """

    name: str
    role: str
    shops: tuple[str, ...]
    form_key: str
    person_id: int | None
    since: int = 0

    @property
    def leads(self) -> bool:
        """Whether the person may change what concerns others."""
        return self.role in ("lead", "manager", "admin")

    def may_see(self, shop_id: str | None) -> bool:
        """Whether a shop's things are the person's business; what belongs to no shop is everybody's."""
        return not self.shops or shop_id is None or shop_id in self.shops

    def sees(self, shop_id: Any) -> list[Any]:
        """`may_see` as conditions on a column: none where all shops are the person's business."""
        return [or_(shop_id.in_(self.shops), shop_id.is_(None))] if self.shops else []


class NotLoggedIn(Exception):
    """The page is for people who are logged in."""


class Doorkeeper:
    """Lets people in by cookie or proxy, and knows them again."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._cookies = URLSafeSerializer(core.secret, salt="desk-session", signer_kwargs=_SIGNER)
        self._secure = urlsplit(core.settings.service.public_url).scheme == "https"

    def needed(self, session: Session) -> bool:
        """Whether anybody has to log in: not before there is an account, or a proxy or company that knows people."""
        if self._core.settings.desk.user_header or self._core.settings.desk.oidc:
            return True
        return session.exec(select(Account.name).limit(1)).first() is not None

    def viewer(self, request: Request) -> Viewer:
        """Who looks.

        Raises:
            NotLoggedIn: nobody we know.
        """
        with db.reading(self._core.engine) as session:
            name, mark = self._known(session, request)
            person = session.exec(select(Person).where(Person.name == name, Person.active)).one_or_none()
            since = session.exec(select(func.max(Event.id))).one() or 0
        if person is None:
            raise NotLoggedIn
        return Viewer(person.name, person.role, tuple(person.shops), self._form_key(mark), person.id, since)

    def let_in(self, response: Response, account: Account) -> None:
        """Give the account its cookie."""
        until = self._core.clock.now() + self._core.settings.desk.session
        value = self._cookies.dumps([account.name, account.epoch, until.isoformat()])
        response.set_cookie(
            COOKIE,
            value if isinstance(value, str) else value.decode(),
            max_age=int(self._core.settings.desk.session / timedelta(seconds=1)),
            httponly=True,
            secure=self._secure,
            samesite="lax",
            path=urlsplit(self._core.settings.service.public_url).path or "/",
        )

    def let_out(self, response: Response) -> None:
        """Take the cookie away."""
        path = urlsplit(self._core.settings.service.public_url).path or "/"
        response.delete_cookie(COOKIE, path=path, httponly=True, secure=self._secure, samesite="lax")

    def _known(self, session: Session, request: Request) -> tuple[str, str]:
        """A name, and what its form key is made from."""
        desk = self._core.settings.desk
        if desk.user_header and peer(request) in desk.header_from and (told := request.headers.get(desk.user_header)):
            name = told.encode("latin-1").decode("utf-8", "replace")  # bytes, and names are Chinese
            return name, f"proxy:{name}"
        cookie = request.cookies.get(COOKIE, "")
        try:
            name, epoch, until = self._cookies.loads(cookie)
            fresh = datetime.fromisoformat(until) > self._core.clock.now()
        except (BadData, ValueError, TypeError):
            raise NotLoggedIn from None
        account = session.get(Account, name)
        if not fresh or account is None or account.epoch != epoch:
            raise NotLoggedIn
        return name, cookie

    def _form_key(self, mark: str) -> str:
        return hmac.new(self._core.secret, f"form:{mark}".encode(), hashlib.sha256).hexdigest()[:32]


def own_form(viewer: Viewer, fields: dict[str, str], request: Request, homes: Iterable[str]) -> None:
    """Make sure that a form came from our own page.

    Args:
        viewer: Who sent it.
        fields: What it brought.
        request: Its headers.
        homes: Origins that are ours; ``null`` and none are judged by the key alone.

    Raises:
        HTTPException: 403, it did not.
    """
    origin = request.headers.get("origin", "")
    foreign = origin not in ("", "null", *homes)
    given = fields.get(FORM_KEY, "")
    if (
        foreign
        or not viewer.form_key
        or not hmac.compare_digest(given.encode("utf-8", "replace"), viewer.form_key.encode())
    ):
        raise HTTPException(403, "这个表单不是从评哨的页面来的，或者放得太久了；请刷新页面再试。")


def inside(path: str) -> str:
    """A path of this desk, whatever was asked for: no way out to other sites."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain else "/"
