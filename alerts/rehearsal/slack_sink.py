"""A stand-in for Slack's Web API: takes what slack-sdk sends, as strictly as Slack does, and keeps it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitor.clock import Clock

BOT = "U0BOT"
_LIMITS = {"header": 150, "section": 3000, "context": 2000, "button": 75}  # characters of text
_MOST = {"blocks": 50, "actions": 25, "context": 10, "fields": 10}  # elements
_JSON_FIELDS = ("blocks", "metadata", "attachments")

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """What a message said from a moment on, until it was edited."""

    text: str
    blocks: list[Params]
    at: datetime


@dataclass
class SlackMessage:
    """A message as it stands now.

    Attributes:
        channel: Where it is; a direct message's channel is the person's id with D for U.
        thread_ts: The message it answers; empty at the top level.
        only_for: The one person who sees it (ephemeral).
        earlier: What it said before each edit.
    """

    ts: str
    channel: str
    text: str
    blocks: list[Params]
    at: datetime
    metadata: Params = field(default_factory=dict)
    thread_ts: str = ""
    only_for: str = ""
    earlier: list[Version] = field(default_factory=list)
    edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A line of the provider's own log: a post or an edit that it took, with the key in the metadata."""

    method: str
    channel: str
    ts: str
    key: str


class SlackError(Exception):
    """Slack's word for what is wrong, as it stands in ``error``."""


class SlackSink:
    """The provider; ``app`` is what a web server serves under ``/api/``.

    Attributes:
        messages: All messages, oldest first.
        log: All posts and edits accepted, oldest first.
    """

    def __init__(self, clock: Clock) -> None:
        self.messages: list[SlackMessage] = []
        self.log: list[Accepted] = []
        self._clock = clock
        self._methods: dict[str, Callable[[Params], Params]] = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.open": self._open,
        }
        self.app = Starlette(routes=[Route("/api/{method}", self._call, methods=["GET", "POST"])])

    async def _call(self, request: Request) -> Response:
        method = self._methods.get(request.path_params["method"], _unknown)
        if not request.headers.get("authorization", "").startswith("Bearer "):
            method = _nobody
        try:
            return JSONResponse({"ok": True} | method(await _params(request)))
        except SlackError as error:
            return JSONResponse({"ok": False, "error": str(error)})

    def _auth_test(self, params: Params) -> Params:
        del params
        return {"url": "https://example.slack.com/", "team": "示例", "user": "pingshao", "user_id": BOT}

    def _post(self, params: Params) -> Params:
        message = self._keep(params)
        self._accept("chat.postMessage", message)
        return {"channel": message.channel, "ts": message.ts, "message": _shown(message, with_metadata=True)}

    def _post_ephemeral(self, params: Params) -> Params:
        if not params.get("user"):
            raise SlackError("user_not_in_channel")
        message = self._keep(params)
        message.only_for = str(params["user"])
        return {"message_ts": message.ts}

    def _update(self, params: Params) -> Params:
        _check(params)
        message = self._find(_channel(params), str(params.get("ts")))
        message.earlier.append(Version(message.text, message.blocks, message.edited_at or message.at))
        message.text, message.blocks = params.get("text") or "", params.get("blocks") or []
        message.metadata = params.get("metadata", message.metadata)
        message.edited_at = self._clock.now()
        self._accept("chat.update", message)
        return {"channel": message.channel, "ts": message.ts, "text": message.text}

    def _history(self, params: Params) -> Params:
        channel = _channel(params)
        top = [message for message in self._in(channel) if not message.thread_ts]
        return _slice(top[::-1], params)

    def _replies(self, params: Params) -> Params:
        parent = self._find(_channel(params), str(params.get("ts")))
        thread = [message for message in self._in(parent.channel) if parent.ts in (message.ts, message.thread_ts)]
        return _slice(thread, params)

    def _open(self, params: Params) -> Params:
        return {"channel": {"id": _channel({"channel": params.get("users")})}}

    def _in(self, channel: str) -> list[SlackMessage]:
        return [message for message in self.messages if message.channel == channel and not message.only_for]

    def _find(self, channel: str, ts: str) -> SlackMessage:
        for message in self._in(channel):
            if message.ts == ts:
                return message
        raise SlackError("message_not_found")

    def _keep(self, params: Params) -> SlackMessage:
        _check(params)
        now = self._clock.now()
        message = SlackMessage(
            ts=f"{int(now.timestamp())}.{len(self.messages) + 1:06d}",
            channel=_channel(params),
            text=params.get("text") or "",
            blocks=params.get("blocks") or [],
            at=now,
            metadata=params.get("metadata") or {},
            thread_ts=str(params.get("thread_ts") or ""),
        )
        self.messages.append(message)
        return message

    def _accept(self, method: str, message: SlackMessage) -> None:
        key = str(message.metadata.get("event_payload", {}).get("key", ""))
        self.log.append(Accepted(method, message.channel, message.ts, key))


