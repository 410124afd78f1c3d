"""A store as some busy years leave it, small enough for a test: little is open, much is done, some was edited."""

import sys
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

from factories import make_hash
from sqlalchemy import Engine, insert, text

from monitor import db, directory, search
from monitor.bulk import table
from monitor.core import Core
from monitor.models import Account, FeedbackVersion

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

desk, filling = import_module("desk"), import_module("filling")

NOW: datetime = desk.NOW
HOME: str = desk.HOME
PASSWORD = "a long password"
FEEDBACKS = 6000
_AS_USUAL = (
    """UPDATE "case" SET state = 'closed' WHERE id % 7 > 0""",
    "DELETE FROM crisis_feedback WHERE crisis_id = 40 AND feedback_id % 60 > 0",
)


def house(engine: Engine) -> Core:
    """A house on such a store."""
    made: Core = desk.make_core(engine)
    return made


def make(engine: Engine) -> Core:
    """Fill an empty, migrated store, index included; gives the house on it, with 主管 as an account."""
    core = house(engine)
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
        session.add(Account(name="主管", password=make_hash(PASSWORD), created_at=NOW))
    filling.Filling(engine, NOW, FEEDBACKS).run()
    with db.writing(engine) as session:
        for statement in _AS_USUAL:
            session.execute(text(statement))
        said = {"version": 1, "at": NOW - timedelta(days=9), "text": "以前的话", "reply": "", "deleted": False}
        versions = [said | {"feedback_id": n} for n in range(1, FEEDBACKS, 12)]
        session.execute(insert(table(FeedbackVersion)), versions)
    desk.forget(engine)
    while search.fill(engine, core.clock):
        pass
    return core
