"""What a house of a given size costs a day and on the disk; and whether a large store bears the model out.

    .venv/bin/python benchmarks/scale.py [--feedbacks 100000000] [--sources 1000] [--shops 300] [--years 3] …
    .venv/bin/python benchmarks/scale.py --folder DIR [--rounds 15]

Without a folder the model's table is printed; each constant below names the benchmark that gave it, and
docs/explanation/scale.md says what follows. With the folder of a PostgreSQL that ``benchmarks/desk.py`` filled, its
sizes are held against the model's, and batches go through the real intake in turns: into an empty store of the same
server and into the full one. Processor time is of one core of the machine in that page.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path

from desk import NOW, make_core, postgres
from filling import SHOPS
from intake import BLAME, PRAISE, SUBJECTS
from sqlalchemy import Engine, text
from sqlmodel import func, select

from crawler.items import FeedbackItem
from monitor import db, directory, intake, runs, timers
from monitor.core import Core
from monitor.models import Feedback

DAY = 86_400
MOST_LOSS = 0.2  # of the intake's rate, from an empty store to a full one
_SIZES = """
SELECT c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid) FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 2 DESC
"""


@dataclass(frozen=True)
class Constants:
    """What one thing costs: processor time in seconds, sizes in bytes; by which command it was measured."""

    crawl_start: float = 1.9  # crawl.py: a crawl of one page, nearly all of it Python's imports
    crawl_item: float = 0.0012  # crawl.py --reviews 20: reading, parsing and looking up; mostly known already
    intake: float = 0.0011  # intake.py --database: clean, score, store one new feedback, the database's part with it
    round: float = 0.0010  # timers.py, "idle sweep", and a thread's turn: one round of a loop that finds nothing
    timer: float = 0.0021  # timers.py, "drain": one timer that fires, with its event and message
    message: float = 0.0065  # outbox.py: claim, render, post, store
    page: float = 0.030  # desk.py, the least of a page
    report: float = 6.0  # reports.py, "cold: … of our own CPU": a weekly report
    backup: float = (
        0.00012  # `pingshao backup` of a million: a feedback with what belongs to it, read back and compared
    )
    row_bytes: float = 1150.0  # scale.py --folder, a million: tables, a feedback with score, case, events, messages
    index_bytes: float = 1200.0  # the same: indexes
    wal_bytes: float = 6000.0  # scale.py --folder: write-ahead log of one new feedback
    backup_bytes: float = 1000.0  # of its file
    page_bytes: float = 40_000.0  # crawl: an answer of a shop's server
    message_bytes: float = 4_000.0  # outbox: request and answer
    serve_memory: float = 260e6  # soak
    crawl_memory: float = 110e6  # crawl.py


@dataclass(frozen=True)
class House:
    """How large a house is, and how busy.

    Attributes:
        feedbacks: Kept in all.
        years: In which they came.
        every: Minutes between two crawls of a source.
        pages: A crawl asks for.
        negative: Share of feedback that opens a case.
        messages: A case, edits of cards too.
        timers: That fire, a case.
        views: Pages of the desk a shop and day.
        services: ``serve`` processes.
        channels: Each with a loop of its own in each service.
        hot: Days that are read again and again.
    """

    feedbacks: int = 100_000_000
    sources: int = 1000
    shops: int = 300
    years: float = 3.0
    every: float = 30.0
    pages: float = 2.0
    negative: float = 0.05
    messages: float = 4.0
    timers: float = 2.0
    views: float = 300.0
    services: int = 2
    channels: int = 10
    hot: int = 90

    @property
    def a_day(self) -> float:
        return self.feedbacks / self.years / 365


@dataclass(frozen=True)
class Cost:
    """Of one part a day: seconds of a core, bytes written, bytes over the network; bytes of memory while it works."""

    cpu: float = 0.0
    written: float = 0.0
    network: float = 0.0
    memory: float = 0.0


def costs(house: House, of: Constants) -> dict[str, Cost]:
    """The model: each part by its formula."""
    crawls, cases = house.sources * DAY / 60 / house.every, house.a_day * house.negative
    crawl = of.crawl_start + house.pages * 20 * of.crawl_item
    loops = DAY * (1 / 1.0 + house.channels / 0.5)
    messages = cases * house.messages
    at_once = max(4.0, crawls * crawl / DAY)
    return {
        "crawls": Cost(crawls * crawl, 0, crawls * house.pages * of.page_bytes, at_once * of.crawl_memory),
        "intake and scoring": Cost(house.a_day * of.intake, house.a_day * of.wal_bytes * 2),
        "rounds of the services": Cost(house.services * loops * of.round, 0, 0, house.services * of.serve_memory),
        "timers": Cost(cases * house.timers * of.timer, cases * house.timers * of.wal_bytes),
        "outbox": Cost(messages * of.message, messages * of.wal_bytes, messages * of.message_bytes),
        "desk": Cost(house.shops * house.views * of.page, 0, house.shops * house.views * 25_000),
        "reports": Cost(2 * of.report + of.report / 7 * _largeness(house)),
        "backup": Cost(house.feedbacks * of.backup, house.feedbacks * of.backup_bytes * 2),
    }


def _largeness(house: House) -> float:
    """Of a week beside that of the store whose report was measured, a million in 700 days."""
    return max(1.0, house.a_day / (1_000_000 / 700))


def table(house: House, of: Constants) -> Iterator[str]:
    """The model in lines."""
    yield f"{house.feedbacks:,} feedbacks in {house.years:g} years, {house.sources:,} sources, {house.shops:,} shops: "
    yield f"{house.a_day:,.0f} new a day, a crawl of each source every {house.every:g} minutes"
    yield f"{'a day':<24}{'core seconds':>14}{'cores':>8}{'written GB':>12}{'network GB':>12}{'memory GB':>11}"
    found = costs(house, of)
    total = Cost(*(sum(getattr(cost, one.name) for cost in found.values()) for one in fields(Cost)))
    for name, cost in {**found, "in all": total}.items():
        yield (
            f"{name:<24}{cost.cpu:>14,.0f}{cost.cpu / DAY:>8.2f}{cost.written / 1e9:>12.1f}"
            f"{cost.network / 1e9:>12.2f}{cost.memory / 1e9:>11.2f}"
        )
    rows, indexes = house.feedbacks * of.row_bytes / 1e9, house.feedbacks * of.index_bytes / 1e9
    hot = house.a_day * min(house.hot, house.years * 365) * (of.row_bytes + of.index_bytes) / 1e9
    backup = house.feedbacks * of.backup_bytes / 1e9
    yield f"on the disk: tables {rows:,.0f} GB, indexes {indexes:,.0f} GB, a backup {backup:,.0f} GB"
    yield f"read again and again (the last {house.hot} days): {hot:,.1f} GB, which should fit into memory"


def check(url: str, of: Constants, rounds: int, server: Path) -> bool:
    """Hold a store against the model; whether its intake is fast enough."""
    core = make_core(db.connect(url))
    db.upgrade(core.engine, Path("/nonexistent"), NOW)
    with db.reading(core.engine) as session:
        count = session.exec(select(func.max(Feedback.id))).one() or 0
    _sizes(core.engine, of, count)
    _round(core, server)
    with beside(core.engine) as empty_url:
        empty = make_core(db.connect(empty_url))
        db.upgrade(empty.engine, Path("/nonexistent"), NOW)
        with db.writing(empty.engine) as session:
            directory.sync(session, empty.settings)
        good = _intake(empty, core, rounds, server)
        empty.engine.dispose()
    core.engine.dispose()
    return good


def _sizes(engine: Engine, of: Constants, count: int) -> None:
    with engine.connect() as connection:
        found = [(name, rows, indexes) for name, rows, indexes in connection.execute(text(_SIZES))]
    print(f"{count:,} feedbacks; bytes a feedback:       tables   indexes")
    for name, rows, indexes in found[:8]:
        print(f"  {name:<36} {rows / count:10.0f} {indexes / count:9.0f}")
    tables, indexes = (sum(row[n] for row in found) / count for n in (1, 2))
    for name, seen, told in (("tables", tables, of.row_bytes), ("indexes", indexes, of.index_bytes)):
        print(f"  {name}: {seen:.0f}, {seen * count / 1e9:.2f} GB; the model says {told:.0f}: {seen / told:.2f} x")


def _round(core: Core, server: Path) -> None:
    """A look for due timers that finds none: most of what an idle service does."""
    many = 500
    timers.sweep(core)
    theirs, cpu = busy(server), time.process_time()
    for _ in range(many):
        timers.sweep(core)
    ours, theirs = time.process_time() - cpu, busy(server) - theirs
    told = [f"{one / many * 1e3:.2f} ms of {whose}" for one, whose in ((ours, "our own"), (theirs, "the database's"))]
    print(f"an idle round: {' and '.join(told)} processor time")


@contextmanager
def beside(engine: Engine) -> Iterator[str]:
    """An empty database on the same server."""
    name = "pingshao_scale"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield str(engine.url.set(database=name).render_as_string(hide_password=False))
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


class _Side:
    """One store, what is put into it, and how long that took."""

    def __init__(self, core: Core, server: Path) -> None:
        self._core, self._server = core, server
        self.wall, self.cpu, self.theirs, self.wal = (list[float]() for _ in range(4))
        name = f"scale-{time.time_ns()}"
        started = runs.start(core, name, "json", SHOPS[0])
        assert started is not None
        self._origin, self._name, self._rng, self._n = started.origin, name, random.Random(11), 0

    def batch(self) -> None:
        """The next 500 of the last two hours."""
        items = [self._item() for _ in range(intake.BATCH)]
        wal, theirs, wall, cpu = self._log(), busy(self._server), time.perf_counter(), time.process_time()
        intake.store(self._core, self._origin, items)
        self.wall.append((time.perf_counter() - wall) / len(items))
        self.cpu.append((time.process_time() - cpu) / len(items))
        self.theirs.append((busy(self._server) - theirs) / len(items))
        self.wal.append((self._log() - wal) / len(items))

    def _item(self) -> FeedbackItem:
        """One in twenty complains, as in the store: no crisis is to open in one store and not in the other."""
        self._n += 1
        bad = self._n % 20 == 0
        said = (self._rng.choice(SUBJECTS) + self._rng.choice(BLAME if bad else PRAISE) for _ in range(3))
        return FeedbackItem(
            external_id=f"{self._name}-{self._n}",
            text=f"{'，'.join(said)}，第 {self._n} 单",
            stars=1 if bad else 5,
            author=f"买家{self._rng.randrange(10**6)}",
            order_ref=f"27{self._n:011d}",
            product=f"316 保温杯 {self._rng.randint(1, 400)} 号",
            created_at=NOW - timedelta(seconds=self._rng.randint(1, 7200)),
        )

    def _log(self) -> float:
        with self._core.engine.connect() as connection:
            return float(connection.execute(text("SELECT pg_current_wal_insert_lsn() - '0/0'")).scalar_one())


def busy(server: Path) -> float:
    """Seconds of processor time of a PostgreSQL's processes that live."""
    postmaster = int((server / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    ticks = 0
    for child in children:
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _intake(empty: Core, full: Core, rounds: int, server: Path) -> bool:
    """Batches in turns; the medians, so that what else the machine does counts for both."""
    sides = {"empty": _Side(empty, server), "full": _Side(full, server)}
    for n in range(rounds + 2):
        for side in sides.values() if n % 2 else reversed(sides.values()):
            side.batch()
    rate = {name: 1 / statistics.median(side.wall[2:]) for name, side in sides.items()}
    for name, side in sides.items():
        cpu, theirs, wal = (statistics.mean(one[2:]) for one in (side.cpu, side.theirs, side.wal))
        print(
            f"intake, {name:<6} {rate[name]:8,.0f} feedbacks/s   a feedback: {cpu * 1e3:.2f} ms of our own processor"
            f" time, {theirs * 1e3:.2f} ms of the database's, {wal:,.0f} bytes of log"
        )
    loss = 1 - rate["full"] / rate["empty"]
    pairs = (1 - a / b for a, b in zip(sides["empty"].wall[2:], sides["full"].wall[2:], strict=True))
    print(f"the rate falls by {loss:.0%} (median of the pairs {statistics.median(pairs):.0%}); allowed {MOST_LOSS:.0%}")
    return loss < MOST_LOSS


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in fields(House):
        arguments.add_argument(f"--{one.name}", type=type(one.default), default=one.default)
    arguments.add_argument("--folder", type=Path, help="where benchmarks/desk.py filled a PostgreSQL")
    arguments.add_argument("--rounds", type=int, default=15)
    given = arguments.parse_args()
    if given.folder is None:
        house = House(**{one.name: getattr(given, one.name) for one in fields(House)})
        print("\n".join(table(house, Constants())))
        return 0
    with postgres(None, given.folder / "pg") as url:
        return 0 if check(url, Constants(), given.rounds, given.folder / "pg") else 1


if __name__ == "__main__":
    raise SystemExit(main())
