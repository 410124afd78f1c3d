"""``/login/company``: the way to the company's own login and back; who comes back is one of our people, or nobody."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, func, select

from alerts.desk import accounts
from alerts.desk.oidc import Asking, Provider, Unbelieved, Unreachable, begin
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, inside
from monitor import audit, db
from monitor.company_login import Oidc
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Inbound, Person

COOKIE = "pingshao_login"
_TIME = timedelta(minutes=10)  # to log in over there
_LONGEST = 200
_RANKS = ("brand", "agent", "lead", "manager", "admin")
_log = structlog.get_logger()


class _Stopped(Exception):
    """The login ends here, with a status and a sentence."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said


_AGAIN = (400, "这次登录放得太久了，或者不是从这里开始的。请回到登录页再试一次。")
_AWAY = (502, "公司账号那边这会儿连不上。请稍后再试，或用密码登录。")
_REFUSED = (403, "公司账号那边没有让您进来。")
_UNPROVEN = (403, "公司账号的答复对不上，没有让您进来。请再试一次；还不行就请管理员看日志。")


def router(core: Core, pages: Pages, door: Doorkeeper, oidc: Oidc) -> APIRouter:
    """``/login/company`` and ``/login/company/callback``.

    Raises:
        WrongCall: what it needs is not installed.
    """
    if find_spec("authlib") is None:
        raise WrongCall("desk.oidc: 还要 pip install 'pingshao[oidc]'")
    routes = APIRouter(default_response_class=HTMLResponse)
    public = core.settings.service.public_url.rstrip("/")
    provider = Provider(oidc, core.clock, f"{public}/login/company/callback")
    cookies = URLSafeSerializer(core.secret, salt="desk-oidc", signer_kwargs={"digest_method": hashlib.sha256})
    held: dict[str, Any] = {
        "httponly": True,
        "samesite": "lax",
        "secure": urlsplit(public).scheme == "https",
        "path": f"{pages.root}/login",
    }

    @routes.get("/login/company", summary="去公司账号登录")
    def leave(next: str = "/") -> Response:  # noqa: A002 — the name in the address
        asking, until = begin(), core.clock.now() + _TIME
        try:
            answer = RedirectResponse(provider.address(asking), 303, {"Cache-Control": "no-store"})
        except Unreachable as error:
            return _told(pages, *_AWAY, error)
        kept = cookies.dumps([asking.state, asking.nonce, asking.verifier, inside(next), until.isoformat()])
        answer.set_cookie(COOKIE, str(kept), max_age=int(_TIME.total_seconds()), **held)
        return answer

    @routes.get("/login/company/callback", summary="从公司账号回来")
    def come_back(request: Request, code: str = "", state: str = "", error: str = "") -> Response:
        try:
            asking, where = _asked(cookies, request.cookies.get(COOKIE, ""), state, core.clock.now())
            _once(core, asking)
            claims, now = provider.claims(_granted(code, error), asking), core.clock.now()
            with db.writing(core.engine) as session:
                account = accounts.admit(session, _person(session, oidc, claims, now), now)
            answer: Response = RedirectResponse(f"{pages.root}{where}", 303, {"Cache-Control": "no-store"})
            door.let_in(answer, account)
        except _Stopped as stopped:
            answer = _told(pages, stopped.status, stopped.said, stopped.__cause__)
        except Unreachable as away:
            answer = _told(pages, *_AWAY, away)
        except Unbelieved as reason:
            answer = _told(pages, *_UNPROVEN, reason)
        answer.delete_cookie(COOKIE, **held)
        return answer

    return routes


def _told(pages: Pages, status: int, said: str, reason: BaseException | None = None) -> Response:
    if reason is not None:
        _log.warning("company_login_failed", reason=str(reason))
    return pages.problem(status, said)


