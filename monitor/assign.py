"""Whose a case is, where the policy says ``auto``: of those on duty the one who fits best and has the least to do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from monitor import categories, rota, timers
from monitor.audit import change, record
from monitor.core import Core
from monitor.models import Case, Person
from monitor.settings import Settings
from monitor.states import CASE_OPEN

ACTOR = "评哨"


@dataclass(frozen=True, slots=True)
class Pick:
    """Who was chosen.

    Attributes:
        person: The person.
        why: In words: ``值班、负责物流配送、手上 3 件最少``.
    """

    person: Person
    why: str


class Pool:
    """People who can be given work, and how much each has: read once, kept in mind while work is given out.

    Args:
        session: The caller's transaction.
        settings: The config, with its rotas.
        now: When work is given out.
    """

    def __init__(self, session: Session, settings: Settings, now: datetime) -> None:
        self._session, self._settings, self._now = session, settings, now
        active = session.exec(select(Person).where(col(Person.active)).order_by(col(Person.id))).all()
        self._people = {person.name: person for person in active}
        held = (
            select(Case.assignee_id, func.count())
            .where(col(Case.state).in_(CASE_OPEN), col(Case.assignee_id).is_not(None))
            .group_by(col(Case.assignee_id))
        )
        self._load: dict[int | None, int] = dict(session.exec(held).all())
        self._duties: dict[str | None, list[Person]] = {}

    def pick(self, shop_id: str | None, codes: Collection[str], tier: str) -> Pick | None:
        """The one on duty whose work this is: the most specialised first, then who has the least to do.

        Where the shop has no rota, everybody in the role ``agent`` is on duty.
        """
        free = [p for p in self._on_duty(shop_id) if _fits(p, shop_id, codes, tier) and self._has_room(p)]
        best = max(map(_speciality, free), default=0)
        return self._least([p for p in free if _speciality(p) == best], shop_id, codes)

    def take_over(self, shop_id: str | None, codes: Collection[str], tier: str) -> Pick | None:
        """The same; if it is nobody's speciality, or all are full, whoever is on duty and has the least to do."""
        return self.pick(shop_id, codes, tier) or self._least(self._on_duty(shop_id), shop_id, codes)

    def _on_duty(self, shop_id: str | None) -> list[Person]:
        if shop_id not in self._duties:
            names: Sequence[str] = [name for name, one in self._people.items() if one.role == "agent"]
            if rota.covers(self._settings, shop_id):
                names = rota.on_duty(self._settings, self._session, shop_id, self._now)
            self._duties[shop_id] = [self._people[name] for name in names if name in self._people]
        return self._duties[shop_id]

    def _has_room(self, person: Person) -> bool:
        return not person.most_open or self._load.get(person.id, 0) < person.most_open

    def _least(self, people: Sequence[Person], shop_id: str | None, codes: Collection[str]) -> Pick | None:
        if not people:
            return None
        person = min(people, key=lambda p: (self._load.get(p.id, 0), p.id or 0))
        load = self._load.get(person.id, 0)
        self._load[person.id] = load + 1
        mine = "、".join(categories.names().get(code, code) for code in codes if code in person.categories)
        reasons = ["值班"] if rota.covers(self._settings, shop_id) else []
        reasons += [f"负责{mine}"] if mine else []
        return Pick(person, "、".join([*reasons, f"手上 {load} 件{'最少' if len(people) > 1 else ''}"]))


def choose(session: Session, settings: Settings, case: Case, now: datetime) -> Person | None:
    """Who should have a case; None where nobody on duty fits."""
    found = Pool(session, settings, now).pick(case.shop_id, case.categories, case.tier)
    return found.person if found else None


def give(core: Core, session: Session, case: Case, now: datetime) -> bool:
    """Give one open case that nobody holds to whom the policy wants; says whether anybody got it."""
    if core.settings.policy.assign.mode != "auto" or case.assignee_id is not None or case.backlog:
        return False
    found = Pool(session, core.settings, now).pick(case.shop_id, case.categories, case.tier)
    if found is None:
        return False
    before = {"state": case.state, "assignee_id": None}
    change(session, case, now, state=held(case.state), assignee_id=found.person.id)
    record(session, now, case, "assign", before=before, after=told(case.state, found))
    timers.touch(core, session, case, now)
    return True


def held(state: str) -> str:
    """The state of an open case that got a holder."""
    return "assigned" if state == "received" else state


def told(state: str, found: Pick) -> dict[str, object]:
    """What the event of an assignment says."""
    return {"state": state, "assignee_id": found.person.id, "note": f"自动派给{found.person.name}：{found.why}"}


def _fits(person: Person, shop_id: str | None, codes: Collection[str], tier: str) -> bool:
    return (
        (not person.shops or shop_id in person.shops)
        and (not person.categories or not set(codes).isdisjoint(person.categories))
        and (not person.tiers or tier in person.tiers)
    )


def _speciality(person: Person) -> int:
    """How narrow somebody's work is: by categories, by tiers, by shops."""
    return sum(bool(own) for own in (person.categories, person.tiers, person.shops))
