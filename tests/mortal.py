"""Parts of the house in processes of their own, to be killed or stopped at a chosen point."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from delivering import make_house, run
from sqlalchemy import Engine

from alerts.channels import slack
from monitor import crises, db
from monitor.clock import HandClock
from monitor.core import Core

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["alerts.outbox", "alerts.routing", "alerts.channels.slack", "monitor.crises", "psycopg"]
)


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@contextmanager
def process(work: Callable[..., None], core: Core, *args: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """Work in a process of its own at the core's time; gives it and what it says. It does not outlive the block."""
    here, there = _CONTEXT.Pipe()
    given = (url_of(core.engine), core.settings.channels[0].base_url, core.clock.now(), there, *args)
    child = _CONTEXT.Process(target=work, args=given, daemon=True)
    child.start()
    there.close()
    try:
        yield child, here
    finally:
        child.kill()
        child.join(10)
        here.close()


def kill(child: BaseProcess) -> None:
    """Kill -9, and wait until it is dead."""
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(10)
    assert child.exitcode == -signal.SIGKILL


def send(database: str, provider: str, now: datetime, told: Connection) -> None:
    """One round of sending; tells how many were sent."""
    core = _core(database, provider, now)
    slack.TIMEOUT = 30
    told.send(run(core, owner=f"process {os.getpid()}").sent)


def open_crisis(database: str, provider: str, now: datetime, told: Connection, when: str) -> None:
    """Open a crisis; says so before or after its commit, then waits to be killed."""
    core = _core(database, provider, now)
    with db.writing(core.engine) as session:
        facts = {"cause": "person", "category": "logistics", "severity": "high", "feedback_ids": []}
        crises.open_crisis(core, session, shop_id="demo", **facts)
        session.flush()
        if when == "before":
            _wait(told)
    _wait(told)


def _core(database: str, provider: str, now: datetime) -> Core:
    os.environ["TOKEN"] = "xoxb-test"
    return make_house(db.connect(database), HandClock(now), provider)


def _wait(told: Connection) -> None:
    told.send("now")
    told.poll(60)
