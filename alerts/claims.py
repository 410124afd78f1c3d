"""Claims on outbox rows: who may send what next, for how long, and what else goes with it.

Statements are built once: building them anew for every message cost more than running them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, literal, select, text, union_all, update
from sqlmodel import Session

from alerts import pace
from alerts.channel import MAIL
from alerts.pace import Bucket, Place
from alerts.render import IN_PLACE, OPENINGS
from monitor import db
from monitor.bulk import table
from monitor.core import Core
from monitor.models import Outbox

LEASE = timedelta(seconds=60)
"""Longer than any provider's time-out; counted anew just before a post."""
WAITING = ("pending", "uncertain")
OUTBOX = table(Outbox)
MINE = and_(
    OUTBOX.c.id == bindparam("row"),
    OUTBOX.c.state == "sending",
    OUTBOX.c.lease_owner == bindparam("owner"),
    OUTBOX.c.attempts == bindparam("attempt"),
)
"""Holds only while nobody else has claimed a row since; takes `Claim.mine`."""
_LOCK = 0x70_73_6F_62  # any number, the same in every process
# What a row can carry: edits show the newest state, a breach makes a reminder pointless.
_CARRIES = {
    "crisis.updated": ("crisis.updated",),
    "case.updated": ("case.updated",),
    "crisis.acted": ("crisis.acted",),
    "case.acted": ("case.acted",),
    "crisis.grew": ("crisis.grew",),
    "timer.breached": ("timer.reminder", "timer.rung"),
    "timer.rung": ("timer.reminder", "timer.rung"),
    "timer.stalled": ("timer.stalled",),
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
    def mine(self) -> dict[str, Any]:
        """What `MINE` asks for."""
        return {"row": self.row.id, "owner": self.row.lease_owner, "attempt": self.row.attempts}


def _waiting(state: str) -> Any:
    """The first due row of a channel in a state; a card goes before what is said about it, one row a card at a time."""
    other, mine = OUTBOX.alias(), OUTBOX.c

    def nothing(*what: Any) -> Any:
        same = (other.c[name] == mine[name] for name in ("subject", "subject_id", "channel", "target"))
        found = select(literal(1)).where(*same, other.c.id != mine.id, *what).limit(1).scalar_subquery()
        # so written, PostgreSQL asks row by row and expects a "no"; else it joins all that waits before it takes one
        return func.coalesce(found, 0) != 1

    first = select(mine.id, mine.not_before, mine.state).where(
        mine.state == state,
        mine.channel == bindparam("channel"),
        mine.not_before <= bindparam("now"),
        mine.target.not_in(bindparam("full", expanding=True)),
        nothing(other.c.state == "sending"),
        nothing(other.c.kind.in_(OPENINGS), other.c.state.in_(WAITING), other.c.id < mine.id),
    )
    found = first.order_by(mine.not_before, mine.id).limit(1).subquery()  # what was refused comes after the untried
    return select(found)


# one channel and state at a time, so that the index gives the order and the first row ends the search
_FIRST = union_all(*map(_waiting, WAITING))
_TAKE = (
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("row"), OUTBOX.c.state == bindparam("was"))
    .values(
        state="sending",
        lease_owner=bindparam("owner"),
        lease_until=bindparam("until"),
        attempts=OUTBOX.c.attempts + 1,
    )
    .returning(*OUTBOX.c)
)
_EXPIRED = and_(OUTBOX.c.state == "sending", OUTBOX.c.lease_until <= bindparam("now"))
_EXPIRE = (
    update(OUTBOX)
    .where(_EXPIRED)
    .values(state="uncertain", not_before=bindparam("now"), last_error="发送者中断，租约到期")
)
_RENEW = update(OUTBOX).where(MINE, OUTBOX.c.lease_until > bindparam("now")).values(lease_until=bindparam("until"))
_DUE = (
    select(literal(1))
    .where(
        OUTBOX.c.state.in_(WAITING),
        OUTBOX.c.channel == bindparam("channel"),
        OUTBOX.c.not_before <= bindparam("now"),
    )
    .limit(1)
)
_DUE_THERE = _DUE.where(OUTBOX.c.target == bindparam("target"))
_ANY_EXPIRED = select(literal(1)).where(_EXPIRED).limit(1)


def expire(core: Core) -> None:
    """Make rows uncertain whose senders let their lease run out; costs no writer anything where there are none."""
    now = {"now": core.clock.now()}
    with db.reading(core.engine) as session:
        if session.connection().execute(_ANY_EXPIRED, now).first() is None:
            return
    with db.writing(core.engine) as session:
        session.connection().execute(_EXPIRE, now)


