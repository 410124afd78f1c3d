"""The model of `scale.py`: what each part of a house costs a day, by constants that benchmarks measured."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

DAY = 86_400


@dataclass(frozen=True)
class Constants:
    """What one thing costs: processor time in seconds, sizes in bytes; by which command it was measured."""

    crawl_start: float = 2.4  # crawl.py: "to start" of the connector with the store, nearly all of it Python's imports
    crawl_item: float = 0.0004  # crawl.py: "ms an item" of the connector; most are known already
    intake: float = 0.0011  # scale.py --folder, "full": ours and the database's of one new feedback, scored and stored
    round: float = 0.0007  # scale.py --folder, "an idle round": ours and the database's
    timer: float = 0.0016  # timers.py, "drain": one timer that fires, with its event and message
    message: float = 0.0114  # outbox.py, "processor time": claim, render, post, store
    page: float = 0.030  # desk.py: of a page, ours and the database's
    report: float = 12.0  # reports.py, "cold", ours and the database's, ten millions in 700 days
    backup: float = 0.00008  # `pingshao backup` (SQLite): a feedback and what belongs to it, read back and compared
    row_bytes: float = (
        886.0  # scale.py --folder: tables, a feedback with its score, search entry, cases, events, messages
    )
    index_bytes: float = 670.0  # the same: indexes
    wal_bytes: float = 17_000.0  # scale.py --folder, "log": most of it whole pages, once after each checkpoint
    backup_bytes: float = 1000.0  # of its file
    page_bytes: float = 40_000.0  # an answer of a shop's server
    message_bytes: float = 4_000.0  # request and answer
    serve_memory: float = 260e6  # tests/soak.py, resident
    crawl_memory: float = 110e6  # crawl.py, resident


@dataclass(frozen=True)
class House:
    """How large a house is, and how busy.

    Attributes:
        feedbacks: Kept in all.
        years: In which they came.
        every: Minutes between two crawls of a source.
        pages: A crawl asks for.
        negative: Share of feedback that opens a case.
        messages: A case, edits of cards too.
        timers: That fire, a case.
        views: Pages of the desk a shop and day.
        services: ``serve`` processes.
        channels: Each with a loop of its own in each service.
        hot: Days that are read again and again.
    """

    feedbacks: int = 100_000_000
    sources: int = 1000
    shops: int = 300
    years: float = 3.0
    every: float = 30.0
    pages: float = 2.0
    negative: float = 0.05
    messages: float = 4.0
    timers: float = 2.0
    views: float = 300.0
    services: int = 2
    channels: int = 10
    hot: int = 90

    @property
    def a_day(self) -> float:
        return self.feedbacks / self.years / 365


@dataclass(frozen=True)
class Cost:
    """Of one part a day: seconds of a core, bytes written, bytes over the network; bytes of memory while it works."""

    cpu: float = 0.0
    written: float = 0.0
    network: float = 0.0
    memory: float = 0.0


def costs(house: House, of: Constants) -> dict[str, Cost]:
    """The model: each part by its formula."""
    crawls, cases = house.sources * DAY / 60 / house.every, house.a_day * house.negative
    crawl = of.crawl_start + house.pages * 20 * of.crawl_item
    loops = DAY * (1 / 1.0 + house.channels / 0.5)
    messages = cases * house.messages
    at_once = max(4.0, crawls * crawl / DAY)
    return {
        "crawls": Cost(crawls * crawl, 0, crawls * house.pages * of.page_bytes, at_once * of.crawl_memory),
        "intake and scoring": Cost(house.a_day * of.intake, house.a_day * of.wal_bytes * 2),
        "rounds of the services": Cost(house.services * loops * of.round, 0, 0, house.services * of.serve_memory),
        "timers": Cost(cases * house.timers * of.timer, cases * house.timers * of.wal_bytes),
        "outbox": Cost(messages * of.message, messages * of.wal_bytes, messages * of.message_bytes),
        "desk": Cost(house.shops * house.views * of.page, 0, house.shops * house.views * 25_000),
        "reports": Cost((2 * of.report / 7 + of.report / 7) * _largeness(house)),
        "backup": Cost(house.feedbacks * of.backup, house.feedbacks * of.backup_bytes * 2),
    }


def _largeness(house: House) -> float:
    """Of a week beside that of the store whose report was measured."""
    return max(1.0, house.a_day / (10_000_000 / 700))


def table(house: House, of: Constants) -> Iterator[str]:
    """The model in lines."""
    yield f"{house.feedbacks:,} feedbacks in {house.years:g} years, {house.sources:,} sources, {house.shops:,} shops: "
    yield f"{house.a_day:,.0f} new a day, a crawl of each source every {house.every:g} minutes"
    yield f"{'a day':<24}{'core seconds':>14}{'cores':>8}{'written GB':>12}{'network GB':>12}{'memory GB':>11}"
    found = costs(house, of)
    total = Cost(*(sum(getattr(cost, one.name) for cost in found.values()) for one in fields(Cost)))
    for name, cost in {**found, "in all": total}.items():
        yield (
            f"{name:<24}{cost.cpu:>14,.0f}{cost.cpu / DAY:>8.2f}{cost.written / 1e9:>12.1f}"
            f"{cost.network / 1e9:>12.2f}{cost.memory / 1e9:>11.2f}"
        )
    rows, indexes = house.feedbacks * of.row_bytes / 1e9, house.feedbacks * of.index_bytes / 1e9
    hot = house.a_day * min(house.hot, house.years * 365) * (of.row_bytes + of.index_bytes) / 1e9
    backup = house.feedbacks * of.backup_bytes / 1e9
    yield f"on the disk: tables {rows:,.0f} GB, indexes {indexes:,.0f} GB, a backup {backup:,.0f} GB"
    yield f"read again and again (the last {house.hot} days): {hot:,.1f} GB, which should fit into memory"
