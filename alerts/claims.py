"""Claims on outbox rows: who may send what next, for how long, and what else goes with it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, and_, exists, text, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from alerts import pace
from alerts.channel import MAIL
from alerts.pace import Bucket, Place
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
        size: The bucket of the row's channel.
    """

    row: Outbox
    uncertain: bool
    size: Bucket

    @property
    def place(self) -> Place:
        """Where it goes."""
        return self.row.channel, self.row.target

    @property
    def mine(self) -> tuple[Any, ...]:
        """Holds only while nobody else has claimed the row since."""
        row = self.row
        still = (Outbox.state == "sending", Outbox.lease_owner == row.lease_owner, Outbox.attempts == row.attempts)
        return (Outbox.id == row.id, *still)


def anything_due(core: Core, channels: Collection[str]) -> bool:
    """Whether a claim on these channels could find something; costs no writer anything."""
    now = core.clock.now()
    due = [_due(now, state, name) for state in WAITING for name in channels]
    expired = select(Outbox).where(Outbox.state == "sending", col(Outbox.lease_until) <= now)
    with db.reading(core.engine) as session:
        return any(session.exec(rows.limit(1)).first() is not None for rows in (*due, expired))


def next_slot(core: Core, sizes: Mapping[str, Bucket]) -> datetime | None:
    """When the first of the rows goes that are due and wait only for their place to take more; None without such."""
    now = core.clock.now()
    with db.reading(core.engine) as session:
        full = pace.full(session, sizes, now)
        slots = []
        for (name, target), at in full.items():
            due = [_due(now, state, name) for state in WAITING]
            due = [rows.where(Outbox.target == target) for rows in due] if target else due
            slots += [at for rows in due if session.exec(rows.limit(1)).first() is not None]
    return min(slots, default=None)


def claim(core: Core, sizes: Mapping[str, Bucket], owner: str) -> Claim | None:
    """Take the next due row of these channels, each with its bucket, whose place takes more; None without such."""
    with db.writing(core.engine) as session:
        _alone(session)
        now = core.clock.now()
        _expire(session, now)
        full = pace.full(session, sizes, now)
        row = _next(session, now, sizes.keys() - pace.closed(full, (MAIL,)), full)
        if row is None:
            return None
        uncertain = row.state == "uncertain"
        taken = Claim(row, uncertain, sizes[row.channel])
        pace.take(session, taken.place, taken.size, now, again=uncertain)
        _carry(session, row, uncertain)
        row.state, row.lease_owner, row.lease_until = "sending", owner, now + LEASE
        row.attempts += 1
        session.add(row)
        session.flush()
        return taken


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


def _next(session: Session, now: datetime, channels: Collection[str], full: Collection[Place]) -> Outbox | None:
    """The next due row; a card goes before what is said about it, and one row at a time for each card."""
    other = aliased(Outbox)
    same = and_(
        *(getattr(other, name) == getattr(Outbox, name) for name in ("subject", "subject_id", "channel", "target")),
        col(other.id) != Outbox.id,
    )
    opening = and_(col(other.kind).in_(OPENINGS), col(other.state).in_(WAITING))
    free = (
        ~exists().where(same, col(other.state) == "sending"),
        ~exists().where(same, opening, col(other.id) < Outbox.id),
    )
    found = []
    for name in channels:  # one channel and state at a time, so that the index gives the order and ends the search
        for state in WAITING:
            rows = _due(now, state, name).where(*free)
            if targets := [target for channel, target in full if channel == name]:
                rows = rows.where(col(Outbox.target).not_in(targets))
            rows = rows.order_by(col(Outbox.not_before), col(Outbox.id))  # what was refused comes after the untried
            row = session.exec(rows.limit(1).with_for_update(skip_locked=True, of=Outbox)).first()
            found += [row] if row is not None else []
    return min(found, key=lambda row: (row.not_before, row.id or 0), default=None)


def _due(now: datetime, state: str, channel: str) -> SelectOfScalar[Outbox]:
    return select(Outbox).where(Outbox.state == state, Outbox.channel == channel, Outbox.not_before <= now)


def _carry(session: Session, row: Outbox, uncertain: bool) -> None:
    """Fold into the row what it says as well; not where it may have been sent already, edits excepted."""
    if row.kind in EDITS:
        _fold(session, row, _siblings(row))
        return
    if row.kind not in _CARRIES or uncertain:
        return
    waiting = select(Outbox).where(*_siblings(row), Outbox.state == "pending").order_by(col(Outbox.id))
    stage = row.payload.get("stage")
    carried = [
        other
        for other in session.exec(waiting.with_for_update(skip_locked=True))
        if other.payload.get("stage") == stage
    ]
    if carried:
        names = [name for one in (row, *carried) for name in one.payload.get("ping", ())]
        keys = [*row.payload.get("carries", ()), *(other.dedupe_key for other in carried)]
        row.payload = {**row.payload, "carries": keys, "ping": list(dict.fromkeys(names))}
        _fold(session, row, (col(Outbox.id).in_([other.id for other in carried]),))


def _siblings(row: Outbox) -> tuple[Any, ...]:
    """What waits about the same card, at the same place, and could be said by the row."""
    same = (getattr(Outbox, name) == getattr(row, name) for name in ("subject", "subject_id", "channel", "target"))
    return (*same, Outbox.id != row.id, col(Outbox.state).in_(WAITING), col(Outbox.kind).in_(_CARRIES[row.kind]))


def _fold(session: Session, row: Outbox, which: tuple[Any, ...]) -> None:
    gone = update(Outbox).where(*which).values(state="folded", last_error=f"并入 {row.dedupe_key}")
    session.execute(gone, execution_options={"synchronize_session": False})


def renew(core: Core, claim: Claim) -> bool:
    """Start the lease anew just before a post; False when it ran out and the row is no longer ours."""
    now = core.clock.now()
    with db.writing(core.engine) as session:
        result = session.execute(
            update(Outbox).where(*claim.mine, col(Outbox.lease_until) > now).values(lease_until=now + LEASE)
        )
        assert isinstance(result, CursorResult)
        return result.rowcount == 1
