"""The whole house at work: ``init``, ``once``, ``serve`` and ``doctor``."""

from pathlib import Path
from typing import Annotated

import typer

from commands import options
from commands.options import Json
from commands.root import Root
from monitor.errors import WrongCall


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


def once(
    context: typer.Context,
    source: Annotated[list[str] | None, typer.Option(help="只抓这个来源，可以重复")] = None,
    as_json: Json = False,
) -> int:
    """走一整遍：抓取、入库、打分、判断、计时、发送，最后打印账目。"""
    app = Root.of(context).app()
    for name in source or ():
        options.known("--source", name, [s.name for s in app.core.settings.sources])
    return options.tell(app.once(source or ()), as_json, stuck=("pending", "uncertain", "dead"))


def serve(context: typer.Context, host: str = "127.0.0.1", port: int = 8000) -> int:
    """常驻运行：定时抓取、计时、发送、状态页；SIGTERM 干净退出。"""
    import asyncio

    from commands import serving

    app = Root.of(context).app()
    typer.echo(f"评哨在 http://{host}:{port} 运行，Ctrl-C 停止", err=True)
    asyncio.run(serving.serve(app, host, port))
    app.close()
    return 0


def worker(
    context: typer.Context,
    queues: Annotated[str, typer.Option(help="做哪些活，逗号隔开")] = "crawl,score,report,export",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="同时做几件")] = 1,
    metrics: Annotated[str, typer.Option(help="在这个 主机:端口 上应答 /healthz、/readyz、/metrics")] = "",
) -> int:
    """从 PostgreSQL 的队列里取活做：抓取、重新打分、报告、导出；SIGTERM 干净退出，没做完的放回去。"""
    from monitor.jobs import QUEUES

    chosen = [queue for queue in QUEUES if queue in queues.split(",")]
    if len(chosen) != len(set(queues.split(","))):
        raise WrongCall(f"--queues: 应为 {'、'.join(QUEUES)} 里的几个，用逗号隔开，实为 {queues!r}")
    root = Root.of(context)
    settings = root.settings().service
    if settings.database_url.startswith("sqlite"):
        raise WrongCall("worker 只在 PostgreSQL 上有活可取；用 SQLite 时这些活由 pingshao serve 自己做")
    if settings.queue == "inside":
        raise WrongCall(f'{root.path}: service.queue: 写上 queue = "procrastinate" 才有活交给 worker')
    from commands import working

    door = working.open_door(metrics) if metrics else None
    app = root.app()
    typer.echo(f"评哨 worker 在做 {'、'.join(chosen)}，Ctrl-C 停止", err=True)
    working.run(app, chosen, concurrency, door)
    app.close()
    return 0


def doctor(context: typer.Context, as_json: Json = False) -> int:
    """检查数据库、来源、渠道、时钟、时区、字体，说清每个问题怎么办。"""
    from commands import checks
    from monitor import printing
    from monitor.doctor import examine

    app = Root.of(context).app()
    return printing.findings(examine(checks.checks(app)), as_json)
