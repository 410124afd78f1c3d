"""The audit trail and versioned changes: every transition leaves an event, no writer overwrites another unseen."""

from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, update
from sqlmodel import Session

from monitor.models import Case, Crisis, Event
from monitor.notices import Notice


class Refused(Exception):
    """What was asked cannot be done now; the message is a Chinese sentence for the person who asked."""


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
    session.add(
        Event(
            at=at,
            actor=actor,
            door=door,
            subject=subject_of(row),
            subject_id=row.id,
            what=what,
            before=before or {},
            after=after or {},
        )
    )


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
