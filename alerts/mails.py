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
    "quote": "margin:0;font-size:15px;line-height:1.6;color:#222",
    "small": "margin:0 0 10px;font-size:13px;line-height:1.5;color:#666",
}
_TABLE = 'role="presentation" cellpadding="0" cellspacing="0"'
_QUOTED = "padding:6px 12px;border-left:3px solid #c9c9c9"
_GAP = '<p style="margin:0;font-size:10px;line-height:10px">&nbsp;</p>'
# Outlook leaves out the padding of links: there the cell has it instead
_CELL = "border:1px solid #1a56b0;border-radius:4px;mso-padding-alt:10px 14px"
_BUTTON = "display:inline-block;padding:10px 14px;mso-padding-alt:0;font-size:15px;color:#1a56b0;text-decoration:none"
_DARK = (
    "@media (prefers-color-scheme:dark){body,.page{background:#101418!important}.sheet{background:#1a2026!important}"
    "p,b{color:#e6e9ee!important}.small,.small b{color:#9aa4b2!important}h1{color:#ff8a73!important}"
    "a{color:#8ab8ff!important}}"
)


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
        f'<table {_TABLE} align="left" style="margin:0 8px 8px 0"><tr><td style="{_CELL}">'
        f'<a href="{html.escape(button.url)}" style="{_BUTTON}">{html.escape(button.label)}</a></td></tr></table>'
        for button in card.buttons
        if button.url
    )
    title = html.escape(card.headline)
    return (
        f'<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title}</title><style>{_DARK}</style></head>'
        f'<body style="margin:0;background:#f4f4f4"><table {_TABLE} class="page" width="100%"><tr>'
        f'<td align="center" style="padding:16px"><table {_TABLE} class="sheet" width="100%"'
        f' style="max-width:600px;background:#fff;{_FONT}"><tr><td style="padding:20px">'
        f'<h1 style="margin:0 0 12px;font-size:18px;color:#b3261e">{title}</h1>{called}'
        f"{''.join(map(_paragraph, card.lines))}{_GAP if buttons else ''}{buttons}"
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
    said = f'<p class="{line.role}" style="{_LINE[line.role]}">{"".join(map(_markup, line.spans))}</p>'
    if line.role == "quote":
        return f'<table {_TABLE} width="100%"><tr><td style="{_QUOTED}">{said}</td></tr></table>{_GAP}'
    return said


def _markup(span: Span) -> str:
    said = html.escape(span.text).replace("\n", "<br>")
    if span.url:
        return f'<a href="{html.escape(span.url)}" style="color:#1a56b0">{said}</a>'
    return f"<b>{said}</b>" if span.bold else said
