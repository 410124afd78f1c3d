"""What a source stops working without: its credentials, its server's certificate; told of in time, once a stage."""

import socket
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from crawler.job import CrawlResult
from monitor.models import Source
from monitor.notices import Notice

STAGES = (1, 3, 7, 14)  # days ahead
_LABELS = {"token": "授权", "certificate": "网站证书"}
_TODO = {"token": "请续期", "certificate": "请让网站的管理者换新"}
_LOOK_EVERY = timedelta(days=1)
_TIMEOUT = 3.0  # seconds for a server to show its certificate
_SERVERS = 3  # of one source are looked at


class Expiry(NamedTuple):
    """Something that ends.

    Attributes:
        what: "token" or "certificate".
        on: Its last day, in the service's zone.
        days: Days to it; negative where it is past.
    """

    what: str
    on: date
    days: int

    def __str__(self) -> str:
        left = f"还有 {self.days} 天" if self.days >= 0 else "已过期"
        return f"{_LABELS[self.what]} {self.on} 到期（{left}），{_TODO[self.what]}"


def expiries(source: Source, today: date) -> list[Expiry]:
    """What of a source is known to end, soonest first."""
    known = ((what, source.expires[what]["on"]) for what in _LABELS if what in source.expires)
    ends = [(what, date.fromisoformat(on)) for what, on in known]
    return sorted((Expiry(what, on, (on - today).days) for what, on in ends), key=lambda one: one.days)


def soon(found: Iterable[Expiry]) -> list[Expiry]:
    """Those that end within the first stage."""
    return [one for one in found if one.days <= STAGES[-1]]


def note(source: Source, result: CrawlResult, now: datetime, zone: ZoneInfo) -> list[Notice]:
    """Write down when a source's credentials end, and tell of whatever reached a new stage."""
    if result.expires:
        learn(source, "token", date.fromisoformat(result.expires))
    elif result.status == "ok":  # renewed by itself, or no longer written in the config
        source.expires = {what: value for what, value in source.expires.items() if what != "token"}
    notices = []
    for one in soon(expiries(source, now.astimezone(zone).date())):
        stage = next((days for days in STAGES if one.days <= days), 0) if one.days >= 0 else 0
        told = source.expires[one.what].get("told")
        if told is None or stage < told:
            _remember(source, one.what, {"on": one.on.isoformat(), "told": stage})
            notices.append(_notice(source, one, stage))
    return notices


def learn(source: Source, what: str, on: date) -> None:
    """Write down a last day; a new one begins its stages anew."""
    if source.expires.get(what, {}).get("on") != on.isoformat():
        _remember(source, what, {"on": on.isoformat()})


def _remember(source: Source, what: str, value: Any) -> None:
    source.expires = source.expires | {what: value}  # a new object: JSON columns do not see changes inside


def _notice(source: Source, one: Expiry, stage: int) -> Notice:
    assert source.id is not None
    key = f"source:{source.id}:expiring:{one.what}:{one.on}:{stage}"
    facts = {"name": source.name, "error": str(one), "since": ""}
    return Notice("source.expiring", key, "source", source.id, source.shop_id, facts)


def look_due(source: Source, now: datetime) -> bool:
    """Whether a day has passed since the certificates of its servers were looked at."""
    looked = source.expires.get("looked")
    return not looked or now - datetime.fromisoformat(looked) >= _LOOK_EVERY


def looked(source: Source, now: datetime, end: datetime | None, zone: ZoneInfo) -> None:
    """Write down that the certificates were looked at, and when the first of them ends, where one was seen."""
    _remember(source, "looked", now.isoformat())
    if end:
        learn(source, "certificate", end.astimezone(zone).date())


def first_to_end(options: Any, context: ssl.SSLContext | None = None) -> datetime | None:
    """When the first of the certificates of a source's servers ends; None where none was seen.

    A server that cannot be reached, or whose certificate is refused already, is what the crawl itself tells of.
    """
    servers = list(dict.fromkeys(_servers(options)))[:_SERVERS]
    ends = (_end(host, port, context or ssl.create_default_context()) for host, port in servers)
    return min((end for end in ends if end), default=None)


def _servers(options: Any) -> Iterator[tuple[str, int]]:
    """Host and port of every https address in a source's options."""
    if isinstance(options, str) and options.startswith("https://"):
        try:
            parts = urlsplit(options)
            if parts.hostname:
                yield parts.hostname, parts.port or 443
        except ValueError:
            return
    elif isinstance(options, dict | list):
        for value in options.values() if isinstance(options, dict) else options:
            yield from _servers(value)


def _end(host: str, port: int, context: ssl.SSLContext) -> datetime | None:
    try:
        with (
            socket.create_connection((host, port), _TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            shown = tls.getpeercert() or {}
    except (OSError, UnicodeError):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC) if shown else None
