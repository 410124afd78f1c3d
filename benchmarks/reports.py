"""How long a weekly report takes over a large store, and how much memory.

    .venv/bin/python benchmarks/reports.py [--feedbacks 1000000] [--only sqlite] [--folder F] [--database URL]

The store is that of ``benchmarks/desk.py`` (``--folder`` of one that it filled is used again). On SQLite and on a real
PostgreSQL, in a process of its own each:

cold       nothing is counted yet, and nobody counted ahead: all days of the report's spans are counted first
ahead      nothing is counted yet: what the service counts beside its work, half of the time being others'
first      the first report after that; today and the day before are left to it
again      nothing has changed since
one day    a day's feedbacks have changed since
plain      the reference: only the daily counts of the same spans, straight from the feedbacks
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from desk import NOW, make_core, postgres, prepare
from sqlalchemy import text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from monitor import db  # noqa: E402 — found by the path above
from monitor.clock import HandClock  # noqa: E402 — same
from monitor.core import Core  # noqa: E402 — same
from reports import daycounts  # noqa: E402 — same
from reports.build import build  # noqa: E402 — same
from reports.period import windows  # noqa: E402 — same

PLAIN = """
SELECT date(f.happened_at), f.kind, count(*), sum(CASE WHEN s.negative AND coalesce(c.state, '') <> 'false_alarm'
THEN 1 ELSE 0 END), count(f.stars)
FROM feedback f LEFT JOIN score s ON s.feedback_id = f.id LEFT JOIN "case" c ON c.id = f.case_id
WHERE f.happened_at >= :start AND f.happened_at < :end GROUP BY 1, 2
"""


def seconds(what: Callable[[], object]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def forget(core: Core) -> None:
    with db.writing(core.engine) as session:
        session.execute(text("DELETE FROM day_count"))
        session.execute(text("DELETE FROM known WHERE name = 'counts.zone'"))


def count_ahead(core: Core) -> None:
    """The service's rounds without the pauses between them."""
    clock = HandClock(core.clock.now())
    rounds = days = 0
    while done := daycounts.keep(replace(core, clock=clock)):
        rounds, days = rounds + 1, days + done
        clock.move(timedelta(seconds=daycounts.KEEP_EVERY))
    print(f"  {days} days counted ahead in {rounds} rounds, one each {daycounts.KEEP_EVERY:.0f} s")


def measure(url: str) -> None:
    core = make_core(db.connect(url))
    day = NOW.date()
    spans = windows("weekly", day, core.settings.zone).all_days()
    here = {"start": spans.start, "end": spans.end}
    if url.startswith("sqlite"):
        here = {name: at.strftime("%Y-%m-%d %H:%M:%S.%f") for name, at in here.items()}

    def plain() -> None:
        with db.reading(core.engine) as session:
            session.execute(text(PLAIN), here).all()

    def change() -> None:
        moment = spans.end - timedelta(days=2)
        span = {"start": moment, "end": moment + timedelta(hours=1)}
        if url.startswith("sqlite"):
            span = {name: at.strftime("%Y-%m-%d %H:%M:%S.%f") for name, at in span.items()}
        with db.writing(core.engine) as session:
            session.execute(
                text("UPDATE feedback SET stars = 3 WHERE happened_at >= :start AND happened_at < :end"), span
            )

    forget(core)
    took = {"plain": seconds(plain)}
    began = time.process_time()
    took["cold"] = seconds(lambda: build(core, "weekly", day))
    cpu = time.process_time() - began
    forget(core)
    took["ahead"] = seconds(lambda: count_ahead(core))
    took["first"] = seconds(lambda: build(core, "weekly", day))
    took["again"] = seconds(lambda: build(core, "weekly", day))
    change()
    took["one day"] = seconds(lambda: build(core, "weekly", day))
    for name in ("cold", "ahead", "first", "again", "one day"):
        print(f"  {name:<8} {took[name]:6.2f} s   {took[name] / took['plain']:6.1f} x plain ({took['plain']:.2f} s)")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  cold: {cpu:.2f} s of our own CPU; {peak:.0f} MB at most", flush=True)
    core.engine.dispose()


def one_store(name: str, url: str, feedbacks: int) -> None:
    print(f"\n{name}, {feedbacks:,} feedbacks", flush=True)
    core = make_core(db.connect(url))
    prepare(core, feedbacks)
    core.engine.dispose()
    subprocess.run([sys.executable, __file__, "--measure", url], check=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--feedbacks", type=int, default=1_000_000)
    arguments.add_argument("--only", choices=("sqlite", "postgresql"))
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--database", help="a PostgreSQL to use; one is made where none is given")
    arguments.add_argument("--measure", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        measure(given.measure)
        return
    kept = nullcontext(str(given.folder)) if given.folder else TemporaryDirectory(prefix="pingshao-reports-")
    with kept as name:
        folder = Path(name)
        if given.only != "postgresql":
            one_store("SQLite", f"sqlite:///{folder}/desk.db", given.feedbacks)
        if given.only != "sqlite":
            with postgres(given.database, folder / "pg") as url:
                one_store("PostgreSQL", url, given.feedbacks)


if __name__ == "__main__":
    main()
