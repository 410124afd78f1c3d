"""The mail: whole, small, the same each time, and it travels through a real SMTP server unharmed."""

import smtplib
import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import AsyncMessage
from factories import NOW, make_core, make_settings
from factories_reports import month, store
from sqlalchemy import Engine

from monitor import db, directory
from reports.build import Report, build
from reports.mail import compose

AT = datetime(2026, 11, 16, 1, 0, tzinfo=UTC)


class Inbox(AsyncMessage):
    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Any] = []

    async def handle_message(self, message: Any) -> None:
        self.mails.append(message)


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    handler = Inbox()
    controller = Controller(handler, "127.0.0.1", port)
    controller.start()
    yield handler, port
    controller.stop()


def _report(engine: Engine) -> Report:
    smtp = {"sender": "评哨 <monitor@example.com>"}
    shops = [{"id": "demo", "name": "示例旗舰店"}, {"id": "jd", "name": "示例京东店"}]
    core = make_core(engine, make_settings(smtp=smtp, shops=shops))
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
    store(engine, [record for record in month(last=date(2026, 11, 20), a_day=20) if record.at <= NOW], NOW)
    return build(core, "weekly", date(2026, 11, 16))


def _parsed(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


@pytest.mark.slow
def test_parts_and_pictures(sqlite: Engine) -> None:
    """Plain text first, then HTML with every picture it names, each with alt text and size; within the limits."""
    report = _report(sqlite)
    mail = _parsed(report.eml)
    assert mail["Subject"].replace("\u00a0", " ") == report.title == "评价周报 11月9日–15日"
    assert (mail["From"], mail["To"], mail["Cc"]) == ("评哨 <monitor@example.com>", None, None)
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    assert text.get_content().splitlines() == report.text.splitlines()
    assert page.get_content().splitlines() == report.html.splitlines()
    cids = {part["Content-ID"].strip("<>") for part in mail.walk() if part.get_content_type() == "image/png"}
    assert cids == {f"{file}@pingshao" for file in report.images}
    assert all(f'src="cid:{cid}" width="600" height="' in report.html for cid in cids)
    assert report.html.count("<img") == report.html.count(' alt="') == len(cids) == 3
    assert len(report.html.encode()) <= 100_000
    assert len(report.eml) <= 300_000


def test_same_report_same_bytes() -> None:
    """The message and its id come from the key and the content alone, with or without a sender."""
    made = [
        compose("weekly:2026-11-16", "周报", "", AT, "正文", "<p>正文</p>", {"a.png": b"\x89PNG"}) for _ in range(2)
    ]
    assert made[0] == made[1]
    other = compose("weekly:2026-11-23", "周报", "a@example.com", AT, "正文", "<p>正文</p>", {})
    ids = {_parsed(raw)["Message-ID"] for raw in (made[0], other)}
    assert len(ids) == 2
    assert str(_parsed(made[0])["Message-ID"]).endswith("@pingshao>")
    assert str(_parsed(other)["Message-ID"]).endswith("@example.com>")


def test_it_travels(sqlite: Engine, inbox: tuple[Inbox, int]) -> None:
    """Sent through SMTP with recipients added, text and pictures arrive as they were."""
    report = _report(sqlite)
    handler, port = inbox
    mail = _parsed(report.eml)
    mail["To"] = "head@example.com"
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.send_message(mail)
    arrived = _parsed(handler.mails[0].as_bytes())
    page = arrived.get_body(("html",))
    assert page is not None
    assert page.get_content().splitlines() == report.html.splitlines()
    pictures = [part.get_content() for part in arrived.walk() if part.get_content_type() == "image/png"]
    assert pictures == list(report.images.values())
