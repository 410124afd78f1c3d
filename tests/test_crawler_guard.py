"""crawler.guard: no way into the host's own network."""

from typing import Any

import pytest
from scrapy.exceptions import CannotResolveHostError
from scrapy.http import Request

from crawler.guard import GuardMiddleware, RefusedAddressError, _PinnedResolver, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_inner_addresses(address: str) -> None:
    """Private, local, shared, multicast, and IPv4 ones wrapped in IPv6."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "223.5.5.5", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_public_addresses(address: str) -> None:
    """The open internet, however it is written."""
    assert is_public(address)


def make_guard(allowed: list[str], **names: list[str]) -> GuardMiddleware:
    guard = GuardMiddleware(allowed)
    guard._pinned.update({name.replace("_", "."): addresses for name, addresses in names.items()})
    return guard


@pytest.mark.parametrize(
    "url", ["http://localhost/", "http://127.0.0.1:8101/", "http://2130706433/", "http://[::1]:80/", "http://0x7f.1/"]
)
async def test_the_host_itself_is_refused_however_it_is_spelt(url: str) -> None:
    """The error names the host with its port, and the key that allows it."""
    with pytest.raises(RefusedAddressError, match=r"allow_private_hosts.*:\d+$"):
        await make_guard([]).process_request(Request(url))


@pytest.mark.parametrize("allowed", ["localhost", "LOCALHOST:8101"])
async def test_named_hosts_are_allowed(allowed: str) -> None:
    """By host, or by host and port; another port is not."""
    guard = make_guard([allowed])
    await guard.process_request(Request("http://localhost:8101/"))
    if ":" in allowed:
        with pytest.raises(RefusedAddressError):
            await guard.process_request(Request("http://localhost:8102/"))


async def test_one_inner_address_among_public_ones_is_enough() -> None:
    """A name server cannot hide one behind another."""
    guard = make_guard([], a_example=["1.1.1.1", "10.0.0.1"], b_example=["1.1.1.1"])
    await guard.process_request(Request("http://b.example/"))
    with pytest.raises(RefusedAddressError, match=r"10\.0\.0\.1"):
        await guard.process_request(Request("https://a.example/"))


async def test_a_name_without_address() -> None:
    """Told as what it is."""
    with pytest.raises(CannotResolveHostError):
        await make_guard([]).process_request(Request("http://no-such-host.invalid/"))


class Receiver:
    def __init__(self) -> None:
        self.found: list[Any] = []
        self.done = False

    def resolutionBegan(self, resolution: Any) -> None:  # noqa: N802 — Twisted's name
        resolution.cancel()

    def addressResolved(self, address: Any) -> None:  # noqa: N802 — Twisted's name
        self.found.append((address.host, address.port))

    def resolutionComplete(self) -> None:  # noqa: N802 — Twisted's name
        self.done = True


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.example", [("1.1.1.1", 80), ("2606:4700::1111", 80)]),
        ("A.example", [("1.1.1.1", 80), ("2606:4700::1111", 80)]),
        ("other.example", []),
        ("例子.cn", [("1.1.1.2", 80)]),
    ],
)
def test_connections_go_to_checked_addresses_only(name: str, found: list[tuple[str, int]]) -> None:
    """A name that was not checked has no address, so a second answer of a name server is never asked for."""
    receiver = Receiver()
    pinned = {"a.example": ["1.1.1.1", "2606:4700::1111"], "xn--fsqu00a.cn": ["1.1.1.2"]}
    assert _PinnedResolver(pinned).resolveHostName(receiver, name, 80).name == name
    assert (receiver.found, receiver.done) == (found, True)
