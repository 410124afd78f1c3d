"""A simulated week of one service: twenty sources, 200,000 feedbacks, restarts, outages, reports, backups, retention.

A real ``pingshao serve`` works in fake time (``soak_time``): crawls are real processes that read real servers, pushes
come over HTTP, messages and mails go to stand-ins. In the first quarter it is ended, killed and started again, once on
a host of another zone; then one process lives through the three quarters that are compared. Samples become a plot and
a verdict (``soak_verdict``).

    python tests/soak.py --out /tmp/soak [--hours 168] [--feedbacks 200000] [--pace 1.0] [--store postgresql]
"""

import argparse
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

from argon2 import PasswordHasher
from chaos_world import empty_store
from processes import Process
from slack_double import SlackDouble, slack_double
from smtp_double import SmtpDouble, smtp_double
from soak_time import SharedMoment
from soak_verdict import Verdict, judge, plot
from soak_world import DESK_USER, PASSWORD, SECRETS, Plan, outage, shop_pages, write_config

from monitor import db
from monitor.models import Account

_TESTS = Path(__file__).parent
_PATCH = """
import pickle, sys
sys.path.insert(0, {tests!r})
import soak_serve
soak_serve.install(pickle.loads(open({plan!r}, "rb").read()))
"""
_END_WITHIN = 30.0  # seconds after SIGTERM
_LOOK = 0.02  # seconds between two looks at the fake time
_STUCK = 300.0  # seconds in which fake time must have passed


class Soak:
    """One run.

    Attributes:
        faults: What went wrong with processes.
        absent: When nobody served: from the last moment of one process to the first round of the next.
    """

    def __init__(self, plan: Plan, url: str, moment: SharedMoment) -> None:
        self._plan, self._url, self._moment = plan, url, moment
        self._env = SECRETS | {"TZ": "Asia/Shanghai"}
        file = plan.folder / "plan.pickle"
        file.write_bytes(pickle.dumps(plan))
        self._patch = _PATCH.format(tests=str(_TESTS), plan=str(file))
        self._service = Process(plan.folder, "serve", self._env, self._patch)
        self._backups: list[subprocess.Popen[bytes]] = []
        self.faults: list[str] = []
        self.absent: list[tuple[datetime, datetime]] = []

    def run(self) -> None:
        """Let the week pass."""
        plan = self._plan
        acts: list[tuple[datetime, Callable[[], None]]] = [
            (plan.moment(one.at), lambda one=one: self._restart(one.act, one.zone))  # type: ignore[misc]
            for one in plan.restarts
        ]
        acts += [(plan.moment(share), self._back_up) for share in plan.backups]
        self._service.start()
        try:
            for at, act in sorted(acts, key=lambda one: one[0]):
                self._until(at)
                act()
            self._until(plan.moment(1.0))
            self._end()
            self._check_backups()
        finally:
            self._service.kill()
            for backup in self._backups:
                backup.kill()

    def _until(self, moment: datetime) -> None:
        seen, at = self._moment.get(), monotonic()
        while (now := self._moment.get()) < moment:
            if not self._service.alive():
                raise RuntimeError(f"the service is gone:\n{self._service.log()[-4000:]}")
            if now > seen:
                seen, at = now, monotonic()
            if monotonic() - at > _STUCK:
                raise RuntimeError(f"no time passes at {now}:\n{self._service.log()[-4000:]}")
            sleep(_LOOK)

    def _restart(self, act: str, zone: str) -> None:
        if act == "kill":
            self._service.kill()
        else:
            self._end()
        gone = self._moment.get()
        self._env["TZ"] = zone or self._env["TZ"]
        back = gone + self._plan.down
        self._moment.set(back)
        self._service.start()
        self._until(back + timedelta(seconds=0.001))  # its loop runs
        self.absent.append((gone, self._moment.get()))

    def _end(self) -> None:
        status, seconds = self._service.end(_END_WITHIN)
        if status != 0:
            self.faults.append(f"status {status} {seconds:.1f} s after SIGTERM")

    def _back_up(self) -> None:
        """While everything goes on, as from a timer of the operating system."""
        file = self._plan.folder / f"backup-{len(self._backups)}.db"
        code = f"import scheduler\n{self._patch}\nscheduler.main()"
        with (self._plan.folder / "backup.log").open("ab") as log:
            command = [sys.executable, "-c", code, "backup", str(file)]
            path = {"PYTHONPATH": str(_TESTS.parent), "PATH": "/usr/bin:/bin"}
            self._backups.append(
                subprocess.Popen(command, cwd=self._plan.folder, env=path | self._env, stdout=log, stderr=log)
            )

    def _check_backups(self) -> None:
        for n, backup in enumerate(self._backups):
            if backup.wait(600) or not (self._plan.folder / f"backup-{n}.db").exists():
                self.faults.append(f"backup {n}: status {backup.returncode}")


