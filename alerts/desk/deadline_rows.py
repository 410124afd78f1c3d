"""The deadlines behind a number of a report: chosen as the report counts them, as all stood when it was made."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import tuple_, union_all
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, case, col, func, or_, select

from alerts.desk.asked import MOST_COUNTED, Asked, Word, ends
from alerts.desk.sessions import Viewer
from monitor.bulk import table
from monitor.core import Core
from monitor.elapsed import seconds
from monitor.history import value_at
from monitor.models import Case, Crisis, Event, Person, Timer
from monitor.states import CASE_OPEN, CRISIS_OPEN

Minutes = Annotated[int, Field(ge=0, le=10_000_000)]


class Wanted(Asked):
    """Which deadlines.

    Attributes:
        first: First answers to cases opened in the span, whenever they were due; else what fell due in the span.
        over: First answers that took more minutes.
        within: First answers that took so many minutes or less.
        result: Met at all, met in time or late, or not met; ``overdue`` were all that waited, whatever the span.
        stage: ``case.respond``, ``crisis.notice`` …
        person: Who looked after it.
        nobody: What nobody looked after.
    """

    first: bool = False
    over: Minutes = 0
    within: Minutes = 0
    result: Literal["", "met", "on_time", "late", "missed", "overdue"] = ""
    stage: Word = ""
    person: Word = ""
    nobody: bool = False


@dataclass(frozen=True, slots=True)
class Deadline:
    """A deadline as it is now, but for who looked after it when it was counted.

    Attributes:
        opened_at: When its case or crisis was opened.
        state: And how that is now.
        shop: Its shop's id.
        person: Who looked after it; None for nobody.
    """

    timer: Timer
    opened_at: datetime
    state: str
    shop: str | None
    person: str | None

    @property
    def subject(self) -> str:
        """``case`` or ``crisis``."""
        return "case" if self.timer.crisis_id is None else "crisis"

    @property
    def subject_id(self) -> int:
        """Its id."""
        return self.timer.crisis_id or self.timer.case_id or 0

    @property
    def waits(self) -> bool:
        """Whether it still is to be met."""
        running = self.state in (*CASE_OPEN, *CRISIS_OPEN) and self.timer.state != "cancelled"
        return running and self.timer.met_at is None


class Deadlines:
    """The deadlines that are wanted, of the viewer's shops; of all where a link says what may be seen."""

    def __init__(self, core: Core, session: Session, viewer: Viewer | None, wanted: Wanted) -> None:
        self._session, self._at = session, wanted.counted_at or core.clock.now()
        of_case, of_crisis = value_at("assignee_id", self._at), value_at("assignee_id", self._at, Crisis)
        self._holder = case((col(Timer.crisis_id).is_(None), of_case), else_=of_crisis)
        self._where = [Timer.step == "deadline", *self._chosen(core, wanted), *self._ended(wanted)]
        named = case((col(Timer.crisis_id).is_(None), "case."), else_="crisis.") + col(Timer.stage)
        self._where += [named == wanted.stage] if wanted.stage else []
        self._where += [Person.name == wanted.person] if wanted.person else []
        self._where += [col(Person.id).is_(None)] if wanted.nobody else []
        self._where += viewer.sees(func.coalesce(Case.shop_id, Crisis.shop_id)) if viewer else []

    def count(self) -> int:
        """How many there are; no further than one above `MOST_COUNTED`."""
        some = self._select(Timer.id).limit(MOST_COUNTED + 1).subquery()
        return int(self._session.execute(select(func.count()).select_from(some)).scalar_one())

    def rows(self, limit: int, skip: int = 0, after: int = 0) -> Sequence[Deadline]:
        """Some of them, what fell due last first; those that follow a row, or after so many."""
        shown = [
            func.coalesce(getattr(Case, name), getattr(Crisis, name)) for name in ("opened_at", "state", "shop_id")
        ]
        found = self._select(Timer, *shown, Person.name)
        order = (col(Timer.due_at), col(Timer.id))
        if after:
            last = self._session.get(Timer, after)
            found = found.where(tuple_(*order) < tuple_(last.due_at, after) if last else col(Timer.id).is_(None))
        found = found.order_by(*(one.desc() for one in order)).limit(limit).offset(skip)
        return [Deadline(*row) for row in self._session.execute(found)]

    def forgotten(self) -> bool:
        """Whether events are gone that would tell who looked after them then: told is who does now."""
        retired = select(Event.after).where(Event.subject == "event", Event.subject_id == 0, Event.what == "retired")
        last = self._session.exec(retired.order_by(col(Event.id).desc()).limit(1)).first()
        return last is not None and datetime.fromisoformat(last["before"]) > self._at

    def _select(self, *columns: Any) -> Any:
        found = select(*columns).select_from(Timer).join(Case, col(Case.id) == Timer.case_id, isouter=True)
        found = found.join(Crisis, col(Crisis.id) == Timer.crisis_id, isouter=True)
        return found.join(Person, col(Person.id) == self._holder, isouter=True).where(*self._where)

    def _chosen(self, core: Core, wanted: Wanted) -> list[Any]:
        """By when they fell due, or when their case was opened."""
        if wanted.result == "overdue":
            return self._overdue()
        start, end = ends(core, wanted.days)
        if not wanted.first:
            return [Timer.state != "cancelled", Timer.due_at >= start, Timer.due_at < min(end, self._at)]
        opened, told = col(Case.opened_at), value_at("state", self._at) != "false_alarm"
        mine = (Timer.stage == "respond", Timer.generation == 0, ~col(Case.backlog), told)
        return [opened >= start, opened < end, opened <= self._at, *mine, *self._took(wanted)]

    def _took(self, wanted: Wanted) -> list[Any]:
        opened, met = table(Case).c.opened_at, table(Timer).c.met_at
        took = func.round(seconds(self._session, opened, met), 2)
        where = [took > wanted.over * 60] if wanted.over else []
        where += [took <= wanted.within * 60] if wanted.within else []
        return [self._met(), *where] if where else []

    def _overdue(self) -> list[Any]:
        """Found by what is open or was touched since: of all that ever fell due that is little."""
        parts = ((Case, Timer.case_id, CASE_OPEN), (Crisis, Timer.crisis_id, CRISIS_OPEN))
        late = union_all(*(self._late(*part) for part in parts))
        then = [
            and_(col(mine).is_not(None), value_at("state", self._at, model).in_(open_)) for model, mine, open_ in parts
        ]
        return [col(Timer.id).in_(late), Timer.state != "cancelled", Timer.due_at <= self._at, or_(*then), ~self._met()]

    def _late(self, model: type[Case | Crisis], mine: Any, open_: Collection[str]) -> Any:
        timer, owner = aliased(Timer), aliased(model)
        touched = or_(col(owner.state).in_(open_), owner.updated_at > self._at)
        owned = getattr(timer, mine.key) == owner.id
        return select(timer.id).where(touched, owned, timer.step == "deadline", timer.due_at <= self._at)

    def _ended(self, wanted: Wanted) -> list[Any]:
        in_time = col(Timer.met_at) <= col(Timer.due_at)
        chosen = {
            "met": [self._met()],
            "on_time": [self._met(), in_time],
            "late": [self._met(), ~in_time],
            "missed": [~self._met()],
        }
        return chosen.get(wanted.result, [])

    def _met(self) -> Any:
        return and_(col(Timer.met_at).is_not(None), col(Timer.met_at) <= self._at)
