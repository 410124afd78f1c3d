"""Keeps a crawl out of the host's own network, whatever a page, a redirect or a name server says.

Every request, redirects and robots.txt among them, has its host resolved here once; all addresses must be public, and
the connection is made to those very addresses, so a name that answers differently a moment later changes nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import idna
from scrapy.exceptions import CannotResolveHostError, IgnoreRequest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from zope.interface import implementer  # type: ignore[import-untyped]  # it has none

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Request

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class RefusedAddressError(IgnoreRequest):
    """A host has an inner address and is not allowed; the message names it and the config key, in Chinese."""


def is_public(address: str) -> bool:
    """Whether an address lies in the open internet, also when it wraps an IPv4 address in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and not is_public(str(inner)):
            return False
    return ip.is_global and not ip.is_multicast


class GuardMiddleware:
    """Checks and pins the addresses of every host before anything is asked of it."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)
        self._pinned: dict[str, list[str]] = {}

    @classmethod
    def from_crawler(cls, crawler: "Crawler") -> Self:
        """Scrapy's way of making a middleware; also makes the reactor connect to pinned addresses only."""
        from twisted.internet import reactor

        guard = cls(crawler.settings.getlist("PINGSHAO_ALLOW_PRIVATE_HOSTS"))
        reactor.installNameResolver(_PinnedResolver(guard._pinned))
        return guard

    async def process_request(self, request: "Request") -> None:
        """Refuse a request to an inner address.

        Raises:
            RefusedAddressError: An address of the host is not public and the config does not name it.
            CannotResolveHostError: The host has no address.
        """
        host = (urlsplit(request.url).hostname or "").lower()
        if host not in self._pinned:
            self._pinned[host] = await _resolve(host)
        if reason := refusal(request.url, self._pinned[host], self._allowed):
            raise RefusedAddressError(reason)


def refusal(url: str, addresses: Sequence[str], allowed: Collection[str]) -> str:
    """Why a page may not be asked for, in Chinese, naming the config key; empty where it may.

    Args:
        url: The page's address.
        addresses: What its host resolves to.
        allowed: ``host`` or ``host:port`` in lower case that may be inner.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    place = f"{shown}:{parts.port or _PORTS.get(parts.scheme, 0)}"
    inner = [address for address in addresses if not is_public(address)]
    if not inner or any(name in allowed for name in (host, shown, place)):
        return ""
    return f"{place} 指向内网地址 {inner[0]}，已拒绝；确需访问请在 [service] allow_private_hosts 写上 {place}"


async def _resolve(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CannotResolveHostError(f"{host}: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@implementer(IHostnameResolver)
class _PinnedResolver:
    """Answers with what the middleware has checked, and with nothing for any other name."""

    def __init__(self, pinned: dict[str, list[str]]) -> None:
        self._pinned = pinned

    def resolveHostName(  # noqa: N802 — Twisted's name
        self,
        resolutionReceiver: Any,  # noqa: N803 — Twisted's name
        hostName: str,  # noqa: N803 — Twisted's name
        portNumber: int = 0,  # noqa: N803 — Twisted's name
        addressTypes: object = None,  # noqa: N803 — Twisted's name
        transportSemantics: str = "TCP",  # noqa: N803 — Twisted's name
    ) -> "_Resolution":
        del addressTypes, transportSemantics
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        host = hostName.lower() if hostName.isascii() else idna.encode(hostName, uts46=True).decode()
        for address in self._pinned.get(host, ()):
            kind = IPv6Address if ":" in address else IPv4Address
            resolutionReceiver.addressResolved(kind("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Nothing is under way."""
