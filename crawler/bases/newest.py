"""Lists that a platform gives newest first: read down to the first page of which the last good run knew everything.

Once a day a list is read further down, for replies, edits, deletions and reviews that showed up late. A list that is
pushed down by new rows while it is read gives some rows twice, and none is left out: what was pushed in on top is on
top of what the next run knows.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from crawler.bases.api import ApiOptions
from crawler.bases.base import Connector, Fetch, Output, Source, SourceError
from crawler.bases.fields import derived_id, said
from crawler.parsing import parse_time

if TYPE_CHECKING:
    from scrapy.http import TextResponse

_DAY = timedelta(days=1)
_TOP = 400  # rows that a run remembers for the next: two pages of the longest
_TOLD = ("id", "title", "text", "stars", "reply", "deleted")  # by which a row is known again
_STALE = 20  # pages in a row without anything new that end a list: fewer may be a list that is being pushed down


class NewestOptions(ApiOptions):
    """Keys of every connector that reads a list newest first."""

    history_days: int = Field(default=365, ge=1, description="第一次往回读多少天")
    overlap_hours: int = Field(
        default=48, ge=1, description="每次最多往回读到上次之前多少小时；整页都是上次读过的就提前停"
    )
    again_days: int = Field(
        default=30, ge=0, description="每天一次往回读这么多天，收迟来的回复、修改、删除和晚显示的评价；0 为不再读"
    )


@dataclass(frozen=True, slots=True)
class Call:
    """A page of a list that is to be asked for.

    Attributes:
        trail: Which of the connector's lists.
        at: Page number or cursor; None for the first page.
        until: Aware; rows from before it need not be read again.
        deep: It is the day's further reading, or the first.
        stale: Pages in a row that held nothing new.
    """

    trail: str
    until: datetime
    deep: bool
    at: Any = None
    stale: int = 0


N = TypeVar("N", bound=NewestOptions)


class NewestConnector(Connector[N]):
    """Reads one or several lists; a subclass says how to ask, and what an answer holds."""

    def __init__(self, options: N, source: Source) -> None:
        super().__init__(options, source)
        self.watermark = dict(source.watermark)
        self._now = source.now.astimezone(UTC)
        self._seen: set[tuple[str, str]] = set()
        self._tops: dict[str, list[str]] = {}

    def trails(self) -> list[str]:
        """Names of the lists."""
        return [""]

    @abstractmethod
    def ask(self, call: Call) -> Fetch:
        """The request for a page, with the credentials of now; it carries the call."""

    @abstractmethod
    def rows(self, page: "TextResponse", call: Call) -> tuple[list[dict[str, Any]], Any]:
        """A page's rows, and the ``at`` of the page after it; None where there is none.

        Raises:
            SourceError: The platform refuses, see ``Connector.read``.
        """

    @abstractmethod
    def raw(self, row: Mapping[str, Any]) -> dict[str, object]:
        """A row's fields, see ``crawler.bases.fields``; ``id`` tells it from all others."""

    def aside(self, page: "TextResponse", call: Any) -> Iterator[Output]:
        """What the answer to another call than for a page of a list says."""
        raise NotImplementedError

    def mark(self, call: Call) -> dict[str, Any]:
        """What the next run has to know of a list that was read to its end, besides when that was."""
        del call
        return {}

    def start(self) -> Iterator[Output]:
        """The first page of every list."""
        for trail in self.trails():
            yield self.ask(self._first(trail))

    def again(self, fetch: Fetch) -> Fetch:
        """The same page, with the credentials of then."""
        return self.ask(fetch.carry)

    def read(self, page: "TextResponse", fetch: Fetch) -> Iterator[Output]:
        """Items of a page, and the next page unless all from there on is known."""
        call = fetch.carry
        if not isinstance(call, Call):
            yield from self.aside(page, call)
            return
        rows, following = self.rows(page, call)
        if following is not None and following == call.at:
            raise SourceError(f"翻页停在原处（{following}），后面的没有读到")
        found = [self.raw(row) for row in rows]
        names = [(call.trail, said(raw, "id") or repr(raw)) for raw in found]
        stale = call.stale + 1 if rows and self._seen.issuperset(names) else 0
        top = self._tops.setdefault(call.trail, [])
        top += [_known_by(raw) for raw in found[: _TOP - len(top)]]
        for name, raw in zip(names, found, strict=True):
            if name not in self._seen:
                self._seen.add(name)
                yield self.item(raw, where=f"评价 {raw.get('id')}", page=type(self).__name__)
        if following is None or stale >= _STALE or self.is_known(found, call):
            self._finish(call)
        else:
            yield self.ask(replace(call, at=following, stale=stale))

    def time(self, raw: Mapping[str, object]) -> datetime | None:
        """When a row was written, as its item will say."""
        return parse_time(raw.get("time"), self.source.zone, self.source.now)

    def _first(self, trail: str) -> Call:
        """Where a run begins, and how far down it reads."""
        known = self.source.watermark.get(trail)
        if known is None:
            return Call(trail, self._now - timedelta(days=self.options.history_days), deep=True)
        until = datetime.fromisoformat(known["until"]) - timedelta(hours=self.options.overlap_hours)
        deep = bool(self.options.again_days) and self._now - datetime.fromisoformat(known["deep"]) >= _DAY
        return Call(trail, min(until, self._now - timedelta(days=self.options.again_days)) if deep else until, deep)

    def is_known(self, found: list[dict[str, object]], call: Call) -> bool:
        """Whether all rows of a page were written before what has to be read, or were read in the last run."""
        return bool(found) and all(self.was_read(raw, call) or self._is_old(raw, call.until) for raw in found)

    def was_read(self, raw: Mapping[str, object], call: Call) -> bool:
        """Whether a row was among the first of the last run, and said the same; never in the day's further reading."""
        return not call.deep and _known_by(raw) in self.source.watermark[call.trail]["top"]

    def _is_old(self, raw: Mapping[str, object], until: datetime) -> bool:
        time = self.time(raw)
        return time is not None and time < until

    def _finish(self, call: Call) -> None:
        now = self._now.isoformat()
        deep = now if call.deep else self.source.watermark[call.trail]["deep"]
        self.watermark[call.trail] = {"until": now, "deep": deep, "top": self._tops[call.trail], **self.mark(call)}


def _known_by(raw: Mapping[str, object]) -> str:
    return derived_id(str(raw.get("time")), *(said(raw, name) for name in _TOLD))[:12]
