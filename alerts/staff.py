"""Whom a message names: read once for all notices of a transaction, of which there may be thousands."""

from collections.abc import Iterable, Sequence
from functools import cached_property

from sqlmodel import Session, col, select

from monitor.models import Case, Crisis, Person
from monitor.notices import Notice

_CHUNK = 5000  # ids in one statement


class Staff:
    """The people whom notices concern.

    Args:
        session: The transaction in which the notices were raised.
        notices: All that it is asked about.
    """

    def __init__(self, session: Session, notices: Sequence[Notice]) -> None:
        self._session, self._notices = session, notices

    def called_on(self, notice: Notice) -> list[Person]:
        """The holder and the rung's people; those on the floor while nobody holds it."""
        if notice.kind == "timers.digest":
            return self._missed_by(notice)
        if "rung" in notice.facts:
            rung = notice.facts["rung"]
            return self._with_role(rung) if rung in ("lead", "manager") else self._on_it(notice, rung)
        if notice.kind in ("timer.reminder", "timer.breached", "timer.stalled"):
            return self._on_it(notice, "assignee")
        if notice.kind in ("case.opened", "rota.handover"):
            return self._given(notice)
        if notice.kind in ("crisis.opened", "crisis.grew") or notice.facts.get("about") == "crisis":
            return self._with_role("lead")
        return self._with_role("agent") if notice.kind == "cases.overdue" else []

    def _given(self, notice: Notice) -> list[Person]:
        """Who was given something without asking for it; nobody where it is for whoever takes it."""
        if notice.subject == "case":
            return self._holder(notice)
        return [person for person in self._people if person.name in notice.facts.get("to", ())]

    def _on_it(self, notice: Notice, rung: str) -> list[Person]:
        holder = self._holder(notice) if rung == "assignee" else []
        return holder or self._with_role("agent")

    def _missed_by(self, notice: Notice) -> list[Person]:
        """Whom a digest names: the holders and whom the ladder would have reached; the lead in any case."""
        roles, holders = {"lead", *notice.facts["rungs"]}, notice.facts["holders"]
        return [person for person in self._people if person.id in holders or person.role in roles]

    def _with_role(self, role: str) -> list[Person]:
        return [person for person in self._people if person.role == role]

    def _holder(self, notice: Notice) -> list[Person]:
        held_by = self._holders.get((notice.subject, notice.subject_id))
        return [person for person in self._people if person.id == held_by]

    @cached_property
    def _people(self) -> list[Person]:
        return list(self._session.exec(select(Person).where(col(Person.active)).order_by(col(Person.id))))

    @cached_property
    def _holders(self) -> dict[tuple[str, int], int | None]:
        """Subject and id → id of the person who holds it."""
        held: dict[tuple[str, int], int | None] = {}
        for subject, model in (("case", Case), ("crisis", Crisis)):
            ids = list({notice.subject_id for notice in self._notices if notice.subject == subject})
            for chunk in (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)):
                rows: Iterable[tuple[int | None, int | None]] = self._session.exec(
                    select(model.id, model.assignee_id).where(col(model.id).in_(chunk))
                )
                held |= {(subject, row_id or 0): person_id for row_id, person_id in rows}
        return held
