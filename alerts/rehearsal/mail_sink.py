"""A mail server of our own that keeps what it is sent, as files too."""

import email.policy
import socket
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller

from alerts.rehearsal.server import HOST
from monitor.clock import Clock


@dataclass(frozen=True)
class Mail:
    """A mail as it came in; ``path`` is its .eml file."""

    at: datetime
    recipients: list[str]
    message: EmailMessage
    path: Path

    @property
    def key(self) -> str:
        """What it says in ``X-Pingshao-Key``."""
        return str(self.message["X-Pingshao-Key"] or "")


class MailSink:
    """Takes every mail while the ``with`` block runs.

    Attributes:
        mails: All mails, oldest first.
        port: Its port.
    """

    def __init__(self, clock: Clock, folder: Path) -> None:
        self.mails: list[Mail] = []
        self.port = _free_port()
        self._clock = clock
        self._folder = folder
        self._controller = Controller(self, hostname=HOST, port=self.port)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 — aiosmtpd's name
        """Keep a mail."""
        del server, session
        message = message_from_bytes(envelope.content, policy=email.policy.default)
        path = self._folder / f"{len(self.mails) + 1:03d}.eml"
        path.write_bytes(envelope.content)
        self.mails.append(Mail(self._clock.now(), list(envelope.rcpt_tos), message, path))
        return "250 OK"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()


def _free_port() -> int:
    # aiosmtpd cannot be started on port 0
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])
