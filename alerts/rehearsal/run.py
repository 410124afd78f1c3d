"""The rehearsal from start to end: a simulated shop's worst day in under a minute, and what came of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerts.rehearsal.checks import checks
from alerts.rehearsal.config import EXPORT, NAMES, TOKEN_ENV, write_config
from alerts.rehearsal.day import Application, Row
from alerts.rehearsal.mail_sink import MailSink
from alerts.rehearsal.script import SCRIPT
from alerts.rehearsal.server import HOST, WebServer
from alerts.rehearsal.shop_site import ShopSite
from alerts.rehearsal.slack_sink import SlackSink
from alerts.rehearsal.stage import Stage
from alerts.rehearsal.story import ZONE, Story
from alerts.rehearsal.view import render_pages
from monitor.clock import Clock, HandClock
from monitor.config import load
from monitor.settings import Settings

_SUNDAY = 6
_COUNTS = ("pages", "seen", "new", "changed", "duplicates", "skipped")


def run_demo(build: Callable[[Settings, Clock], Application], folder: Path, clock: HandClock, console: Console) -> int:
    """Play the whole rehearsal.

    Args:
        build: Puts the application together.
        folder: Each rehearsal is kept in a new folder of its own below it.
        clock: Stands at the present; is set to the last Sunday whose Monday is over.
        console: Where it is told.

    Returns:
        0 if every check held, else 1.
    """
    folder = own_folder(folder, clock.now(), ZONE)
    (folder / EXPORT).parent.mkdir()
    story = Story(_crisis_day(clock.now()))
    clock.move(story.moment(SCRIPT[0].at) - clock.now())
    slack = SlackSink(clock)
    with ExitStack() as world:
        site = world.enter_context(WebServer(ShopSite(story, clock).app))
        desk = world.enter_context(WebServer(slack.app))
        mails = world.enter_context(MailSink(clock, folder / "mails"))
        world.enter_context(sink_token(TOKEN_ENV))
        app = build(load(write_config(folder, site.host, desk.host, HOST, mails.port)), clock)
        world.callback(app.close)
        stage = Stage(app, story, clock, slack, mails, folder / EXPORT, console)
        _play(stage, console)
        _show_ledger(stage.ledgers, console)
        failed = _show_checks(stage, console)
    page = render_pages(slack.messages, mails.mails, NAMES, folder)
    _show_paths(console, page, folder)
    return int(failed)


def own_folder(folder: Path, now: datetime, zone: ZoneInfo) -> Path:
    """A new folder below this one, named for the moment."""
    stamp = f"{now.astimezone(zone):%Y%m%d-%H%M%S}"
    names = (f"{stamp}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    own = next(path for name in names if not (path := folder / name).exists())
    own.mkdir(parents=True)
    return own


def _crisis_day(now: datetime) -> datetime:
    """A Sunday noon whose Monday lies in the past, so that the weekly report comes and nothing is in the future."""
    noon = datetime.combine(now.astimezone(ZONE).date(), time(12), ZONE) - timedelta(days=2)
    return noon - timedelta(days=(noon.weekday() - _SUNDAY) % 7)


@contextmanager
def sink_token(name: str) -> Iterator[None]:
    """The stand-in takes any token, but the channel wants one, in the environment variable of this name."""
    before = os.environ.get(name)
    os.environ[name] = "xoxb-rehearsal"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _play(stage: Stage, console: Console) -> None:
    console.rule("示例旗舰店的一天：快进 30 小时")
    for scene in SCRIPT:
        stage.until(stage.story.moment(scene.at, scene.day), scene.told)
        scene.play(stage)
        stage.work()


def _show_ledger(ledgers: list[Row], console: Console) -> None:
    table = Table(title="台账：各来源四次抓取合计")
    for name in ("来源", "页", "看到", "新增", "改动", "重复", "跳过"):
        table.add_column(name, justify="left" if name == "来源" else "right")
    lines = [line for ledger in ledgers for line in ledger["sources"]]
    for name in dict.fromkeys(line["name"] for line in lines):
        mine = [line for line in lines if line["name"] == name]
        table.add_row(Text(name), *(str(sum(line[count] for line in mine)) for count in _COUNTS))
    table.add_section()
    table.add_row("合计", *(str(sum(line[count] for line in lines)) for count in _COUNTS))
    console.print(table)


def _show_checks(stage: Stage, console: Console) -> bool:
    console.rule("核对")
    failed = False
    for check in checks(stage):
        failed |= not check.ok
        mark = ("✓ ", "green") if check.ok else ("✗ ", "bold red")
        console.print(Text.assemble(mark, check.what, (f"　{check.detail}" if check.detail else "", "dim")))
    return failed


def _show_paths(console: Console, page: Path, folder: Path) -> None:
    console.rule("去看看")
    weekly = sorted((folder / "var" / "reports").glob("weekly-*.html"))
    for name, path in (("员工看到的", page), *(("周报", path) for path in weekly[-1:]), ("演练文件夹", folder)):
        console.print(Text(f"{name}：{path.resolve()}"), soft_wrap=True)
