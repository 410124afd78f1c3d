"""A seeded run of chaos: real services are killed while reviews come in, clocks run out and providers misbehave.

Two ``pingshao serve`` processes work on one store. Reviews are pushed, buttons of the cards are pressed, Slack and the
mail server refuse, hang up, stay silent or answer rubbish, and the services are killed, stopped and asked to end. Then
the faults cease, what is left is delivered, and the store is held against what the providers got (``chaos_audit``).

    python tests/chaos.py --store sqlite --reviews 160 --kills 50 --seed 7
"""

import argparse
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from chaos_audit import Fed, Report, audit
from chaos_feed import SECRETS, Feeder
from chaos_world import PATCH, Plan, empty_store, load_dice, write_config
from processes import Process, services
from slack_double import SlackDouble, slack_double
from smtp_double import SmtpDouble, smtp_double
from sqlmodel import col, func, select

from monitor import db
from monitor.models import Outbox, Timer

_END_WITHIN = 15.0  # seconds after SIGTERM, where everything else asks for the processors as well


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        acts: How often services were killed, stopped, ended.
        report: What the audit found.
        seconds: How long it took.
    """

    plan: Plan
    acts: Counter[str]
    report: Report
    seconds: float

    def told(self) -> str:
        store = self.plan.url.partition(":")[0]
        acts = ", ".join(f"{count} {name}" for name, count in sorted(self.acts.items()))
        lines = [f"chaos seed={self.plan.seed} {store}: {acts}; {self.seconds:.0f} s", *self.report.lines()]
        return "\n".join(lines)


def run(plan: Plan) -> Outcome:
    """The whole of it: start, disturb, calm down, deliver, compare."""
    began = monotonic()
    with ExitStack() as stack:
        slack, smtp = stack.enter_context(slack_double()), stack.enter_context(smtp_double())
        dice = load_dice(plan, slack, smtp)
        write_config(plan, slack, smtp)
        patch = PATCH.format(lease=plan.lease, timeout=plan.timeout)
        pair = stack.enter_context(services(plan.folder, "one", "two", env=SECRETS, patch=patch))
        feeder = Feeder(
            plan.seed, plan.reviews, plan.shops, [service.port for service in pair], slack, plan.kills * 3.0
        )
        stack.callback(feeder.stop)
        feeder.start()
        acts, bad_ends = _disturb(plan, pair, feeder)
        feeder.stop()
        for one in dice:
            one.calm()
        slack.released.set()
        left = drained(plan)
        bad_ends += [told for service in pair if (told := end(service))]
        report = compare(plan, slack, smtp, feeder.fed)
        report.figures["errors logged"] = dict(errors_logged(plan.folder))
        report.faults += [f"not delivered in {plan.drain:.0f} s: {left}"] if left else []
        report.faults += bad_ends
        return Outcome(plan, acts, report, monotonic() - began)


def _disturb(plan: Plan, pair: list[Process], feeder: Feeder) -> tuple[Counter[str], list[str]]:
    """Kill, stop and end services until enough were killed; then wait until everything was pushed."""
    chance, acts, bad_ends = random.Random(f"{plan.seed} acts"), Counter[str](), list[str]()
    while acts["killed"] < plan.kills:
        sleep(chance.uniform(0.3, 2.0))
        service = chance.choice(pair)
        if not service.answers() and chance.random() < 0.8:  # few of those that have not even begun
            continue
        act = chance.choices(("killed", "stopped", "ended"), (6, 2, 1))[0]
        if act == "stopped":
            service.stop()
            sleep(chance.uniform(0.2, plan.lease * 1.3))
            acts["stopped"] += 1
            if chance.random() < 0.7:
                service.go_on()
                continue
            act = "killed"  # where it stands
        if act == "ended" and service.answers():
            bad_ends.append(end(service))
        else:
            act = "killed"
            service.kill()
        acts[act] += 1
        sleep(chance.uniform(0.0, 0.5))
        service.start()
    wait(lambda: not feeder.busy(), plan.drain, f"the pushes do not end: {plan.folder}")
    return acts, list(filter(None, bad_ends))


def end(service: Process) -> str:
    """Ask a service to end; gives what was wrong with how it did."""
    status, seconds = service.end(_END_WITHIN)
    return "" if status == 0 else f"status {status} {seconds:.1f} s after SIGTERM"


def drained(plan: Plan) -> str:
    """Wait until no clock runs and nothing waits to be sent; gives what is left, empty when all is done."""
    engine, until, left = db.connect(plan.url), monotonic() + plan.drain, ""
    while monotonic() < until:
        with db.reading(engine) as session:
            armed = session.exec(select(func.count()).where(Timer.state == "armed")).one()
            unsent = col(Outbox.state).in_(("pending", "sending", "uncertain"))
            waiting = session.exec(select(func.count()).where(unsent)).one()
        left = f"{armed} timers, {waiting} messages" if armed or waiting else ""
        if not left:
            break
        sleep(0.5)
    engine.dispose()
    return left


def compare(plan: Plan, slack: SlackDouble, smtp: SmtpDouble, fed: Fed) -> Report:
    """Hold the store against what was fed and what the providers got."""
    engine = db.connect(plan.url)
    try:
        with db.reading(engine) as session:
            return audit(session, slack, smtp, fed)
    finally:
        engine.dispose()


def errors_logged(folder: Path) -> Counter[str]:
    """Errors in the services' logs, by event; a server that went away is none."""
    told = (line for log in folder.glob("*.log") for line in log.read_text("utf-8", "replace").splitlines())
    return Counter(found[1] for line in told if (found := re.search(r"level=error event=(\"[^\"]+\"|\S+)", line)))


def wait(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come true in so many seconds.
    """
    until = monotonic() + seconds
    while not condition():
        if monotonic() > until:
            raise TimeoutError(otherwise)
        sleep(0.1)


def main() -> int:
    """The long run; exit status 1 where anything was lost or came twice."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument("--reviews", type=int, default=210)
    options.add_argument("--kills", type=int, default=52)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pingshao-chaos-"))
    sys.stdout.write(f"seed {chosen.seed}, logs in {folder}\n")
    sys.stdout.flush()
    with empty_store(chosen.store, folder) as url:
        outcome = run(Plan(chosen.seed, url, folder, chosen.reviews, chosen.kills, shops=max(3, chosen.reviews // 8)))
    sys.stdout.write(f"{outcome.told()}\n")
    return int(bool(outcome.report.faults))


if __name__ == "__main__":
    sys.exit(main())
