"""Who may enter the desk: accounts with argon2 passwords, and a pause after each failed try that grows."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import Session, select

from monitor import audit
from monitor.errors import WrongCall
from monitor.models import Account, LoginTry, Person

SHORTEST = 8
"""Characters of a password."""
_LONGEST = 200
_FREE = 5  # failures in a row that cost nothing
_PAUSE, _LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=15)
_FORGOTTEN = timedelta(hours=24)


class Resting(Exception):
    """Too many failed tries; the argument is until when none is looked at."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


def add(session: Session, name: str, role: str, password: str, now: datetime, actor: str) -> None:
    """Make an account, and the person it belongs to where the config has none of that name.

    Raises:
        WrongCall: there is one already, or the password is too short or too long.
    """
    if not name.strip() or not name.isprintable():
        raise WrongCall("名字不能是空的，也不能有看不见的字符")
    if session.get(Account, name) is not None:
        raise WrongCall(f"已经有叫 {name!r} 的账号；改密码用 pingshao user password {name}")
    hashed = _hashed(password)
    person = session.exec(select(Person).where(Person.name == name)).one_or_none()
    if person is None or not person.active:
        person = person or Person(name=name, role=role)
        person.role, person.origin, person.active = role, "desk", True
        session.add(person)
    elif person.role != role:
        raise WrongCall(f"配置里 {name!r} 的角色是 {person.role}，不是 {role}；以配置为准")
    session.add(Account(name=name, password=hashed, created_at=now))
    _told(session, name, "added", now, actor)


def set_password(session: Session, name: str, password: str, now: datetime, actor: str) -> None:
    """Give an account another password; who is logged in by the old one no longer is.

    Raises:
        WrongCall: there is no such account, or the password is too short or too long.
    """
    account = session.get(Account, name)
    if account is None:
        raise WrongCall(f"没有叫 {name!r} 的账号；新建用 pingshao user add {name}")
    account.password, account.epoch = _hashed(password), account.epoch + 1
    session.add(account)
    _told(session, name, "password", now, actor)


def remove(session: Session, name: str, now: datetime, actor: str) -> None:
    """Shut an account out; what its person did stays.

    Raises:
        WrongCall: there is no such account.
    """
    account = session.get(Account, name)
    if account is None:
        raise WrongCall(f"没有叫 {name!r} 的账号")
    session.delete(account)
    _told(session, name, "removed", now, actor)
    person = session.exec(select(Person).where(Person.name == name)).one_or_none()
    if person is not None and person.origin != "config":
        person.active = False
        session.add(person)


def log_in(session: Session, name: str, password: str, address: str, now: datetime) -> Account | None:
    """The account whose name and password these are; None where they are not.

    Every failure counts against the name and the address; an unknown name takes as long as a wrong password.

    Raises:
        Resting: too many failures; nothing was looked at.
    """
    keys = (f"name:{name[:_LONGEST]}", f"from:{address}")
    tries = rested(session, keys, now)
    account = session.get(Account, name)
    person = session.exec(select(Person).where(Person.name == name, Person.active)).one_or_none()
    right = _right(account.password if account else "", password)
    if account and person and right:
        for row in filter(None, tries):
            session.delete(row)
        account.seen_at = now
        session.add(account)
        return account
    _count(session, keys, tries, now)
    return None


def failed(session: Session, keys: Sequence[str], now: datetime) -> None:
    """Count a failure against each of these.

    Raises:
        Resting: there were too many before; this one counts nothing.
    """
    _count(session, keys, rested(session, keys, now), now)


def rested(session: Session, keys: Sequence[str], now: datetime) -> list[LoginTry | None]:
    """What stands against each of these; none has to rest.

    Raises:
        Resting: one has to.
    """
    tries = [session.get(LoginTry, key, with_for_update=True) for key in keys]
    if until := max((row.rest_until for row in tries if row and row.rest_until > now), default=None):
        raise Resting(until)
    return tries


def _count(session: Session, keys: Sequence[str], tries: Sequence[LoginTry | None], now: datetime) -> None:
    for key, known in zip(keys, tries, strict=True):
        _failed(session, known or LoginTry(key=key, rest_until=now, at=now), now)


def admit(session: Session, person: Person, now: datetime) -> Account:
    """The account of somebody whom the company's own login vouches for; made, without a password, if absent."""
    account = session.get(Account, person.name)
    if account is None:
        account = Account(name=person.name, created_at=now)
        _told(session, person.name, "added", now, person.name, "desk")
    account.seen_at = now
    session.add(account)
    return account


def _told(session: Session, name: str, what: str, now: datetime, actor: str, door: str = "cli") -> None:
    audit.note(session, now, "account", 0, f"account.{what}", actor, door, after={"name": name})


def _failed(session: Session, row: LoginTry, now: datetime) -> None:
    row.failures = row.failures + 1 if now - row.at < _FORGOTTEN else 1
    over = row.failures - _FREE
    row.at = now
    row.rest_until = now + min(_LONGEST_PAUSE, _PAUSE * 2 ** min(over, 20)) if over > 0 else now
    session.add(row)


def _hashed(password: str) -> str:
    if not SHORTEST <= len(password) <= _LONGEST:
        raise WrongCall(f"密码要 {SHORTEST} 到 {_LONGEST} 个字符")
    return _hasher().hash(password)


def _right(hashed: str, password: str) -> bool:
    try:
        return _hasher().verify(hashed or _nobodys(), password[:_LONGEST]) and bool(hashed)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash("nobody's password, to be compared with in vain")
