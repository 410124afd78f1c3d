"""Storing and scoring by one worker and by two: how much more is done, and what limits it.

Ready pages of reviews stand on a local site, one source a shop, so that nobody waits for a site or for another's shop;
workers crawl them from the shared queue on a real PostgreSQL. CPU seconds of the workers with their crawls and of the
database say what limits: with two cores and a database that needs a part of them, two workers cannot be twice as fast.

    python benchmarks/workers.py [--sources 8] [--each 2000]
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Engine, text
from sqlmodel import func, select

from monitor import db, shared_queue
from monitor.jobs import Inside, crawl_job
from monitor.models import Feedback
from monitor.settings import Source
from scheduler import SystemClock

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from chaos_world import empty_store
from processes import Process
from queues import CONFIG, SOURCE
from serving import Asked, Told, answering

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = 500
_WORDS = (
    "物流很快，包装也好",
    "用了一个月，质量不错",
    "颜色和图片一样，满意",
    "杯子漏水，很失望",
    "客服态度很差",
    "还可以，凑合用",
)


def answer(asked: Asked, each: int) -> Told:
    page, source = int(asked.query.get("page", "1")), asked.path.strip("/")
    rows = range((page - 1) * _PAGE, min(page * _PAGE, each))
    return Told(
        {"comments": [{"id": f"{source}-{n}", "content": f"第{n}单，{_WORDS[n % 6]}，编号{n * 7}"} for n in rows]}
    )


def measure(url: str, folder: Path, sources: list[str], each: int, workers: int) -> tuple[float, float, float]:
    """Seconds, CPU seconds of the workers and their crawls, CPU seconds of PostgreSQL, for all sources."""
    engine = db.connect(url)
    _empty(engine)
    asyncio.run(_put(engine, []))
    running = [Process(folder, f"worker{n}", {"PINGSHAO_CONFIG": ""}, "", ("worker",)) for n in range(workers)]
    for worker in running:
        worker.start()
    while shared_queue.look(engine).workers < workers:
        time.sleep(0.1)
    server = int((Path(engine.url.query["host"]) / "postmaster.pid").read_text().split()[0])  # type: ignore[arg-type]
    own = [worker.pid for worker in running]
    before = _cpu(server), _cpu(*own)
    began = time.monotonic()
    asyncio.run(_put(engine, sources))
    while _stored(engine) < each * len(sources) or _left(engine):
        time.sleep(0.1)
    took = time.monotonic() - began
    used = _cpu(*own) - before[1], _cpu(server) - before[0]
    for worker in running:
        worker.end()
    engine.dispose()
    return took, *used


async def _put(engine: Engine, sources: list[str]) -> None:
    queue = shared_queue.SharedQueue(engine, SystemClock(), Inside({}))
    for url in sources:
        await queue.put(crawl_job(Source(name=url.rpartition("/")[2], kind="json", shop="demo", urls=[url])))


def _cpu(*wanted: int) -> float:
    """CPU seconds of these processes and of their children, those that ended included."""
    ticks, parents = dict[int, int](), dict[int, int]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)], ticks[int(folder.name)] = int(told[1]), sum(map(int, told[11:15]))
    mine, more = set[int](), set(wanted)
    while more:
        mine |= more
        more = {pid for pid, parent in parents.items() if parent in more} - mine
    return sum(ticks.get(pid, 0) for pid in mine) / _TICKS


def _stored(engine: Engine) -> int:
    with db.reading(engine) as session:
        return session.exec(select(func.count()).select_from(Feedback)).one()


def _left(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM procrastinate.procrastinate_jobs")).scalar_one())


def _empty(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        found = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        names = ", ".join(f'"{name}"' for name in found if name != "alembic_version")
        connection.execute(text(f"TRUNCATE {names}, procrastinate.procrastinate_workers CASCADE"))


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--sources", type=int, default=8)
    options.add_argument("--each", type=int, default=2000)
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pingshao-workers-"))
    with ExitStack() as stack:
        url = stack.enter_context(empty_store("postgresql", folder))
        sites = [stack.enter_context(answering(lambda asked: answer(asked, chosen.each))) for _ in range(2)]
        sources = [f"{sites[n % 2]}/c{n}" for n in range(chosen.sources)]
        config = CONFIG.format(url=url) + "".join(
            f'[[shops]]\nid = "c{n}"\nname = "店{n}"\n' for n in range(chosen.sources)
        )
        for n, address in enumerate(sources):
            config += SOURCE.format(name=f"c{n}", url=address, every="1d").replace('shop = "demo"', f'shop = "c{n}"')
        (folder / "pingshao.toml").write_text(config, encoding="utf-8")
        engine = db.connect(url)
        db.migrate(engine)
        shared_queue.prepare(engine)
        engine.dispose()
        count, rates = chosen.sources * chosen.each, []
        for workers in (1, 2):
            took, own, postgres = measure(url, folder, sources, chosen.each, workers)
            rates.append(count / took)
            cores = (own + postgres) / took
            print(
                f"{workers} worker: {count:,} in {took:.1f} s, {rates[-1]:,.0f}/s; CPU: workers and crawls {own:.1f} s,"
                f" PostgreSQL {postgres:.1f} s, {cores:.2f} of {os.cpu_count()} cores"
            )
        print(f"two workers do {rates[1] / rates[0]:.2f} times what one does")


if __name__ == "__main__":
    main()
