"""A stand-in for Slack's Web API that checks requests as strictly as Slack does, and can misbehave on demand."""

import json
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from slack_rules import elements_problem, view_problem

_TEXT_LIMITS = {"section": 3000, "context": 3000, "header": 150}


class SlackDouble:
    """What Slack keeps, its own logs of what was asked and what was accepted, and the faults it is to make next.

    A fault is a word: ``429``, ``429:7``, ``500``, ``html``, ``cut``, ``list``, ``reset`` (accepts, then resets),
    ``drop`` (resets, accepts nothing), ``slow`` (accepts, answers too late), ``hang`` (sets `hanging`; once `released`,
    answers as things stood then), ``no_ts``, or an error code of Slack's.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.accepted: list[tuple[str, dict[str, Any]]] = []
        self.views: list[dict[str, Any]] = []
        self.triggers: list[str] = []
        self.expired: set[str] = set()
        self.faults: dict[str, deque[str]] = {}
        self.page = 100
        self.url = ""
        self.hanging = threading.Event()
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._next = 1_700_000_000

    def fail(self, method: str, *faults: str) -> None:
        self.faults.setdefault(method, deque()).extend(faults)

    def posts(self) -> list[dict[str, Any]]:
        return [arguments for method, arguments in self.calls if method == "chat.postMessage"]

    def keys(self) -> list[str]:
        """The dedupe keys of the messages kept, in order."""
        return [message["metadata"]["event_payload"]["key"] for message in self.messages]

    def answer(self, method: str, arguments: dict[str, Any]) -> tuple[int, dict[str, str], str | None]:
        """Status, headers and body; a body of None resets the connection."""
        with self._lock:
            self.calls.append((method, arguments))
            waiting = self.faults.get(method)
            fault = waiting.popleft() if waiting else ""
            if fault.startswith("429"):
                _, _, wait = fault.partition(":")
                return 429, {"Retry-After": wait} if wait else {}, '{"ok": false, "error": "ratelimited"}'
            if fault in ("500", "502", "503"):
                return int(fault), {}, "<html>oops</html>"
            if fault == "drop":
                return 200, {}, None
            body = self._do(method, arguments) if not _is_code(fault) else {"ok": False, "error": fault}
        if fault == "slow":
            self.released.wait(5)
        if fault == "hang":
            self.hanging.set()
            self.released.wait(30)
        return 200, {}, _spoil(fault, body)

    def _do(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if method == "chat.postMessage":
            return self._post(arguments)
        if method == "chat.update":
            return self._update(arguments)
        if method == "views.open":
            return self._open(arguments)
        if method in ("conversations.history", "conversations.replies"):
            return self._history(method, arguments)
        return {"ok": True}

    def _post(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if error := problem(arguments):
            return {"ok": False, "error": error}
        self._next += 1
        ts = f"{self._next}.000100"
        self.messages.append({**arguments, "ts": ts})
        self.accepted.append(("chat.postMessage", arguments))
        return {"ok": True, "ts": ts, "channel": arguments["channel"]}

    def _update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if error := problem(arguments):
            return {"ok": False, "error": error}
        for message in self.messages:
            if message["ts"] == arguments["ts"]:
                message.update(arguments)
                self.accepted.append(("chat.update", arguments))
                return {"ok": True, "ts": arguments["ts"]}
        return {"ok": False, "error": "message_not_found"}

    def _open(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A trigger works once, and three seconds long: those in `expired` are older."""
        trigger, view = arguments.get("trigger_id"), arguments.get("view")
        if not trigger or arguments.keys() - {"trigger_id", "view"}:
            return {"ok": False, "error": "invalid_arguments"}
        view = json.loads(view) if isinstance(view, str) else view or {}
        if wrong := view_problem(view):
            return {"ok": False, "error": "invalid_arguments", "response_metadata": {"messages": [wrong]}}
        if trigger in self.expired or trigger in self.triggers:
            return {"ok": False, "error": "exchanged_trigger_id" if trigger in self.triggers else "expired_trigger_id"}
        self.triggers.append(trigger)
        self.views.append({**view, "id": f"V{len(self.views) + 1}", "hash": f"{self._next}.{len(self.views)}"})
        return {"ok": True, "view": self.views[-1]}

    def _history(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        found = [m for m in self.messages if m["channel"] == arguments["channel"]]
        if method == "conversations.replies":
            if all(m["ts"] != arguments["ts"] for m in found):
                return {"ok": False, "error": "thread_not_found"}
            found = [m for m in found if arguments["ts"] in (m["ts"], m.get("thread_ts"))]
        else:
            found = [m for m in reversed(found) if "thread_ts" not in m]
        if arguments.get("include_all_metadata") not in ("1", True):
            found = [{k: v for k, v in m.items() if k != "metadata"} for m in found]
        start = int(arguments.get("cursor") or 0)
        more = start + self.page < len(found)
        following = {"next_cursor": str(start + self.page)} if more else {}
        page = found[start : start + self.page]
        return {"ok": True, "messages": page, "has_more": more, "response_metadata": following}


def problem(arguments: dict[str, Any]) -> str:
    """Why Slack would refuse a message; empty when it would not."""
    blocks = arguments.get("blocks", [])
    if not arguments.get("channel"):
        return "channel_not_found"
    if len(blocks) > 50 or not blocks or len(arguments.get("text", "")) > 40_000:
        return "invalid_blocks"
    if any(_bad(block) for block in blocks):
        return "invalid_blocks"
    metadata = arguments.get("metadata")
    if not metadata or not metadata.get("event_type") or not isinstance(metadata.get("event_payload"), dict):
        return "invalid_metadata_format"
    return ""


def _bad(block: dict[str, Any]) -> bool:
    if block["type"] == "divider":
        return False
    if block["type"] == "actions":
        return bool(elements_problem(block["elements"]))
    texts = block["elements"] if block["type"] == "context" else [block["text"]]
    limit = _TEXT_LIMITS[block["type"]]
    return any(not 0 < len(text["text"]) <= limit or _bad_markup(text) for text in texts)


def _bad_markup(text: dict[str, Any]) -> bool:
    """Angle brackets that are neither a link nor a person, and ampersands that are no entity."""
    if text["type"] != "mrkdwn":
        return False
    rest = re.sub(r"<(?:https?://[^<>|]{1,3000}\|[^<>]+|@[UW][A-Z0-9]+)>", "", text["text"])
    return bool(re.search(r"[<>]|&(?!(?:amp|lt|gt);)", rest)) or text.get("verbatim") is not True


def _is_code(fault: str) -> bool:
    return bool(fault) and fault not in ("html", "cut", "list", "reset", "slow", "hang", "no_ts")


def _spoil(fault: str, body: dict[str, Any]) -> str | None:
    if fault == "reset":
        return None
    if fault == "html":
        return "<html>welcome to the proxy</html>"
    if fault == "list":
        return "[1]"
    if fault == "no_ts":
        body = {key: value for key, value in body.items() if key != "ts"}
    text = json.dumps(body)
    return text[:-5] if fault == "cut" else text


@contextmanager
def slack_double() -> Iterator[SlackDouble]:
    """The double on a free loopback port."""
    double = SlackDouble()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
            is_json = self.headers["Content-Type"].startswith("application/json")
            arguments = json.loads(raw or "{}") if is_json else dict(parse_qsl(raw.decode()))
            status, headers, body = double.answer(self.path.rsplit("/", 1)[1], arguments)
            if body is None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None: ...

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    double.url = f"http://127.0.0.1:{server.server_address[1]}/api/"
    try:
        yield double
    finally:
        double.released.set()
        server.shutdown()
        server.server_close()
