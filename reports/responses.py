"""How fast buyers were first answered, in all and by person."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median_low

from sqlalchemy import and_, func, select
from sqlmodel import Session

from monitor.elapsed import seconds
from reports.period import Period
from reports.shares import Share
from reports.store import C, cases, person, timer, within

T = timer.c
_SOON = timedelta(minutes=30)
BUCKETS = (
    ("30 分钟内", _SOON),
    ("30 分钟到 1 小时", timedelta(hours=1)),
    ("1 到 2 小时", timedelta(hours=2)),
    ("2 到 24 小时", timedelta(hours=24)),
    ("超过 24 小时", None),
)


def minutes(bucket: int) -> dict[str, int]:
    """What a bucket holds: answers that took more minutes than ``over``, and at most ``within``; 0 is no limit."""
    edges = [0, *(limit // timedelta(minutes=1) if limit else 0 for _, limit in BUCKETS)]
    return {"over": edges[bucket], "within": edges[bucket + 1]}


@dataclass(frozen=True)
class Person:
    """The cases of one person.

    Attributes:
        name: Who has them now; "" for nobody.
        buckets: How many were answered within each of `BUCKETS`.
        unanswered: How many nobody has answered yet.
        median: Seconds to the middle one of those answered; None without any.
    """

    name: str
    buckets: Sequence[int]
    unanswered: int
    median: float | None

    @property
    def all(self) -> int:
        """All cases."""
        return sum(self.buckets) + self.unanswered


@dataclass(frozen=True)
class Responses:
    """How fast the cases opened in a span were first answered.

    Attributes:
        buckets: Label and number of cases, fastest first.
        unanswered: Cases nobody has answered yet.
        median: Seconds to the middle one of those answered; None without any.
        people: The same by person, most cases first.
    """

    buckets: Sequence[tuple[str, int]]
    unanswered: int
    median: float | None
    people: list[Person] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Cases answered."""
        return sum(count for _, count in self.buckets)

    @property
    def soon(self) -> Share:
        """Cases answered within half an hour, of all."""
        return Share(self.buckets[0][1], self.answered + self.unanswered)


def responses(session: Session, period: Period) -> Responses:
    """First answers to the cases opened in a span; an old backlog and false alarms have no clock and do not count."""
    mine = and_(
        within(C.opened_at, period.start, period.end),
        ~C.backlog,
        C.state != "false_alarm",
        T.step == "deadline",
        T.stage == "respond",
        T.generation == 0,
    )
    joined = timer.join(cases, C.id == T.case_id).outerjoin(person, person.c.id == C.assignee_id)
    who = func.coalesce(person.c.name, "")
    spent: dict[str, list[float | None]] = defaultdict(list)
    for name, took in session.execute(
        select(who, seconds(session, C.opened_at, T.met_at)).select_from(joined).where(mine)
    ):
        spent[name].append(None if took is None else round(float(took), 2))
    people = sorted((_person(name, took) for name, took in spent.items()), key=lambda one: (-one.all, one.name))
    everyone = _person("", [took for of_one in spent.values() for took in of_one])
    named = [(label, count) for (label, _), count in zip(BUCKETS, everyone.buckets, strict=True)]
    return Responses(named, everyone.unanswered, everyone.median, people)


def _person(name: str, spent: Sequence[float | None]) -> Person:
    answered = sorted(took for took in spent if took is not None)
    places = [
        next(n for n, (_, limit) in enumerate(BUCKETS) if limit is None or took <= limit.total_seconds())
        for took in answered
    ]
    buckets = [places.count(n) for n in range(len(BUCKETS))]
    return Person(name, buckets, len(spent) - len(answered), median_low(answered) if answered else None)
