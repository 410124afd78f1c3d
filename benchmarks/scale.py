"""What a house of a given size costs a day and on the disk; and whether a large store bears the model out.

    .venv/bin/python benchmarks/scale.py [--feedbacks 100000000] [--sources 1000] [--shops 300] [--years 3] …
    .venv/bin/python benchmarks/scale.py --folder DIR [--rounds 15]

Without a folder the model's table is printed; each constant in scale_model.py names the benchmark that gave it, and
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
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

from desk import NOW, make_core, postgres
from filling import SHOPS
from intake import BLAME, PRAISE, SUBJECTS
from scale_model import Constants, House, table
from sqlalchemy import Engine, text
from sqlmodel import func, select

from crawler.items import FeedbackItem
from monitor import db, directory, intake, runs, timers
from monitor.core import Core
from monitor.models import Feedback

MOST_LOSS = 0.2  # of the intake's rate, from an empty store to a full one
_SIZES = """
SELECT c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid) FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 2 DESC
"""


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
