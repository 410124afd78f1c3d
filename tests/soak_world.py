"""The world of a soak: its plan, what buyers write and when, the shops' pages, the config, providers' outages."""

import json
import random
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from soak_time import SharedMoment

_THURSDAY = datetime(2026, 11, 11, 16, 0, tzinfo=UTC)  # its midnight in Shanghai
SECRETS = {"SLACK_TOKEN": "xoxb-test", "PUSH_SECRET": "the pushers' secret"}
DESK_USER, PASSWORD = "主管", "correct horse"
CONFIG = "pingshao.toml"
_SHOPS = 10
_PAGE = 200
_THINGS = ("杯子", "杯盖", "包装", "颜色", "快递", "赠品", "密封圈", "提绳", "做工", "尺寸")
_GOOD = ("很好看", "比想象的好", "用着没问题", "很满意", "家里人都喜欢", "值这个价", "隔天就到了", "下次还来")
_WORSE = ("漏水，很失望", "收到就是坏的", "和图片差太多，要退货", "三天就坏了，没人理", "压扁了，客服态度很差")


@dataclass(frozen=True)
class Restart:
    """The service ends and comes back.

    Attributes:
        at: Share of the span.
        act: ``end`` (SIGTERM) or ``kill``.
        zone: The host's zone from then on; as before where empty.
    """

    at: float
    act: str
    zone: str = ""


@dataclass(frozen=True)
class Plan:
    """What a soak is to be.

    Attributes:
        folder: For store, config, logs, samples.
        hours: Of fake time, from a Thursday's midnight in Shanghai on: by the second quarter of a week each kind of
            report was made once, so that what it loads is loaded.
        later: Hours after that midnight at which it begins.
        feedbacks: Written in that time.
        bad: Share of them that complain.
        crawled: Sources that are crawled by processes of their own.
        pushed: Sources whose reviews come through the desk's door.
        crawl_hours: Between two crawls of a source.
        sample: Minutes between two samples.
        growth: Most that the last quarter's resident memory may be of the second's.
        pace: See `FakeTime`.
        restarts: All within the first quarter, so that one process lives through the three that are compared.
        outages: Provider, from and until when: shares of the span.
        backups: Shares of the span.
        down: For how long nobody serves at a restart.
    """

    folder: Path
    hours: int = 168
    later: int = 0
    feedbacks: int = 200_000
    bad: float = 0.01
    crawled: int = 8
    pushed: int = 12
    crawl_hours: int = 12
    sample: int = 30
    growth: float = 1.05
    pace: float = 1.0
    restarts: tuple[Restart, ...] = (
        Restart(0.04, "end"),
        Restart(0.08, "kill"),
        Restart(0.12, "end", "America/Los_Angeles"),
        Restart(0.16, "kill"),
        Restart(0.20, "kill"),
    )
    outages: tuple[tuple[str, float, float], ...] = (
        ("slack", 0.10, 0.115),
        ("slack", 0.33, 0.35),
        ("mail", 0.55, 0.575),
        ("slack", 0.80, 0.82),
    )
    backups: tuple[float, ...] = (0.23, 0.45, 0.70, 0.95)
    down: timedelta = timedelta(minutes=10)

    @property
    def sources(self) -> int:
        return self.crawled + self.pushed

    @property
    def start(self) -> datetime:
        return _THURSDAY + timedelta(hours=self.later)

    def moment(self, share: float) -> datetime:
        return self.start + timedelta(hours=self.hours) * share

    def written(self, until: datetime) -> int:
        """How many feedbacks each source has by then."""
        return max(0, int((until - self.start) / self.step))

    @property
    def step(self) -> timedelta:
        """Between two feedbacks of a source."""
        return timedelta(hours=self.hours) * self.sources / self.feedbacks

    def feedback(self, source: int, n: int) -> dict[str, Any]:
        """What a buyer wrote, in the words of the config."""
        chance = random.Random(source * 10_000_019 + n)
        bad = chance.random() < self.bad
        said = [chance.choice(_THINGS) + chance.choice(_WORSE if bad else _GOOD) for _ in range(chance.randint(1, 3))]
        return {
            "id": f"{source}-{n}",
            "text": f"{'，'.join(said)}，第{n}单",
            "stars": 1 if bad else 5,
            "time": (self.start + self.step * (n + 1)).isoformat(),
            "author": f"买家{chance.randrange(50_000)}",
            "order": f"26{source:03d}{n:09d}",
            "product": f"保温杯 {chance.randint(1, 200)} 号",
        }


