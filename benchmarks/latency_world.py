"""The world around a service whose waiting times are measured: providers in a process of their own, config, service."""

import http.client
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("spawn")
ROOT = Path(__file__).parents[1]
SECRETS = {"TOKEN": "xoxb-test", "SLACK_SECRET": "slack", "FEISHU": "app", "HOOK": "hook", "PUSH_SECRET": "push"}
CHANNELS, LIVE = ("slack", "feishu", "webhook"), ("slack", "feishu")
SHOPS = 20

Seen = tuple[float, str, str, str]
"""When, which provider, ``post`` or ``edit``, and what about: ``case:7``, or Feishu's name of a message."""


def providers(port: Connection) -> None:
    """A Slack, a Feishu app and a webhook that take everything at once; sends what they saw when asked to."""
    seen: list[Seen] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
            at = time.time()
            is_json = "json" in (self.headers["Content-Type"] or "")
            answer = self.note(at, json.loads(raw) if is_json and raw else {})
            body = json.dumps(answer).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        do_PATCH = do_POST  # noqa: N815 — the name that the library asks for

        def note(self, at: float, sent: dict[str, Any]) -> dict[str, Any]:
            path = self.path.partition("?")[0]
            with lock:
                if path.startswith("/api/chat."):
                    payload = sent["metadata"]["event_payload"]
                    what = "edit" if path.endswith("update") else "post"
                    seen.append((at, "slack", what, payload.get("card", "")))
                    return {"ok": True, "ts": f"{len(seen)}.1"}
                if "/auth/" in path:
                    return {"code": 0, "tenant_access_token": "t", "expire": 7200}
                if path.startswith("/open-apis/im/"):
                    name = path.rpartition("/")[2] if self.command == "PATCH" else f"om_{len(seen)}"
                    about = name if self.command == "PATCH" else f"{name} {_about(sent)}"
                    seen.append((at, "feishu", "edit" if self.command == "PATCH" else "post", about))
                    return {"code": 0, "data": {"message_id": name}}
                seen.append((at, "webhook", "post", sent.get("about", "")))
                return {}

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port.send(server.server_address[1])
    while port.recv() == "seen":
        with lock:
            port.send(list(seen))


def _about(sent: dict[str, Any]) -> str:
    """What a Feishu card's buttons act on."""
    elements = json.loads(sent["content"])["elements"]
    found = [one for element in elements for one in element.get("actions", ()) if "value" in one]
    return str(found[0]["value"]["about"]) if found else ""


@contextmanager
def running_providers() -> Iterator[tuple[str, Connection]]:
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=providers, args=(there,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{here.recv()}", here
    here.send("stop")
    process.join()


def write_config(folder: Path, database: str, url: str, rate: str) -> Path:
    paced = f'rate = "{rate}"\n' if rate else ""
    channels = {
        "slack": f'target = "C1"\ntoken_env = "TOKEN"\nsigning_secret_env = "SLACK_SECRET"\nbase_url = "{url}/api/"\n',
        "feishu": f'target = "oc_1"\ntoken_env = "FEISHU"\napp_id = "cli_1"\nsigning_secret_env = "FEISHU"\n'
        f'base_url = "{url}/"\n',
        "webhook": f'target = "{url}/in"\nsigning_secret_env = "HOOK"\n',
    }
    said = "".join(f'[[channels]]\nname = "{name}"\nkind = "{name}"\n{rest}{paced}' for name, rest in channels.items())
    shops = "".join(
        f'[[shops]]\nid = "s{n}"\nname = "店{n}"\nplatform = "tmall"\n'
        f'[[sources]]\nname = "s{n}"\nkind = "webhook"\nshop = "s{n}"\nsecret_env = "PUSH_SECRET"\n'
        for n in range(SHOPS)
    )
    people = '[[people]]\nname = "主管"\nrole = "lead"\nslack = "U1"\n'
    file = folder / "pingshao.toml"
    file.write_text(
        f'{shops}{said}{people}\n[service]\nvar_dir = "{folder}"\ndatabase_url = "{database}"\n'
        f"[routes]\ncrisis = {json.dumps(CHANNELS)}\ncase = {json.dumps(CHANNELS)}\nsystem = []\n"
        "[policy.detect]\nburst_count = 1000000\ncopies = 1000000\n",
        encoding="utf-8",
    )
    return file


@contextmanager
def serving(config: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "scheduler", "--config", str(config), "serve", "--port", str(port)]
    log = (config.parent / "serve.log").open("w", encoding="utf-8")
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | SECRETS, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not _healthy(port):
            assert process.poll() is None, (config.parent / "serve.log").read_text(encoding="utf-8")
            assert time.monotonic() < until, "the service did not start"
            time.sleep(0.1)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        log.close()


def _healthy(port: int) -> bool:
    try:
        return ask(port, "GET", "/healthz", b"", {}) == 200
    except OSError:
        return False


def ask(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
