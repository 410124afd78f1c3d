"""A house with real routes: settings, core and senders for tests of delivery."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from factories import make_core, make_settings
from sqlalchemy import Engine
from sqlmodel import col, select

from alerts.channel import Channel, Letter, open_all
from alerts.outbox import Delivered, deliver
from alerts.routing import make_notify
from monitor import db, directory
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Outbox
from monitor.notices import Notice


class PlainLinks:
    """Links that say what they do."""

    def make(self, action: str, subject: str, subject_id: int, person: str) -> str:
        return f"http://desk.test/a/{action}/{subject}/{subject_id}/{len(person)}"

    def view(self, subject: str, subject_id: int) -> str:
        return f"http://desk.test/v/{subject}/{subject_id}"


def make_house(engine: Engine, clock: HandClock, slack_url: str = "", **overrides: Any) -> Core:
    """A core whose alerts go to a Slack channel named ``ops``, with its people in the store."""
    values: dict[str, Any] = {
        "channels": [{"name": "ops", "kind": "slack", "target": "C1", "token_env": "TOKEN", "base_url": slack_url}],
        "routes": {"crisis": ["ops"], "case": ["ops"], "summary": ["ops", "mail"]},
    }
    settings = make_settings(Path("/nonexistent"), **(values | overrides))
    core = make_core(engine, settings, clock, notify=make_notify(settings, clock))
    with db.writing(engine) as session:
        directory.sync(session, settings)
    return core


def tell(core: Core, *notices: Notice) -> None:
    with db.writing(core.engine) as session:
        core.notify(session, notices)


def run(
    core: Core, channels: Mapping[str, Channel] | None = None, owner: str = "sender", limit: int = 500
) -> Delivered:
    channels = open_all(core.settings) if channels is None else channels
    return deliver(core, channels, owner, limit, links=PlainLinks(), jitter=lambda: 1.0)


def trouble(n: int, name: str = "site") -> Notice:
    facts = {"name": name, "error": "连不上", "since": ""}
    return Notice("source.trouble", f"source:{n}:trouble", "source", n, None, facts)


def updated(crisis: int, version: int) -> Notice:
    return Notice("crisis.updated", f"crisis:{crisis}:card:{version}", "crisis", crisis, "demo")


def timer(kind: Any, crisis: int, stage: str = "respond", step: str = "deadline", **facts: Any) -> Notice:
    facts |= {"stage": stage, "due_at": "2026-11-20T07:00:00+00:00"}
    return Notice(kind, f"crisis:{crisis}:{stage}:{step}:0", "crisis", crisis, "demo", facts)


class Blind(Channel):
    """A channel that cannot be asked and does as it is told."""

    def __init__(self, *faults: BaseException) -> None:
        self.letters: list[Letter] = []
        self.faults = list(faults)

    def send(self, letter: Letter) -> str:
        self.letters.append(letter)
        if self.faults:
            raise self.faults.pop(0)
        return f"ref{len(self.letters)}"

    def check(self) -> str | None:
        return None


def rows(core: Core, *kinds: str) -> Sequence[Outbox]:
    with db.reading(core.engine) as session:
        wanted = select(Outbox).order_by(col(Outbox.id))
        return session.exec(wanted.where(col(Outbox.kind).in_(kinds)) if kinds else wanted).all()


def states(core: Core, *kinds: str) -> list[str]:
    return [row.state for row in rows(core, *kinds)]
