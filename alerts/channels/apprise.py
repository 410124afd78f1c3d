"""What has no channel of its own here, through apprise: a push, a text message, another chat, by one apprise URL."""

import importlib.util
import re
from dataclasses import replace
from functools import cached_property
from typing import Any

from alerts.channel import Channel, Letter, SendError, Uncertain
from alerts.content import Card, Line, Span
from alerts.http_channel import Answer, refusal
from alerts.markdown import TooLong, fitted, wide
from monitor import settings as config
from monitor.config import ConfigError, secret

_WITHIN = 25  # seconds for all of it; well under the outbox's lease
_PATIENCE = 10.0  # seconds for a connection, and again for an answer
_OWN = {"dingtalk": "dingtalk", "wecom": "wecom", "wecombot": "wecom", "feishu": "feishu", "lark": "feishu"}
_STATUS = re.compile(r"error=([1-5]\d\d)\b")  # so apprise's plugins put what the service answered


class Apprise(Channel):
    """Any service by its apprise URL, as plain text (the extra ``apprise``).

    A message cannot be edited or asked for, and "sent" means no more than that the service took the request.
    """

    page = 10
    rate = "10/1m"  # apprise's own pause between two requests, which would keep a sender from its work

    def __init__(self, channel: config.Channel, settings: config.Settings) -> None:
        del settings
        self._channel = channel
        if importlib.util.find_spec("apprise") is None:
            raise ConfigError(f"渠道 {channel.name}：kind = \"apprise\" 要另装：pip install 'pingshao[apprise]'")

    def send(self, letter: Letter) -> str:
        """Post a message; apprise gives it no name."""
        import apprise

        service = self._service()
        title, body = written(letter.card, service.title_maxlen, service.body_maxlen)
        courier, said = apprise.Apprise(), list[str]()
        courier.add(service)
        if courier.notify(
            body=body,
            title=title,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=_WITHIN,
            log_callback=lambda entry, _: said.append(str(entry.message)),
        ):
            return ""
        status = next((int(found[1]) for one in reversed(said) if (found := _STATUS.search(one))), 0)
        trouble = refusal("对方", Answer(status, {}, b"")) if status and len(service) == 1 else None
        raise trouble or Uncertain("apprise 说没有送到，但不知道对方收没收到")

    def check(self) -> str | None:
        """Whether the URL is one; apprise can ask no service without posting."""
        try:
            self._service()
        except SendError as error:
            return f"渠道 {self._channel.name}：{error}"
        return None

    def _service(self) -> Any:
        """What the URL stands for, made anew for each message: apprise sleeps between two posts of the same one.

        Raises:
            SendError: it is no apprise URL, or one of a service that has a channel here.
        """
        import apprise

        name = self._channel.token_env
        url = secret(name).strip()
        if not url:
            raise SendError(f"环境变量 {name or '（没有设 token_env）'} 里没有 apprise 的网址", permanent=True)
        kind = url.partition(":")[0].lower()
        if own := _OWN.get(kind):
            raise SendError(f"{kind} 请用 kind = {own!r}：apprise 看不出它拒收", permanent=True)
        service = apprise.Apprise.instantiate(url, asset=self._asset)
        if service is None:
            raise SendError(f"环境变量 {name} 里的不是 apprise 的网址", permanent=True)
        service.retry = service.service_retry = 0  # a second try is the outbox's, with its mark
        for wait in ("socket_connect_timeout", "socket_read_timeout"):
            setattr(service, wait, min(_PATIENCE, getattr(service, wait) or _PATIENCE))
        return service

    @cached_property
    def _asset(self) -> Any:
        import apprise

        return apprise.AppriseAsset(app_id="pingshao", app_desc="评哨", storage_mode="memory")


def written(card: Card, title_most: int, body_most: int) -> tuple[str, str]:
    """Title and body within a service's limits, what looks like markup or a call made harmless.

    Raises:
        TooLong: however short its quotes are made, and there is no page to send people to.
    """
    card = _tamed(card)
    titled = 0 < len(card.headline) <= title_most
    try:
        body = _body(fitted(card, lambda one: len(_body(one, titled=titled)), body_most), titled=titled)
    except TooLong:
        page = next((one.url for one in card.buttons if one.url), "")
        body = f"{card.headline}\n放不下全文，请打开看：{page}"
        titled = False
        if not page or len(body) > body_most:
            raise
    return card.headline if titled else "", body


def _body(card: Card, *, titled: bool) -> str:
    lines = [] if titled else [card.headline]
    lines += [f"请 {'、'.join(one.name for one in card.ping)} 处理"] if card.ping else []
    lines += [text for line in card.lines if (text := "".join(map(_said, line.spans)).strip())]
    lines += [f"{button.label}：{button.url}" for button in card.buttons if button.url]
    return "\n".join(lines) or card.headline


def _said(span: Span) -> str:
    return f"{span.text}（{span.url}）" if span.url else span.text


def _tamed(card: Card) -> Card:
    lines = [Line(tuple(replace(span, text=_tame(span.text)) for span in line.spans), line.role) for line in card.lines]
    people = tuple(replace(one, name=_tame(one.name)) for one in card.ping)
    return replace(card, title=_tame(card.title), lines=tuple(lines), ping=people)


def _tame(text: str) -> str:
    return wide(text).replace("@", "＠")
