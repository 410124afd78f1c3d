"""Reviews asked for by time: windows with a fixed end, so that what is written meanwhile moves no page.

A run reads what is new since the last good one, a little earlier than that again (what a platform shows late), and
once a day the reviews that have reached certain ages (late replies, edits, 追评). Calls follow one another, never side
by side.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from crawler.bases.api import ApiOptions
from crawler.bases.base import Connector, Fetch, Output, Source, SourceError
from crawler.bases.fields import said

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_DAY = timedelta(days=1)
_NARROWEST = timedelta(seconds=1)  # windows of the platforms have whole seconds
_STALE = 20  # pages in a row without anything new that end a list: fewer may be a list that is being pushed down


class WindowOptions(ApiOptions):
    """Keys of every connector that asks by time."""

    history_days: int = Field(default=180, ge=1, description="第一次往回读多少天")
    overlap_hours: int = Field(default=48, ge=1, description="每次多往回读多少小时，收晚显示的评价")
    look_again: list[int] = Field(
        default=[7, 30], description="评价满这些天数时再读一遍，每天一次，收迟来的回复、修改和追评；[] 不再读"
    )
    window_days: int = Field(default=7, ge=1, description="一次查询最多跨多少天")
    window_rows: int = Field(default=0, ge=0, description="平台一次查询最多给多少条，满了就把时间拆开再查；0 为不限")


@dataclass(frozen=True, slots=True)
class Window:
    """Reviews written from ``start`` to ``end``, both aware, of whole seconds and included."""

    start: datetime
    end: datetime

    def halves(self) -> "tuple[Window, Window] | None":
        """Two windows that share the second in the middle; None where it cannot be split."""
        middle = (self.start + (self.end - self.start) / 2).replace(microsecond=0)
        return (Window(self.start, middle), Window(middle, self.end)) if middle - self.start >= _NARROWEST else None


@dataclass(frozen=True, slots=True)
class Step:
    """A page of a window that is to be asked for; ``page`` counts from 0."""

    window: Window
    page: int = 0
    rows: int = 0
    stale: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """All before it is read: what the watermark says from here on."""

    mark: Mapping[str, str]


def plan(options: WindowOptions, watermark: Mapping[str, Any], now: datetime) -> Iterator[Step | Done]:
    """What a run reads, oldest first: so that one that is cut short leaves no gap."""
    now = now.astimezone(UTC).replace(microsecond=0)
    first = now - timedelta(days=options.history_days)
    until = _time(watermark, "until", first)
    overlap = timedelta(hours=options.overlap_hours)
    start = max(until - overlap, first) if "until" in watermark else first
    for window in _chunks(start, now, timedelta(days=options.window_days)):
        yield Step(window)
        yield Done({"until": window.end.isoformat()})
    looked = _time(watermark, "looked", now)
    if now - looked >= _DAY:
        for age in sorted(options.look_again):
            back = timedelta(days=age)
            old = _chunks(max(looked - back, first), min(now - back, start), timedelta(days=options.window_days))
            yield from map(Step, old)
    if now - looked >= _DAY or "looked" not in watermark:
        yield Done({"looked": now.isoformat()})


def _time(watermark: Mapping[str, Any], name: str, default: datetime) -> datetime:
    return datetime.fromisoformat(watermark[name]) if name in watermark else default


def _chunks(start: datetime, end: datetime, longest: timedelta) -> Iterator[Window]:
    while start < end:
        yield Window(start, min(start + longest, end))
        start += longest


W = TypeVar("W", bound=WindowOptions)


class WindowConnector(Connector[W]):
    """Reads windows page by page; a subclass says how to ask, and what an answer holds."""

    resumes = True

    def __init__(self, options: W, source: Source) -> None:
        super().__init__(options, source)
        self.watermark = dict(source.watermark)
        self._calls: deque[Any] = deque(plan(options, source.watermark, source.now))
        self._seen: set[str] = set()
        self._here: set[str] = set()

    @abstractmethod
    def ask(self, call: Any) -> Fetch:
        """The request for a Step, or for what ``details`` named, signed as of now; it carries the call."""

    @abstractmethod
    def rows(self, page: "TextResponse", step: Step) -> tuple[list[dict[str, Any]], bool]:
        """A page's rows, and whether there are more.

        Raises:
            SourceError: The platform refuses, see ``Connector.read``.
        """

    @abstractmethod
    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A row's fields, see ``crawler.bases.fields``; ``id`` tells it from all others."""

    def details(self, row: dict[str, Any]) -> Any:
        """The call that has to complete this row before it is an item; None where none has to."""
        del row

    def complete(self, page: "TextResponse", call: Any) -> dict[str, object]:
        """The fields of a row, with what the call that ``details`` named has answered."""
        raise NotImplementedError

    def start(self) -> Iterator[Output]:
        """The first call."""
        yield from self._next()

    def again(self, fetch: Fetch) -> Fetch:
        """The same call, signed anew."""
        return self.ask(fetch.carry)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """Items of a page, and the next call."""
        if not isinstance(fetch.carry, Step):
            yield self._item(self.complete(page, fetch.carry))
        else:
            rows, more = self.rows(page, fetch.carry)
            yield from self._page(fetch.carry, rows, more)
        yield from self._next()

    def _page(self, step: Step, rows: list[dict[str, Any]], more: bool) -> Iterator[Output]:
        if not step.page:
            self._here.clear()
        found = {said(self.raw(row), "id") or repr(row): row for row in rows}
        stale = 0 if found.keys() - self._here else step.stale + 1
        self._here |= found.keys()
        after: list[Any] = []
        for row in (row for name, row in found.items() if name not in self._seen):
            call = self.details(row)
            if call is None:
                yield self._item(self.raw(row))
            else:
                after.append(call)
        self._seen |= found.keys()
        following = Step(step.window, step.page + 1, step.rows + len(rows), stale)
        if self.options.window_rows and following.rows >= self.options.window_rows:
            after += self._split(step.window)
        elif more and stale < _STALE:
            after.append(following)
        self._calls.extendleft(reversed(after))

    def _split(self, window: Window) -> Iterable[Step]:
        halves = window.halves()
        if halves is None:
            rows = self.options.window_rows
            raise SourceError(f"{window.start:%Y-%m-%d %H:%M:%S} 一秒内就有 {rows} 条，无法再拆，可能没有读全")
        return map(Step, halves)

    def _item(self, raw: Mapping[str, object]) -> Output:
        return self.item(raw, where=f"评价 {raw.get('id')}", page=type(self).__name__)

    def _next(self) -> Iterator[Fetch]:
        while self._calls:
            call = self._calls.popleft()
            if not isinstance(call, Done):
                yield self.ask(call)
                return
            self.watermark.update(call.mark)