def run(plan: Plan, url: str) -> Verdict:
    """The whole of it: the world, the week, the verdict."""
    began = monotonic()
    with ExitStack() as stack:
        slack, smtp = stack.enter_context(slack_double()), stack.enter_context(smtp_double())
        moment = SharedMoment(plan.folder / "moment")
        stack.callback(moment.close)
        moment.set(plan.start)
        slack.faults = dict.fromkeys(("chat.postMessage", "chat.update"), outage(plan, moment, "slack", "500"))
        smtp.data_faults = outage(plan, moment, "mail", "451 4.3.0 try again later")
        sites = stack.enter_context(shop_pages(plan, moment))
        write_config(plan, url, sites, slack.url, smtp.port)
        _let_in(url, plan.start)
        soak = Soak(plan, url, moment)
        soak.run()
        return _told(plan, url, soak, slack, smtp, monotonic() - began)


def _told(plan: Plan, url: str, soak: Soak, slack: SlackDouble, smtp: SmtpDouble, seconds: float) -> Verdict:
    verdict = judge(plan, url, soak.absent, slack, smtp)
    verdict.faults += soak.faults
    verdict.figures["seconds"] = round(seconds)
    return verdict


def _let_in(url: str, now: datetime) -> None:
    """An account for the lead, in a store that is brought up to date."""
    engine = db.connect(url)
    db.upgrade(engine, Path("/nonexistent"), now)
    with db.writing(engine) as session:
        session.add(Account(name=DESK_USER, password=PasswordHasher().hash(PASSWORD), created_at=now))
    engine.dispose()


def stores(kind: str, folder: Path) -> Iterator[str]:
    """An empty store's URL."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'soak.db'}"
    else:
        with empty_store(kind, folder) as url:
            yield url


def main() -> int:
    """The long run; exit status 1 where something grew, came late or was lost."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--out", type=Path, help="for store, samples, log and plot")
    options.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument("--hours", type=int, default=168)
    options.add_argument("--feedbacks", type=int, default=200_000)
    options.add_argument("--pace", type=float, default=1.0, help="fake seconds in a second of work")
    chosen = options.parse_args()
    folder = (chosen.out or Path(tempfile.mkdtemp(prefix="pingshao-soak-"))).absolute()
    if folder.exists() and any(folder.iterdir()):
        options.error(f"--out {folder}: expected a folder that is empty or not there yet")
    folder.mkdir(parents=True, exist_ok=True)
    plan = replace(Plan(folder), hours=chosen.hours, feedbacks=chosen.feedbacks, pace=chosen.pace)
    sys.stdout.write(f"{chosen.hours} hours in {folder}\n")
    sys.stdout.flush()
    for url in stores(chosen.store, folder):
        try:
            verdict = run(plan, url)
        finally:
            with suppress(FileNotFoundError):
                plot(plan, url, folder / "soak.png")
    sys.stdout.write(f"{verdict.told()}\nplot: {folder / 'soak.png'}\n")
    return int(bool(verdict.faults))


if __name__ == "__main__":
    sys.exit(main())
