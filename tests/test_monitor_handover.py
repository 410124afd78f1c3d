"""The end of a duty: what is not finished goes to who is on duty then, once, whatever happens to the service."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from blunt import Blunt
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine
from test_monitor_assign import hold
from test_monitor_edits import rows
from test_monitor_lifecycle import LEAD, do, make_crisis
from test_monitor_rota import at

from monitor import crises, db, directory, handover, rota, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.handover import hand_over
from monitor.models import Case, Crisis, Event, Known

PEOPLE = [{"name": name} for name in ("甲", "乙", "丙")] + [{"name": "主管", "role": "lead"}]
DAY = {"people": ["甲"], "shift": "08:00-18:00"}
EVENING = {"people": ["乙"], "shift": "18:00-24:00"}


def make(engine: Engine, *rotas: dict[str, Any], **overrides: Any) -> Core:
    """A house at noon that has looked once."""
    settings = make_settings(people=PEOPLE, rotas=list(rotas or (DAY, EVENING)), **overrides)
    core = make_core(engine, settings, HandClock(at("11-20 12:00")))
    core.__dict__["judge"] = Blunt()
    with db.writing(core.engine) as session:
        directory.sync(session, settings)
    assert hand_over(core) == 0
    return core


def go(core: Core, moment: str) -> int:
    core.clock.move(at(moment) - core.clock.now())
    return hand_over(core)


def holders(core: Core) -> list[tuple[str, int | None]]:
    return [(row.state, row.assignee_id) for row in sorted(rows(core, Case), key=lambda row: row.id)]


def given(core: Core, name: str, hours: int) -> int:
    """A case that somebody holds and contacted about, to be solved within hours."""
    policy = {"respond": 3600.0, "solve": hours * 3600.0, "remind_before": 900.0}
    now = core.clock.now()
    with db.writing(core.engine) as session:
        row = Case(shop_id="demo", opened_at=now, updated_at=now, policy=policy)
        session.add(row)
        session.flush()
        timers.arm(session, timers.case_rows(row.id, now, policy, settings=core.settings))
    do(core, "assign", "case", row.id, LEAD, to=name)
    do(core, "contacted", "case", row.id, LEAD)
    return row.id


def test_what_is_not_finished_goes_to_the_next(engine: Engine) -> None:
    """Received, assigned and contacted ones, and crises; what waits for the buyer stays; one event each, one notice."""
    core = make(engine)
    crisis = make_crisis(core)
    for state in ("received", "assigned", "contacted", "answered", "suspected", "resolved"):
        hold(core, "甲", 1, state=state)
    do(core, "assign", "crisis", crisis, LEAD, to="甲")
    core.notify.clear()
    assert go(core, "11-20 17:59") == 0
    assert go(core, "11-20 18:00") == 4
    assert holders(core) == [
        ("received", 2),
        ("assigned", 2),
        ("contacted", 2),
        ("answered", 1),
        ("suspected", 1),
        ("resolved", 1),
    ]
    assert rows(core, Crisis)[0].assignee_id == 2
    events = [event for event in rows(core, Event) if event.what == "rota.handover"]
    assert [(event.subject, event.subject_id) for event in events] == [
        ("crisis", 1),
        ("case", 1),
        ("case", 2),
        ("case", 3),
    ]
    assert events[1].after["note"] == "甲下班，交给乙：值班、手上 1 件"
    assert events[1].before == {"state": "received", "assignee_id": 1}
    assert core.notify.kinds() == ["rota.handover", "crisis.updated", *["case.updated"] * 3]


def test_the_notice_lists_what_is_due_first(engine: Engine) -> None:
    """Who hands how much to whom; each with its next deadline, the most urgent first."""
    core = make(engine)
    late, soon = given(core, "甲", hours=30), given(core, "甲", hours=9)
    core.notify.clear()
    go(core, "11-20 18:00")
    told = core.notify[0]
    assert (told.kind, told.subject, told.shop_id, told.facts["to"]) == ("rota.handover", "rota", "demo", ["乙"])
    assert told.facts["pairs"] == [["甲", "乙", 2]]
    assert told.facts["rows"] == [
        {"subject": "case", "id": row_id, "from": "甲", "to": "乙", "due_at": at(due).isoformat()}
        for row_id, due in ((soon, "11-20 21:00"), (late, "11-21 18:00"))
    ]


def test_a_long_list_is_counted_not_told(engine: Engine) -> None:
    """A message has its limits; nothing is left behind all the same."""
    core = make(engine)
    hold(core, "甲", handover.LISTED + 5)
    assert go(core, "11-20 18:00") == handover.LISTED + 5
    (told,) = [notice for notice in core.notify if notice.kind == "rota.handover"]
    assert len(told.facts["rows"]) == handover.LISTED
    assert told.facts["pairs"] == [["甲", "乙", handover.LISTED + 5]]


def test_it_is_handed_over_once(engine: Engine) -> None:
    """A second service, one whose clock is behind, and the next minute find nothing to do."""
    core = make(engine)
    hold(core, "甲", 1)
    other = make_core(core.engine, core.settings, HandClock(at("11-20 18:00")))
    assert go(core, "11-20 18:00") == 1
    assert hand_over(other) == 0
    other.clock.move(-timedelta(minutes=5))
    assert hand_over(other) == 0
    assert go(core, "11-20 18:01") == 0
    assert [row.name for row in rows(core, Known)].count("hand_over") == 1
    assert len([event for event in rows(core, Event) if event.what == "rota.handover"]) == 1


def test_a_clock_that_was_ahead_does_not_stop_hand_overs(engine: Engine) -> None:
    """What it remembered is put right with it; nothing moves for that alone."""
    core = make(engine)
    go(core, "12-24 12:00")
    hold(core, "甲", 1)
    assert go(core, "11-20 12:00") == 0
    assert go(core, "11-20 18:00") == 1


def test_two_services_at_the_same_moment_hand_over_once(engine: Engine) -> None:
    """Whoever is first does it, the other waits for him and finds nothing left."""
    core = make(engine)
    hold(core, "甲", 3)
    evening = HandClock(at("11-20 18:00"))
    both = [make_core(core.engine, core.settings, evening) for _ in range(2)]
    start = threading.Barrier(2)

    def run(one: Core) -> int:
        start.wait()
        return hand_over(one)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, both)) == [0, 3]
    assert [one.notify.kinds().count("rota.handover") for one in both] in ([0, 1], [1, 0])


def test_after_a_long_stop_there_is_one_hand_over(engine: Engine) -> None:
    """Three days later: from all who were on duty meanwhile to who is now."""
    core = make(engine, DAY, EVENING, {"people": ["丙"], "shift": "00:00-08:00"})
    hold(core, "甲", 2)
    hold(core, "乙", 1)
    assert go(core, "11-23 03:00") == 3
    assert {holder for _, holder in holders(core)} == {3}
    assert core.notify.kinds().count("rota.handover") == 1


def test_when_nobody_comes_the_holder_keeps_it(engine: Engine) -> None:
    """And in the morning it is still his."""
    core = make(engine, DAY)
    hold(core, "甲", 1)
    assert go(core, "11-20 18:00") == 0
    assert go(core, "11-21 08:00") == 0
    assert holders(core) == [("assigned", 1)]


def test_who_was_never_on_duty_hands_nothing_over(engine: Engine) -> None:
    """A lead's own cases stay with him."""
    core = make(engine)
    hold(core, "主管", 1)
    assert go(core, "11-20 18:00") == 0


