"""``serve``: the service's loops, the desk and Slack's sockets in one process, until it is told to end."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn

from alerts.desk.app import create_app
from commands import working
from commands.app import App
from monitor import handover, selfwatch, shared_queue, timers
from monitor.checkup import examine
from monitor.jobs import crawl_job
from monitor.journal import WRITE_EVERY, Journal
from monitor.service import Service, pause
from monitor.skew import Watch
from reports import daycounts
from reports.shelf import ReportShelf

if TYPE_CHECKING:
    from fastapi import FastAPI

    from alerts.desk.sockets import SocketDoor

_FAREWELL = 2  # seconds for requests that are being answered when the service ends


async def serve(app: App, host: str, port: int) -> None:
    """Run everything until SIGTERM or SIGINT."""
    quiet: dict[str, Any] = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": _FAREWELL}
    quiet["proxy_headers"] = False  # the desk reads them itself, and keeps who was connected
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
    desk = create_app(app.core, app.links, ReportShelf(app.core), proxies)
    server = uvicorn.Server(uvicorn.Config(desk, host=host, port=port, **quiet))
    # uvicorn would die of the signal itself once it has shut down; this service ends with status 0
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _end, server, desk)
    jobs = working.jobs(app)
    if jobs.shared:
        shared_queue.agreed(app.core, leads=True)
    service = Service(
        app.core,
        crawl=lambda source: jobs.put(crawl_job(source), pause(source, app.core.settings, app.core.clock.now())),
        sweep=lambda: timers.sweep(app.core),
        deliver={name: partial(app.deliver, name, ending=lambda: server.should_exit) for name in app.channels},
        summaries=lambda: asyncio.run(working.put_due_summaries(app, jobs)),
        watch=Watch(app.core, app.core.clock, time.monotonic, os.uname().nodename).look,
        hand_over=lambda: handover.hand_over(app.core),
        more=[
            ("journal", Journal(app.core).write, WRITE_EVERY),
            ("counts", partial(daycounts.keep, app.core), daycounts.KEEP_EVERY),
            *selfwatch.rounds(app.core, partial(examine, app.core), os.uname().nodename),
        ],
        shared=jobs.shared,
    )
    sockets = _open_sockets(app)
    done = await service.run(until=server.serve())
    for socket in sockets:
        socket.close()
    if not done:
        os._exit(0)  # what is left waits for a provider, and asyncio.run would wait with it


def _end(server: uvicorn.Server, desk: "FastAPI") -> None:
    server.should_exit = True
    desk.state.live.close()


def _open_sockets(app: App) -> "Sequence[SocketDoor]":
    if not any(channel.app_token_env for channel in app.core.settings.channels):
        return ()
    from alerts.desk import sockets

    return sockets.open_all(app.core, app.links)
