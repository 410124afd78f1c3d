"""Work that costs: crawls, scoring history again, reports, exports. Done inside this process, or queued for workers.

Whoever wants something done names it as a `Job` and hands it to `Jobs`; the same functions do the work either way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, get_args
from urllib.parse import urlsplit

from monitor.settings import Source

Queue = Literal["crawl", "score", "report", "export"]
QUEUES: tuple[Queue, ...] = get_args(Queue)
Work = Mapping[Queue, Callable[..., Awaitable[Any]]]
"""What does the jobs of each queue; what it gives is JSON."""
_ADDRESSES = ("start", "urls", "sitemap")  # options of connectors that read a site
_LOCAL = ("path", "refresh_token_env")  # files to read, and tokens that are kept in one


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work; done again after it was cut short, it does what is left.

    Attributes:
        name: It waits once under this name, however often it is put.
        arguments: For the function that does it; JSON.
        alone: It is not done while another job with this word is: a site that is to be asked politely.
        here: It needs files of this very machine.
    """

    queue: Queue
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    alone: str = ""
    here: bool = False


class NotDue(Exception):
    """Somebody else put this job not long ago; ``last`` is when."""

    def __init__(self, last: datetime) -> None:
        super().__init__(f"put at {last.isoformat()}")
        self.last = last


class NotDone(Exception):
    """A worker could not do a job; the message says why."""


class Jobs(Protocol):
    """Where work is done.

    Attributes:
        shared: Other processes put the same jobs by the same schedule.
    """

    shared: bool

    async def put(self, job: Job, gap: timedelta | None = None) -> Any:
        """Have a job done.

        Args:
            job: What.
            gap: At most once in this time, whoever puts it.

        Returns:
            What came of it where it was done at once; None where it waits for a worker.

        Raises:
            NotDue: it was put within ``gap``.
        """
        ...

    def each(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """Have jobs done; gives what came of each, in any order, as soon as it is there.

        Raises:
            NotDone: a worker could not do one.
        """
        ...


class Inside:
    """Does everything in this process, at once; jobs of one site one after another."""

    shared = False

    def __init__(self, work: Work) -> None:
        self._work = work
        self._alone: dict[str, asyncio.Lock] = {}

    async def put(self, job: Job, gap: timedelta | None = None) -> Any:  # noqa: ARG002 — the schedule is this process's
        """Do it."""
        async with self._alone.setdefault(job.alone, asyncio.Lock()) if job.alone else nullcontext():
            return await self._work[job.queue](**job.arguments)

    def each(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """Do one after another."""
        for job in jobs:
            yield asyncio.run(self.put(job))


def crawl_job(source: Source) -> Job:
    """A crawl of a source."""
    here = any(name in source.options for name in _LOCAL)
    return Job("crawl", f"crawl:{source.name}", {"source": source.name}, site(source), here)


def site(source: Source) -> str:
    """The site that a source reads, by its first address: ``shop.example.com``; "" for an API and for files."""
    addresses = next((found for name in _ADDRESSES if (found := source.options.get(name))), "")
    first = addresses if isinstance(addresses, str) else str(addresses[0])
    return urlsplit(first).netloc.rpartition("@")[2].lower()
