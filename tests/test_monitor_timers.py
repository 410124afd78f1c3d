"""Clocks: fired once, at the right moment, whoever sweeps and however late."""

import threading
from datetime import timedelta

from factories import NOW, make_core, make_settings
from sqlalchemy import Engine
from sqlmodel import select
from test_monitor_lifecycle import DAY, do, make_case, make_crisis

from monitor import db, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Event, Timer


def rows(core: Core) -> list[Timer]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(Timer).order_by(Timer.due_at, Timer.id)))


def test_a_crisis_arms_three_clocks_at_once(core: Core) -> None:
    """Reminder, deadline and every rung of each stage stand in the store from the start."""
    make_crisis(core)
    due = {(t.stage, t.step): t.due_at - NOW for t in rows(core)}
    assert len(due) == 18
    assert due["respond", "reminder"] == timedelta(minutes=45)
    assert due["respond", "deadline"] == timedelta(hours=1)
    assert due["respond", "rung1"] == timedelta(hours=1)
    assert due["respond", "rung4"] == timedelta(hours=1, minutes=30)
    assert due["notice", "deadline"] == timedelta(hours=3)
    assert due["follow_up", "deadline"] == timedelta(hours=24)


def test_nothing_fires_early_and_everything_once(core: Core) -> None:
    """A second before the deadline nothing happens; at the deadline the breach and the first rung do, once."""
    make_crisis(core)
    core.notify.clear()
    core.clock.move(timedelta(minutes=59, seconds=59))
    assert timers.sweep(core) == 1
    assert core.notify.kinds() == ["timer.reminder"]
    core.clock.move(timedelta(seconds=1))
    assert timers.sweep(core) == 2
    assert timers.sweep(core) == 0
    assert core.notify.kinds() == ["timer.reminder", "timer.breached", "timer.rung"]
    facts = core.notify[-1].facts
    assert facts == {"stage": "respond", "due_at": (NOW + timedelta(hours=1)).isoformat(), "rung": "assignee"}


def test_a_plan_stops_the_ladder_and_leaves_the_breach(core: Core) -> None:
    """After a late plan the deadline stays breached, says when it was met, and no further rung fires."""
    crisis = make_crisis(core)
    core.clock.move(timedelta(minutes=75))
    timers.sweep(core)
    do(core, "plan", "crisis", crisis, note="补发")
    core.clock.move(timedelta(hours=1))
    core.notify.clear()
    timers.sweep(core)
    assert "timer.rung" not in core.notify.kinds()
    deadline = next(t for t in rows(core) if (t.stage, t.step) == ("respond", "deadline"))
    assert (deadline.state, deadline.met_at) == ("breached", NOW + timedelta(minutes=75))


def test_down_for_thirty_hours_every_breach_is_recorded_once_with_its_true_time(core: Core) -> None:
    """After a long silence each timer fires once, and the audit says when it was due."""
    make_crisis(core)
    core.clock.move(timedelta(hours=30))
    assert timers.sweep(core) == 18
    assert timers.sweep(core) == 0
    with db.reading(core.engine) as session:
        breaches = session.exec(select(Event).where(Event.what == "timer.breached").order_by(Event.id)).all()
    assert [(e.after["stage"], e.after["due_at"]) for e in breaches] == [
        ("respond", (NOW + timedelta(hours=1)).isoformat()),
        ("notice", (NOW + timedelta(hours=3)).isoformat()),
        ("follow_up", (NOW + timedelta(hours=24)).isoformat()),
    ]


def test_many_overdue_cases_are_one_notice(core: Core) -> None:
    """A night's backlog of cases is one card that lists all, not a storm."""
    ids = [make_case_number(core, n) for n in range(12)]
    core.clock.move(timedelta(hours=2))
    core.notify.clear()
    assert timers.sweep(core) == 24
    assert core.notify.kinds() == ["cases.overdue", "cases.overdue"]
    assert core.notify[1].facts == {"case_ids": ids, "stage": "respond", "step": "deadline"}


def make_case_number(core: Core, n: int) -> int:
    with db.writing(core.engine) as session:
        case = Case(shop_id="demo", opened_at=NOW, updated_at=NOW, policy=DAY, join_key=str(n))
        session.add(case)
        session.flush()
        timers.arm(session, timers.case_rows(case.id, NOW, DAY))
        return case.id


def test_a_few_overdue_cases_are_told_one_by_one(core: Core) -> None:
    """Up to the limit each case has its own notice with its own key."""
    first, second = make_case(core), make_case_number(core, 1)
    core.clock.move(timedelta(hours=1))
    core.notify.clear()
    timers.sweep(core)
    assert [(n.kind, n.key) for n in core.notify] == [
        ("timer.reminder", f"case:{first}:respond:reminder:0"),
        ("timer.reminder", f"case:{second}:respond:reminder:0"),
        ("timer.breached", f"case:{first}:respond:deadline:0"),
        ("timer.breached", f"case:{second}:respond:deadline:0"),
    ]


def test_four_sweepers_fire_each_timer_once(engine: Engine) -> None:
    """Whoever else sweeps at the same moment, the sum of what fired is what was due."""
    core = make_core(engine, make_settings(), HandClock(NOW))
    with db.writing(engine) as session:
        for n in range(300):
            case = Case(opened_at=NOW, updated_at=NOW, policy=DAY, join_key=str(n))
            session.add(case)
            session.flush()
            timers.arm(session, timers.case_rows(case.id, NOW, DAY))
    core.clock.move(timedelta(hours=30))
    fired: list[int] = []
    workers = [threading.Thread(target=lambda: fired.append(timers.sweep(core))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    timers.sweep(core)
    with db.reading(engine) as session:
        events = session.exec(select(Event).where(Event.what.startswith("timer."))).all()
    assert len(events) == 1200
    assert len({(e.subject_id, e.after["stage"], e.after["step"]) for e in events}) == 1200


def test_no_reminder_where_there_is_no_time_for_one() -> None:
    """A clock shorter than the reminder's lead has a deadline only."""
    policy = {"respond": 600.0, "solve": 900.0, "remind_before": 900.0}
    assert [row["step"] for row in timers.case_rows(1, NOW, policy)] == ["deadline", "deadline"]
