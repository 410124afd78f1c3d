"""The composition root: puts the rooms together and wakes them, for whoever calls.

``build(settings, clock)`` is the one way to make the application; commands, tests and the demo all use it.
"""

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NoReturn
from zoneinfo import ZoneInfoNotFoundError

import typer

from commands.app import App
from commands.cli import cli
from commands.root import Root, user
from monitor.errors import WrongCall

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.clock import Clock
    from monitor.core import Core
    from monitor.notices import Notice
    from monitor.settings import Settings

_CRAWL_POOL = 2  # connections of a crawl process: it stores in one thread, and looks up what it may ask in another


class SystemClock:
    """The wall clock."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)


class StartedClock:
    """A clock that was set once and ticks since: what a crawl process uses, so that it agrees with its parent."""

    def __init__(self, at: datetime) -> None:
        self._ahead = at - timedelta(seconds=time.monotonic())

    def now(self) -> datetime:
        """The time it was set to, and what has passed since."""
        return self._ahead + timedelta(seconds=time.monotonic())


def build(settings: "Settings", clock: "Clock", name: str = "pingshao") -> App:
    """Put the application together on a store that is brought up to date first.

    Args:
        settings: The config.
        clock: The time.
        name: What PostgreSQL calls this process.

    Raises:
        ConfigError: a channel is of a kind that does not exist, or lacks what it needs.
    """
    from alerts.channel import UnknownKindError, open_all
    from alerts.links import Links
    from alerts.routing import make_notify
    from monitor import changes, config, db, months, overrides
    from monitor.core import Core

    try:
        channels = open_all(settings)
    except UnknownKindError as error:
        raise config.ConfigError(f"channels: {error}") from None
    engine = _connect(settings, name, settings.service.database_pool)
    db.upgrade(engine, settings.service.var_dir / "backups", clock.now())
    months.ahead(engine, clock.now())
    with db.writing(engine) as session:
        changes.start(session, settings, clock.now(), user())
    secret = config.signing_secret(settings)
    links = Links(secret, settings.service.public_url, clock)

    def notify(session: "Session", notices: "Sequence[Notice]") -> None:
        make_notify(core.settings, clock)(session, notices)  # the desk may change the routes meanwhile

    core = Core(settings, engine, clock, secret, notify, links.view)
    overrides.refresh(core)
    return App(core, channels, links)


def open_core(settings: dict[str, Any], now: str) -> "Core":
    """The common ground for a crawl process: the parent's settings, its clock, and the store as the parent left it."""
    from alerts.links import Links
    from alerts.routing import make_notify
    from monitor import config
    from monitor.core import Core
    from monitor.settings import Settings

    known = Settings(**settings)
    clock = StartedClock(datetime.fromisoformat(now))
    secret = config.signing_secret(known)
    links = Links(secret, known.service.public_url, clock)
    engine = _connect(known, "pingshao crawler", _CRAWL_POOL)
    return Core(known, engine, clock, secret, make_notify(known, clock), links.view)


def _connect(settings: "Settings", name: str, pool: int) -> "Engine":
    from monitor import db
    from monitor.limits import Limits

    limits = Limits(name, pool, settings.service.database_timeout)
    return db.connect(settings.service.database_url, limits=limits)


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit status. A user's mistake is one line on standard error, never a traceback."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # whatever the locale says: Chinese in, Chinese out
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        root = Root(build, SystemClock())
        return int(cli(list(arguments), prog_name="pingshao", standalone_mode=False, obj=root) or 0)
    except typer.Exit as ending:
        return ending.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        status, message = _told(error)
        if not message:
            raise
        print(f"pingshao: {message}", file=sys.stderr)
        return status


def _told(error: Exception) -> tuple[int, str]:
    """Exit status and the one line for what is not our own fault; no line for what is."""
    from typer.exceptions import TyperException

    if isinstance(error, TyperException):
        return 2, getattr(error, "format_message", error.__str__)()
    if isinstance(error, WrongCall):
        return 2, str(error)
    if isinstance(error, ZoneInfoNotFoundError):
        return 2, f"{error.args[0]}：本机没有时区数据，请安装系统的 tzdata 包，或 pip install tzdata"
    if isinstance(error, OSError):
        return 2, f"{error.filename}: {error.strerror}" if error.filename else ""  # else not a file of the user's
    from sqlalchemy.exc import OperationalError

    if isinstance(error, OperationalError):
        return 1, f"数据库用不了：{' '.join(str(error.orig).split())}；做完的都已存好，稍后再跑一次"
    return 1, ""


def main() -> NoReturn:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
