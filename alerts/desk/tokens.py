"""Tokens by which programs come in: shown once, kept as a digest, limited by scopes, shops and time."""

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

import structlog
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, or_, select, update

from alerts.desk import accounts
from monitor import audit, db
from monitor.config import nearest
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import ApiToken, Person
from monitor.settings import Role

PREFIX = "psh_"
"""What every token begins with, so that people and scanners know one when they see it."""
SCOPES: Mapping[str, str] = {
    "read": "查看",
    "act": "处理工单和危机",
    "settings": "看和改设置",
    "indicators": "送店铺指标",
    "export": "取走表格",
    "admin": "看经过、重发消息、管令牌",
}
"""What a token may be for; the role says whether it may."""
STATES: Mapping[str, str] = {"ok": "有效", "expired": "已过期", "revoked": "已停用"}
"""How a token stands."""
_LONGEST_NAME = 60
_BYTES = 24
_SELDOM = timedelta(minutes=1)  # between two notes of when a token was used
_log = structlog.get_logger()


class Unknown(Exception):
    """No token that counts; the message is a Chinese sentence for its holder."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A token as somebody wants it.

    Attributes:
        name: What people call it.
        scopes: Of `SCOPES`.
        person: Who it acts as; empty for a program that acts as itself.
        role: What a program that acts as itself may do; empty with a person.
        shops: It sees these alone; all of the person's, or all there are, when empty.
        lasts: For how long it counts; None for good.
    """

    name: str
    scopes: Collection[str]
    person: str = ""
    role: str = ""
    shops: Collection[str] = ()
    lasts: timedelta | None = None


def add(core: Core, session: Session, wish: Wish, actor: str, door: str) -> str:
    """Make a token; gives it, for the only time.

    Raises:
        WrongCall: the name is taken, or a scope, person, role or shop is unknown or wanting.
    """
    now = core.clock.now()
    _check(core, session, wish)
    person = _person(session, wish)
    token = PREFIX + secrets.token_hex(_BYTES)
    row = ApiToken(
        name=wish.name,
        digest=_digest(token),
        person_id=person.id if person else None,
        role="" if person else wish.role,
        scopes=[scope for scope in SCOPES if scope in wish.scopes],
        shops=sorted(set(wish.shops)),
        created_at=now,
        created_by=actor,
        expires_at=now + wish.lasts if wish.lasts is not None else None,
    )
    session.add(row)
    session.flush()
    assert row.id is not None
    told = {"name": row.name, "as": wish.person or f"role:{row.role}", "scopes": row.scopes, "shops": row.shops}
    audit.note(session, now, "token", row.id, "token.added", actor, door, after=told)
    return token


def revoke(core: Core, session: Session, name: str, actor: str, door: str) -> None:
    """Let a token count no more; it stays in the list.

    Raises:
        WrongCall: there is no such token, or it was revoked before.
    """
    row = session.exec(select(ApiToken).where(ApiToken.name == name).with_for_update()).one_or_none()
    if row is None or row.id is None:
        raise WrongCall(f"没有叫 {name!r} 的令牌{nearest(name, session.exec(select(ApiToken.name)))}")
    if row.revoked_at is not None:
        raise WrongCall(f"{name!r} 已经停用了")
    row.revoked_at = core.clock.now()
    session.add(row)
    audit.note(session, row.revoked_at, "token", row.id, "token.revoked", actor, door, after={"name": name})


def listing(session: Session) -> Sequence[tuple[ApiToken, str]]:
    """All tokens, the newest first, with the name of who they act as; empty for programs."""
    found = select(ApiToken, Person.name).join(Person, isouter=True).order_by(col(ApiToken.id).desc())
    return [(token, name or "") for token, name in session.exec(found)]


def state(token: ApiToken, now: datetime) -> str:
    """How a token stands, of `STATES`."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "ok"


def find(core: Core, given: str, address: str) -> tuple[ApiToken, Person | None]:
    """The token and the person it acts as; that it was used is noted, once a minute at most.

    Wrong ones count against the address they come from, as wrong passwords do; a right one is let in all the same, so
    that a forgotten script does not shut out its neighbours.

    Raises:
        Unknown: it never was one, or counts no more.
        Resting: it is none, and too many such came from there.
    """
    now = core.clock.now()
    with db.reading(core.engine) as session:
        row = session.exec(select(ApiToken).where(ApiToken.digest == _digest(given))).one_or_none()
        person = session.get(Person, row.person_id) if row and row.person_id is not None else None
        if row is None:
            accounts.rested(session, [f"token:{address}"], now)
    if row is None:
        with db.writing(core.engine) as session:
            accounts.failed(session, [f"token:{address}"], now)
        raise Unknown("没有这个令牌。")
    if (ended := state(row, now)) != "ok":
        raise Unknown(f"这个令牌{STATES[ended]}，请让管理员换一个。")
    if row.person_id is not None and (person is None or not person.active):
        raise Unknown("这个令牌代表的人已经不在了。")
    _used(core, row, now)
    return row, person


def _used(core: Core, row: ApiToken, now: datetime) -> None:
    if row.last_used_at is not None and now - row.last_used_at < _SELDOM:
        return
    before = or_(col(ApiToken.last_used_at).is_(None), col(ApiToken.last_used_at) <= now - _SELDOM)
    try:
        with db.writing(core.engine) as session:
            session.execute(update(ApiToken).where(col(ApiToken.id) == row.id, before).values(last_used_at=now))
    except OperationalError as error:  # a store that takes nothing now can be read all the same
        _log.warning("token_use_not_noted", token=row.name, error=str(error.orig))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _check(core: Core, session: Session, wish: Wish) -> None:
    if not wish.name.strip() or not wish.name.isprintable() or len(wish.name) > _LONGEST_NAME:
        raise WrongCall(f"令牌的名字要 1 到 {_LONGEST_NAME} 个看得见的字符")
    if session.exec(select(ApiToken.id).where(ApiToken.name == wish.name)).first() is not None:
        raise WrongCall(f"已经有叫 {wish.name!r} 的令牌")
    if not wish.scopes:
        raise WrongCall(f"没有说令牌能做什么；可用的有 {'、'.join(SCOPES)}")
    _known("能做的事", wish.scopes, SCOPES)
    _known("店铺", wish.shops, [shop.id for shop in core.settings.shops])
    if wish.lasts is not None and wish.lasts <= timedelta():
        raise WrongCall("令牌的期限要在将来")
    if bool(wish.person) == bool(wish.role):
        raise WrongCall("令牌要么代表一个人，要么有自己的角色，二者选一")
    if wish.role:
        _known("角色", [wish.role], get_args(Role))


def _known(what: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise WrongCall(f"没有叫 {name!r} 的{what}{nearest(name, known)}")


def _person(session: Session, wish: Wish) -> Person | None:
    if not wish.person:
        return None
    person = session.exec(select(Person).where(Person.name == wish.person, Person.active)).one_or_none()
    if person is None:
        names = session.exec(select(Person.name).where(Person.active))
        raise WrongCall(f"没有叫 {wish.person!r} 的人{nearest(wish.person, names)}")
    if person.shops and not set(wish.shops) <= set(person.shops):
        raise WrongCall(f"{wish.person} 只管 {'、'.join(person.shops)}")
    return person
