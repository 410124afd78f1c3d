"""Mail through SMTP: one message a recipient, the same Message-ID on every attempt."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

from alerts.channel import Channel, Letter, SendError, Uncertain
from alerts.mails import mail
from monitor import settings as config
from monitor.config import secret
from monitor.settings import Settings, Smtp

TIMEOUT = 8
"""Seconds for each step; seven at most, so that all together end within the outbox's lease."""
_NO_SERVER = "没有配置 [smtp]，发不了邮件"


class _DataStarted:
    """Knows whether the message itself was on its way when something broke."""

    started = False

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.started = True
        return super().data(msg)  # type: ignore[misc, no-any-return]


class _Plain(_DataStarted, smtplib.SMTP):
    """SMTP in the clear or with STARTTLS."""


class _Tls(_DataStarted, smtplib.SMTP_SSL):
    """SMTP over TLS from the start."""


class Email(Channel):
    """Mail to one address at a time."""

    page = 100

    def __init__(self, channel: config.Channel, settings: Settings) -> None:
        self._name = channel.name
        self._smtp = settings.smtp

    def send(self, letter: Letter) -> str:
        """Send one mail; its name is its Message-ID."""
        if self._smtp is None:
            raise SendError(_NO_SERVER, permanent=True)
        try:
            message = mail(letter, self._smtp.sender)
        except (ValueError, OSError) as error:
            raise SendError(f"这封邮件写不出来：{error}", permanent=True) from error
        with _connected(self._smtp) as server:
            _hand_over(server, message, parseaddr(self._smtp.sender)[1], letter.target)
        return str(message["Message-ID"])

    def check(self) -> str | None:
        """Whether the server takes us in."""
        if self._smtp is None:
            return f"渠道 {self._name}：{_NO_SERVER}"
        where = f"{self._smtp.host}:{self._smtp.port}"
        if "@" not in parseaddr(self._smtp.sender)[1]:
            return f"邮件：smtp.sender 应为“名字 <地址>”，实为 {self._smtp.sender!r}"
        try:
            with _connected(self._smtp):
                return None
        except SendError as error:
            return f"邮件：{where} 用不了（{error}），请核对 [smtp] 的 host、port、security、user 和密码"


@contextmanager
def _connected(smtp: Smtp) -> Iterator[_Plain | _Tls]:
    """A server that has greeted us and let us in; hung up on afterwards, whatever it says to that."""
    server: _Plain | _Tls | None = None
    try:
        try:
            server = _greeted(smtp)
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error, down=True) from error
        except smtplib.SMTPNotSupportedError as error:
            raise SendError(f"邮件服务器不支持所配的 security 或登录：{error}", permanent=True) from error
        except (OSError, smtplib.SMTPException) as error:
            raise SendError(f"连不上邮件服务器：{error}", down=True) from error
        yield server
    finally:
        if server is not None:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()


def _greeted(smtp: Smtp) -> _Plain | _Tls:
    context = ssl.create_default_context()
    server: _Plain | _Tls
    if smtp.security == "tls":
        server = _Tls(smtp.host, smtp.port, timeout=TIMEOUT, context=context)
    else:
        server = _Plain(smtp.host, smtp.port, timeout=TIMEOUT)
    try:
        if smtp.security == "starttls":
            server.starttls(context=context)
        if smtp.user:
            server.login(smtp.user, secret(smtp.password_env))
    except BaseException:
        server.close()
        raise
    return server


def _hand_over(server: _Plain | _Tls, message: EmailMessage, sender: str, target: str) -> None:
    try:
        server.send_message(message, sender, [target])
    except smtplib.SMTPRecipientsRefused as error:
        code, said = error.recipients[target]
        raise _refusal(code, said) from error
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPNotSupportedError, ValueError) as error:
        raise SendError(f"这个地址发不了：{error}", permanent=True) from error
    except (OSError, smtplib.SMTPException) as error:
        if server.started:
            raise Uncertain(f"正文发出后断了：{error}") from error
        raise SendError(f"邮件服务器断开了：{error}", down=True) from error


def _refusal(code: int, said: bytes | str, *, down: bool = False) -> SendError:
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    permanent = code >= 500  # noqa: PLR2004 — SMTP: 4xx may pass, 5xx will not
    return SendError(f"邮件服务器：{code} {words}"[:300], permanent=permanent, down=down and not permanent)
