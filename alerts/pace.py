"""How often one place is written to: a token bucket in one moment of the store, shared by all senders and processes.

The moment is when the place's next message would be due, were they sent evenly. A message goes while that moment is
not too far ahead, and moves it on; a place that is to be left alone has it moved to the end of its rest. A target of
``""`` stands for all of a channel.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from alerts.channel import Channel
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


def full(session: Session, known: Mapping[str, Bucket], now: datetime) -> dict[Place, datetime]:
    """Places of these channels that take nothing now, and when they will."""
    ahead = select(Pace).where(col(Pace.channel).in_(known), Pace.next_at > now)
    moments = {(row.channel, row.target): row.next_at - known[row.channel].ahead for row in session.exec(ahead)}
    return {place: at for place, at in moments.items() if at > now}


def take(session: Session, place: Place, size: Bucket, now: datetime, *, again: bool) -> None:
    """Count the calls that are about to be made, for the first time or again."""
    if size.every:
        row = session.get(Pace, place)
        _move(session, place, max(row.next_at if row else now, now) + size.every * (size.second_try if again else 1))


def rest(session: Session, place: Place, size: Bucket, until: datetime) -> None:
    """Leave a place alone for a time; then it is written to evenly, without a rush."""
    _move(session, place, until + size.ahead)


def closed(places: Iterable[Place], several: Collection[str]) -> set[str]:
    """Channels with nowhere to write to: those of one target, where it is full, and those full as a whole."""
    return {channel for channel, target in places if not target or channel not in several}


def _move(session: Session, place: Place, to: datetime) -> None:
    dialect: Any = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    new = dialect.insert(Pace).values(channel=place[0], target=place[1], next_at=to)
    later = case((new.excluded.next_at > col(Pace.next_at), new.excluded.next_at), else_=col(Pace.next_at))
    session.execute(new.on_conflict_do_update(index_elements=["channel", "target"], set_={"next_at": later}))
