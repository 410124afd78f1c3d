"""A card as a mail: text and HTML that reads without images, with headers that thread it and tell it apart."""

import html
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from hashlib import sha256

from alerts.channel import Letter
from alerts.content import Card, Line, Ping, Role, Span

KEY_HEADER = "X-Pingshao-Key"
_FONT = "font-family:-apple-system,'PingFang SC','Microsoft YaHei',sans-serif"
_LINE = {
    "text": "margin:0 0 10px;font-size:15px;line-height:1.6;color:#222",
    "quote": "margin:0 0 10px;padding:6px 12px;border-left:3px solid #c9c9c9;font-size:15px;line-height:1.6;color:#222",
    "small": "margin:0 0 10px;font-size:13px;line-height:1.5;color:#666",
}
_BUTTON = "display:inline-block;margin:0 8px 8px 0;padding:8px 14px;border:1px solid #1a56b0;border-radius:4px"


def mail(letter: Letter, sender: str) -> EmailMessage:
    """The letter as a mail to its one target.

    Raises:
        ValueError: an address or a header that no mail can carry.
        OSError: the finished mail it stands for cannot be read.
    """
    message = message_from_bytes(letter.eml.read_bytes(), policy=policy.default) if letter.eml else _written(letter)
    headers = {"From": sender} | ({} if letter.eml else {"To": letter.target})
    headers |= {
        "Message-ID": message_id(letter.key, letter.target, sender),
        KEY_HEADER: letter.key,
        "Auto-Submitted": "auto-generated",
    }
    if letter.thread:
        headers |= {"In-Reply-To": letter.thread, "References": letter.thread}
    for name, value in headers.items():
        del message[name]
        message[name] = value
    return message


def message_id(key: str, target: str, sender: str) -> str:
    """The same for every attempt at one message to one person."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return f"<{sha256(f'{key}|{target}'.encode()).hexdigest()[:32]}@{domain}>"


def text(card: Card) -> str:
    """The card as plain text."""
    lines = [card.headline, *([_called(card.ping)] if card.ping else []), ""]
    lines += ["".join(_plain(span, line.role) for span in line.spans) + "\n" for line in card.lines]
    lines += [f"{button.label}：{button.url}" for button in card.buttons if button.url]
    return "\n".join(lines) + "\n"


def page(card: Card) -> str:
    """The card as HTML without images."""
    called = f'<p style="{_LINE["text"]}"><b>{html.escape(_called(card.ping))}</b></p>' if card.ping else ""
    buttons = "".join(
        f'<a href="{html.escape(button.url)}" style="{_BUTTON};color:#1a56b0;font-size:15px;text-decoration:none">'
        f"{html.escape(button.label)}</a>"
        for button in card.buttons
        if button.url
    )
    title = html.escape(card.headline)
    return (
        f'<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title></head>'
        f'<body style="margin:0;background:#f4f4f4"><table role="presentation" width="100%" cellpadding="0"'
        f' cellspacing="0"><tr><td align="center" style="padding:16px"><table role="presentation" width="100%"'
        f' style="max-width:600px;background:#fff;{_FONT}"><tr><td style="padding:20px">'
        f'<h1 style="margin:0 0 12px;font-size:18px;color:#b3261e">{title}</h1>{called}'
        f'{"".join(map(_paragraph, card.lines))}<div style="margin-top:16px">{buttons}</div>'
        f"</td></tr></table></td></tr></table></body></html>"
    )


def _written(letter: Letter) -> EmailMessage:
    message = EmailMessage()
    # no-break spaces: folding an encoded subject drops the plain ones between two encoded words
    message["Subject"] = "\u00a0".join(letter.card.headline.split())
    message["Date"] = format_datetime(letter.at)
    message.set_content(text(letter.card))
    message.add_alternative(page(letter.card), subtype="html")
    return message


def _called(people: tuple[Ping, ...]) -> str:
    return f"请 {'、'.join(one.name for one in people)} 处理"


def _plain(span: Span, role: Role) -> str:
    if span.url:
        return f"{span.text}（{span.url}）"
    return f"**{span.text}**" if span.bold and role == "quote" else span.text


def _paragraph(line: Line) -> str:
    if line.role == "divider":
        return '<hr style="border:0;border-top:1px solid #ddd;margin:12px 0">'
    return f'<p style="{_LINE[line.role]}">{"".join(map(_markup, line.spans))}</p>'


def _markup(span: Span) -> str:
    said = html.escape(span.text).replace("\n", "<br>")
    if span.url:
        return f'<a href="{html.escape(span.url)}" style="color:#1a56b0">{said}</a>'
    return f"<b>{said}</b>" if span.bold else said
