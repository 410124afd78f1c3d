"""What staff would have seen: the Slack channels and the mails of a rehearsal as pages to look at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import escape

from alerts.rehearsal.mail_sink import Mail
from alerts.rehearsal.mrkdwn import to_html
from alerts.rehearsal.slack_sink import SlackMessage
from alerts.rehearsal.story import ZONE

PAGE = "staff.html"
_PICTURES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif"}
_NO_SCRIPTS = '<meta http-equiv="Content-Security-Policy" content="script-src \'none\'">'


@dataclass(frozen=True)
class Thread:
    """A message and what was said below it."""

    head: SlackMessage
    replies: list[SlackMessage]


def render_pages(
    messages: Sequence[SlackMessage], mails: Sequence[Mail], names: Mapping[str, str], folder: Path
) -> Path:
    """Write the page of all channels and mails, and each mail as a page of its own below ``folder/mails``.

    Args:
        messages: Oldest first.
        mails: Oldest first.
        names: What people and channels are called, by Slack id.
        folder: Made if it is not there.

    Returns:
        The page to open.
    """
    templates = Environment(
        loader=PackageLoader("alerts.rehearsal"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["mrkdwn"] = partial(to_html, names=names)
    templates.filters["local"] = lambda at: at.astimezone(ZONE)
    (folder / "mails").mkdir(parents=True, exist_ok=True)
    pages = [(mail, _write_mail(mail, number, folder / "mails")) for number, mail in enumerate(mails, 1)]
    channels = [
        (channel, names.get(channel, names.get("U" + channel[1:], channel)), _by_day(found))
        for channel, found in sorted(_by_channel(messages).items())
    ]
    page = folder / PAGE
    text = templates.get_template("staff.html").render(channels=channels, mails=pages, names=names)
    page.write_text(text, encoding="utf-8")
    return page


def _by_channel(messages: Sequence[SlackMessage]) -> dict[str, list[Thread]]:
    channels: dict[str, list[Thread]] = {}
    heads: dict[tuple[str, str], Thread] = {}
    for message in messages:
        if thread := heads.get((message.channel, message.thread_ts)):
            thread.replies.append(message)
        else:
            thread = heads[message.channel, message.ts] = Thread(message, [])
            channels.setdefault(message.channel, []).append(thread)
    return channels


def _by_day(threads: list[Thread]) -> list[tuple[str, list[Thread]]]:
    def day(thread: Thread) -> str:
        at = thread.head.at.astimezone(ZONE)
        return f"{at.month} 月 {at.day} 日 星期{'一二三四五六日'[at.weekday()]}"

    return [(name, list(found)) for name, found in groupby(threads, day)]


def _write_mail(mail: Mail, number: int, folder: Path) -> str:
    """Write a mail's HTML and its pictures; gives the page's address from the folder above."""
    body = mail.message.get_body(("html", "plain"))
    text = body.get_content() if body else ""
    if body is None or body.get_content_type() == "text/plain":
        text = f"<!doctype html><html><head><meta charset='utf-8'></head><body><pre>{escape(text)}</pre></body></html>"
    for name, cid in _pictures(mail, number, folder):
        text = text.replace(f"cid:{cid}", name)
    page = folder / f"{number:03d}.html"
    page.write_text(text.replace("<head>", f"<head>{_NO_SCRIPTS}", 1), encoding="utf-8")
    return f"mails/{page.name}"


def _pictures(mail: Mail, number: int, folder: Path) -> Iterator[tuple[str, str]]:
    for part in mail.message.walk():
        cid = str(part["Content-ID"] or "").strip("<> ")
        if cid and (suffix := _PICTURES.get(part.get_content_type())):
            name = f"{number:03d}-{len(list(folder.glob(f'{number:03d}-*'))) + 1}.{suffix}"
            (folder / name).write_bytes(part.get_content())
            yield name, cid