def _asked(cookies: URLSafeSerializer, cookie: str, state: str, now: datetime) -> tuple[Asking, str]:
    """What this browser set out with, and where it wanted to go."""
    try:
        known, nonce, verifier, where, until = cookies.loads(cookie)
        fresh = datetime.fromisoformat(until) > now
    except (BadData, ValueError, TypeError):
        raise _Stopped(*_AGAIN) from None
    if not fresh or not hmac.compare_digest(known.encode(), state.encode("utf-8", "replace")):
        raise _Stopped(*_AGAIN)
    return Asking(known, nonce, verifier), where


def _once(core: Core, asking: Asking) -> None:
    """Use up the state: whoever comes back with it again is sent away."""
    row = Inbound(
        door="login",
        key=hashlib.sha256(asking.state.encode()).hexdigest(),
        at=core.clock.now(),
        actor="",
        action="log_in",
        subject="account",
        subject_id=0,
    )
    try:
        with db.writing(core.engine) as session:
            session.add(row)
    except IntegrityError:
        raise _Stopped(*_AGAIN) from None


def _granted(code: str, error: str) -> str:
    """The code that the provider gave."""
    if error or not code:
        raise _Stopped(*_REFUSED) from Unbelieved(f"no code: {error[:_LONGEST]!r}")
    return code


def _person(session: Session, oidc: Oidc, claims: Mapping[str, Any], now: datetime) -> Person:
    """Who of our people it is; made where the config says so.

    Raises:
        _Stopped: nobody, or somebody who may not come in.
    """
    value = _value(oidc, claims)
    by_mail = "@" in value
    known = func.lower(Person.email) == value.lower() if by_mail else Person.name == value
    found = session.exec(select(Person).where(known)).all()
    here = [one for one in found if one.active]
    if len(here) > 1:
        raise _Stopped(403, f"有好几个人的邮箱都是 {value}，请让管理员改一改。")
    if found and not here:
        raise _Stopped(403, f"{found[0].name} 已经停用了，要进来请找管理员。")
    role = _role(oidc, claims)
    if here:
        return _with_role(session, here[0], role, now) if oidc.roles else here[0]
    if not oidc.create:
        raise _Stopped(403, f"评哨还不认识 {value}，请让管理员把您加到 people 里。")
    person = Person(name=_name(session, claims, value), role=role, email=value if by_mail else "", origin="oidc")
    session.add(person)
    session.flush()
    return person


def _value(oidc: Oidc, claims: Mapping[str, Any]) -> str:
    """What the claim says that tells who it is."""
    value = claims.get(oidc.claim)
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _LONGEST:
        raise _Stopped(403, f"公司账号没有说您是谁（缺 {oidc.claim}），请告诉管理员。")
    if oidc.claim == "email" and claims.get("email_verified") is False:
        raise _Stopped(403, "您在公司账号里的邮箱还没有验证过。")
    return value.strip()


def _role(oidc: Oidc, claims: Mapping[str, Any]) -> str:
    """The highest role that the person's groups give; what newcomers get where they give none."""
    groups = claims.get(oidc.groups)
    named: Iterable[Any] = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else ()
    given = [oidc.roles[one] for one in named if isinstance(one, str) and one in oidc.roles]
    return max(given, key=_RANKS.index, default=oidc.create or "brand")


def _with_role(session: Session, person: Person, role: str, now: datetime) -> Person:
    """Groups decide about those who came in this way alone."""
    if person.origin == "oidc" and person.role != role:
        before, person.role = {"role": person.role}, role
        audit.note(session, now, "person", person.id or 0, "person.role", person.name, "desk", before, {"role": role})
        session.add(person)
    return person


def _name(session: Session, claims: Mapping[str, Any], value: str) -> str:
    """What to call a newcomer: the given name where it is nobody's yet."""
    name = claims.get("name")
    if "@" not in value or not isinstance(name, str) or not name.strip() or not name.isprintable():
        return value
    name = name.strip()[:_LONGEST]
    taken = session.exec(select(Person.id).where(Person.name == name)).first() is not None
    return value if taken else name