def _nobody(params: Params) -> Params:
    del params
    raise SlackError("not_authed")


def _unknown(params: Params) -> Params:
    del params
    raise SlackError("unknown_method")


async def _params(request: Request) -> Params:
    """Query, form and JSON body as one; slack-sdk writes JSON into form fields too."""
    params: Params = dict(request.query_params)
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            params |= json.loads(await request.body() or b"{}")  # slack-sdk sends no body where there are no arguments
        elif request.method == "POST":
            params |= dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        for name in _JSON_FIELDS:
            if isinstance(params.get(name), str):
                params[name] = json.loads(params[name])
    except (ValueError, TypeError):
        raise SlackError("invalid_arguments") from None
    return params


def _channel(params: Params) -> str:
    channel = str(params.get("channel") or "")
    if channel[:1] not in {"C", "G", "D", "U"} or not channel.isalnum():
        raise SlackError("channel_not_found")
    return "D" + channel[1:] if channel.startswith("U") else channel


def _check(params: Params) -> None:
    if not params.get("text") and not params.get("blocks"):
        raise SlackError("no_text")
    if any(_faults(params.get("blocks") or [])):
        raise SlackError("invalid_blocks")


def _faults(blocks: list[Params]) -> Iterator[bool]:
    """Whether anything is longer or more than Slack takes."""
    yield len(blocks) > _MOST["blocks"]
    for block in blocks:
        yield not isinstance(block, dict)
        kind, elements = block.get("type", ""), block.get("elements", [])
        yield not kind
        yield len(elements) > _MOST.get(kind, len(elements))
        yield len(block.get("fields", [])) > _MOST["fields"]
        for part in [block, *elements]:
            text = part.get("text", "")
            said = text.get("text", "") if isinstance(text, dict) else text
            limit = _LIMITS.get(part.get("type", ""), _LIMITS["section"])
            yield len(said) > limit
            yield isinstance(text, dict) and not said


def _slice(messages: list[SlackMessage], params: Params) -> Params:
    oldest, latest = float(params.get("oldest") or 0), float(params.get("latest") or "inf")
    inclusive = str(params.get("inclusive", "")).lower() in {"1", "true"}
    found = [
        message
        for message in messages
        if oldest < float(message.ts) < latest or (inclusive and float(message.ts) in (oldest, latest))
    ]
    start, limit = int(params.get("cursor") or 0), int(params.get("limit") or 100)
    more = len(found) > start + limit
    with_metadata = str(params.get("include_all_metadata", "")).lower() in {"1", "true"}
    return {
        "messages": [_shown(message, with_metadata=with_metadata) for message in found[start : start + limit]],
        "has_more": more,
        "response_metadata": {"next_cursor": str(start + limit) if more else ""},
    }


def _shown(message: SlackMessage, *, with_metadata: bool) -> Params:
    shown = {"type": "message", "user": BOT, "ts": message.ts, "text": message.text, "blocks": message.blocks}
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
    return shown | ({"metadata": message.metadata} if with_metadata and message.metadata else {})
