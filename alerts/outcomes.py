"""What became of an attempt, written down: sent, refused for now, not known, dead, or folded.

What is known for certain (sent) is written whoever holds the row by then; everything else only while it is ours.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import bindparam, update
from sqlmodel import Session, select

from alerts import pace
from alerts.channel import SendError
from alerts.claims import MINE, OUTBOX, Claim
from alerts.render import CARDS, IN_PLACE, kept_as
from monitor import audit, db
from monitor.core import Core
from monitor.models import Message, Outbox
from monitor.notices import Notice

MAX_ATTEMPTS = 150
"""About a day of trying."""
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 600.0  # seconds
_QUIET = timedelta(seconds=15)  # for the others, when a place failed: time enough to recover, little lost if one row's
_SENT = (
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("row"), OUTBOX.c.state.in_(("sending", "uncertain")))
    .values(state="sent", sent_at=bindparam("now"), provider_ref=bindparam("ref"), last_error="", lease_until=None)
)
_log = structlog.get_logger()


def sent(core: Core, claim: Claim, ref: str, at: datetime, was: str | None = None) -> None:
    """The provider has it; a live card is remembered, to be edited later.

    Args:
        core: The common ground.
        claim: The row.
        ref: The provider's name of it.
        at: When it was written: whatever was done by then, it shows.
        was: The name of the card that was edited in place; None where one was posted.
    """
    row, now = claim.row, core.clock.now()
    with db.writing(core.engine) as session:
        if session.connection().execute(_SENT, {"row": row.id, "now": now, "ref": ref}).rowcount:
            audit.sent(session, now, row, ref)
        if ref and row.kind in (*CARDS, *IN_PLACE):
            _remember(session, row, ref, at, was)
    core.meters.sent(row.channel, now - row.created_at)


def _remember(session: Session, row: Outbox, ref: str, at: datetime, was: str | None) -> None:
    about: dict[str, Any] = {
        "subject": kept_as(row),
        "subject_id": row.subject_id,
        "channel": row.channel,
        "target": row.target,
    }
    where = [getattr(Message, name) == value for name, value in about.items()]
    card = session.exec(select(Message).where(*where)).first() or Message(**about, provider_ref=ref, updated_at=at)
    if was is None or card.provider_ref == was:  # else a click renamed it meanwhile
        card.provider_ref = ref
    card.updated_at = at
    session.add(card)


def refused(core: Core, claim: Claim, error: SendError, jitter: Callable[[], float]) -> str:
    """Not there for certain: tried again after a pause, or given up.

    Returns:
        ``pending`` or ``dead``.
    """
    if error.permanent or claim.row.attempts >= MAX_ATTEMPTS:
        return dead(core, claim, str(error))
    now, pause = core.clock.now(), _pause(claim.row.attempts, error.retry_after, jitter)
    with db.writing(core.engine) as session:
        _set(session, claim, state="pending", not_before=now + pause, last_error=str(error), lease_until=None)
        place = (claim.row.channel, "") if error.down else claim.place
        pace.rest(session, place, claim.size, now + (min(pause, _QUIET) if error.retry_after is None else pause))
    core.meters.not_sent(claim.row.channel, "pending")
    return "pending"


def uncertain(core: Core, claim: Claim, error: Exception, jitter: Callable[[], float]) -> str:
    """It may be there: to be looked up, or sent again with a mark.

    Returns:
        ``uncertain`` or ``dead``.
    """
    said = f"{type(error).__name__}: {error}"
    if claim.row.attempts >= MAX_ATTEMPTS:
        mark_twice(core, claim)
        return dead(core, claim, said)
    now, pause = core.clock.now(), _pause(claim.row.attempts, None, jitter)
    with db.writing(core.engine) as session:
        _set(session, claim, state="uncertain", not_before=now + pause, last_error=said, lease_until=None)
        pace.rest(session, claim.place, claim.size, now + min(pause, _QUIET))
    core.meters.not_sent(claim.row.channel, "uncertain")
    return "uncertain"


def dead(core: Core, claim: Claim, error: str) -> str:
    """Given up; another channel says so, once an hour for each place and for each crisis."""
    with db.writing(core.engine) as session:
        if _set(session, claim, state="dead", last_error=error, lease_until=None):
            tell_dead(core, session, claim.row, error)
    core.meters.not_sent(claim.row.channel, "dead")
    return "dead"


def tell_dead(core: Core, session: Session, row: Outbox, error: str) -> None:
    """Raise the notice that a row is dead; for the news of dead rows itself, the log must do."""
    audit.dead(session, core.clock.now(), row, error)
    _log.error("outbox_dead", id=row.id, key=row.dedupe_key, channel=row.channel, target=row.target, error=error)
    if row.kind == "outbox.dead":
        return
    hour = f"{core.clock.now():%Y%m%d%H}"
    about = f"crisis:{row.subject_id}:" if row.subject == "crisis" else ""  # no other news may silence a crisis
    facts: dict[str, Any] = {"channel": row.channel, "target": row.target, "kind": row.kind, "error": error}
    facts |= {"about": row.subject, "about_id": row.subject_id}
    key = f"outbox:{row.channel}:{row.target}:dead:{about}{hour}"
    core.notify(session, [Notice("outbox.dead", key, "outbox", row.id or 0, row.payload.get("shop"), facts)])


def folded(core: Core, claim: Claim, reason: str) -> str:
    """There was nothing left to say, and why."""
    with db.writing(core.engine) as session:
        _set(session, claim, state="folded", last_error=reason, lease_until=None)
    return "folded"


def mark_twice(core: Core, claim: Claim) -> None:
    """The next post may be the second; written down before it is made."""
    with db.writing(core.engine) as session:
        _set(session, claim, maybe_twice=True)
    claim.row.maybe_twice = True


def _set(session: Session, claim: Claim, **values: Any) -> bool:
    """Write to the row while it is ours; whether it was."""
    return session.connection().execute(update(OUTBOX).where(MINE).values(**values), claim.mine).rowcount > 0


def _pause(attempts: int, retry_after: float | None, jitter: Callable[[], float]) -> timedelta:
    if retry_after is not None:
        return timedelta(seconds=retry_after + jitter())
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempts - 1, 20))
    return timedelta(seconds=pause * (0.5 + jitter() / 2))
