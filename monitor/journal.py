"""What happens to crises, in the log, whichever process did it: the log alone lets one follow a crisis by its id."""

import structlog
from sqlmodel import col, func, select

from monitor import db
from monitor.core import Core
from monitor.models import Event

WRITE_EVERY = 2.0
"""Seconds between two looks."""
_OVERLAP = 500  # ids: events of transactions that ran side by side do not come in their order
_MOST = 1000
_log = structlog.get_logger()


class Journal:
    """Logs what comes after it began: what was done and through which door, not by whom."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._newest: int | None = None
        self._seen = frozenset[int]()

    def write(self) -> int:
        """Log the events since the last look; gives how many."""
        with db.reading(self._core.engine) as session:
            newest = session.exec(select(func.max(Event.id))).one() or 0
            since = max(0, (newest if self._newest is None else self._newest) - _OVERLAP)
            wanted = (
                select(Event.id, Event.subject_id, Event.what, Event.door)
                .where(col(Event.id) > since, Event.subject == "crisis")
                .order_by(col(Event.id))
                .limit(_MOST)
            )
            found = {number or 0: told for number, *told in session.exec(wanted)}
        new = found.keys() - self._seen if self._newest is not None else set()
        for number in sorted(new):
            crisis, what, door = found[number]
            _log.info("crisis_event", crisis=crisis, what=what, door=door, id=number)
        last = max(found) if len(found) == _MOST else newest  # what did not fit comes with the next look
        self._seen = frozenset(number for number in found if number > last - _OVERLAP)
        self._newest = last
        return len(new)
