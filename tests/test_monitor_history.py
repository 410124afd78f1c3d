"""What was so at an earlier moment, against what was written down at that moment while people acted."""

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, select
from test_monitor_clearance import local, say
from test_monitor_edits import BAD, house
from test_monitor_lifecycle import do

from monitor import db
from monitor.audit import Refused
from monitor.bulk import table
from monitor.core import Core
from monitor.counted import negative, place, suspected
from monitor.history import C, S, reached_at, value_at, verdict_at
from monitor.models import Case, Feedback, Score

__all__ = ["house"]  # a fixture
CASES = 6
F = table(Feedback).c
JUDGED = table(Feedback).outerjoin(table(Score), S.feedback_id == F.id).outerjoin(table(Case), C.id == F.case_id)
MOVES = ("claim", "contacted", "answered", "resolved", "close", "reopen", "extortion", "false_alarm")
OTHERS = {"assign": ("客服一号", "经理"), "refile": ("logistics", "service,quality")}
Rows = dict[int, tuple[Any, ...]]


def read(core: Core, *columns: Any) -> Rows:
    with db.reading(core.engine) as session:
        found = session.execute(select(F.id, *columns).select_from(JUDGED))
        return {n: tuple(_plain(value) for value in told) for n, *told in found}


def _plain(value: Any) -> Any:
    """A list as text has blanks between its members or not."""
    return value.replace(" ", "") if isinstance(value, str) else value


def stands(core: Core) -> Rows:
    """Each feedback's case as it is, what reports count it as, and its verdict where its words stay."""
    columns = (C.state, C.assignee_id, C.answered_at, C.resolved_at, place(), suspected(), negative())
    return _verdict_of_even(read(core, *columns, S.negative, cast(S.categories, String)))


def stood(core: Core, at: datetime) -> Rows:
    """The same at a moment, as is told afterwards."""
    columns = (value_at("state", at), value_at("assignee_id", at), reached_at("answered", at))
    columns += (reached_at("resolved", at), place(at), suspected(at), negative(at))
    return _verdict_of_even(read(core, *columns, verdict_at("negative", at), verdict_at("categories", at)))


def _verdict_of_even(rows: Rows) -> Rows:
    return {n: row[: -2 if n % 2 else None] for n, row in rows.items()}


def lived(core: Core, rng: random.Random, steps: int) -> Iterator[datetime]:
    """Cases are moved by people, spoken of by shops, and every other by its buyer; gives moments between."""
    for number in range(1, CASES + 1):
        say(core, number, local(18, 9, number), order_ref=f"2026112000{number}")
    for step in range(steps):
        core.clock.move(timedelta(minutes=7))
        yield core.clock.now() - timedelta(minutes=3)
        number, what = rng.randint(1, CASES), rng.choice((*MOVES, *OTHERS, "said"))
        if what == "said":
            more = {"text": f"{BAD} {step}"} if number % 2 else {"reply": f"答复 {step}"}
            say(core, number, local(18, 9, number), order_ref=f"2026112000{number}", **more)
        else:
            with suppress(Refused):
                do(core, what, "case", number, note="说明", to=rng.choice(OTHERS.get(what, ("",))))


def test_every_moment_can_be_told_afterwards(house: Core) -> None:
    """State, holder, when it was answered and settled, what reports count it as, the verdict: as they were each time.

    What staff said of words that stayed stands through the shop's answers.
    """
    was = {moment: stands(house) for moment in lived(house, random.Random(7), 90)}
    assert len({row[0] for rows in was.values() for row in rows.values()}) >= 7
    for moment, rows in list(was.items())[::2]:
        assert stood(house, moment) == rows, moment
    assert stood(house, house.clock.now()) == stands(house)


def test_what_was_not_there_yet(house: Core) -> None:
    """A case that was opened later had no state, and what opened it was no complaint; a holder may be nobody."""
    say(house, 1, local(18, 9), "很好")
    before = house.clock.now()
    say(house, 1, local(20, 15), "用了一天就漏")
    opened = house.clock.now()
    house.clock.move(timedelta(minutes=1))
    do(house, "claim", "case", 1)
    assert read(house, value_at("state", before), suspected(before), place(before)) == {1: (None, False, "waiting")}
    assert read(house, verdict_at("negative", before), verdict_at("categories", before)) == {1: (False, None)}
    asked = (value_at("state", opened), value_at("assignee_id", opened), suspected(opened))
    assert read(house, *asked) == {1: ("received", None, True)}