def test_it_goes_by_load_and_by_what_fits(engine: Engine) -> None:
    """The specialist first; where it is nobody's, or all are full, whoever has the least."""
    people = [{"name": "甲"}, {"name": "乙", "categories": ["logistics"]}, {"name": "丙", "most_open": 1}]
    settings = make_settings(people=people, rotas=[DAY, EVENING | {"people": ["乙", "丙"]}])
    core = make_core(engine, settings, HandClock(at("11-20 12:00")))
    with db.writing(core.engine) as session:
        directory.sync(session, settings)
    hand_over(core)
    with db.writing(core.engine) as session:
        for codes in (["quality"], ["logistics"], ["quality"], ["price"]):
            session.add(Case(shop_id="demo", categories=codes, opened_at=NOW, updated_at=NOW, assignee_id=1))
    assert go(core, "11-20 18:00") == 4
    assert [holder for _, holder in holders(core)] == [3, 2, 2, 3]


def test_a_stand_in_takes_over_in_the_middle_of_a_shift(engine: Engine) -> None:
    """Whose place is taken has no duty from then on."""
    core = make(engine)
    hold(core, "甲", 1)
    rota.swap(core, "丙", "甲", "2026-11-20T14:00", "2026-11-20T18:00", "主管")
    assert go(core, "11-20 14:00") == 1
    assert holders(core) == [("assigned", 3)]


