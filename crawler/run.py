"""One crawl, one process: ``crawl`` starts it and waits, ``main`` is what runs in it.

The job comes as JSON on standard input; the result goes to standard output as one line of JSON, logs to standard error.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from crawler.job import CrawlJob, CrawlResult, Status

logger = logging.getLogger(__name__)

_GRACE_S = 5.0  # between SIGTERM and SIGKILL
_TAIL = 65_536  # bytes of the crawl's log that are kept


async def crawl(job: CrawlJob, limit_s: float) -> CrawlResult:
    """Run a job in a process of its own; never longer than ``limit_s`` seconds and a grace of five.

    A crawl that times out, dies or says nothing is a failed one, with the reason in ``error``; its watermark is the old
    one. When the waiting task is cancelled the whole process group goes too.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "crawler.run",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONIOENCODING": "utf-8",
        },
    )
    log = bytearray()
    try:
        answer = await asyncio.wait_for(_talk(child, job.to_json().encode(), log), limit_s)
    except TimeoutError:
        return _failed(job, f"超过 {limit_s:g} 秒没有结束，已中止")
    finally:
        await _end(child)
        _relay(job, log)
    return _result(job, child.returncode, answer, log)


async def _talk(child: asyncio.subprocess.Process, told: bytes, log: bytearray) -> bytes:
    assert child.stdin
    assert child.stdout
    reading = asyncio.create_task(_keep_tail(child, log))
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died; its log says why
            child.stdin.write(told + b"\n")
            await child.stdin.drain()  # and stays open: its end tells the child that we are gone
        answer = await child.stdout.read()
        await child.wait()
        await reading
    finally:
        reading.cancel()
    return answer


async def _keep_tail(child: asyncio.subprocess.Process, log: bytearray) -> None:
    assert child.stderr
    while chunk := await child.stderr.read(_TAIL):
        log += chunk
        del log[:-_TAIL]


async def _end(child: asyncio.subprocess.Process) -> None:
    """Leave nothing of the process group behind."""
    for number, grace in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
        if child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(child.wait()), grace)


def _relay(job: CrawlJob, log: bytearray) -> None:
    for line in log.decode("utf-8", "replace").splitlines():
        logger.info("%s: %s", job.name, line)


def _result(job: CrawlJob, code: int | None, answer: bytes, log: bytearray) -> CrawlResult:
    try:
        return CrawlResult.from_json(answer)
    except (ValueError, TypeError):
        lines = log.decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "没有留下日志")
        return _failed(job, f"抓取进程异常退出（{code}）：{last[:300]}")


def _failed(job: CrawlJob, error: str) -> CrawlResult:
    return CrawlResult("failed", error=f"{job.name}: {error}", watermark=job.watermark)


def main() -> int:
    """The crawl process: job on standard input, result on standard output; 0 unless the crawl failed."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints must not stain the result
    job = CrawlJob.from_json(sys.stdin.buffer.readline())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    result = run(job)
    answer.write(result.to_json() + "\n")
    answer.flush()
    return 1 if result.status == "failed" else 0


def _die_with_parent() -> None:
    """A crawl whose service was killed has nobody to keep its time limit; it ends as if killed itself."""
    while os.read(0, 1):
        pass
    os._exit(1)


def run(job: CrawlJob) -> CrawlResult:
    """Crawl in this process, which can do so once only: Twisted's reactor does not start twice."""
    from pydantic import ValidationError
    from scrapy.crawler import AsyncCrawlerProcess

    from crawler.bases.base import SourceError
    from crawler.ledger import Ledger
    from crawler.secrets import HidingFormatter, Secrets
    from crawler.settings import scrapy_settings
    from crawler.spider import SourceSpider

    secrets = Secrets()
    ledger = Ledger(secrets.hide)
    try:
        connector = _connector(job, secrets)
    except (LookupError, ValidationError, ValueError, SourceError) as error:
        return _failed(job, str(error))
    process = AsyncCrawlerProcess(scrapy_settings(replace(job, delay=max(job.delay, connector.least_delay))))
    for handler in logging.getLogger().handlers:
        handler.setFormatter(HidingFormatter(handler.formatter, secrets.hide))
    logging.getLogger("scrapy").setLevel(logging.WARNING)  # it would tell the log every setting, the job's context too
    crawler = process.create_crawler(SourceSpider)
    started = process.crawl(crawler, job=job, connector=connector, ledger=ledger)
    process.start()
    if started.done() and not started.cancelled() and (broken := started.exception()):
        ledger.fail(job.name, f"{type(broken).__name__}: {broken}")
    return _account(job, connector, ledger, crawler.stats.get_stats())


def _connector(job: CrawlJob, secrets: Any) -> Any:
    from crawler.bases.base import Source
    from crawler.connectors import load
    from crawler.spider import fingerprint
    from crawler.vault import Vault

    kind = load(job.kind)
    source = Source(
        zone=ZoneInfo(job.timezone),
        now=datetime.fromisoformat(job.now),
        base_dir=Path(job.base_dir),
        watermark=job.watermark.get("connector", {})
        if job.watermark.get("options") == fingerprint(job.options)
        else {},
        max_bytes=job.max_bytes,
        secrets=secrets,
        vault=Vault(Path(job.vault["file"]), job.vault["key"]) if job.vault else Vault(),
    )
    return kind(kind.Options.model_validate(job.options), source)


def _account(job: CrawlJob, connector: Any, ledger: Any, stats: dict[str, Any]) -> CrawlResult:
    from crawler.bases.api import ending
    from crawler.ledger import COUNTS, ERROR_KEY, stats_key
    from crawler.spider import fingerprint

    if stats.get(ERROR_KEY):
        ledger.fail(job.name, str(stats[ERROR_KEY]))
    if stats.get("finish_reason", "finished") not in {"finished", "start_error", "attention"}:
        ledger.fail(job.name, f"抓取中断（{stats['finish_reason']}）")
    expires = connector.expires()
    if said := ending(expires, connector.source.now.date()):
        ledger.note(job.name, said)
    status: Status = "attention" if ledger.attention else "failed" if ledger.faults else "ok"
    moves = status == "ok" or (connector.piecewise and not ledger.faults)
    mark = {"options": fingerprint(job.options), "pages": ledger.validators, "connector": connector.watermark}
    return CrawlResult(
        status,
        pages=ledger.pages,
        unchanged=ledger.unchanged,
        **{name: stats.get(stats_key(name), 0) for name in COUNTS},
        error=ledger.error(),
        watermark=mark if moves else job.watermark,
        log=ledger.log,
        expires=expires.isoformat() if expires else "",
        fills=dict(ledger.fills),
        moved=moves and status != "ok",
        anew=ledger.anew,
    )


if __name__ == "__main__":
    sys.exit(main())
