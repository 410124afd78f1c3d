"""Rows that wait for a channel which the config no longer has."""

from collections.abc import Iterator

from sqlalchemy import func
from sqlmodel import Session, col, select

from alerts import outcomes
from alerts.channel import MAIL
from alerts.claims import WAITING
from monitor import db
from monitor.core import Core
from monitor.models import Outbox


def bury(core: Core) -> int:
    """Give up the rows of channels that are gone; gives how many."""
    known = {MAIL, *(channel.name for channel in core.settings.channels)}
    with db.reading(core.engine) as session:
        homeless = [name for name in _waiting_channels(session) if name not in known]
    if not homeless:
        return 0
    with db.writing(core.engine) as session:
        there = (col(Outbox.state).in_(WAITING), col(Outbox.channel).in_(homeless))
        rows = session.exec(select(Outbox).where(*there).with_for_update(skip_locked=True)).all()
        for row in rows:
            row.state, row.last_error = "dead", f"配置里没有叫 {row.channel!r} 的渠道"
            session.add(row)
        session.flush()
        for row in rows:
            outcomes.tell_dead(core, session, row, row.last_error)
        return len(rows)


def _waiting_channels(session: Session) -> Iterator[str]:
    """Channels that something waits for; each is one step into the index, however much waits."""
    for state in WAITING:
        name: str | None = ""
        while name is not None:
            following = select(func.min(Outbox.channel)).where(Outbox.state == state, Outbox.channel > name)
            name = session.exec(following).one()
            if name is not None:
                yield name
