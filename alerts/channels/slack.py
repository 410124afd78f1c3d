"""Slack through its Web API: cards edited in place, reminders in their threads, asked by metadata what it has."""

import json
import urllib.error
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from alerts.blocks import blocks, preview
from alerts.channel import Channel, Gone, Letter, SendError, Uncertain, retry_after
from alerts.http_channel import Answer, refusal
from monitor import settings as config
from monitor.config import secret
from monitor.settings import Settings

TIMEOUT = 10
"""Seconds; well under the outbox's lease."""
_EVENT = "pingshao"
_PAGES, _PAGE = 10, 200  # messages looked through when asked for one
_GONE = {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"}
_PASSING = {"ratelimited", "rate_limited", "service_unavailable", "team_added_to_org", "accesslimited"}
_UNSURE = {"fatal_error", "internal_error", "request_timeout"}  # Slack: part of it may have been done
_ADVICE = {
    "invalid_auth": "令牌无效",
    "not_authed": "没有令牌",
    "token_revoked": "令牌已被撤销",
    "account_inactive": "机器人已被停用",
    "channel_not_found": "找不到频道，请核对 target",
    "not_in_channel": "机器人不在频道里，请在频道中 /invite 它",
    "is_archived": "频道已归档",
    "missing_scope": "令牌缺权限：需要 chat:write、channels:history（私有频道为 groups:history）",
}


class Slack(Channel):
    """A Slack channel, by a bot token."""

    live = True
    clicks = True
    threads = True
    page = 20
    rate = "30/30s"  # Slack: one a second for each channel, with short bursts
    second_try = 2

    def __init__(self, channel: config.Channel, settings: Settings) -> None:
        del settings
        self._channel = channel
        base = channel.base_url or WebClient.BASE_URL
        self._client = WebClient(
            token=secret(channel.token_env),
            base_url=base if base.endswith("/") else f"{base}/",
            timeout=TIMEOUT,
            retry_handlers=[],  # the SDK's own would post twice after a reset
        )

    def send(self, letter: Letter) -> str:
        """Post a message, in a card's thread where it answers one."""
        thread = {"thread_ts": letter.thread} if letter.thread else {}
        answer = self._call("chat.postMessage", {"channel": letter.target, **_form(letter), **thread})
        return str(answer.get("ts") or "") or self._named_later(letter)

    def update(self, ref: str, letter: Letter) -> None:
        """Edit a card in place."""
        self._call("chat.update", {"channel": letter.target, "ts": ref, **_form(letter)})

    def lookup(self, letter: Letter) -> str | None:
        """Look through the newest messages, and the thread, for the letter's metadata."""
        threads = [{"ts": letter.thread}] if letter.thread else []
        complete = True
        for where in (*threads, {}):
            try:
                for message in self._messages({"channel": letter.target, **where}):
                    if message is None:
                        complete = False
                    elif _is(message, letter):
                        return str(message["ts"])
            except Gone:
                continue
        return "" if complete else None

    def check(self) -> str | None:
        """Whether the token works and sees the channel."""
        name = self._channel.name
        if not self._client.token:
            return f"渠道 {name}：环境变量 {self._channel.token_env or '（没有设 token_env）'} 里没有令牌"
        try:
            self._call("auth.test", {})
            self._call("conversations.history", {"channel": self._channel.target, "limit": 1})
        except SendError as error:
            return f"渠道 {name}：{error}"
        except Uncertain as error:
            return f"渠道 {name}：连不上 Slack（{error}）"
        return None

    def _named_later(self, letter: Letter) -> str:
        """The name of a message that was accepted without one."""
        try:
            return self.lookup(letter) or ""
        except (SendError, Uncertain):
            return ""

    def _messages(self, where: dict[str, Any]) -> Iterator[dict[str, Any] | None]:
        """Messages, newest first; None at the end when there are more than were looked through."""
        method = "conversations.replies" if "ts" in where else "conversations.history"
        cursor: dict[str, Any] = {}
        for _ in range(_PAGES):
            answer = self._call(method, {**where, "limit": _PAGE, "include_all_metadata": True, **cursor})
            messages = answer.get("messages")
            if not isinstance(messages, list):
                raise Uncertain(f"{method} 的回答里没有 messages")
            yield from messages
            following = (answer.get("response_metadata") or {}).get("next_cursor")
            if not following:
                return
            cursor = {"cursor": following}
        yield None

    def _call(self, method: str, arguments: dict[str, Any]) -> SlackResponse:
        try:
            if method.startswith("chat."):
                return self._client.api_call(method, json=arguments)
            return self._client.api_call(method, params=arguments)
        except SlackApiError as error:
            raise _meaning(error.response) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ConnectionResetError | TimeoutError | BrokenPipeError):
                raise Uncertain(str(error.reason)) from error
            raise SendError(f"连不上 Slack：{error.reason}", down=True) from error
        except (OSError, HTTPException, ValueError, AttributeError) as error:  # AttributeError: JSON, but no object
            raise Uncertain(f"{type(error).__name__}: {error}") from error


def _form(letter: Letter) -> dict[str, Any]:
    payload: dict[str, Any] = {"key": letter.key}
    if letter.live:
        payload["card"] = letter.live
    if letter.carries:
        payload["carries"] = json.dumps(letter.carries)
    return {
        "text": preview(letter.card),
        "blocks": blocks(letter.card),
        "metadata": {"event_type": _EVENT, "event_payload": payload},
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _is(message: dict[str, Any], letter: Letter) -> bool:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    if metadata.get("event_type") != _EVENT:
        return False
    return payload.get("key") == letter.key or bool(letter.live and payload.get("card") == letter.live)


def _meaning(response: Any) -> SendError | Uncertain:
    """What a failed call means, by status first: an error page is no answer of Slack's."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    data = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or "（没有说明原因）")
    status = response.status_code
    if code in _UNSURE:
        return Uncertain(f"HTTP {status} {code}")
    if (status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR) and (
        trouble := refusal("Slack ", Answer(status, headers, b""))
    ):
        return trouble
    if not code.replace("_", "").isascii() or not code.replace("_", "").isalnum():
        return Uncertain(f"HTTP {status}，看不懂的回答：{code[:200]}")
    told = f"Slack 拒绝：{_ADVICE[code]}（{code}）" if code in _ADVICE else f"Slack 拒绝：{code}"
    if code in _GONE:
        return Gone(told, permanent=True)
    return SendError(told, permanent=code not in _PASSING, retry_after=retry_after(headers.get("retry-after")))
