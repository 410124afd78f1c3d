"""A report as a mail: text, HTML and pictures in one message, the same bytes each time; without recipients."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr


def compose(
    key: str, subject: str, sender: str, at: datetime, text: str, html: str, images: Mapping[str, bytes]
) -> bytes:
    """The message, ready for a sender that adds To and Cc.

    Args:
        key: The report's key: Message-ID and boundaries come from it, so that a repeated mail is seen as the same.
        subject: Its subject.
        sender: From, as ``name <address>``; "" leaves it to the sender.
        at: Its date.
        text: The plain part.
        html: The HTML part, with pictures as ``cid:NAME@pingshao``.
        images: PNGs by name.
    """
    mail = EmailMessage(policy=SMTP)
    # no-break spaces: folding an encoded subject drops the plain ones between two encoded words
    mail["Subject"] = subject.replace(" ", "\u00a0")
    name, address = parseaddr(sender)
    if address:
        mail["From"] = Address(name, addr_spec=address)
    mark = hashlib.sha256(key.encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{mark}@{address.rpartition('@')[2] or 'pingshao'}>"
    mail["Date"] = format_datetime(at)
    if address:
        mail["List-Unsubscribe"] = f"<mailto:{address}?subject=unsubscribe>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = "zh-CN"
    mail.set_content(text, cte="base64")
    mail.add_alternative(html, subtype="html", cte="base64")
    page = mail.get_payload()[1]  # type: ignore[index]
    assert isinstance(page, EmailMessage)
    for file, png in images.items():
        page.add_related(png, "image", "png", cid=f"<{file}@pingshao>", filename=file, disposition="inline")
    for n, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"={mark}={n}")
    return mail.as_bytes()
