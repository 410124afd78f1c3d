"""A seeded run of chaos over a shared queue: two services and three workers on one PostgreSQL, each killed many times.

Sites offer pages of reviews, which the services' schedule has crawled by the workers; others are pushed, buttons are
pressed, providers misbehave, and every process is killed so many times while it goes on. Then the faults cease, what is
left is done and delivered, and the store is held against the sites and the providers' logs (``chaos_audit``).

    python tests/chaos_workers.py --feedbacks 50000 --kills 10 --seed 7
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from chaos import Outcome, compare, drained, end, errors_logged, wait
from chaos_feed import CRITICAL, SECRETS, TEXTS, Fed, Feeder
from chaos_world import PATCH, Plan, empty_store, load_dice, write_config
from processes import Process, services
from serving import Asked, Told, answering
from slack_double import slack_double
from smtp_double import smtp_double
from sqlalchemy import Engine, text
from sqlmodel import col, func, select

from monitor import db
from monitor.models import Feedback

WORKERS = """
from monitor import shared_queue, working
working.HEARTBEAT, working.STALLED, working.LOOK_EVERY, working.AGAIN = 1.0, 5.0, 1.0, 1
"""
_SITES = 6  # on ports of their own, so that several workers have something to do
_EACH = 1000  # reviews of a source
_PAGE = 200
_SECONDS = 1 / 150  # a feedback takes, about: over so long are pushes and clicks spread


@dataclass(frozen=True)
class Crawled:
    """What the sites offer: so many reviews, an even share a source; one in some hundreds complains."""

    seed: int
    feedbacks: int
    at: str

    @property
    def sources(self) -> dict[str, int]:
        """Reviews by source."""
        count = -(-self.feedbacks // _EACH)
        return {f"c{n}": min(_EACH, self.feedbacks - n * _EACH) for n in range(count)}

    def reviews(self, source: str) -> list[dict[str, str]]:
        chance = random.Random(f"{self.seed} {source}")
        return [
            {"id": f"{source}-{n}", "content": _words(chance, n), "time": self.at} for n in range(self.sources[source])
        ]

    def fed(self, fed: Fed) -> None:
        """Note all of it as what has to be stored."""
        for source in self.sources:
            for review in self.reviews(source):
                fed.reviews.add((source, review["id"]))
                if CRITICAL in review["content"]:
                    fed.critical.setdefault(source, set()).add((source, review["id"]))

    def answer(self, asked: Asked) -> Told:
        source, page = asked.path.strip("/"), int(asked.query.get("page", "1"))
        return Told({"comments": self.reviews(source)[(page - 1) * _PAGE : page * _PAGE]})


def _words(chance: random.Random, n: int) -> str:
    thrown = chance.random()
    if thrown < 0.0005:
        return f"{CRITICAL}，第{n}单"
    return f"{chance.choice(TEXTS)}，第{n}单" if thrown < 0.003 else f"很好用，满意，第{n}单"


def add_sources(plan: Plan, crawled: Crawled, sites: list[str]) -> None:
    """Write them into the config, and that there is a queue; each is crawled once, or again where it was cut short."""
    file = plan.folder / "pingshao.toml"
    told = file.read_text("utf-8").replace(
        "[service]\n", '[service]\nqueue = "procrastinate"\nallow_private_hosts = ["127.0.0.1"]\n'
    )
    for n, source in enumerate(crawled.sources):
        told += f"""
