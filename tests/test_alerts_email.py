"""The mail channel against a real SMTP server."""

import datetime as dt
import ipaddress
import smtplib
import ssl
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from delivering import make_house, rows, run, states, tell, trouble
from factories import NOW, make_settings
from smtp_double import SmtpDouble, smtp_double
from sqlalchemy import Engine
from subjects import open_crisis

from alerts.channel import Letter, SendError, Uncertain, load, open_all
from alerts.channels.email import Email
from alerts.content import Button, Card, Ping, Span, bold, line, link
from alerts.mails import message_id
from alerts.routing import enqueue_report
from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.settings import Channel as ChannelSettings

SENDER = "评哨 <monitor@example.com>"
TO = "head@example.com"
CARD = Card(
    "【危机】示例旗舰店",
    (line("根本", bold("没收到"), "\n第二行"),),
    (Button("claim", "我来负责", "http://desk.test/a/x"),),
)
LETTER = Letter("crisis:1:opened:0", TO, CARD, NOW)


@pytest.fixture
def double() -> Iterator[SmtpDouble]:
    with smtp_double() as running:
        yield running


def make_email(port: int, **smtp: Any) -> Email:
    settings = make_settings(smtp={"host": "127.0.0.1", "port": port, "sender": SENDER} | smtp)
    channel = open_all(settings)["mail"]
    assert isinstance(channel, Email)
    return channel


@pytest.fixture
def house(sqlite: Engine, clock: HandClock, double: SmtpDouble) -> Core:
    return make_house(
        sqlite,
        clock,
        smtp={"host": "127.0.0.1", "port": double.port, "sender": SENDER},
        channels=[],
        routes={"crisis": ["mail"], "summary": ["mail"]},
        summaries={"recipients": [TO, "lead@example.com"], "cc": ["brand@example.com"]},
    )


def test_mail_is_readable_and_carries_its_key(double: SmtpDouble) -> None:
    """Text and HTML say the same without images; key and Message-ID are in the headers."""
    ref = make_email(double.port).send(LETTER)
    (to, message), *_ = double.mails
    assert (to, message["To"], message["X-Pingshao-Key"], message["Message-ID"]) == (TO, TO, LETTER.key, ref)
    assert message["Subject"] == "【危机】示例旗舰店"
    plain, page = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert page is not None
    assert "根本没收到" in plain.get_content()
    assert "我来负责：http://desk.test/a/x" in plain.get_content()
    assert "根本<b>没收到</b><br>第二行" in page.get_content()
    assert "<img" not in page.get_content()


def test_hostile_text_stays_text(double: SmtpDouble) -> None:
    """Markup of a review is shown, not run; line breaks cannot make headers."""
    hostile = "<script>alert(1)</script>\r\nBcc: x@y.z\r\n.\r\n\u202e\ud800"
    said = line(hostile, link("看原文", "javascript:alert(1)"))
    card = Card(hostile.replace("\ud800", ""), (said, line("", role="divider")))
    make_email(double.port).send(Letter("k", TO, card, NOW))
    ((_, message),) = double.mails
    body = message.get_body(("html",))
    assert body is not None
    assert "<script" not in body.get_content()
    assert "javascript" not in body.get_content()
    assert message["Bcc"] is None
    assert len(double.mails) == 1


def test_answers_are_threaded(double: SmtpDouble) -> None:
    """A reminder refers to its card's Message-ID."""
    channel = make_email(double.port)
    card = channel.send(LETTER)
    channel.send(Letter("crisis:1:respond:deadline:0", TO, Card("超时", ping=(Ping("主管"),)), NOW, thread=card))
    reply = double.mails[1][1]
    assert (reply["In-Reply-To"], reply["References"]) == (card, card)
    body = reply.get_body(("plain",))
    assert body is not None
    assert "请 主管 处理" in body.get_content()


@pytest.mark.parametrize(("answer", "permanent"), [("451 greylisted, come back", False), ("550 no such user", True)])
def test_refused_recipient(double: SmtpDouble, answer: str, permanent: bool) -> None:
    """4xx for a recipient passes, 5xx does not."""
    double.recipient_faults[TO] = deque([answer])
    with pytest.raises(SendError, match=answer[:3]) as caught:
        make_email(double.port).send(LETTER)
    assert (caught.value.permanent, caught.value.down) == (permanent, False)


