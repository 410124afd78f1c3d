"""Server-sent events: open pages hear within a second that a case or crisis changed, and ask for it themselves.

One watcher looks at the store's newest events once a second while anybody listens, however many do and whichever
process wrote them; listeners wait in the event loop, without a thread or a connection to the database of their own.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select
from starlette.types import Receive, Scope, Send

from alerts.desk.sessions import Doorkeeper, NotLoggedIn, Viewer
from monitor import db
from monitor.core import Core
from monitor.models import Case, Crisis, Event

PACE = 1.0
"""Seconds between two looks at the store."""
BEAT = 15.0
"""Seconds of silence after which a listener gets a sign of life, and is asked again who it is."""
MOST = 4
"""Pages of one person that listen at once, in one process; one more sends the oldest to rest."""
_MOST_ID = 10**15
_ID = r"\d{1,15}"
_LOOKED_AT = 1000  # events at one look; more are told as "all"
_LISTED = 200  # changes told one by one; more are told as "all"
_OVERLAP = 100  # ids looked at again: PostgreSQL may commit 6 before 5
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
_ROWS: dict[str, type[Case] | type[Crisis]] = {"case": Case, "crisis": Crisis}
_log = structlog.get_logger()

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class News:
    """What changed.

    Attributes:
        newest: The newest event's id.
        rows: By subject and id: the row's version and shop.
        all: Too much changed to be told one by one.
    """

    newest: int
    rows: dict[Key, tuple[int, str | None]]
    all: bool = False


@dataclass(eq=False)
class Listener:
    """An open page: what it has not been told yet, and whether it is to stop."""

    viewer: Viewer
    newest: int = 0
    versions: dict[Key, int] = field(default_factory=dict)
    all: bool = False
    resting: bool = False
    over: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, news: News) -> None:
        """Add what concerns this person's shops."""
        self.newest = max(self.newest, news.newest)
        mine = {key: version for key, (version, shop) in news.rows.items() if self.viewer.may_see(shop)}
        self.versions |= mine
        self.all = self.all or news.all or len(self.versions) > _LISTED
        if mine or self.all:
            self.woken.set()

    def stop(self, *, resting: bool = False) -> None:
        """End the stream; a page that rests comes back by itself once somebody looks at it."""
        self.over, self.resting = True, resting
        self.woken.set()

    def message(self) -> str:
        """All there is to tell, as one server-sent event."""
        told: dict[str, Any] = {name: {} for name in _ROWS}
        for (subject, number), version in self.versions.items():
            told[subject][number] = version
        data = {"all": True} if self.all else told
        self.versions, self.all = {}, False
        self.woken.clear()
        return f"id: {self.newest}\ndata: {json.dumps(data)}\n\n"


