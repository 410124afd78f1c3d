"""The status page, and what it shows, read in one consistent view of the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlmodel import Session, col, func, select

from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper
from alerts.links import Links
from monitor import clocks, db, queries, selfwatch
from monitor.core import Core
from monitor.health import SourceHealth, overview
from monitor.models import Case, Outbox, Timer
from monitor.queries import CrisisLine
from monitor.settings import Settings
from monitor.states import CASE_OPEN

_MOST_DEAD = 20
_TROUBLE = ("failed", "attention")


@dataclass(frozen=True, slots=True)
class Status:
    """The house at one moment.

    Attributes:
        at: The moment.
        sources: Those of the config, in its order, then whatever else was imported.
        crises: Open ones, the oldest first.
        cases: Open cases by state.
        cases_late: Open cases with a deadline passed and not met.
        deliveries: Messages by state, without those that were sent.
        dead: The latest messages that were given up, at most 20.
        upkeep: What the monitor found wrong with itself, in words.
    """

    at: datetime
    sources: Sequence[SourceHealth]
    crises: Sequence[CrisisLine]
    cases: Mapping[str, int]
    cases_late: int
    deliveries: Mapping[str, int]
    dead: Sequence[Outbox]
    upkeep: Sequence[str]

    @property
    def attention(self) -> list[str]:
        """What somebody should look at now, one short phrase each."""
        late = sum(any(_late(timer, self.at) for timer in line.clocks.values()) for line in self.crises)
        bad = sum(source.status in _TROUBLE for source in self.sources)
        counted = (
            (late, f"{late} 个危机已超时"),
            (self.cases_late, f"{self.cases_late} 个工单已超时"),
            (bad, f"{bad} 个来源有问题"),
            (self.deliveries["dead"], f"{self.deliveries['dead']} 条消息发不出"),
        )
        return [words for count, words in counted if count]


def router(core: Core, links: Links, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/``: for whoever is logged in, and for everybody as long as nobody has to be."""
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/", summary="状态页")
    def home(request: Request) -> HTMLResponse:
        with db.reading(core.engine) as session:
            needed = door.needed(session)
        viewer = door.viewer(request) if needed else None  # reads by itself: nobody has two connections at a time
        with db.reading(core.engine) as session:
            house = read(session, core.settings, core.clock.now())
        if viewer:
            house = replace(house, crises=[line for line in house.crises if viewer.may_see(line.crisis.shop_id)])
        numbers = [line.crisis.id or 0 for line in house.crises]
        page = f"{pages.root}/crises/"
        views = {n: f"{page}{n}" if viewer else urlsplit(links.view("crisis", n)).path for n in numbers}
        return pages.render("status", viewer=viewer, house=house, views=views)

    return routes


def read(session: Session, settings: Settings, now: datetime) -> Status:
    """The house as it stands."""
    dead = select(Outbox).where(Outbox.state == "dead").order_by(col(Outbox.id).desc()).limit(_MOST_DEAD)
    return Status(
        at=now,
        sources=overview(session, settings, now, fills=False),
        crises=queries.open_crises(session),
        cases=_cases(session),
        cases_late=_cases_late(session, now),
        deliveries=queries.unsent_counts(session),
        dead=session.exec(dead).all(),
        upkeep=selfwatch.known_troubles(session),
    )


def _late(timer: Timer, now: datetime) -> bool:
    return timer.state in {"armed", "breached"} and timer.met_at is None and timer.due_at <= now


def _cases(session: Session) -> dict[str, int]:
    by_state = select(Case.state, func.count()).where(col(Case.state).in_(CASE_OPEN)).group_by(Case.state)
    return dict.fromkeys(CASE_OPEN, 0) | dict(session.exec(by_state).all())


def _cases_late(session: Session, now: datetime) -> int:
    late = (
        select(func.count(func.distinct(Timer.case_id)))
        .join(Case, col(Case.id) == Timer.case_id)
        .where(
            col(Case.state).in_(CASE_OPEN),
            clocks.UNMET,
            Timer.due_at <= now,
        )
    )
    return session.exec(late).one()
