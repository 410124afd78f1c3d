"""The one action handler: once, by the right people, all or nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import Session, SQLModel, col, func, select
from subjects import open_case, open_crisis

from alerts.actions import Click, Door, Outcome, handle
from monitor import db, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Crisis, Event, Inbound, Outbox, Person, Timer
from monitor.moves import Action


def make_click(
    what: str, case_id: int, key: str = "k1", person: str = "客服一号", door: Door = "link", **more: str
) -> Click:
    return Click(door, key, person, Action(what, more.pop("subject", "case"), case_id, **more))


def rows(core: Core, model: type[SQLModel]) -> int:
    with db.reading(core.engine) as session:
        return session.exec(select(func.count()).select_from(model)).one()


def case_of(core: Core, case_id: int) -> Case:
    with db.reading(core.engine) as session:
        return session.get_one(Case, case_id)


def test_a_click_is_done_and_written_down(core: Core) -> None:
    """The case moves, the event names who and which door, and the inbound row keeps the outcome."""
    case_id = open_case(core)
    outcome = handle(core, make_click("claim", case_id))
    assert outcome == Outcome(done=True, text="客服一号负责", person="客服一号")
    with db.reading(core.engine) as session:
        assert session.get_one(Case, case_id).state == "assigned"
        event = session.exec(select(Event)).one()
        assert (event.actor, event.door, event.what) == ("客服一号", "link", "claim")
        inbound = session.exec(select(Inbound)).one()
        assert (inbound.actor, inbound.action, inbound.subject, inbound.subject_id) == (
            "客服一号",
            "claim",
            "case",
            case_id,
        )
        assert (inbound.outcome, inbound.at) == ("客服一号负责", core.clock.now())


def test_a_double_gets_the_first_outcome_and_changes_nothing(core: Core) -> None:
    """The same key again tells what became of it the first time."""
    case_id = open_case(core)
    first = handle(core, make_click("note", case_id, note="联系不上"))
    version = case_of(core, case_id).version
    again = handle(core, make_click("note", case_id, note="联系不上"))
    assert again == first
    assert (rows(core, Event), rows(core, Inbound), case_of(core, case_id).version) == (1, 1, version)


def test_a_double_of_a_refusal_is_refused_again(core: Core) -> None:
    """A click refused stays refused when it is delivered again, even if it would now be allowed."""
    case_id = open_case(core)
    refused = handle(core, make_click("close", case_id, person="主管"))
    handle(core, make_click("resolved", case_id, key="k2", person="主管"))
    assert handle(core, make_click("close", case_id, person="主管")) == refused
    assert case_of(core, case_id).state == "resolved"


def test_the_same_key_at_two_doors_is_two_clicks(core: Core) -> None:
    """Keys are each door's own."""
    case_id = open_case(core)
    handle(core, make_click("note", case_id, note="一"))
    assert handle(core, make_click("note", case_id, person="U0001", door="slack", note="二")).done
    assert rows(core, Event) == 2


def test_a_refusal_leaves_nothing_but_the_inbound_row_and_its_event(core: Core) -> None:
    """A wrong state: the person hears why, the audit keeps who tried what; case and timers stay as they were."""
    case_id = open_case(core)
    before = case_of(core, case_id)
    outcome = handle(core, make_click("close", case_id, person="主管"))
    assert not outcome.done
    assert "待认领" in outcome.text
    assert case_of(core, case_id) == before
    assert (rows(core, Event), rows(core, Outbox), rows(core, Inbound)) == (1, 0, 1)
    with db.reading(core.engine) as session:
        event = session.exec(select(Event)).one()
    assert (event.what, event.actor, event.door) == ("refused", "主管", "link")
    assert (event.subject, event.subject_id) == ("case", case_id)
    assert event.after == {"action": "close", "reason": outcome.text}


