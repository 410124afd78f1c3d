"""Signed gateways of the Chinese platforms: signatures, times in GMT+8, and what their refusals mean."""

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from crawler.bases.api import Id
from crawler.bases.base import AttentionError, SourceError, ThrottledError
from crawler.bases.windows import WindowOptions
from crawler.parsing import parse_time

CHINA = ZoneInfo("Asia/Shanghai")
_TIME = "%Y-%m-%d %H:%M:%S"
_CREDENTIAL = r"(?:session|token|授权|令牌)"
_ENDED = r"(?:expire|invalid|not.?exist|过期|失效|无效|不存在)"
_RENEW = re.compile(f"{_CREDENTIAL}.*{_ENDED}|{_ENDED}.*{_CREDENTIAL}", re.IGNORECASE)
_DENIED = re.compile(r"permission|无权|权限|denied|unauthori[sz]ed", re.IGNORECASE)
_BUSY = re.compile(r"limit|too (?:many|fast|frequent)|频率|频繁|限流|流控|超限|稍后|busy|繁忙", re.IGNORECASE)
_BAN = re.compile(r"last for (\d+) more second", re.IGNORECASE)


class SignedOptions(WindowOptions):
    """Keys of every signed gateway."""

    app_key: Id = Field(min_length=1, description="应用的 AppKey")


def wrapped_md5(params: Mapping[str, str], secret: str) -> str:
    """TOP's and JOS's ``md5``: upper-case MD5 of secret, sorted names with their values, secret."""
    return hashlib.md5(f"{secret}{_chained(params)}{secret}".encode(), usedforsecurity=False).hexdigest().upper()


def hmac_md5(params: Mapping[str, str], secret: str) -> str:
    """TOP's ``hmac``: upper-case HMAC-MD5 of the sorted names with their values; the secret is the key, no wrap."""
    return hmac.new(secret.encode(), _chained(params).encode(), "md5").hexdigest().upper()


def joined_md5(params: Mapping[str, str], secret: str) -> str:
    """快手's ``MD5``: lower-case MD5 of sorted ``name=value``, joined by ``&``, ``signSecret`` last."""
    joined = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    return hashlib.md5(f"{joined}&signSecret={secret}".encode(), usedforsecurity=False).hexdigest()


def _chained(params: Mapping[str, str]) -> str:
    return "".join(name + value for name, value in sorted(params.items()))


def china_time(moment: datetime) -> str:
    """``yyyy-MM-dd HH:mm:ss`` in GMT+8, wherever the service runs."""
    return moment.astimezone(CHINA).strftime(_TIME)


def from_china(value: Any, now: datetime) -> datetime | None:
    """A platform's time; one without a zone is in GMT+8, wherever the service runs."""
    return parse_time(value, CHINA, now)


def listed(value: Any) -> list[dict[str, Any]]:
    """Rows of an answer: a list, one object where there is one row, nothing where there is none."""
    entries = value if isinstance(value, list) else [] if value is None else [value]
    return [entry if isinstance(entry, dict) else {"": entry} for entry in entries]


def refusal(
    what: str, code: object, said: str, variable: str, *, renew: Collection[str] = (), busy: Collection[str] = ()
) -> SourceError:
    """What to raise for a refusal.

    Args:
        what: The method that was called.
        code: The platform's code.
        said: Its own words, all of them.
        variable: The variable of the environment that holds the shop's authorization.
        renew: Codes that mean that the authorization has ended.
        busy: Codes that mean that it has to be asked more slowly, or again.
    """
    message = f"{what}：平台回答 {code} {said}".rstrip()
    named = _BAN.search(said)
    if named or str(code) in busy:
        return ThrottledError(message, float(named[1]) if named else 0.0)
    if str(code) in renew or _RENEW.search(said):
        return AttentionError(f"{message}；授权已失效，请店铺重新授权，更新环境变量 {variable} 后重启服务")
    if _DENIED.search(said):
        return AttentionError(f"{message}；请在开放平台为应用申请这个接口的权限")
    if _BUSY.search(said):
        return ThrottledError(message)
    return SourceError(message)
