"""Who is on duty when: rotas from the config, and swaps by which one person stands in for another.

A shift belongs to the day on which it begins; times of day are those of the service's zone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from sqlmodel import Session, col, select

from monitor import audit
from monitor.config import nearest
from monitor.core import Core
from monitor.durations import minutes
from monitor.errors import WrongCall
from monitor.models import Person, Swap
from monitor.policies import Rota
from monitor.settings import Settings

_DAY = timedelta(days=1)
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

StandIns = Sequence[tuple[datetime, datetime, str, str]]  # from, until, absent, stand-in


@dataclass(frozen=True, slots=True)
class Duty:
    """A span in which the same people are on duty for the same shops.

    Attributes:
        shops: Their ids; None is what belongs to the brand alone.
        start: When it begins.
        end: When it ends.
        people: Their names; nobody where empty.
    """

    shops: tuple[str | None, ...]
    start: datetime
    end: datetime
    people: tuple[str, ...]


def covers(settings: Settings, shop_id: str | None) -> bool:
    """Whether there is any rota for the shop."""
    return any(_is_for(rota, shop_id) for rota in settings.rotas)


def on_duty(settings: Settings, session: Session, shop_id: str | None, at: datetime) -> list[str]:
    """Names of those on duty for a shop (None: the brand's mentions), in the order of the config."""
    return on_duty_by(settings, stand_ins(session, at, at), shop_id, at)


def on_duty_by(settings: Settings, swaps: StandIns, shop_id: str | None, at: datetime) -> list[str]:
    """The same by swaps that were read already."""
    today = at.astimezone(settings.zone).date()
    names = (
        _replaced(name, swaps, at)
        for rota in settings.rotas
        if _is_for(rota, shop_id)
        for day in (today - _DAY, today)
        if _in_shift(rota, day, settings, at)
        for name in _turn(rota, day)
    )
    return list(dict.fromkeys(names))


def stand_ins(session: Session, start: datetime, end: datetime) -> StandIns:
    """Swaps that are in force at some time of a span, with people who are still there; the later agreed comes first."""
    people = {row.id: row for row in session.exec(select(Person))}
    swaps = session.exec(
        select(Swap).where(Swap.starts_at <= end, Swap.ends_at > start).order_by(col(Swap.id).desc())
    ).all()
    return [
        (swap.starts_at, swap.ends_at, people[swap.absent_id].name, people[swap.person_id].name)
        for swap in swaps
        if people[swap.person_id].active
    ]


def changes(settings: Settings, swaps: StandIns, start: datetime, end: datetime) -> list[datetime]:
    """Moments between two (both left out) at which somebody's duty may begin or end, in order."""
    edges = {
        edge for rota in settings.rotas for day in _days(settings, start, end) for edge in _shift(rota, day, settings)
    }
    edges |= {edge for begins, ends, _, _ in swaps for edge in (begins, ends)}
    return sorted(edge for edge in edges if start < edge < end)


def duties(settings: Settings, session: Session, start: datetime, end: datetime) -> list[Duty]:
    """Who is on duty in a span, shop by shop; shops with the same rotas are one."""
    swaps = stand_ins(session, start, end)
    moments = [start, *changes(settings, swaps, start, end), end]
    found: list[Duty] = []
    for shops in _alike(settings):
        mine: list[Duty] = []
        for begins, ends in pairwise(moments):
            people = tuple(on_duty_by(settings, swaps, shops[0], begins))
            since = mine.pop().start if mine and mine[-1].people == people else begins
            mine.append(Duty(shops, since, ends, people))
        found += mine
    return found


def swap(core: Core, who: str, absent: str, start: str, end: str, actor: str, door: str = "cli") -> Swap:
    """Let somebody stand in for somebody.

    Args:
        core: The common ground.
        who: Stands in.
        absent: Is not there.
        start: Day or time in ISO form.
        end: The same; a day is meant to its end.
        actor: Who arranged it.
        door: Where.

    Raises:
        WrongCall: an unknown person, or no span of the future.
    """
    now, zone = core.clock.now(), core.settings.zone
    begins, ends = (_moment(value, zone, last=last) for value, last in ((start, False), (end, True)))
    if not max(begins, now) < ends:
        raise WrongCall(f"换班要从早到晚、在将来结束：{start} 到 {end}")
    if who == absent:
        raise WrongCall(f"{who} 不能替自己的班")
    from monitor import db

    with db.writing(core.engine) as session:
        people = {row.name: row.id or 0 for row in session.exec(select(Person).where(col(Person.active)))}
        for name in (who, absent):
            if name not in people:
                raise WrongCall(f"没有叫 {name!r} 的人{nearest(name, people)}")
        row = Swap(absent_id=people[absent], person_id=people[who], starts_at=begins, ends_at=ends)
        session.add(row)
        session.flush()
        assert row.id is not None
        after = {"who": who, "for": absent, "from": begins.isoformat(), "to": ends.isoformat()}
        audit.note(session, now, "rota", row.id, "swapped", actor, door, after=after)
        session.expunge(row)
    return row


def _moment(value: str, zone: Any, *, last: bool) -> datetime:
    try:
        at = datetime.fromisoformat(value)
        bare = len(value) == len("2026-11-21")
    except ValueError:
        raise WrongCall(f"应为日期或时间，如 2026-11-21 或 2026-11-21T18:00，实为 {value!r}") from None
    at = at if at.tzinfo else at.replace(tzinfo=zone)
    return (at + _DAY if bare and last else at).astimezone(UTC)


def _replaced(name: str, swaps: StandIns, at: datetime) -> str:
    """Who comes in somebody's place; who stands in may be replaced himself, and two may change places."""
    seen = {name}
    while True:
        other = next((who for begins, ends, absent, who in swaps if absent == name and begins <= at < ends), name)
        if other in seen:
            return name
        seen.add(other)
        name = other


def _is_for(rota: Rota, shop_id: str | None) -> bool:
    return not rota.shops or shop_id in rota.shops


def _alike(settings: Settings) -> list[tuple[str | None, ...]]:
    """Shops by the rotas that are theirs; those without any are left out."""
    groups: dict[tuple[int, ...], list[str | None]] = {}
    for shop_id in (*(shop.id for shop in settings.shops), None):
        mine = tuple(n for n, rota in enumerate(settings.rotas) if _is_for(rota, shop_id))
        groups.setdefault(mine, []).append(shop_id)
    return [tuple(shops) for mine, shops in groups.items() if mine]


def _turn(rota: Rota, day: date) -> Sequence[str]:
    if rota.since is None:
        return rota.people
    passed = day - rota.since
    if rota.turn == "week":
        passed = (day - day.weekday() * _DAY) - (rota.since - rota.since.weekday() * _DAY)
    turns = passed.days // 7 if rota.turn == "week" else passed.days
    return [rota.people[turns % len(rota.people)]]


def _in_shift(rota: Rota, day: date, settings: Settings, at: datetime) -> bool:
    edges = list(_shift(rota, day, settings))
    return bool(edges) and edges[0] <= at < edges[1]


def _shift(rota: Rota, day: date, settings: Settings) -> Iterator[datetime]:
    """Where the shift of a day begins and ends; nothing where the day has none."""
    if _WEEK[day.weekday()] in rota.days:
        for minute in minutes(rota.shift):
            days, rest = divmod(minute, 24 * 60)
            yield datetime.combine(day + days * _DAY, time(*divmod(rest, 60)), settings.zone).astimezone(UTC)


def _days(settings: Settings, start: datetime, end: datetime) -> Iterator[date]:
    day, last = (at.astimezone(settings.zone).date() for at in (start, end))
    day -= _DAY
    while day <= last:
        yield day
        day += _DAY