@pytest.mark.parametrize(("answer", "permanent"), [("452 disk full", False), ("554 looks like spam", True)])
def test_refused_message(double: SmtpDouble, answer: str, permanent: bool) -> None:
    """An answer to the message itself is definite."""
    double.data_faults.append(answer)
    with pytest.raises(SendError, match=answer[:3]) as caught:
        make_email(double.port).send(LETTER)
    assert caught.value.permanent == permanent


def test_drop_after_data_is_uncertain(double: SmtpDouble) -> None:
    """A connection lost after the message may have delivered it."""
    double.data_faults.append("drop")
    with pytest.raises(Uncertain):
        make_email(double.port).send(LETTER)
    assert len(double.mails) == 1


def test_drop_before_data_is_not(double: SmtpDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection lost before the message has delivered nothing."""

    def lost(*_: Any) -> Any:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(smtplib.SMTP, "mail", lost)
    with pytest.raises(SendError, match="gone") as caught:
        make_email(double.port).send(LETTER)
    assert (caught.value.permanent, caught.value.down) == (False, True)


def test_rude_goodbye_does_not_undo_the_sending(double: SmtpDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server says to QUIT does not matter any more."""

    def rude(*_: Any) -> Any:
        raise smtplib.SMTPServerDisconnected("bye")

    monkeypatch.setattr(smtplib.SMTP, "quit", rude)
    assert make_email(double.port).send(LETTER)


def test_nobody_there() -> None:
    """A server that cannot be reached is down, and the doctor says what to look at."""
    channel = make_email(9)
    with pytest.raises(SendError) as caught:
        channel.send(LETTER)
    assert (caught.value.permanent, caught.value.down) == (False, True)
    assert "127.0.0.1:9" in str(channel.check())


def test_server_without_starttls_gets_nothing_in_the_clear(double: SmtpDouble) -> None:
    """Where security is asked for and not to be had, nothing is sent."""
    with pytest.raises(SendError) as caught:
        make_email(double.port, security="starttls").send(LETTER)
    assert caught.value.permanent
    assert not double.mails


@pytest.mark.parametrize("bad", ["a b@@x", "nobody@ex ample.com\nBcc: x@y.z"])
def test_impossible_address(double: SmtpDouble, bad: str) -> None:
    """An address no mail can carry is a final refusal, not a crash."""
    with pytest.raises(SendError) as caught:
        make_email(double.port).send(Letter("k", bad, CARD, NOW))
    assert caught.value.permanent
    assert not double.mails


def test_channel_without_a_mail_server() -> None:
    """A mail channel without [smtp] says so."""
    channel = load("email")(ChannelSettings(name="desk", kind="email", target=TO), make_settings())
    assert "[smtp]" in str(channel.check())
    with pytest.raises(SendError, match="smtp"):
        channel.send(LETTER)


def test_check_reads_the_sender(double: SmtpDouble) -> None:
    """The doctor is content with a good set-up and names a sender that is no address."""
    assert make_email(double.port).check() is None
    assert "sender" in str(make_email(double.port, sender="评哨").check())


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS context whose certificate this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_starttls_and_login(certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """STARTTLS with a verified certificate and a login; a wrong password is final and told to the doctor."""
    monkeypatch.setenv("MAIL_PASSWORD", "right")
    with smtp_double(certificate, "right") as double:
        channel = make_email(double.port, security="starttls", user="monitor", password_env="MAIL_PASSWORD")
        channel.send(LETTER)
        assert len(double.mails) == 1
        monkeypatch.setenv("MAIL_PASSWORD", "wrong")
        with pytest.raises(SendError, match="535") as caught:
            channel.send(LETTER)
        assert caught.value.permanent
        assert "535" in str(channel.check())


def test_tls_from_the_start_is_verified(double: SmtpDouble) -> None:
    """TLS to a server that speaks none fails before anything is sent."""
    with pytest.raises(SendError) as caught:
        make_email(double.port, security="tls").send(LETTER)
    assert caught.value.down


def test_fault_16_greylisting(house: Core, clock: HandClock, double: SmtpDouble) -> None:
    """451 for the recipient is a refusal for now; the mail goes later, once."""
    double.recipient_faults = {TO: deque(["451 4.7.1 greylisted, come back", "451 4.7.1 too soon"])}
    tell(house, trouble(1))
    assert (run(house).failed, states(house)) == (1, ["pending", "sent"])
    for failed in (1, 0):
        clock.move(timedelta(minutes=1))
        assert run(house).failed == failed
    assert sorted(to for to, _ in double.mails) == [TO, "lead@example.com"]
    assert not any(row.maybe_twice for row in rows(house))


def test_fault_18_some_recipients_refused(house: Core, clock: HandClock, double: SmtpDouble) -> None:
    """Each recipient has a row: only who was refused for now is tried again, and nobody gets a second copy."""
    double.recipient_faults = {TO: deque(["452 mailbox full"])}
    tell(house, trouble(1), trouble(2))
    run(house)
    for _ in range(3):
        clock.move(timedelta(minutes=1))
        run(house)
    assert sorted((to, message["X-Pingshao-Key"]) for to, message in double.mails) == [
        (to, f"source:{n}:trouble") for to in (TO, "lead@example.com") for n in (1, 2)
    ]
    assert [row.attempts for row in rows(house) if row.dedupe_key == "source:1:trouble"] == [2, 1]


def test_fault_19_no_such_mailbox(house: Core, clock: HandClock, double: SmtpDouble) -> None:
    """550 is final for that recipient alone, and told to the others."""
    double.recipient_faults = {"lead@example.com": deque(["550 5.1.1 gone"])}
    tell(house, trouble(1))
    for _ in range(2):
        run(house)
        clock.move(timedelta(minutes=1))
    assert states(house, "source.trouble") == ["sent", "dead"]
    assert "550" in rows(house, "source.trouble")[1].last_error
    keys = [(to, message["X-Pingshao-Key"].split(":")[0]) for to, message in double.mails]
    assert keys == [(TO, "source"), (TO, "outbox")], "the message, then the news of the dead one"


def test_fault_17_lost_after_data(house: Core, clock: HandClock, double: SmtpDouble) -> None:
    """After a drop the mail goes again under the same Message-ID, marked, and the store knows."""
    crisis = open_crisis(house, ["没收到货"])
    double.data_faults.append("drop")
    run(house)
    clock.move(timedelta(minutes=1))
    run(house)
    copies = [message for to, message in double.mails if to == TO]
    assert len({str(message["Message-ID"]) for message in copies}) == 1
    assert [message["Subject"].startswith("【可能重复】") for message in copies] == [False, True]
    assert [row.maybe_twice for row in rows(house) if row.target == TO] == [True]
    assert crisis


def test_reader_gets_links_for_what_he_may_do(house: Core, double: SmtpDouble) -> None:
    """Mail to a lead has his signed links; mail to an address that is nobody's has only the way to look."""
    open_crisis(house, ["没收到货"])
    run(house)
    said = {}
    for to, message in double.mails:
        body = message.get_body(("plain",))
        assert body is not None
        said[to] = body.get_content()
    assert "http://desk.test/a/false_alarm/crisis/1/2" in said["lead@example.com"]
    assert "/a/" not in said[TO]
    assert "http://desk.test/v/crisis/1" in said[TO]


def test_reports_go_out_as_made(house: Core, double: SmtpDouble, tmp_path: Path) -> None:
    """The stored mail goes to recipients and those in copy with our headers; a missing file is final and told."""
    file = tmp_path / "evening.eml"
    file.write_bytes("Subject: 今日小结\nTo: all@example.com\nMessage-ID: <old@x>\n\n一切正常\n".encode())
    payload = {"title": "今日小结", "lines": ["差评 3 条"], "eml": str(file)}
    with db.writing(house.engine) as session:
        for _ in range(2):
            enqueue_report(session, house.settings, "report:evening:2026-11-20", "evening", payload, NOW)
        gone = payload | {"eml": str(tmp_path / "gone.eml")}
        enqueue_report(session, house.settings, "report:daily:2026-11-20", "daily", gone, NOW)
    run(house)
    sent = [to for to, message in double.mails if message["X-Pingshao-Key"].startswith("report:")]
    assert sent == [TO, "lead@example.com", "brand@example.com"]
    assert double.ids()[0] == message_id("report:evening:2026-11-20", TO, SENDER)
    assert double.mails[0][1]["X-Pingshao-Key"] == "report:evening:2026-11-20"
    assert double.mails[0][1]["To"] == "all@example.com"
    assert states(house, "report.daily") == ["dead", "dead"]


def test_spans_become_links_in_text_and_html(double: SmtpDouble) -> None:
    """A link shows its address in plain text and leads there in HTML."""
    card = Card("标题", (line(Span("看原文", url="https://shop.test/1?a=1&b=2")),))
    make_email(double.port).send(Letter("k", TO, card, NOW))
    plain, page = (double.mails[0][1].get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert page is not None
    assert "看原文（https://shop.test/1?a=1&b=2）" in plain.get_content()
    assert 'href="https://shop.test/1?a=1&amp;b=2"' in page.get_content()
