"""How often one place is written to: a token bucket in one moment of the store, shared by all senders and processes.

The moment is when the place's next message would be due, were they sent evenly. A message goes while that moment is
not too far ahead, and moves it on; a place that is to be left alone has it moved to the end of its rest. A target of
``""`` stands for all of a channel.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from alerts.channel import Channel
from monitor.bulk import table
from monitor.durations import pace
from monitor.models import Pace
from monitor.settings import Settings

Place = tuple[str, str]
_AT_ONCE = 4  # this part of a span's messages may go at once after a pause, the others follow evenly


@dataclass(frozen=True, slots=True)
class Bucket:
    """A rate that is kept in every span of its length, wherever one begins to count.

    Attributes:
        every: Between two messages, sent evenly.
        ahead: How far the moment may lie ahead of now.
        second_try: Calls that it takes to try a message again.
    """

    every: timedelta = timedelta()
    ahead: timedelta = timedelta()
    second_try: int = 1


def bucket(rate: str, second_try: int = 1) -> Bucket:
    """The bucket of ``20/1m``; without a rate, one that is never empty."""
    if not rate:
        return Bucket()
    count, span = pace(rate)
    burst = max(1, count // _AT_ONCE)
    every = span / (count - burst + 1)
    return Bucket(every, every * (burst - 1), second_try)


def buckets(settings: Settings, channels: Mapping[str, Channel]) -> dict[str, Bucket]:
    """A bucket for each channel: the config's rate, else what the provider publishes."""
    rates = {channel.name: channel.rate for channel in settings.channels}
    return {name: bucket(rates.get(name) or channel.rate, channel.second_try) for name, channel in channels.items()}


def moments(session: Session, known: Iterable[str], now: datetime) -> dict[Place, datetime]:
    """The moments that lie ahead of now, of these channels' places."""
    rows = session.connection().execute(_AHEAD, {"known": list(known), "now": now})
    return {(row.channel, row.target): row.next_at for row in rows}


def full(ahead: Mapping[Place, datetime], sizes: Mapping[str, Bucket], now: datetime) -> dict[Place, datetime]:
    """Places that take nothing now, of those whose moments lie ahead, and when they will."""
    free_at = {place: at - sizes[place[0]].ahead for place, at in ahead.items()}
    return {place: at for place, at in free_at.items() if at > now}


def take(session: Session, place: Place, size: Bucket, moment: datetime, *, again: bool) -> None:
    """Move a place's moment on by the calls that are about to be made, for the first time or again."""
    if size.every:
        _move(session, place, moment + size.every * (size.second_try if again else 1))


def rest(session: Session, place: Place, size: Bucket, until: datetime) -> None:
    """Leave a place alone for a time; then it is written to evenly, without a rush."""
    _move(session, place, until + size.ahead)


def closed(places: Iterable[Place], several: Collection[str]) -> set[str]:
    """Channels with nowhere to write to: those of one target, where it is full, and those full as a whole."""
    return {channel for channel, target in places if not target or channel not in several}


def _move(session: Session, place: Place, to: datetime) -> None:
    session.connection().execute(
        _MOVE[session.get_bind().dialect.name], {"channel": place[0], "target": place[1], "next_at": to}
    )


def _later(dialect: Any) -> Any:
    """Write a moment, unless a later one is there."""
    new = dialect.insert(_PACE)
    later = case((new.excluded.next_at > _PACE.c.next_at, new.excluded.next_at), else_=_PACE.c.next_at)
    return new.on_conflict_do_update(index_elements=["channel", "target"], set_={"next_at": later})


_PACE = table(Pace)
_AHEAD = select(_PACE).where(
    _PACE.c.channel.in_(bindparam("known", expanding=True)), _PACE.c.next_at > bindparam("now")
)
_MOVE = {"sqlite": _later(sqlite), "postgresql": _later(postgresql)}
