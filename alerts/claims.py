"""Claims on outbox rows: who may send what next, for how long, and what else goes with it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, and_, exists, text, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from alerts.render import EDITS, OPENINGS
from monitor import db
from monitor.core import Core
from monitor.models import Outbox

LEASE = timedelta(seconds=60)
"""Longer than any provider's time-out; counted anew just before a post."""
WAITING = ("pending", "uncertain")
_LOCK = 0x70_73_6F_62  # any number, the same in every process
# What a row can carry: edits show the newest state, a breach makes a reminder pointless.
_CARRIES = {
    "crisis.updated": ("crisis.updated",),
    "case.updated": ("case.updated",),
    "crisis.grew": ("crisis.grew",),
    "timer.breached": ("timer.reminder", "timer.rung"),
    "timer.rung": ("timer.reminder", "timer.rung"),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that this sender alone may send, for as long as its lease lasts.

    Attributes:
        row: The row as claimed.
        uncertain: An earlier attempt may have reached the provider.
    """

    row: Outbox
    uncertain: bool

    @property
    def mine(self) -> tuple[Any, ...]:
        """Holds only while nobody else has claimed the row since."""
        row = self.row
        still = (Outbox.state == "sending", Outbox.lease_owner == row.lease_owner, Outbox.attempts == row.attempts)
        return (Outbox.id == row.id, *still)


def anything_due(core: Core) -> bool:
    """Whether a claim could find something; costs no writer anything."""
    now = core.clock.now()
    waiting = select(Outbox.id).where(col(Outbox.state).in_(WAITING), Outbox.not_before <= now).limit(1)
    expired = select(Outbox.id).where(Outbox.state == "sending", col(Outbox.lease_until) <= now).limit(1)
    with db.reading(core.engine) as session:
        return any(session.exec(due).first() is not None for due in (waiting, expired))


def claim(core: Core, channels: Collection[str], owner: str, resting: Collection[tuple[str, str]]) -> Claim | None:
    """Take the next due row of these channels, leaving out resting places; None when nothing is due."""
    with db.writing(core.engine) as session:
        _alone(session)
        now = core.clock.now()
        _expire(session, now)
        row = _next(session, now, channels, resting)
        if row is None:
            return None
        uncertain = row.state == "uncertain"
        _carry(session, row, uncertain)
        row.state, row.lease_owner, row.lease_until = "sending", owner, now + LEASE
        row.attempts += 1
        session.add(row)
        session.flush()
        return Claim(row, uncertain)


def _alone(session: Session) -> None:
    # Claims are made one at a time, so that two rows about one card never go out side by side.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _expire(session: Session, now: datetime) -> None:
    session.execute(
        update(Outbox)
        .where(col(Outbox.state) == "sending", col(Outbox.lease_until) <= now)
        .values(state="uncertain", not_before=now, last_error="发送者中断，租约到期")
    )


def _next(
    session: Session, now: datetime, channels: Collection[str], resting: Collection[tuple[str, str]]
) -> Outbox | None:
    """The next due row; a card goes before what is said about it, and one row at a time for each card."""
    other = aliased(Outbox)
    same = and_(
        *(getattr(other, name) == getattr(Outbox, name) for name in ("subject", "subject_id", "channel", "target")),
        col(other.id) != Outbox.id,
    )
    opening = and_(col(other.kind).in_(OPENINGS), col(other.state).in_(WAITING))
    due = (
        select(Outbox)
        .where(
            Outbox.not_before <= now,
            col(Outbox.channel).in_(channels),
            *(~and_(col(Outbox.channel) == channel, col(Outbox.target) == target) for channel, target in resting),
            ~exists().where(same, col(other.state) == "sending"),
            ~exists().where(same, opening, col(other.id) < Outbox.id),
        )
        .order_by(col(Outbox.not_before), col(Outbox.id))  # what was refused comes after what was never tried
        .limit(1)
        .with_for_update(skip_locked=True, of=Outbox)
    )
    # one state at a time, so that the index gives the order and the first row ends the search
    found = (session.exec(due.where(Outbox.state == state)).first() for state in WAITING)
    return min((row for row in found if row is not None), key=lambda row: row.not_before, default=None)


def _carry(session: Session, row: Outbox, uncertain: bool) -> None:
    """Fold into the row what it says as well; not where it may have been sent already, edits excepted."""
    if row.kind not in _CARRIES or (uncertain and row.kind not in EDITS):
        return
    folded = [other for other in _siblings(session, row) if _carries(row, other)]
    if not folded:
        return
    if row.kind not in EDITS:
        names = [name for one in (row, *folded) for name in one.payload.get("ping", ())]
        keys = [*row.payload.get("carries", ()), *(other.dedupe_key for other in folded)]
        row.payload = {**row.payload, "carries": keys, "ping": list(dict.fromkeys(names))}
    for other in folded:
        other.state, other.last_error = "folded", f"并入 {row.dedupe_key}"
        session.add(other)


def _siblings(session: Session, row: Outbox) -> list[Outbox]:
    waiting = (
        select(Outbox)
        .where(
            Outbox.subject == row.subject,
            Outbox.subject_id == row.subject_id,
            Outbox.channel == row.channel,
            Outbox.target == row.target,
            Outbox.id != row.id,
            col(Outbox.state).in_(WAITING),
            col(Outbox.kind).in_(_CARRIES[row.kind]),
        )
        .order_by(col(Outbox.id))
        .with_for_update(skip_locked=True)
    )
    return list(session.exec(waiting))


def _carries(row: Outbox, other: Outbox) -> bool:
    if row.kind in EDITS:
        return True
    return other.state == "pending" and other.payload.get("stage") == row.payload.get("stage")


def renew(core: Core, claim: Claim) -> bool:
    """Start the lease anew just before a post; False when it ran out and the row is no longer ours."""
    now = core.clock.now()
    with db.writing(core.engine) as session:
        result = session.execute(
            update(Outbox).where(*claim.mine, col(Outbox.lease_until) > now).values(lease_until=now + LEASE)
        )
        assert isinstance(result, CursorResult)
        return result.rowcount == 1