class Live:
    """All listeners of this process and their watcher.

    Args:
        core: The store that is looked at.
        pace: Seconds between two looks.
        beat: Seconds of silence before a sign of life.
    """

    def __init__(self, core: Core, pace: float = PACE, beat: float = BEAT) -> None:
        self._core, self._pace, self._beat = core, pace, beat
        self._listeners: list[Listener] = []
        self._begun = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._newest, self._seen = 0, frozenset[int]()
        self._closed = False

    def join(self, viewer: Viewer) -> Listener:
        """A new listener; the person's oldest goes to rest where there are too many."""
        theirs = [one for one in self._listeners if one.viewer.name == viewer.name and not one.over]
        for oldest in theirs[: max(0, len(theirs) + 1 - MOST)]:
            oldest.stop(resting=True)
        listener = Listener(viewer, over=self._closed)
        self._listeners.append(listener)
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        return listener

    def leave(self, listener: Listener) -> None:
        """The listener is gone; with the last one the watcher goes too."""
        self._listeners.remove(listener)
        if not self._listeners and self._watcher:
            self._watcher.cancel()
            self._watcher = None
            self._begun.clear()

    def close(self) -> None:
        """End all streams, and those that would still begin: the service ends."""
        self._closed = True
        self._begun.set()
        for listener in self._listeners:
            listener.stop()

    async def stream(self, listener: Listener, since: int | None, again: Callable[[], Viewer]) -> AsyncIterator[str]:
        """What a listener is told until it leaves.

        Args:
            listener: From `join`.
            since: The newest event it knows of; None where it wants to hear only what comes.
            again: Says who it is, now.
        """
        yield ": \n\n"
        try:
            await self._wait(listener, self._begun)
            if since is not None:
                news, _ = await run_in_threadpool(self._read, since)
                listener.hear(news)
            known = monotonic()
            while not listener.over:
                if listener.versions or listener.all:
                    yield listener.message()
                elif not await self._wait(listener, listener.woken):
                    yield ": \n\n"
                if monotonic() - known >= self._beat:
                    listener.viewer, known = await run_in_threadpool(again), monotonic()
        except (NotLoggedIn, SQLAlchemyError):
            return
        if listener.resting:
            yield "event: rest\ndata: {}\n\n"

    async def _wait(self, listener: Listener, event: asyncio.Event) -> bool:
        if listener.over:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._beat):
                return await event.wait()
        return False

    async def _watch(self) -> None:
        troubled = False
        while True:
            try:
                news = await run_in_threadpool(self._look)
            except SQLAlchemyError as error:
                if not troubled:
                    _log.warning("live_store_unreadable", error=str(error))
                troubled = True
            else:
                troubled = False
                if self._begun.is_set():
                    for listener in self._listeners:
                        listener.hear(news)
                self._begun.set()
            await asyncio.sleep(self._pace)

    def _look(self) -> News:
        """What came since the last look."""
        news, ids = self._read(max(0, self._newest - _OVERLAP), self._seen)
        self._newest = news.newest
        self._seen = frozenset(number for number in ids if number > news.newest - _OVERLAP)
        return news

    def _read(self, since: int, seen: frozenset[int] = frozenset()) -> tuple[News, list[int]]:
        with db.reading(self._core.engine) as session:
            return read(session, since, seen)


def read(session: Session, since: int, seen: frozenset[int] = frozenset()) -> tuple[News, list[int]]:
    """What happened after an event, but for events seen already; and the ids of all events after it."""
    after = select(Event.id, Event.subject, Event.subject_id, Event.what).where(col(Event.id) > since)
    events = session.exec(after.order_by(col(Event.id).desc()).limit(_LOOKED_AT)).all()
    keys = {(subject, of) for id_, subject, of, what in events if id_ not in seen and what != "sent"}
    rows: dict[Key, tuple[int, str | None]] = {}
    for subject, model in _ROWS.items():
        if numbers := [number for name, number in keys if name == subject]:
            found = select(model.id, model.version, model.shop_id).where(col(model.id).in_(numbers))
            rows |= {(subject, id_): (version, shop) for id_, version, shop in session.exec(found).all() if id_}
    ids = [event[0] for event in events if event[0] is not None]
    return News(max([since, *ids]), rows, all=len(events) == _LOOKED_AT), ids


class _Stream(StreamingResponse):
    """A response that says when it is over, however it ended."""

    def __init__(self, content: AsyncIterator[str], left: Callable[[], None]) -> None:
        super().__init__(content, headers=_HEADERS, media_type="text/event-stream")
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._left()


def router(live: Live, door: Doorkeeper) -> APIRouter:
    """``/desk/live``."""
    routes = APIRouter()

    @routes.get("/desk/live", summary="有变化时告诉打开的页面", response_class=StreamingResponse)
    async def listen(
        request: Request,
        viewer: Annotated[Viewer, Depends(door.viewer)],
        since: Annotated[int | None, Query(ge=0, lt=_MOST_ID)] = None,
        last_event_id: Annotated[str, Header()] = "",
    ) -> Response:
        known = int(last_event_id) if re.fullmatch(_ID, last_event_id, re.ASCII) else since
        listener = live.join(viewer)
        return _Stream(live.stream(listener, known, partial(door.viewer, request)), partial(live.leave, listener))

    return routes
