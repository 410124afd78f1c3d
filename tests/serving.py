"""Real servers on loopback for tests: uvicorn around an application with a client for it, and one for a function."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import uvicorn
from fastapi import FastAPI


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """Serve the application on a free port; gives its address."""
    quiet: dict[str, Any] = {"log_level": "critical", "ws": "none", "lifespan": "off"}
    config = uvicorn.Config(app, host="127.0.0.1", port=0, proxy_headers=False, **quiet)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = monotonic() + 10
        while not server.started and monotonic() < until:
            sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def browse(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve the application; gives a client for it."""
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx would read all certificates for each client: 0.1 s
    with serve(app) as url, httpx.Client(base_url=url, timeout=20, verify=no_tls) as client:
        yield client


@dataclass
class Asked:
    """A request as a platform sees it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]


@dataclass(eq=False)
class Told(Exception):
    """What a platform answers, be it raised or returned; a body that is no bytes goes out as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def answering(handle: Callable[[Asked], Told]) -> Iterator[str]:
    """Serve what a function answers; gives the root address. What it raises besides ``Told`` fails the test."""
    broken: list[BaseException] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.reply(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def do_GET(self) -> None:
            self.reply("")

        def reply(self, sent: str) -> None:
            parts = urlsplit(self.path)
            query, form = (dict(parse_qsl(text, keep_blank_values=True)) for text in (parts.query, sent))
            try:
                told = handle(Asked(self.command, parts.path, query, dict(self.headers), form))
            except Told as raised:
                told = raised
            except BaseException as error:
                broken.append(error)
                raise
            body = told.body if isinstance(told.body, bytes) else json.dumps(told.body, ensure_ascii=False).encode()
            self.send_response(told.status)
            for name, value in {"Content-Length": str(len(body)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not broken, broken
