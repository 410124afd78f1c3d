"""What an outside service may still be asked today, and the pause it gets when it fails again and again.

Kept in the store: a restart or a second process spends from the same purse, and nobody waits for the service in vain.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from monitor import db
from monitor.bulk import table
from monitor.clock import Clock
from monitor.models import Quota

FAILURES = 3  # in a row, before a pause
PAUSE = timedelta(minutes=5)  # doubled by each further failure …
LONGEST_PAUSE = timedelta(hours=1)  # … up to this


class Budget:
    """One service's requests.

    Args:
        engine: The store.
        clock: The time.
        zone: Its midnight starts a new day.
        name: The service.
    """

    def __init__(self, engine: Engine, clock: Clock, zone: ZoneInfo, name: str) -> None:
        self._engine, self._clock, self._zone, self._name = engine, clock, zone, name

    def take(self, daily: int) -> str:
        """Take one of the day's requests.

        Returns:
            Empty where it was granted; else why not: ``resting`` or ``over budget``.
        """
        now = self._clock.now()
        today = now.astimezone(self._zone).date()
        with db.writing(self._engine) as session:
            row = self._row(session)
            if row.rest_until is not None and row.rest_until > now:
                return "resting"
            spent = row.spent if row.day == today else 0
            if spent >= daily:
                return "over budget"
            row.day, row.spent = today, spent + 1
            session.add(row)
        return ""

    def failed(self, wait: float | None = None) -> None:
        """Note a failure; the service rests after several in a row, or for ``wait`` seconds where it asks for that."""
        now = self._clock.now()
        with db.writing(self._engine) as session:
            row = self._row(session)
            if wait is None and row.rest_until is not None and row.rest_until > now:
                return  # asked before the pause began: one outage, however many asked at once
            row.failures += 1
            pause = PAUSE * 2 ** min(row.failures - FAILURES, 10) if wait is None else timedelta(seconds=wait)
            if wait is not None or row.failures >= FAILURES:
                row.rest_until = now + min(pause, LONGEST_PAUSE)
            session.add(row)

    def worked(self) -> None:
        """Note a success: failures are no longer in a row."""
        mine = (col(Quota.name) == self._name, col(Quota.failures) > 0)
        with db.reading(self._engine) as session:
            failing = session.exec(select(Quota.name).where(*mine)).first()
        if failing:
            with db.writing(self._engine) as session:
                session.execute(update(Quota).where(*mine).values(failures=0))

    def standing(self) -> tuple[int, datetime | None]:
        """Requests taken today, and until when the service rests (None where it does not)."""
        now = self._clock.now()
        with db.reading(self._engine) as session:
            row = session.get(Quota, self._name)
        if row is None:
            return 0, None
        resting = row.rest_until is not None and row.rest_until > now
        return row.spent if row.day == now.astimezone(self._zone).date() else 0, row.rest_until if resting else None

    def _row(self, session: Session) -> Quota:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        new = {"name": self._name, "day": date.min, "spent": 0, "failures": 0}
        session.execute(dialect.insert(table(Quota)).values(new).on_conflict_do_nothing())
        return session.get_one(Quota, self._name, with_for_update=True)
