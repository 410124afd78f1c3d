"""Clocks and quiet hours tried on what ran: what would have moved, been late, been told; nothing is written."""

from datetime import timedelta
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine, update
from sqlmodel import Session, func, select
from subjects import open_crisis

from monitor import case_clocks, db, directory, hindsight, lifecycle, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Event, Outbox, Timer
from monitor.moves import Action, Actor
from monitor.settings import Settings

HOUR = timedelta(hours=1)
ME = Actor("客服一号", "agent", "desk")


@pytest.fixture
def core(engine: Engine) -> Core:
    house = make_core(engine, clock=HandClock(NOW))
    with db.writing(engine) as session:
        directory.sync(session, house.settings)
    return house


def tuned(**policy: Any) -> Settings:
    return make_settings(policy=policy)


def opened(core: Core, severity: str = "medium", **values: Any) -> int:
    """A case with the clocks that the config gives it."""
    now, policy = core.clock.now(), core.settings.policy.case
    clocks = case_clocks.snapshot(policy, "review", severity, [])
    with db.writing(core.engine) as session:
        case = Case(
            **{"shop_id": "demo", "severity": severity, "opened_at": now, "updated_at": now, "policy": clocks} | values
        )
        session.add(case)
        session.flush()
        timers.arm(session, timers.case_rows(case.id or 0, now, clocks, settings=core.settings))
        return case.id or 0


def pass_time(core: Core, span: timedelta) -> None:
    core.clock.move(span)  # type: ignore[attr-defined]
    timers.sweep(core)


def answer(core: Core, case: int, what: str = "answered") -> None:
    with db.writing(core.engine) as session:
        lifecycle.act(core, session, Action(what, "case", case), ME)


def tried(core: Core, settings: Settings, subject: hindsight.Subject = "case") -> hindsight.Deadlines:
    with db.reading(core.engine) as session:
        return hindsight.deadlines(session, core.settings, settings, subject, core.clock.now())


def waits(core: Core, span: str | None) -> hindsight.Quiet:
    with db.reading(core.engine) as session:
        return hindsight.quiet(session, tuned(quiet={"span": span}), core.clock.now())


def test_the_same_clocks_change_nothing(core: Core) -> None:
    """What counts now, tried, moves no deadline, tells as many reminders and finds as many late as there were."""
    answered, silent = opened(core), opened(core, "high")
    pass_time(core, HOUR)
    answer(core, answered)
    pass_time(core, 30 * HOUR)
    found = tried(core, core.settings)
    assert (found.moved, found.looked_at, found.cut) == ([], 4, False)
    assert found.late == found.would_be_late == 1
    with db.reading(core.engine) as session:
        sent = session.exec(select(func.count()).where(Timer.step == "reminder", Timer.state == "fired")).one()
    assert found.calls == found.would_call == sent
    assert silent != answered


def test_a_shorter_clock_says_who_would_have_been_late(core: Core) -> None:
    """Done after an hour: too late for half an hour, in time again for two; only the severity that changed moves."""
    case = opened(core)
    opened(core, "high")
    pass_time(core, HOUR)
    answer(core, case)
    found = tried(core, tuned(case={"medium": {"respond": "30m", "solve": "48h"}}))
    (moved,) = found.moved
    assert (moved.row.id, moved.stage, moved.done) == (case, "respond", NOW + HOUR)
    assert (moved.was, moved.would) == (NOW + 24 * HOUR, NOW + HOUR / 2)
    assert (moved.was_late, moved.would_be_late) == (False, True)
    assert (found.late, found.would_be_late) == (0, 1)
    assert found.would_call == found.calls + 1, "the reminder at 15 minutes"
    core.settings = core.file = tuned(case={"medium": {"respond": "10m", "solve": "48h"}})
    again = tried(core, tuned(case={"medium": {"respond": "2h", "solve": "48h"}}))
    assert [(one.would - NOW, one.would_be_late) for one in again.moved] == [(2 * HOUR, False)]


def test_reminders_alone_move_no_deadline(core: Core) -> None:
    """Another ``remind_before`` changes how often people are called, and working hours change deadlines too."""
    opened(core)
    pass_time(core, 12 * HOUR)
    found = tried(core, tuned(case={"remind_before": "13h"}))
    assert (found.moved, found.calls, found.would_call) == ([], 0, 1)
    assert tried(core, tuned(case={"hours": "business"})).moved


