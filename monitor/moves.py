"""One action of one person on one row: what is asked, and what every action has in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlmodel import Session, select

from monitor import timers
from monitor.audit import Refused, change, record, updated
from monitor.core import Core
from monitor.models import Case, Crisis, Person
from monitor.transitions import ACTIONS

Row = TypeVar("Row", Case, Crisis)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, in which role, through which door."""

    name: str
    role: str
    door: str


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody wants done.

    Attributes:
        what: A key of `ACTIONS`.
        subject: ``case`` or ``crisis``.
        subject_id: Its id.
        note: What was written: a remark, a plan, a result.
        to: A person's name (assign), a crisis's id (merge), codes with commas between (refile).
        more: Further things written, by name: ``members`` and ``facts`` (plan).
    """

    what: str
    subject: str
    subject_id: int
    note: str = ""
    to: str = ""
    more: Mapping[str, str] | None = None


@dataclass
class Move(Generic[Row]):
    """One action on one row: what changes, and what follows from it; ``_<action>`` does what is special about it."""

    core: Core
    session: Session
    action: Action
    actor: Actor
    row: Row
    target: str
    told: dict[str, Any] = field(default_factory=dict)  # what the event says besides

    def run(self) -> str:
        """Do it, with its event and notices; gives one Chinese line that says what is now so."""
        now = self.core.clock.now()
        before = self._before()
        special = getattr(self, f"_{self.action.what}", None)
        said = special(now) if special else self._plain(now)
        timers.touch(self.core, self.session, self.row, now)
        after = {"state": self.row.state, "assignee_id": self.row.assignee_id}
        if note := (self.action.note.strip() or self.action.to):
            after["note"] = note
        after |= self.told
        what, actor = self.action.what, self.actor
        record(self.session, now, self.row, what, actor.name, actor.door, before=before, after=after)
        told = {"who": actor.name, "what": what, "at": now.isoformat(), "note": str(after.get("note", ""))}
        more = {name: text for name, text in (self.action.more or {}).items() if text.strip()}
        self.core.notify(self.session, [replace(updated(self.row), facts={"acted": told | {"more": more}})])
        return str(said)

    def _before(self) -> dict[str, Any]:
        """What the event keeps of the row as it was."""
        return {"state": self.row.state, "assignee_id": self.row.assignee_id}

    def _plain(self, now: datetime, **values: Any) -> str:
        """Move to the target state; who acts first on what nobody holds, holds it."""
        if self.target:
            values["state"] = self.target
        if self.row.assignee_id is None and (me := self._person(self.actor.name)):
            values.setdefault("assignee_id", me.id)
        change(self.session, self.row, now, **values)
        return f"{self.actor.name} {ACTIONS[self.action.what].label}"

    def _claim(self, now: datetime) -> str:
        me = self._person(self.actor.name)
        if me is None:
            raise Refused("评哨还不认识您，请让管理员把您加进 people")
        if self.row.assignee_id == me.id:
            raise Refused("您已经认领了")
        if self.row.assignee_id is not None:
            holder = self.session.get(Person, self.row.assignee_id)
            raise Refused(f"{holder.name if holder else '别人'}已经认领了")
        self._plain(now, assignee_id=me.id)
        return f"{me.name}负责"

    def _assign(self, now: datetime) -> str:
        to = self._person(self.action.to)
        if to is None:
            raise Refused(f"没有叫“{self.action.to}”的人")
        self._plain(now, assignee_id=to.id)
        return f"转给{to.name}负责"

    def _person(self, name: str) -> Person | None:
        return self.session.exec(select(Person).where(Person.name == name, Person.active)).one_or_none()