[[shops]]
id = "{source}"
name = "店{source}"
[[sources]]
name = "{source}"
kind = "json"
shop = "{source}"
every = "1d"
delay = "0s"
obey_robots = false
urls = ["{sites[n % len(sites)]}/{source}"]
items = "comments"
fields = {{ text = "content", id = "id", time = "time" }}
page = {{ param = "page", first = 1 }}
"""
    file.write_text(told, encoding="utf-8")


def run(plan: Plan, feedbacks: int) -> Outcome:
    """The whole of it: start, disturb, calm down, finish, compare. ``plan.kills`` are those of each process."""
    began, crawled = monotonic(), Crawled(plan.seed, feedbacks, datetime.now(UTC).isoformat())
    with ExitStack() as stack:
        slack, smtp = stack.enter_context(slack_double()), stack.enter_context(smtp_double())
        dice = load_dice(plan, slack, smtp)
        sites = [stack.enter_context(answering(crawled.answer)) for _ in range(_SITES)]
        write_config(plan, slack, smtp)
        add_sources(plan, crawled, sites)
        engine = db.connect(plan.url)
        stack.callback(engine.dispose)
        patch = PATCH.format(lease=plan.lease, timeout=plan.timeout) + WORKERS
        pair = stack.enter_context(services(plan.folder, "one", "two", env=SECRETS, patch=patch))
        workers = [Process(plan.folder, f"worker{n}", SECRETS, patch, ("worker",)) for n in range(3)]
        for worker in workers:
            stack.callback(worker.kill)
            worker.start()
        ports, pace = [service.port for service in pair], feedbacks * _SECONDS
        feeder = Feeder(plan.seed, plan.reviews, plan.shops, ports, slack, pace)
        stack.callback(feeder.stop)
        feeder.start()
        acts = _disturb(plan, engine, feedbacks, [*pair, *workers])
        wait(lambda: not feeder.busy(), plan.drain, f"the pushes do not end: {plan.folder}")
        feeder.stop()
        wait(lambda: not _waiting(engine), plan.drain, f"jobs are left: {plan.folder}")
        for one in dice:
            one.calm()
        slack.released.set()
        left = drained(plan)
        bad_ends = [told for process in (*pair, *workers) if (told := end(process))]
        crawled.fed(feeder.fed)
        report = compare(plan, slack, smtp, feeder.fed)
        report.figures["errors logged"] = dict(errors_logged(plan.folder))
        report.figures["jobs put back"] = sum("job_put_back" in line for line in _lines(plan.folder))
        report.faults += [f"not delivered in {plan.drain:.0f} s: {left}"] if left else []
        report.faults += bad_ends
        return Outcome(plan, acts, report, monotonic() - began)


def _disturb(plan: Plan, engine: Engine, feedbacks: int, running: list[Process]) -> Counter[str]:
    """Kill each process so many times, evenly while the reviews come in, the last before the end of them."""
    chance, acts = random.Random(f"{plan.seed} acts"), Counter[str]()
    turns = [n for n in range(len(running)) for _ in range(plan.kills)]
    chance.shuffle(turns)
    for number, turn in enumerate(turns):
        enough, until = feedbacks * number / len(turns), monotonic() + 60
        while _stored(engine) < enough and monotonic() < until:
            sleep(0.2)
        sleep(chance.uniform(0.3, 1.5))
        running[turn].kill()
        acts["services killed" if turn < 2 else "workers killed"] += 1
        sleep(chance.uniform(0.0, 0.5))
        running[turn].start()
    return acts


def _stored(engine: Engine) -> int:
    with db.reading(engine) as session:
        return session.exec(select(func.count(col(Feedback.id)))).one()


def _waiting(engine: Engine) -> int:
    told = "SELECT count(*) FROM procrastinate.procrastinate_jobs WHERE status IN ('todo', 'doing')"
    with engine.connect() as connection:
        return int(connection.execute(text(told)).scalar_one())


def _lines(folder: Path) -> Iterator[str]:
    for log in folder.glob("*.log"):
        yield from log.read_text("utf-8", "replace").splitlines()


def main() -> int:
    """Exit status 1 where anything was lost or came twice."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--feedbacks", type=int, default=50_000)
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--reviews", type=int, default=120, help="that are pushed besides")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pingshao-chaos-"))
    sys.stdout.write(f"seed {chosen.seed}, logs in {folder}\n")
    sys.stdout.flush()
    with empty_store("postgresql", folder) as url:
        plan = Plan(chosen.seed, url, folder, chosen.reviews, chosen.kills, shops=max(3, chosen.reviews // 8))
        outcome = run(plan, chosen.feedbacks)
    sys.stdout.write(f"{outcome.told()}\n")
    return int(bool(outcome.report.faults))


if __name__ == "__main__":
    sys.exit(main())
