"""A stand-in for a chat endpoint that checks requests as strictly as the real ones do, and can misbehave on demand."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

KEY = "sk-test-7f3a"

Say = Callable[[str], Any]


def said(negative: bool = True, **values: Any) -> dict[str, Any]:
    """A model's answer of the form asked for."""
    severity = "medium" if negative else None
    return {"negative": negative, "certainty": "sure", "categories": [], "severity": severity, "flags": []} | values


def harmless(_text: str) -> Any:
    return said(negative=False)


class ChatDouble:
    """What it was asked, what was wrong with the asking, and what it says.

    ``say`` is given the text and gives the answer: a dict becomes the message's JSON, a str the message itself, a
    `Response` goes out as it is.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/v1")
        self.say: Say = harmless
        self.bodies: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        server.clear()
        server.expect_request("/v1/chat/completions").respond_with_handler(self._handle)

    @property
    def texts(self) -> list[str]:
        """The texts it was asked about, sorted: they come in any order."""
        return sorted(json.loads(body["messages"][1]["content"])["text"] for body in self.bodies)

    def _handle(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        with self._lock:
            self.problems += problems(request, body)
            self.bodies.append(body)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.say(json.loads(body["messages"][1]["content"])["text"])
        finally:
            with self._lock:
                self.at_once -= 1
        if isinstance(answer, Response):
            return answer
        content = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        return envelope({"role": "assistant", "content": content})


def envelope(message: Any, finish_reason: str = "stop") -> Response:
    """A message as an endpoint wraps it."""
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return Response(json.dumps({"object": "chat.completion", "choices": [choice]}), mimetype="application/json")


def problems(request: Request, body: dict[str, Any]) -> Iterator[str]:
    """What a strict endpoint would refuse."""
    if request.method != "POST" or request.mimetype != "application/json":
        yield f"{request.method} {request.mimetype}"
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        yield f"Authorization {request.headers.get('Authorization')}"
    if set(body) != {"model", "messages", "response_format", "temperature"} or body["model"] != "small-model":
        yield f"keys {sorted(body)}"
    if [message["role"] for message in body["messages"]] != ["system", "user"]:
        yield "roles"
    if set(json.loads(body["messages"][1]["content"])) != {"kind", "stars", "text"}:
        yield "question"
    asked = body["response_format"]
    if asked["type"] != "json_schema" or asked["json_schema"]["strict"] is not True:
        yield "not strict"
    yield from _unstrict(asked["json_schema"]["schema"])


def _unstrict(schema: dict[str, Any]) -> Iterator[str]:
    """Objects of a schema that are open, or leave a key to choice: strict mode refuses them."""
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False or schema.get("required") != list(schema["properties"]):
            yield f"open object {schema}"
        for inner in schema["properties"].values():
            yield from _unstrict(inner)
    if schema.get("type") == "array":
        yield from _unstrict(schema["items"])
