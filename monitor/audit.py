"""The audit trail and versioned changes: every transition leaves an event, no writer overwrites another unseen.

Events are only added: the database itself refuses to change or delete one, but for `retire`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, delete, update
from sqlmodel import Session, col

from monitor import known, months
from monitor.bulk import insert_rows
from monitor.models import Case, Crisis, Event, Outbox
from monitor.notices import Notice


class Refused(Exception):
    """What was asked cannot be done now; the message is a Chinese sentence for the person who asked."""


def note(
    session: Session,
    at: datetime,
    subject: str,
    subject_id: int,
    what: str,
    actor: str = "评哨",
    door: str = "system",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Append one event about anything."""
    session.add(
        Event(
            at=at,
            actor=actor,
            door=door,
            subject=subject,
            subject_id=subject_id,
            what=what,
            before=before or {},
            after=after or {},
        )
    )


def record(
    session: Session,
    at: datetime,
    row: Case | Crisis,
    what: str,
    actor: str = "评哨",
    door: str = "system",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Append one event about a case or crisis."""
    assert row.id is not None
    note(session, at, subject_of(row), row.id, what, actor, door, before, after)


def sent(session: Session, at: datetime, row: Outbox, ref: str) -> None:
    """A provider accepted a message, and how it calls it."""
    told = {"ref": ref, "maybe_twice": row.maybe_twice}
    event = {"at": at, "actor": "评哨", "door": "system", "subject": row.subject, "subject_id": row.subject_id}
    insert_rows(session, Event, [event | {"what": "sent", "before": {}, "after": _place(row) | told}])


def dead(session: Session, at: datetime, row: Outbox, error: str) -> None:
    """A message was given up."""
    note(session, at, row.subject, row.subject_id, "dead", after=_place(row) | {"error": error})


def _place(row: Outbox) -> dict[str, Any]:
    return {"key": row.dedupe_key, "channel": row.channel, "target": row.target}


def retire(session: Session, before: datetime, at: datetime) -> int:
    """Delete the events that happened before a time: retention's way, and the only one; gives how many there were.

    The door opens and closes within the caller's transaction, and that it was used is an event itself.
    """
    door = known.hold(session, months.RETIRE, before)
    door.at = before
    session.add(door)
    session.flush()
    count = months.drop(session, before)
    result = session.execute(delete(Event).where(col(Event.at) < before))
    assert isinstance(result, CursorResult)
    count += result.rowcount
    session.delete(door)
    note(session, at, "event", 0, "retired", after={"before": before.isoformat(), "count": count})
    session.flush()
    return count


def subject_of(row: Case | Crisis) -> str:
    """The word that names the row's table in events, notices and links."""
    return "case" if isinstance(row, Case) else "crisis"


def change(session: Session, row: Case | Crisis, now: datetime, **values: Any) -> None:
    """Write ``values`` to the row if nobody else changed it since it was read.

    Raises:
        Refused: somebody was faster.
    """
    session.flush()
    model = type(row)
    statement = (
        update(model)
        .where(model.id == row.id, model.version == row.version)  # type: ignore[arg-type]
        .values(**values, updated_at=now, version=row.version + 1)
    )
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    if result.rowcount != 1:
        raise Refused("刚刚被别人改过，请看一眼最新情况再操作")
    session.refresh(row)


def updated(row: Case | Crisis) -> Notice:
    """The notice that a row's card must be brought up to date."""
    assert row.id is not None
    subject = subject_of(row)
    return Notice(
        kind="crisis.updated" if subject == "crisis" else "case.updated",
        key=f"{subject}:{row.id}:card:{row.version}",
        subject=subject,
        subject_id=row.id,
        shop_id=row.shop_id,
    )
