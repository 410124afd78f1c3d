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
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none", lifespan="off")
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


class Process:
    """A real ``pingshao serve`` on a free port, in a folder with its ``pingshao.toml``; its log is there as well.

    Args:
        folder: Where it runs.
        name: Of its log.
        env: Secrets.
        patch: Python to be run before.
    """

    def __init__(self, folder: Path, name: str, env: dict[str, str] | None = None, patch: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._folder, self._log, self._env = folder, folder / f"{name}.log", env or {}
        self._code = f"import scheduler\n{patch}\nscheduler.main()"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-c", self._code, "serve", "--port", str(self.port)],
                cwd=self._folder,
                env=os.environ | self._env | {"PYTHONPATH": str(Path(__file__).parent.parent)},
                stdout=log,
                stderr=log,
            )

    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def answers(self) -> bool:
        """Whether it listens: before that it has not taken charge of signals."""
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def wait_until_ready(self, seconds: float = 60) -> None:
        until = monotonic() + seconds
        while not self.answers():
            assert self.alive(), self.log()
            assert monotonic() < until, self.log()
            sleep(0.05)

    def stop(self) -> None:
        """Let it stand still, as a machine that sleeps does."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def end(self, within: float = 15) -> tuple[int | None, float]:
        """Ask it to end; gives its exit status, None where it had to be killed, and the seconds it took."""
        began = monotonic()
        assert self._child is not None
        self._child.terminate()
        try:
            return self._child.wait(within), monotonic() - began
        except subprocess.TimeoutExpired:
            self.kill()
            return None, monotonic() - began

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def _signal(self, number: int) -> None:
        assert self._child is not None
        with suppress(ProcessLookupError):
            self._child.send_signal(number)


@contextmanager
def services(folder: Path, *names: str, env: dict[str, str] | None = None, patch: str = "") -> Iterator[list[Process]]:
    """Services of one config that are ready, killed at the end where they still run."""
    running = [Process(folder, name, env, patch) for name in names]
    try:
        for process in running:
            process.start()
        for process in running:
            process.wait_until_ready()
        yield running
    finally:
        for process in running:
            process.kill()