def anything_due(core: Core, channels: Iterable[str]) -> bool:
    """Whether a claim on these channels could find something; costs no writer anything."""
    with db.reading(core.engine) as session:
        return any(_is_due(session, core.clock.now(), name) for name in channels)


def next_slot(core: Core, sizes: Mapping[str, Bucket]) -> datetime | None:
    """When the first of the rows goes that are due and wait only for their place to take more; None without such."""
    now = core.clock.now()
    with db.reading(core.engine) as session:
        full = pace.full(pace.moments(session, sizes, now), sizes, now)
        slots = (at for (name, target), at in full.items() if _is_due(session, now, name, target))
        return min(slots, default=None)


def claim(core: Core, sizes: Mapping[str, Bucket], owner: str) -> Claim | None:
    """Take the next due row of these channels, each with its bucket, whose place takes more; None without such."""
    with db.writing(core.engine) as session:
        _alone(session)
        now = core.clock.now()
        moments = pace.moments(session, sizes, now)
        full = pace.full(moments, sizes, now)
        found = _first(session, now, sizes.keys() - pace.closed(full, (MAIL,)), full)
        if found is None:
            return None
        taken = {"row": found.id, "was": found.state, "owner": owner, "until": now + LEASE}
        row = Outbox(**session.connection().execute(_TAKE, taken).mappings().one())
        mine = Claim(row, found.state == "uncertain", sizes[row.channel])
        pace.take(session, mine.place, mine.size, max(now, moments.get(mine.place, now)), again=mine.uncertain)
        _carry(session, row, mine.uncertain)
        return mine


def renew(core: Core, claim: Claim) -> bool:
    """Start the lease anew just before a post; False when it ran out and the row is no longer ours."""
    now = core.clock.now()
    with db.writing(core.engine) as session:
        result = session.connection().execute(_RENEW, claim.mine | {"now": now, "until": now + LEASE})
        return result.rowcount == 1


def _alone(session: Session) -> None:
    # Claims are made one at a time, so that two rows about one card never go out side by side.
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _is_due(session: Session, now: datetime, channel: str, target: str = "") -> bool:
    asked = {"channel": channel, "now": now} | ({"target": target} if target else {})
    return session.connection().execute(_DUE_THERE if target else _DUE, asked).first() is not None


def _first(session: Session, now: datetime, channels: Iterable[str], full: Collection[Place]) -> Any:
    """The next due row of all these channels: its id, moment and state; None without such."""
    found: list[Any] = []
    for name in channels:
        asked = {"channel": name, "now": now, "full": [target for channel, target in full if channel == name]}
        found += session.connection().execute(_FIRST, asked)
    return min(found, key=lambda row: (row.not_before, row.id), default=None)


def _carry(session: Session, row: Outbox, uncertain: bool) -> None:
    """Fold into the row what it says as well; not where it may have been sent already, edits excepted."""
    if row.kind in IN_PLACE:
        _fold(session, row, _siblings(row))
        return
    if row.kind not in _CARRIES or uncertain:
        return
    waiting = select(OUTBOX.c.id, OUTBOX.c.dedupe_key, OUTBOX.c.payload).where(*_siblings(row))
    waiting = waiting.where(OUTBOX.c.state == "pending").order_by(OUTBOX.c.id).with_for_update(skip_locked=True)
    stage = row.payload.get("stage")
    carried = [other for other in session.connection().execute(waiting) if other.payload.get("stage") == stage]
    if carried:
        names = [
            name for payload in (row.payload, *(one.payload for one in carried)) for name in payload.get("ping", ())
        ]
        keys = [*row.payload.get("carries", ()), *(one.dedupe_key for one in carried)]
        row.payload = {**row.payload, "carries": keys, "ping": list(dict.fromkeys(names))}
        session.connection().execute(update(OUTBOX).where(OUTBOX.c.id == row.id).values(payload=row.payload))
        _fold(session, row, (OUTBOX.c.id.in_([other.id for other in carried]),))


def _siblings(row: Outbox) -> tuple[Any, ...]:
    """What waits about the same card, at the same place, and could be said by the row."""
    same = (OUTBOX.c[name] == getattr(row, name) for name in ("subject", "subject_id", "channel", "target"))
    return (*same, OUTBOX.c.id != row.id, OUTBOX.c.state.in_(WAITING), OUTBOX.c.kind.in_(_CARRIES[row.kind]))


def _fold(session: Session, row: Outbox, which: tuple[Any, ...]) -> None:
    gone = update(OUTBOX).where(*which).values(state="folded", last_error=f"并入 {row.dedupe_key}")
    session.connection().execute(gone)
