"""Deadlines: what is overdue and with whom, what was met and missed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, func, select, union_all
from sqlmodel import Session

from monitor.states import CASE_OPEN, CRISIS_OPEN, STAGE_LABELS
from reports.period import Period
from reports.store import C, cases, crisis, person, tally, timer, within

T, K = timer.c, crisis.c
_SOON = timedelta(hours=24)
_owned = (
    timer.outerjoin(cases, C.id == T.case_id)
    .outerjoin(crisis, K.id == T.crisis_id)
    .outerjoin(person, person.c.id == func.coalesce(C.assignee_id, K.assignee_id))
)
_deadline = T.step == "deadline"


@dataclass(frozen=True)
class Overdue:
    """A deadline that passed and is still not met.

    Attributes:
        subject: ``case`` or ``crisis``.
        subject_id: Its id.
        stage: The deadline's stage.
        due_at: When it was due.
        who: The assignee; "" for nobody.
        shop_id: Its shop.
        severity: Its severity.
        categories: What it is about.
    """

    subject: str
    subject_id: int
    stage: str
    due_at: datetime
    who: str
    shop_id: str | None
    severity: str
    categories: list[str]


@dataclass(frozen=True)
class Due:
    """Where the deadlines stand.

    Attributes:
        overdue: The deadlines longest overdue.
        by_person: How many are overdue with whom, most first; "" for nobody.
        soon: How many fall due within a day.
        next_at: When the next one does.
    """

    overdue: list[Overdue]
    by_person: list[tuple[str, int]]
    soon: int
    next_at: datetime | None

    @property
    def count(self) -> int:
        """How many are overdue."""
        return sum(count for _, count in self.by_person)


def due(session: Session, now: datetime, most: int) -> Due:
    """What is overdue at ``now`` (at most ``most`` in detail) and what will be within a day."""
    late = T.id.in_(union_all(_late(cases, "case_id", CASE_OPEN, now), _late(crisis, "crisis_id", CRISIS_OPEN, now)))
    who = func.coalesce(person.c.name, "").label("who")
    listed = (
        select(
            T.case_id, T.crisis_id, T.stage, T.due_at, who, *_either("shop_id", "severity"), C.categories, K.category
        )
        .select_from(_owned)
        .where(late)
        .order_by(T.crisis_id.is_(None), T.due_at, T.id)
        .limit(most)
    )
    people = (
        select(who, func.count().label("n"))
        .select_from(_owned)
        .where(late)
        .group_by("who")
        .order_by(-func.count(), "who")
    )
    soon = select(func.count(), func.min(T.due_at)).where(
        _deadline, T.state == "armed", within(T.due_at, now, now + _SOON)
    )
    count, next_at = session.execute(soon).one()
    return Due(
        [_overdue(row) for row in session.execute(listed)],
        [(name, n) for name, n in session.execute(people)],
        count,
        next_at,
    )


def _late(owners: Any, mine: str, running: Collection[str], now: datetime) -> Any:
    """Ids, found by what is open: of all that ever fell due that is little."""
    t, o = timer.alias().c, owners.alias().c
    unmet = (t.step == "deadline", t.state.in_(("armed", "breached")), t.met_at.is_(None), t.due_at <= now)
    return select(t.id).where(o.state.in_(running), t[mine] == o.id, *unmet)


def _either(*names: str) -> list[Any]:
    return [case((T.case_id.is_(None), K[name]), else_=C[name]).label(name) for name in names]


def _overdue(row: Any) -> Overdue:
    of_crisis = row.crisis_id is not None
    about = [row.category] if of_crisis and row.category else row.categories or []
    subject, subject_id = ("crisis", row.crisis_id) if of_crisis else ("case", row.case_id)
    return Overdue(subject, subject_id, row.stage, row.due_at, row.who, row.shop_id, row.severity, about)


@dataclass(frozen=True)
class Kept:
    """Deadlines that fell due in a span: of one stage, or with one person.

    Attributes:
        name: ``case.respond``, ``crisis.notice`` …, or the person; "" for nobody.
        on_time: Met in time.
        late: Met after it.
        missed: Not met so far.
    """

    name: str
    on_time: int
    late: int
    missed: int

    @property
    def all(self) -> int:
        """All that fell due."""
        return self.on_time + self.late + self.missed


def kept(session: Session, period: Period, now: datetime) -> tuple[list[Kept], list[Kept]]:
    """Deadlines due in a span (and before ``now``) by stage, crises first, and by person, most missed first."""
    subject = case((T.crisis_id.is_(None), "case."), else_="crisis.")
    stages = _kept((subject + T.stage).label("group_name"), period, now)
    people = _kept(func.coalesce(person.c.name, "").label("group_name"), period, now)
    order = [f"{subject}.{stage}" for subject, names in STAGE_LABELS.items() for stage in names]
    by_stage = [Kept(*row) for row in session.execute(stages)]
    by_person = [Kept(*row) for row in session.execute(people)]
    by_stage.sort(key=lambda row: (order.index(row.name) if row.name in order else len(order), row.name))
    by_person.sort(key=lambda row: (-row.missed - row.late, -row.all, row.name))
    return by_stage, by_person


def _kept(name: Any, period: Period, now: datetime) -> Select[Any]:
    met = T.met_at.is_not(None)
    return (
        select(name, tally(met & (T.met_at <= T.due_at)), tally(met & (T.met_at > T.due_at)), tally(T.met_at.is_(None)))
        .select_from(_owned)
        .where(_deadline, T.state != "cancelled", within(T.due_at, period.start, min(period.end, now)))
        .group_by("group_name")
    )
