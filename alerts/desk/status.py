"""What the status page shows, read in one consistent view of the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from alerts.desk.labels import DELIVERIES
from monitor.models import Case, Crisis, Outbox, Person, Source, Timer
from monitor.settings import Settings
from monitor.states import CASE_OPEN, CRISIS_OPEN

_MOST_CRISES = 50
_MOST_DEAD = 20
_TROUBLE = ("failed", "attention")


@dataclass(frozen=True, slots=True)
class OpenCrisis:
    """An open crisis with its three deadlines and the one who looks after it."""

    row: Crisis
    clocks: Sequence[Timer]
    assignee: str


@dataclass(frozen=True, slots=True)
class Status:
    """The house at one moment.

    Attributes:
        sources: In the config's order; one that never ran has no id yet.
        crises: Open ones, the oldest first, at most 50; ``crisis_count`` is how many there are.
        cases: Open cases by state.
        cases_late: Open cases with a deadline passed.
        deliveries: Messages by state.
        dead: The latest messages that were given up, at most 20.
    """

    at: datetime
    sources: Sequence[Source]
    crises: Sequence[OpenCrisis]
    crisis_count: int
    cases: Mapping[str, int]
    cases_late: int
    deliveries: Mapping[str, int]
    dead: Sequence[Outbox]

    @property
    def attention(self) -> list[str]:
        """What somebody should look at now, one short line each."""
        late = sum(any(clock.due_at <= self.at and not clock.met_at for clock in c.clocks) for c in self.crises)
        bad = sum(source.status in _TROUBLE for source in self.sources)
        dead = self.deliveries["dead"]
        counted = (
            (late, f"{late} 个危机已超时"),
            (self.cases_late, f"{self.cases_late} 个工单已超时"),
            (bad, f"{bad} 个来源有问题"),
            (dead, f"{dead} 条消息发不出"),
        )
        return [words for count, words in counted if count]


def read(session: Session, settings: Settings, now: datetime) -> Status:
    """The house as it stands."""
    open_crises = col(Crisis.state).in_(CRISIS_OPEN)
    deliveries = dict.fromkeys(DELIVERIES, 0) | _counts(session, Outbox.state)
    dead = select(Outbox).where(Outbox.state == "dead").order_by(col(Outbox.id).desc()).limit(_MOST_DEAD)
    return Status(
        at=now,
        sources=_sources(session, settings),
        crises=_crises(session, open_crises),
        crisis_count=session.exec(select(func.count()).select_from(Crisis).where(open_crises)).one(),
        cases=dict.fromkeys(CASE_OPEN, 0) | _counts(session, Case.state, col(Case.state).in_(CASE_OPEN)),
        cases_late=_cases_late(session, now),
        deliveries=deliveries,
        dead=session.exec(dead).all(),
    )


def deadlines(session: Session, subject: str, ids: Sequence[int]) -> dict[int, list[Timer]]:
    """The deadlines of cases or crises, the earliest first."""
    owner = col(Timer.case_id if subject == "case" else Timer.crisis_id)
    wanted = select(Timer).where(owner.in_(ids), Timer.step == "deadline").order_by(col(Timer.due_at))
    found: dict[int, list[Timer]] = {n: [] for n in ids}
    for timer in session.exec(wanted):
        found[getattr(timer, f"{subject}_id")].append(timer)
    return found


def _sources(session: Session, settings: Settings) -> list[Source]:
    """Every source of the config, and what else has a row (imported files, sources taken out) but is no trouble now."""
    rows = {row.name: row for row in session.exec(select(Source).order_by(col(Source.id)))}
    configured = [
        rows.pop(source.name, None) or Source(name=source.name, kind=source.kind, shop_id=source.shop)
        for source in settings.sources
        if source.enabled
    ]
    return configured + list(rows.values())


def _crises(session: Session, open_crises: Any) -> list[OpenCrisis]:
    wanted = select(Crisis).where(open_crises).order_by(col(Crisis.opened_at), col(Crisis.id)).limit(_MOST_CRISES)
    rows = {row.id: row for row in session.exec(wanted) if row.id is not None}
    clocks = deadlines(session, "crisis", list(rows))
    names = dict(session.exec(select(Person.id, Person.name)).all())
    return [OpenCrisis(row, clocks[n], names.get(row.assignee_id, "")) for n, row in rows.items()]


def _cases_late(session: Session, now: datetime) -> int:
    late = (
        select(func.count(func.distinct(Timer.case_id)))
        .join(Case, col(Case.id) == Timer.case_id)
        .where(
            col(Case.state).in_(CASE_OPEN),
            Timer.step == "deadline",
            col(Timer.state).in_(("armed", "breached")),
            Timer.due_at <= now,
            col(Timer.met_at).is_(None),
        )
    )
    return session.exec(late).one()


def _counts(session: Session, state: Any, *where: Any) -> dict[str, int]:
    return dict(session.exec(select(state, func.count()).where(*where).group_by(state)).all())
