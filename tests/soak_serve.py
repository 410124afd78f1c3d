"""What a soak puts into ``pingshao serve``: fake time, longer pauses between rounds, the people of the week, samples.

Everything else is the service as it is. Rounds that find nothing are most of what an idle service does; they come less
often here, sweeps each four seconds in place of each one: what a soak says of lateness is the worse for it. SQLite's
page caches, of at most 32 MB for each of some connections, take days to fill and are kept small: what grows is a leak.
"""

import asyncio
import json
import os
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from hmac import new as hmac_new
from http.cookiejar import CookieJar
from pathlib import Path
from socket import socket
from types import SimpleNamespace
from typing import Any

from soak_time import FakeLoops, FakeTime, SharedMoment
from soak_world import DESK_USER, PASSWORD, SECRETS, Plan
from sqlalchemy import text

from monitor import db
from monitor.moves import Action

PAUSES = {
    "_SWEEP_EVERY": 4.0,
    "_DELIVER_EVERY": 60.0,
    "_SETTINGS_EVERY": 300.0,
    "_INDEX_EVERY": 300.0,
    "_HAND_OVER_EVERY": 300.0,
    "_RETENTION_EVERY": 600.0,
    "_SUMMARIES_EVERY": 120,
}
_WATCH_EVERY = 300.0
_PUSH_EVERY, _STAFF_EVERY, _VISIT_EVERY = 7200.0, 900.0, 1800.0
_BATCH = 200
_ACTS = ("claim", "contacted", "resolved")
_PAGES = ("/", "/cases", "/cases?which=all", "/crises", "/mentions", "/outbox", "/audit", "/healthz", "/metrics")
_VITALS = """
SELECT (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending', 'uncertain')),
(SELECT min(created_at) FROM outbox WHERE state IN ('pending', 'sending', 'uncertain')),
(SELECT count(*) FROM timer WHERE state = 'armed'), (SELECT max(id) FROM feedback)
"""


def install(plan: Plan) -> None:
    """Make this process, which is about to run a command, one of the fake week, from the shared moment on."""
    import apscheduler.executors.base
    import apscheduler.schedulers.base
    import apscheduler.triggers.interval
    import uvicorn

    import scheduler
    from commands import serving
    from commands.app import App
    from monitor import selfwatch, service, skew

    shared = SharedMoment(plan.folder / "moment")
    fake = FakeTime(shared.get(), shared, plan.pace)
    asyncio.set_event_loop_policy(FakeLoops(fake))
    scheduler.SystemClock.now = lambda _self: fake.now()  # type: ignore[method-assign]

    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "datetime":  # type: ignore[override]
            return fake.now().astimezone(tz)

    for module in (apscheduler.executors.base, apscheduler.schedulers.base, apscheduler.triggers.interval):
        module.datetime = Now
    for name, pause in PAUSES.items():
        setattr(service, name, pause)
    prepare = db._prepare_sqlite

    def prepared(busy_ms: int, connection: Any, record: Any) -> None:
        prepare(busy_ms, connection, record)
        connection.execute("PRAGMA cache_size = -1000")

    db._prepare_sqlite = prepared
    skew.LOOK_EVERY = selfwatch.LOOK_EVERY = serving.WRITE_EVERY = _WATCH_EVERY
    serving.time = SimpleNamespace(monotonic=fake.seconds)  # type: ignore[assignment]

    built, crawl, apps = scheduler.build, App.crawl, []

    def build(*arguments: Any) -> App:
        apps.append(built(*arguments))
        return apps[-1]

    async def crawled(app: App, source: Any) -> dict[str, Any]:
        with fake.busy():
            return await crawl(app, source)

    class Soaked(service.Service):
        def __init__(self, core: Any, *, more: Any = (), **rest: Any) -> None:
            week = Week(plan, apps[-1], int(sys.argv[-1]))
            super().__init__(core, more=[*more, *week.loops()], **rest)

    async def ticks(server: uvicorn.Server) -> None:
        while not server.should_exit:
            await server.on_tick(0)
            await asyncio.sleep(_WATCH_EVERY)  # it ticks ten times a second, also for us

    scheduler.build = build
    App.crawl = crawled  # type: ignore[method-assign]
    serving.Service = Soaked  # type: ignore[misc]
    uvicorn.Server.main_loop = ticks  # type: ignore[method-assign]