def test_a_refusal_in_the_middle_is_rolled_back(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an action did before it was refused is undone."""
    from monitor import lifecycle
    from monitor.audit import Refused

    def half_way(*args: object) -> str:
        lifecycle_act(*args)  # type: ignore[arg-type]
        raise Refused("刚刚被别人改过")

    lifecycle_act = lifecycle.act
    monkeypatch.setattr(lifecycle, "act", half_way)
    case_id = open_case(core)
    assert handle(core, make_click("claim", case_id)) == Outcome(False, "刚刚被别人改过", "客服一号")
    assert (case_of(core, case_id).state, rows(core, Event), rows(core, Inbound)) == ("received", 1, 1)


def test_a_crash_leaves_nothing_so_that_the_click_can_come_again(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is no outcome: not even the inbound row stays."""
    from monitor import lifecycle

    case_id = open_case(core)
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "act", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            handle(core, make_click("claim", case_id))
    assert rows(core, Inbound) == 0
    assert handle(core, make_click("claim", case_id)).done


@pytest.mark.parametrize(("door", "person"), [("slack", "U9999"), ("link", "路人"), ("slack", ""), ("link", "U0001")])
def test_strangers_do_nothing(core: Core, door: Door, person: str) -> None:
    """Nobody acts whom the config does not name at that door; an empty id is nobody's."""
    case_id = open_case(core)
    with db.writing(core.engine) as session:
        session.add(Person(name="无账号", role="lead"))
    outcome = handle(core, make_click("claim", case_id, door=door, person=person))
    assert (outcome.done, outcome.person) == (False, "")
    assert "people" in outcome.text
    assert (case_of(core, case_id).state, rows(core, Inbound)) == ("received", 1)


def test_people_who_left_do_nothing(core: Core) -> None:
    """Somebody taken out of the config no longer acts, whatever links he still has."""
    case_id = open_case(core)
    with db.writing(core.engine) as session:
        person = session.exec(select(Person).where(Person.name == "客服一号")).one()
        person.active = False
        session.add(person)
    assert not handle(core, make_click("claim", case_id)).done


def test_roles_are_checked(core: Core) -> None:
    """An agent assigns nobody; a lead does."""
    case_id = open_case(core)
    assert "权限" in handle(core, make_click("assign", case_id, to="主管")).text
    assert handle(core, make_click("assign", case_id, key="k2", person="主管", to="客服一号")).done


def test_what_is_lacking_is_asked_of_those_who_may(core: Core) -> None:
    """Only a person who may do it is asked for what was not given."""
    case_id, crisis_id = open_case(core), open_crisis(core)
    assert handle(core, make_click("plan", crisis_id, key="1", subject="crisis")).lacking
    assert handle(core, make_click("assign", case_id, key="2", person="主管", to=" ")).lacking
    assert not handle(core, make_click("assign", case_id, key="3")).lacking
    assert not handle(core, make_click("claim", 999, key="4")).lacking
    assert not handle(core, make_click("explode", case_id, key="5")).lacking


def test_fault_24_two_people_claim_at_once(core: Core) -> None:
    """One wins, the other is told who."""
    for n in range(5):
        case_id = open_case(core)
        clicks = [make_click("claim", case_id, f"{n}{person}", person) for person in ("客服一号", "主管", "经理")]
        with ThreadPoolExecutor(3) as pool:
            outcomes = list(pool.map(lambda click: handle(core, click), clicks))
        winner = next(outcome.person for outcome in outcomes if outcome.done)
        assert sorted(outcome.done for outcome in outcomes) == [False, False, True]
        assert all(outcome.text == f"{winner}已经认领了" for outcome in outcomes if not outcome.done)


def test_fault_20_the_same_click_twice_at_once(core: Core) -> None:
    """Deliveries of one click that overlap are one event."""
    case_id = open_case(core)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: handle(core, make_click("note", case_id, note="重")), range(4)))
    assert len(set(outcomes)) == 1
    assert outcomes[0].done
    assert (rows(core, Event), rows(core, Inbound)) == (1, 1)


@pytest.mark.parametrize("clicked_first", [True, False])
def test_fault_25_acknowledgement_and_breach_in_either_order(core: Core, clock: HandClock, clicked_first: bool) -> None:
    """Whichever comes first, both are recorded and the breach is never hidden."""
    crisis_id = open_crisis(core)
    clock.move(timedelta(hours=1))
    steps = [
        lambda: handle(core, make_click("plan", crisis_id, subject="crisis", note="先补发")),
        lambda: timers.sweep(core),
    ]
    for step in steps if clicked_first else reversed(steps):
        step()
    with db.reading(core.engine) as session:
        deadline = session.exec(select(Timer).where(Timer.stage == "respond", Timer.step == "deadline")).one()
        crisis = session.get_one(Crisis, crisis_id)
        assert recorded(session) == (["plan"] if clicked_first else ["timer.breached", "plan"])
    assert deadline.state == ("met" if clicked_first else "breached")
    assert (deadline.met_at, crisis.state) == (clock.now(), "acknowledged")


def recorded(session: Session) -> list[str]:
    """What the audit says of plans and of the breach of the first clock, in order."""
    events = session.exec(select(Event).where(col(Event.what).in_(("plan", "timer.breached"))).order_by(col(Event.id)))
    return [event.what for event in events if event.after.get("stage") in (None, "respond")]


def test_fault_25_acknowledgement_races_the_breach(core: Core, clock: HandClock) -> None:
    """At the very same moment: one of the two orders, and both are recorded in it."""
    for n in range(5):
        crisis_id = open_crisis(core)
        clock.move(timedelta(hours=1))
        with db.reading(core.engine) as session:
            before = len(recorded(session))
        click = make_click("plan", crisis_id, f"race{n}", subject="crisis", note="先补发")
        with ThreadPoolExecutor(2) as pool:
            clicked, swept = pool.submit(handle, core, click), pool.submit(timers.sweep, core)
            assert clicked.result().done
            swept.result()
        with db.reading(core.engine) as session:
            mine = select(Timer).where(Timer.crisis_id == crisis_id, Timer.stage == "respond", Timer.step == "deadline")
            deadline = session.exec(mine).one()
            new = recorded(session)[before:]
        assert deadline.met_at == clock.now()
        assert new == {"met": ["plan"], "breached": ["timer.breached", "plan"]}[deadline.state]


def test_what_people_write_is_cleaned_and_masked(core: Core) -> None:
    """A note is stored without control characters, markup and phone numbers; NUL and lone surrogates do no harm."""
    case_id = open_case(core)
    note = "已拨打 13812345678\x00\ud800，<b>对方</b>同意\u202e补发"
    assert handle(core, make_click("note", case_id, note=note, to="\x00\ud800")).done
    with db.reading(core.engine) as session:
        stored = session.exec(select(Inbound)).one().payload["note"]
        assert stored == session.exec(select(Event)).one().after["note"]
    assert "13812345678" not in stored
    assert stored.endswith("，对方同意补发")


def test_names_are_kept_as_the_config_spells_them(core: Core) -> None:
    """A person whose name has full-width letters can be assigned to."""
    with db.writing(core.engine) as session:
        session.add(Person(name="Ｔｏｍ", role="agent"))
    assert handle(core, make_click("assign", open_case(core), person="主管", to="Ｔｏｍ")).text == "转给Ｔｏｍ负责"
