"""Who does the work that costs: this process, or workers; and how it is done."""

import asyncio
import os
import signal
import time
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from socket import AF_INET, AF_INET6, create_server
from typing import TYPE_CHECKING, Any

import structlog

from commands.app import App
from monitor.errors import WrongCall
from monitor.jobs import Inside, Job, Jobs, Queue, Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket

    import uvicorn

    from monitor.rescoring import Each
    from monitor.working import Worker

_PORTS = 2**16
_MISSING = "没有安装 procrastinate：pip install 'pingshao[scale]'"

log = structlog.get_logger()


def run(app: App, queues: "Sequence[Queue]", concurrency: int, door: "socket | None" = None) -> None:
    """Do queued work until SIGTERM or SIGINT; ``door`` is where figures are told, if anywhere."""
    from monitor import shared_queue
    from monitor.working import Worker

    jobs(app)  # makes the queue's tables
    if not shared_queue.agreed(app.core, leads=False):
        variable = app.core.settings.service.secret_env
        raise WrongCall(f"环境变量 {variable} 和 pingshao serve 的不同：几台机器要用同一个，否则同一个买家会认成两个人")
    figures = _figures(app) if door else None
    asyncio.run(_until_told(Worker(app.core, work(app), queues, concurrency), figures, door))


def open_door(told: str) -> "socket":
    """Listen at ``HOST:PORT``.

    Raises:
        WrongCall: that is no address, or somebody else listens there.
    """
    host, _, port = told.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < _PORTS:
        raise WrongCall(f"--metrics: 应为 主机:端口，如 127.0.0.1:9001，实为 {told!r}")
    host = host.removeprefix("[").removesuffix("]")
    try:
        return create_server((host, int(port)), family=AF_INET6 if ":" in host else AF_INET)
    except OSError as error:
        raise WrongCall(f"--metrics: {told} 听不了（{error.strerror or error}），请换一个地址或端口") from None


def _figures(app: App) -> "uvicorn.Server":
    import uvicorn
    from fastapi import FastAPI

    from alerts.desk import vitals

    told = FastAPI(openapi_url=None)
    told.include_router(vitals.router(app.core))
    server = uvicorn.Server(uvicorn.Config(told, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]  # the worker takes them
    return server


async def _until_told(worker: "Worker", figures: "uvicorn.Server | None", door: "socket | None") -> None:
    stop = asyncio.Event()
    telling = asyncio.create_task(figures.serve([door])) if figures and door else None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    done = await worker.run(stop)
    if figures and telling:
        figures.should_exit = True
        await telling
    if not done:
        os._exit(0)  # something does not end, and asyncio would wait for it; the queue takes its job back


def jobs(app: App) -> Jobs:
    """Where this house's work is done, by its config.

    Raises:
        WrongCall: the extra that it takes is not installed.
    """
    inside = Inside(work(app))
    if app.core.settings.service.queue == "inside":
        return inside
    from monitor import shared_queue

    try:
        shared_queue.prepare(app.core.engine)
    except ImportError:
        app.close()
        raise WrongCall(f"service.queue: {_MISSING}") from None
    return shared_queue.SharedQueue(app.core.engine, app.core.clock, inside)


def work(app: App) -> Work:
    """What does the jobs of each queue."""
    return {
        "crawl": partial(_crawl, app),
        "score": partial(_score, app),
        "report": partial(_report, app),
        "export": partial(_export, app),
    }


def parts_shared(app: App) -> "Each | None":
    """How the parts of a rescore are given to workers; None where there are none."""
    where = jobs(app)
    if not where.shared:
        return None
    return lambda parts: where.each(Job("score", f"score:{part['after']}", part) for part in parts)


async def put_due_summaries(app: App, jobs: Jobs) -> None:
    """Have the summaries made whose hour has come."""
    for summary in await asyncio.to_thread(app.due_summaries):
        arguments = {"kind": summary.kind, "day": summary.day.isoformat()}
        await jobs.put(Job("report", f"report:{summary.key}", arguments, alone=f"report:{summary.key}"))


async def _crawl(app: App, source: str) -> dict[str, Any] | None:
    found = next((one for one in app.core.settings.sources if one.name == source), None)
    if found is None:
        log.error("unknown_source", source=source, todo="每台机器的配置要一样")
        return None
    began = time.monotonic()
    line = await app.crawl(found)
    app.core.meters.crawled(line, time.monotonic() - began)
    log.info("crawled", **line)
    return line


async def _score(app: App, **part: Any) -> dict[str, Any]:
    from monitor import rescoring

    return await asyncio.to_thread(rescoring.do_part, app.core, **part)


async def _report(app: App, kind: str, day: str) -> None:
    due = [one for one in await asyncio.to_thread(app.due_summaries) if (one.kind, one.day.isoformat()) == (kind, day)]
    for one in due:  # none where it was sent before the worker that made it could say so
        await asyncio.to_thread(app.report, one.kind, one.day, send=True)


async def _export(app: App, what: str, form: str, since: str | None, name: str) -> str:
    from monitor import exports

    after = datetime.fromisoformat(since) if since else None
    return str(await asyncio.to_thread(exports.to_file, app.core, what, form, after, name))
