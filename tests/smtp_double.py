"""A real SMTP server on loopback that keeps what it accepts and can misbehave on demand."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


class SmtpDouble:
    """What the server accepted, and the faults it is to make next.

    Attributes:
        recipient_faults: address → answers to its next RCPT commands.
        data_faults: answers to the next DATA; ``drop`` accepts the mail and hangs up.
    """

    def __init__(self) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []
        self.recipient_faults: dict[str, deque[str]] = {}
        self.data_faults: deque[str] = deque()
        self.port = 0

    async def handle_RCPT(  # noqa: N802 — the name is aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _opts: Any
    ) -> str:
        if waiting := self.recipient_faults.get(address):
            return waiting.popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 — same
        fault = self.data_faults.popleft() if self.data_faults else ""
        if fault not in ("", "drop"):
            return fault
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.mails += [(address, message) for address in envelope.rcpt_tos]
        if fault == "drop":
            assert server.transport is not None
            server.transport.abort()
            await asyncio.sleep(0)
        return "250 OK"

    def ids(self) -> list[str]:
        return [str(message["Message-ID"]) for _, message in self.mails]


@contextmanager
def smtp_double(tls: ssl.SSLContext | None = None, password: str = "") -> Iterator[SmtpDouble]:
    """The server on a free port; with a password it lets nobody in without STARTTLS and login."""
    double = SmtpDouble()

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == password.encode(), handled=False)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        double.port = probe.getsockname()[1]
    guarded = {"auth_required": True, "require_starttls": True, "tls_context": tls} if password else {}
    controller = Controller(double, "127.0.0.1", double.port, authenticator=authenticate, **guarded)
    controller.start()
    try:
        yield double
    finally:
        controller.stop()
