"""What each way an HTTP call can end means for the message."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from factories import make_settings

from alerts import http_channel
from alerts.channel import Letter, SendError, Uncertain
from alerts.http_channel import Answer, Codes, HttpChannel, accepted, refusal
from monitor.settings import Channel as ChannelSettings

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CODES = Codes("errcode", "errmsg", frozenset({130101}), {310000: "关键词或签名不对"})


class Plain(HttpChannel):
    """The least there can be."""

    provider = "某某"

    def send(self, letter: Letter) -> str:
        return str(self._call(letter.target, b"{}", {}).status)

    def check(self) -> str | None:
        return self._reach("")


def make_plain(base_url: str) -> Plain:
    return Plain(ChannelSettings(name="x", kind="webhook", base_url=base_url), make_settings())


def call(base_url: str, path: str = "", headers: Any = None) -> Answer:
    return make_plain(base_url)._call(path, b"{}", headers or {})


@contextmanager
def saying(answer: bytes, pause: float = 0) -> Iterator[str]:
    """A server that reads a request, says something, waits, and resets the connection."""
    done = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
                    done.wait(pause)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", int(not pause), 0))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            done.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_an_answer_comes_back_whole() -> None:
    """Status, headers in lower case, body; address and path are put together."""
    with saying(b"HTTP/1.1 201 Made\r\nX-Name: a\r\nContent-Length: 4\r\n\r\nbody", pause=0.01) as url:
        assert call(url) == Answer(201, {"x-name": "a", "content-length": "4"}, b"body")
        assert make_plain(url).check() is None


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"what"]
)
def test_broken_answers_are_uncertain(answer: bytes) -> None:
    """A reset, a cut head, a cut body, another protocol: the message may be there."""
    with saying(answer) as url, pytest.raises(Uncertain):
        call(url)


def test_slow_endless_and_cut_answers_are_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come in time, never ends, or ends too soon is none."""
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", pause=0.05) as url, pytest.raises(Uncertain):
        call(url)
    monkeypatch.setattr(http_channel, "_LONGEST_ANSWER", 10)
    with saying(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100, pause=0.05) as url, pytest.raises(Uncertain, match="太长"):
        call(url)
    monkeypatch.setattr(http_channel, "TIMEOUT", 0.2)
    with saying(b"", pause=5) as url, pytest.raises(Uncertain):
        call(url)


@pytest.mark.parametrize("base", ["http://127.0.0.1:9", "https://127.0.0.1:9", f"http://{'x' * 70}.invalid"])
def test_nobody_there(base: str) -> None:
    """A connection that never came about has delivered nothing, and the provider is down."""
    with pytest.raises(SendError, match="某某") as caught:
        call(base)
    assert (caught.value.permanent, caught.value.down) == (False, True)
    assert make_plain(base).check() == str(caught.value)


@pytest.mark.parametrize("base", ["", "crm.example.com", "ftp://x", "http://", "http://x:99999", "http://[::1"])
def test_no_address(base: str) -> None:
    """What is no web address is a final refusal that says where to look."""
    with pytest.raises(SendError, match="base_url") as caught:
        call(base)
    assert caught.value.permanent


@pytest.mark.parametrize("bad", [("/a b", {}), ("/评价", {}), ("/", {"Authorization": "Bearer geheim\n"})])
def test_what_no_request_can_hold(bad: tuple[str, dict[str, str]]) -> None:
    """Such a path or secret is a final refusal that does not quote it."""
    with saying(OK) as url, pytest.raises(SendError) as caught:
        call(url, *bad)
    assert caught.value.permanent
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "permanent"),
    [
        (200, None, None),
        (204, None, None),
        (302, SendError, True),
        (400, SendError, True),
        (404, SendError, True),
        (408, SendError, False),
        (425, SendError, False),
        (429, SendError, False),
        (500, SendError, False),
        (502, Uncertain, None),
        (503, SendError, False),
        (504, Uncertain, None),
    ],
)
def test_what_a_status_means(status: int, kind: type[Exception] | None, permanent: bool | None) -> None:
    """Each status is an acceptance, a refusal for now or for good, or leaves it open."""
    trouble = refusal("某某", Answer(status, {"retry-after": "7"}, b""))
    assert (type(trouble) if trouble else None) == kind
    if isinstance(trouble, SendError):
        assert (trouble.permanent, trouble.retry_after, trouble.down) == (permanent, 7.0, False)


@pytest.mark.parametrize(
    ("code", "permanent", "said"), [(130101, False, "慢点"), (310000, True, "签名不对"), (-1, True, "慢点")]
)
def test_fault_11_codes_in_a_200(code: int, permanent: bool, said: str) -> None:
    """200 with a code that is not nought is a refusal, for now where the provider's table says so."""
    with pytest.raises(SendError, match=said) as caught:
        accepted("某某", Answer(200, {}, json.dumps({"errcode": code, "errmsg": "慢点"}).encode()), CODES)
    assert caught.value.permanent is permanent
    assert str(code) in str(caught.value)


def test_accepted_by_code_nought() -> None:
    """The answer of an acceptance is given; a refusal by status comes before its body."""
    assert accepted("某某", Answer(200, {}, b'{"errcode": 0, "id": 7}'), CODES)["id"] == 7
    with pytest.raises(SendError, match="HTTP 403"):
        accepted("某某", Answer(403, {}, b'{"errcode": 0}'), CODES)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"errcode": 0', b"[1]", b"{}", b'{"errcode": "0"}', b"[" * 100_000])
def test_fault_12_unreadable_200(body: bytes) -> None:
    """200 with HTML, cut-off JSON or no code leaves it open."""
    with pytest.raises(Uncertain):
        accepted("某某", Answer(200, {}, body), CODES)