def test_each_shop_hands_over_its_own(engine: Engine) -> None:
    """Whose duty ends for one shop keeps the other's; the brand's mentions go by the rotas for all shops."""
    shops = [{"id": "demo", "name": "甲店"}, {"id": "jd", "name": "乙店"}]
    demo = [DAY | {"shops": ["demo"]}, EVENING | {"shops": ["demo"]}]
    core = make(engine, *demo, {"people": ["甲"], "shops": ["jd"]}, shops=shops)
    with db.writing(core.engine) as session:
        for shop in ("demo", "jd", None):
            session.add(Case(shop_id=shop, opened_at=NOW, updated_at=NOW, assignee_id=1))
    assert go(core, "11-20 18:00") == 1
    assert [holder for _, holder in holders(core)] == [2, 1, 1]


def test_what_came_at_night_is_given_out_in_the_morning(engine: Engine) -> None:
    """Where cases are assigned automatically, those that nobody was there for go to the first on duty."""
    core = make(engine, DAY, policy={"assign": {"mode": "auto"}})
    go(core, "11-21 03:00")
    with db.writing(core.engine) as session:
        session.add(Case(shop_id="demo", opened_at=NOW, updated_at=NOW))
        session.add(Case(shop_id="demo", opened_at=NOW, updated_at=NOW, backlog=True))
    assert go(core, "11-21 08:00") == 1
    assert holders(core) == [("assigned", 1), ("received", None)]
    (told,) = [notice for notice in core.notify if notice.kind == "rota.handover"]
    assert told.facts["pairs"] == [["", "甲", 1]]
    assert rows(core, Event)[-1].after["note"] == "自动派给甲：值班、手上 0 件"


@pytest.mark.parametrize(
    "overrides", [{"policy": {"assign": {"hand_over": False}}}, {"rotas": []}], ids=["switched off", "no rota"]
)
def test_without_rotas_or_switched_off_nothing_moves(engine: Engine, overrides: dict[str, Any]) -> None:
    """And nothing is remembered."""
    settings = make_settings(**({"people": PEOPLE, "rotas": [DAY, EVENING]} | overrides))
    core = make_core(engine, settings, HandClock(at("11-20 12:00")))
    with db.writing(core.engine) as session:
        directory.sync(session, settings)
    hand_over(core)
    hold(core, "甲", 1)
    assert go(core, "11-20 18:00") == 0
    assert [row.name for row in rows(core, Known) if row.name != "salts"] == []


def test_a_hand_over_switched_off_still_gives_out_the_mornings_cases(engine: Engine) -> None:
    """Two switches, two things."""
    core = make(engine, DAY, EVENING, policy={"assign": {"mode": "auto", "hand_over": False}})
    hold(core, "甲", 1)
    with db.writing(core.engine) as session:
        session.add(Case(shop_id="demo", opened_at=NOW, updated_at=NOW))
    assert go(core, "11-20 18:00") == 1
    assert holders(core) == [("assigned", 1), ("assigned", 2)]


def test_a_crisis_without_a_category_is_handed_over_too(engine: Engine) -> None:
    """A burst of a whole shop is about nothing in particular."""
    core = make(engine)
    with db.writing(core.engine) as session:
        row = crises.open_crisis(
            core, session, shop_id="demo", cause="burst", category="", severity="high", feedback_ids=[]
        )
        row.assignee_id = 1
        session.add(row)
    assert go(core, "11-20 18:00") == 1
    assert rows(core, Crisis)[0].assignee_id == 2