class Week:
    """Who is about in that week: systems that push, staff who settle cases, somebody at the desk; and the samples."""

    def __init__(self, plan: Plan, app: Any, port: int) -> None:
        self._plan, self._app, self._desk = plan, app, f"http://127.0.0.1:{port}"
        self._door = ("127.0.0.1", port)
        self._pushed = plan.folder / "pushed.json"
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._acted = 0

    def loops(self) -> list[tuple[str, Any, float]]:
        doors = [("visitor", self.visit, _VISIT_EVERY), ("push", self.push, _PUSH_EVERY)]
        return [
            ("sample", self.sample, self._plan.sample * 60.0),
            ("staff", self.settle, _STAFF_EVERY),
            *((name, partial(self._open, work), pause) for name, work, pause in doors),
        ]

    def _open(self, work: Callable[[], None]) -> None:
        """Work that needs the desk's door, once that is open."""
        with socket() as probe:
            while probe.connect_ex(self._door):
                time.sleep(0.1)
        work()

    def push(self) -> None:
        """Each pushing system sends what was written since it was last told that all was taken."""
        done = json.loads(self._pushed.read_text()) if self._pushed.exists() else {}
        for source in range(self._plan.crawled, self._plan.sources):
            newest = self._plan.written(self._app.core.clock.now())
            for start in range(done.get(str(source), 0), newest, _BATCH):
                end = min(start + _BATCH, newest)
                items = [self._plan.feedback(source, n) for n in range(start, end)]
                self._post(f"/hooks/s{source}", json.dumps(items).encode())
                done[str(source)] = end
                self._pushed.write_text(json.dumps(done))

    def _post(self, path: str, body: bytes) -> None:
        stamp = str(int(self._app.core.clock.now().timestamp()))
        digest = hmac_new(SECRETS["PUSH_SECRET"].encode(), f"{stamp}.".encode() + body, sha256).hexdigest()
        headers = {"X-Pingshao-Timestamp": stamp, "X-Pingshao-Signature": f"sha256={digest}"}
        urllib.request.urlopen(urllib.request.Request(self._desk + path, body, headers), timeout=60).close()  # noqa: S310 — ours

    def settle(self) -> None:
        """Staff settle what came, but for one case in five, whose clocks run out, and take on every crisis."""
        with db.reading(self._app.core.engine) as session:
            found = text('SELECT id FROM "case" WHERE id > :last AND id % 5 > 0 ORDER BY id LIMIT 60')
            cases = list(session.execute(found, {"last": self._acted}).scalars())
            crises = list(session.execute(text("SELECT id FROM crisis WHERE state = 'open'")).scalars())
        for case in cases:
            for act in _ACTS:
                self._app.act("客服一号", Action(act, "case", case, "已和买家说好"))
            self._acted = case
        for crisis in crises:
            self._app.act(DESK_USER, Action("claim", "crisis", crisis, "先停发，再逐个联系"))

    def visit(self) -> None:
        """The lead looks through the desk."""
        for path in _PAGES:
            with self._opener.open(self._desk + path, timeout=60) as answer:
                entered = "/login" not in answer.url
                answer.read()
            if not entered:
                form = urllib.parse.urlencode({"name": DESK_USER, "password": PASSWORD}).encode()
                request = urllib.request.Request(f"{self._desk}/login", form, {"Origin": self._desk})  # noqa: S310 — ours
                self._opener.open(request, timeout=60).close()

    def sample(self) -> None:
        """A line about this process and the store."""
        now = self._app.core.clock.now()
        with db.reading(self._app.core.engine) as session:
            waiting, oldest, armed, feedbacks = session.execute(text(_VITALS)).one()
        if isinstance(oldest, str):
            oldest = datetime.fromisoformat(oldest).replace(tzinfo=UTC)
        status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
        store = self._plan.folder / "soak.db"
        line = {
            "hours": (now - self._plan.start) / timedelta(hours=1),
            "pid": os.getpid(),
            "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
            "threads": int(status["Threads"]),
            "handles": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "store_mb": _size(store),
            "wal_mb": _size(store.with_name("soak.db-wal")),
            "waiting": waiting,
            "outbox_age_s": (now - oldest).total_seconds() if oldest else 0.0,
            "armed": armed,
            "feedbacks": feedbacks or 0,
        }
        with (self._plan.folder / "samples.jsonl").open("a") as samples:
            samples.write(json.dumps(line) + "\n")


def _size(file: Path) -> float:
    return file.stat().st_size / 1e6 if file.exists() else 0.0
