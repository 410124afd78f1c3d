"""The chat endpoint's transport: time, size, redirects, proxies, and what the doctor sees."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from factories import make_core, make_settings
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine
from werkzeug import Request, Response

from monitor import settings as config
from monitor.doctor import checks
from monitor.endpoint import Endpoint, Trouble

RESTING = "刚才接连出错，到 14:01 前不再问，由内置模型打分"
ANSWER = {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}]}


def make_endpoint(url: str, **values: Any) -> Endpoint:
    return Endpoint(config.Llm(**({"base_url": url, "model": "m", "key_env": "LLM_KEY"} | values)))


@contextmanager
def raw_server(*pieces: bytes, pause: float = 0.0) -> Iterator[str]:
    """Sends these bytes, one after another, to whoever connects; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(pause)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            thread.join(10)


def test_an_answer_that_drips_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for the whole answer, not for each of its bytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    begun = time.monotonic()
    with raw_server(head, *[b" "] * 20, pause=0.1) as url, pytest.raises(Trouble, match="timeout"):
        make_endpoint(url, timeout="0.4s").ask([], {})
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("pieces", [(), (b"rubbish\r\n\r\n",), (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",)])
def test_a_connection_that_breaks_is_a_trouble(pieces: tuple[bytes, ...]) -> None:
    """Nothing, no HTTP at all, or half an answer."""
    with raw_server(*pieces) as url, pytest.raises(Trouble, match=r"broken off|unreadable"):
        make_endpoint(url).ask([], {})


def test_a_redirect_gets_neither_key_nor_text(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it leads, it is not followed."""
    monkeypatch.setenv("LLM_KEY", "sk-1")
    httpserver.expect_request("/v1/chat/completions").respond_with_data(
        "", 302, {"Location": httpserver.url_for("/elsewhere")}
    )
    httpserver.expect_request("/elsewhere").respond_with_json(ANSWER)
    with pytest.raises(Trouble, match="HTTP 302"):
        make_endpoint(httpserver.url_for("/v1")).ask([], {})
    assert [request.path for request, _ in httpserver.log] == ["/v1/chat/completions"]


def test_the_environments_proxy_is_used(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for a host nobody knows arrives at the proxy, whole."""
    monkeypatch.setenv("http_proxy", httpserver.url_for(""))
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("LLM_KEY", " sk-1\n")
    seen: list[tuple[str, str | None]] = []

    def proxy(request: Request) -> Response:
        seen.append((request.url, request.headers.get("Authorization")))
        return Response(json.dumps(ANSWER), mimetype="application/json")

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(proxy)
    assert make_endpoint("http://models.invalid/v1/").ask([], {}) == "{}"
    assert seen == [("http://models.invalid/v1/chat/completions", "Bearer sk-1")]


@pytest.mark.parametrize(
    ("header", "wait"), [("7", 7.0), (None, None), ("soon", None), ("-3", None), ("٣", None), ("1e9", None)]
)
def test_how_long_it_asks_to_be_left_alone(httpserver: HTTPServer, header: str | None, wait: float | None) -> None:
    """Whole seconds count; dates and rubbish do not."""
    headers = {"Retry-After": header.encode().decode("latin-1")} if header else {}
    httpserver.expect_request("/v1/chat/completions").respond_with_data("", 429, headers)
    with pytest.raises(Trouble) as caught:
        make_endpoint(httpserver.url_for("/v1")).ask([], {})
    assert caught.value.wait == wait


@pytest.mark.parametrize(
    ("status", "says", "todo"),
    [
        (200, "密钥有效", ""),
        (404, "连得上（HTTP 404）", ""),
        (401, "不认密钥", "LLM_KEY"),
        (403, "不认密钥", "LLM_KEY"),
        (500, "用不了：HTTP 500", "scoring.llm.base_url"),
    ],
)
def test_the_doctor_asks_for_what_costs_nothing(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, status: int, says: str, todo: str
) -> None:
    """Reachable, known, refused, broken: each with what to do, and never the key."""
    monkeypatch.setenv("LLM_KEY", "sk-secret")
    httpserver.expect_request("/v1/models", headers={"Authorization": "Bearer sk-secret"}).respond_with_data("", status)
    said, advice = make_endpoint(httpserver.url_for("/v1")).check()
    assert says in said
    assert (todo in advice) if todo else advice == ""
    assert "sk-secret" not in said + advice


def test_the_doctor_misses_a_key(monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer) -> None:
    """A variable that is named and empty is told before anybody is asked; an endpoint that wants a key says so."""
    monkeypatch.delenv("LLM_KEY", raising=False)
    httpserver.expect_request("/v1/models").respond_with_data("", 401)
    assert make_endpoint(httpserver.url_for("/v1")).check() == ("环境变量 LLM_KEY 里没有密钥", "设置环境变量 LLM_KEY")
    assert not httpserver.log
    assert make_endpoint(httpserver.url_for("/v1"), key_env="").check()[1] == "写上 scoring.llm.key_env"


def test_the_doctor_looks_at_the_endpoint_that_scores(sqlite: Engine, httpserver: HTTPServer) -> None:
    """With the engine llm its endpoint is one of the checks, with its budget; with another engine nobody asks."""
    httpserver.expect_request("/v1/models").respond_with_json({"data": []})
    llm = {"base_url": httpserver.url_for("/v1"), "model": "m"}
    for engine, expected in (("llm", 1), ("builtin", 0)):
        core = make_core(sqlite, make_settings(scoring={"engine": engine, "llm": llm}))
        findings = [check() for name, check in checks(core) if name == "打分"]
        assert [finding.todo for finding in findings] == [""] * expected
        core.budget.take(200)
        core.budget.failed(60)
        told = [check().says for name, check in checks(core) if name == "打分"]
        assert told == [f"{llm['base_url']} 连得上；今天问了 1 次，上限 200；{RESTING}"] * expected
