"""Signed gateways of the Chinese platforms: signatures, and times in GMT+8."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from crawler.bases.api import Id
from crawler.bases.renewing import RenewingOptions
from crawler.bases.windows import WindowOptions
from crawler.parsing import parse_time

CHINA = ZoneInfo("Asia/Shanghai")
_TIME = "%Y-%m-%d %H:%M:%S"


class SignedOptions(WindowOptions, RenewingOptions):
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