def test_crises_count_their_ladder(core: Core) -> None:
    """The stages of crises, with the steps of the ladder that would have come before it was done."""
    crisis = open_crisis(core, ["没收到货"])
    pass_time(core, 2 * HOUR)
    found = tried(core, tuned(crisis={"respond": "30m"}), "crisis")
    assert [(one.row.id, one.stage, one.was_late, one.would_be_late) for one in found.moved] == [
        (crisis, "respond", True, True)
    ]
    assert found.looked_at == 3
    rarer = tried(core, tuned(crisis={"step": "1d"}), "crisis")
    assert (rarer.moved, found.calls > rarer.would_call) == ([], True)


def test_what_was_called_off_or_is_old_does_not_count(core: Core) -> None:
    """A false alarm, a case of last month, the clocks of a case that came back."""
    old, false, back = opened(core), 0, 0
    pass_time(core, timedelta(days=8))
    false, back = opened(core), opened(core)
    answer(core, false, "false_alarm")
    with db.writing(core.engine) as session:
        session.execute(update(Timer).where(Timer.case_id == back).values(generation=1))  # type: ignore[arg-type]
    found = tried(core, tuned(case={"medium": {"respond": "1h", "solve": "2h"}}))
    assert (found.looked_at, found.moved) == (0, [])
    assert old != false


def test_more_than_can_be_looked_at_is_said(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are looked at, and from when on."""
    opened(core)
    pass_time(core, HOUR)
    newest = opened(core)
    monkeypatch.setattr(hindsight, "MOST", 2)
    found = tried(core, tuned(case={"medium": {"respond": "1h", "solve": "2h"}}))
    assert (found.cut, found.since, {one.row.id for one in found.moved}) == (True, NOW + HOUR, {newest})


def test_quiet_hours_say_what_would_have_waited(core: Core) -> None:
    """Reminders of the night, until when, and which of them would have had nothing left to say; breaches never."""
    opened(core, "high")  # due at 16:00 in Shanghai's afternoon: reminded 15:45 there
    crisis = open_crisis(core, ["没收到货"])
    pass_time(core, HOUR)
    pass_time(core, 2 * HOUR)
    sent = waits(core, None)
    assert (sent.waiting, sent.waited) == ([], 0)
    assert sent.looked_at > 2
    local = (NOW + 105 * timedelta(minutes=1)).astimezone(core.settings.zone)
    span = f"{local:%H:%M}-{local + HOUR / 6:%H:%M}"
    (short,) = [one for one in waits(core, span).waiting if isinstance(one.row, Case)]
    assert (short.stage, short.step, short.until - short.at, short.moot) == ("respond", "reminder", HOUR / 6, False)
    long = waits(core, f"{local - HOUR:%H:%M}-{local + HOUR:%H:%M}").waiting
    assert {(type(one.row).__name__, one.moot) for one in long} >= {("Case", True)}
    assert waits(core, "00:00-00:01").waiting == []
    assert crisis


def test_what_waited_is_tried_by_its_own_time(core: Core) -> None:
    """A reminder that quiet hours moved is judged by the moment at which it was due."""
    local = NOW.astimezone(core.settings.zone)
    core.settings = tuned(quiet={"span": f"{local + HOUR:%H:%M}-{local + 1.8 * HOUR:%H:%M}"})
    opened(core, "high", assignee_id=None)
    for _ in range(8):
        pass_time(core, HOUR / 4)
    with db.reading(core.engine) as session:
        reminder = session.exec(select(Timer).where(Timer.step == "reminder", Timer.state == "fired")).one()
    assert reminder.due_at == NOW + 1.8 * HOUR
    assert waits(core, None).waited == 1
    (one,) = waits(core, f"{local + 1.7 * HOUR:%H:%M}-{local + 2 * HOUR:%H:%M}").waiting
    assert one.at == NOW + 1.75 * HOUR


def test_nothing_is_written(core: Core) -> None:
    """Neither a timer nor an event nor a message comes of trying."""
    opened(core)
    open_crisis(core, ["没收到货"])
    pass_time(core, HOUR)

    def counted(session: Session) -> list[int]:
        return [session.exec(select(func.count()).select_from(kind)).one() for kind in (Timer, Event, Outbox)]

    with db.reading(core.engine) as session:
        before = counted(session)
        for subject in ("case", "crisis"):
            hindsight.deadlines(session, core.settings, tuned(crisis={"respond": "5m"}), subject, core.clock.now())  # type: ignore[arg-type]
        hindsight.quiet(session, tuned(quiet={"span": "00:00-24:00"}), core.clock.now())
        assert not session.dirty
        assert not session.new
        assert counted(session) == before