@contextmanager
def shop_pages(plan: Plan, moment: SharedMoment) -> Iterator[list[str]]:
    """A server for each crawled source: ``/s3?page=1`` shows the newest first, twice what a crawl has to read."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, query = self.path.partition("?")
            page = int(query.rpartition("=")[2] or 1)
            newest, span = plan.written(moment.get()), timedelta(hours=plan.crawl_hours * 2.2)
            oldest = max(0, newest - int(span / plan.step))
            top = newest - (page - 1) * _PAGE
            found = [plan.feedback(int(name[2:]), n) for n in range(top - 1, max(top - _PAGE, oldest) - 1, -1)]
            body = json.dumps({"data": found}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(plan.crawled)]
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield [f"127.0.0.1:{server.server_address[1]}" for server in servers]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


class Outage(deque[str]):
    """Stands where a double keeps the faults it is to make, and makes one for as long as a provider is out."""

    def __init__(self, moment: SharedMoment, spans: Sequence[tuple[datetime, datetime]], fault: str) -> None:
        super().__init__()
        self._moment, self._spans, self._fault = moment, spans, fault

    def __bool__(self) -> bool:
        now = self._moment.get()
        return any(start <= now < end for start, end in self._spans)

    def popleft(self) -> str:
        return self._fault


def outage(plan: Plan, moment: SharedMoment, provider: str, fault: str) -> Outage:
    """When a provider of the plan is out."""
    spans = [(plan.moment(start), plan.moment(end)) for who, start, end in plan.outages if who == provider]
    return Outage(moment, spans, fault)


def write_config(plan: Plan, url: str, sites: Sequence[str], slack: str, smtp: int) -> None:
    """The config of the service, in the plan's folder."""
    shops = "".join(f'[[shops]]\nid = "shop{n}"\nname = "第{n}店"\nplatform = "tmall"\n' for n in range(_SHOPS))
    fields = ", ".join(f'{name} = "{name}"' for name in ("id", "text", "stars", "time", "author", "order", "product"))
    sources = "".join(
        f'[[sources]]\nname = "s{n}"\nshop = "shop{n % _SHOPS}"\n'
        + (
            f'kind = "json"\ndelay = "0.01s"\nobey_robots = false\n'
            f'cron = "{20 + n // 2 * 5} */{plan.crawl_hours} * * *"\n'
            f'urls = ["http://{sites[n]}/s{n}"]\nitems = "data"\npage = {{ param = "page", first = 1 }}\n'
            f"fields = {{ {fields} }}\n"
            if n < plan.crawled
            else 'kind = "webhook"\nsecret_env = "PUSH_SECRET"\nevery = "1h"\n'
        )
        for n in range(plan.sources)
    )
    clocks = "\n".join(
        f'{severity} = {{ respond = "30m", solve = "4h" }}' for severity in ("critical", "high", "medium", "low")
    )
    people = "".join(
        f'[[people]]\nname = "{name}"\nrole = "{role}"\nslack = "U{n}"\nemail = "{role}@example.com"\n'
        for n, (name, role) in enumerate((("客服一号", "agent"), (DESK_USER, "lead"), ("经理", "manager")))
    )
    (plan.folder / CONFIG).write_text(
        f"""
{shops}{sources}{people}
[[channels]]
name = "ops"
kind = "slack"
target = "C1"
token_env = "SLACK_TOKEN"
base_url = "{slack}"
rate = "1000/1s"
[service]
database_url = "{url}"
allow_private_hosts = {json.dumps(sites)}
[smtp]
host = "127.0.0.1"
port = {smtp}
[routes]
crisis = ["ops"]
case = ["ops"]
system = ["ops"]
[policy.case]
{clocks}
remind_before = "10m"
[summaries]
weekly = "fri 13:00"
recipients = ["head@example.com"]
[retention]
reviews = "{max(1, plan.hours // 56)}d"
scores = "{max(1, plan.hours // 56)}d"
messages = "{max(1, plan.hours // 56)}d"
events = "{max(1, plan.hours // 56)}d"
[upkeep]
outbox_age = "30m"
""",
        encoding="utf-8",
    )
