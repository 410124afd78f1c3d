"""Cases and crises: who may do what when, and what follows."""

from datetime import timedelta

import pytest
from factories import NOW, Notices
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session, select

from monitor import crises, db, timers
from monitor.audit import Refused, change
from monitor.core import Core
from monitor.lifecycle import act
from monitor.models import Case, Correction, Crisis, Event, Feedback, Score, Source, Timer
from monitor.moves import Action, Actor
from monitor.states import CASE_OPEN, CRISIS_OPEN, STATE_LABELS, worst
from monitor.transitions import ACTIONS

AGENT = Actor("客服一号", "agent", "link")
LEAD = Actor("主管", "lead", "desk")
DAY = {"respond": 3600.0, "solve": 86400.0, "remind_before": 900.0}


def make_feedback(session: Session, n: int = 1, **values: object) -> Feedback:
    source = session.exec(select(Source)).first() or Source(name="site", kind="html", shop_id="demo")
    session.add(source)
    session.flush()
    row = Feedback(
        source_id=source.id,
        shop_id="demo",
        external_id=str(n),
        text="没收到货",
        author_hash=f"a{n}",
        happened_at=NOW,
        first_seen_at=NOW,
        updated_at=NOW,
        content_hash=str(n),
    )
    for name, value in values.items():
        setattr(row, name, value)
    session.add(row)
    session.flush()
    session.add(
        Score(
            feedback_id=row.id,
            happened_at=row.happened_at,
            model="m",
            negative=True,
            p_negative=0.9,
            severity="medium",
            categories=["logistics"],
            scored_at=NOW,
        )
    )
    return row


def make_case(core: Core) -> int:
    with db.writing(core.engine) as session:
        case = Case(
            shop_id="demo", severity="medium", categories=["logistics"], opened_at=NOW, updated_at=NOW, policy=DAY
        )
        session.add(case)
        session.flush()
        timers.arm(session, timers.case_rows(case.id, NOW, DAY, settings=core.settings))
        make_feedback(session, case_id=case.id)
        return case.id


def make_crisis(core: Core, count: int = 1) -> int:
    with db.writing(core.engine) as session:
        first = len(session.exec(select(Feedback.id)).all())
        ids = [make_feedback(session, first + n).id for n in range(count)]
        return crises.open_crisis(
            core, session, shop_id="demo", cause="burst", category="logistics", severity="high", feedback_ids=ids
        ).id


def do(core: Core, what: str, subject: str, subject_id: int, actor: Actor = LEAD, note: str = "", to: str = "") -> str:
    with db.writing(core.engine) as session:
        return act(core, session, Action(what, subject, subject_id, note, to), actor)


def deadlines(core: Core, **where: int) -> dict[str, str]:
    with db.reading(core.engine) as session:
        rows = session.exec(select(Timer).where(Timer.step == "deadline").filter_by(**where))
        return {timer.stage: timer.state for timer in rows}


def get(core: Core, model: type, row_id: int) -> object:
    with db.reading(core.engine) as session:
        return session.get_one(model, row_id)


def test_a_case_goes_from_received_to_closed(core: Core) -> None:
    """Each step moves the state, meets its clock, leaves an event and asks for a new card."""
    case = make_case(core)
    for what, state in [
        ("claim", "assigned"),
        ("contacted", "contacted"),
        ("answered", "answered"),
        ("resolved", "resolved"),
        ("close", "closed"),
    ]:
        do(core, what, "case", case)
        assert get(core, Case, case).state == state
    assert deadlines(core, case_id=case) == {"respond": "met", "solve": "met"}
    with db.reading(core.engine) as session:
        events = session.exec(select(Event).where(Event.subject == "case")).all()
        assert [event.what for event in events] == ["claim", "contacted", "answered", "resolved", "close"]
        assert {(event.actor, event.door) for event in events} == {("主管", "desk")}
        assert events[0].before["state"] == "received"
        assert not session.exec(select(Timer).where(Timer.state == "armed")).all()
    assert core.notify.kinds() == ["case.updated"] * 5


def test_two_people_claim_and_the_second_is_told_who_was_first(core: Core) -> None:
    """One wins; the other reads the winner's name."""
    case = make_case(core)
    do(core, "claim", "case", case, AGENT)
    with pytest.raises(Refused, match="客服一号已经认领了"):
        do(core, "claim", "case", case, LEAD)


def test_crisis_stages_meet_their_clocks(core: Core) -> None:
    """A plan meets stage 1, all three ways of telling customers stage 2, the solution stage 3."""
    crisis = make_crisis(core)
    do(core, "claim", "crisis", crisis, AGENT)
    assert deadlines(core, crisis_id=crisis) == dict.fromkeys(("respond", "notice", "follow_up"), "armed")
    do(core, "plan", "crisis", crisis, AGENT, note="先补发，再查仓库")
    assert deadlines(core, crisis_id=crisis)["respond"] == "met"
    do(core, "notified_sms", "crisis", crisis, AGENT)
    do(core, "notified_push", "crisis", crisis, AGENT)
    with pytest.raises(Refused, match="不能结案"):
        do(core, "resolved", "crisis", crisis, LEAD)
    assert deadlines(core, crisis_id=crisis)["notice"] == "armed"
    do(core, "notified_call", "crisis", crisis, AGENT)
    assert deadlines(core, crisis_id=crisis)["notice"] == "met"
    do(core, "resolved", "crisis", crisis, LEAD, note="已全部补发")
    row = get(core, Crisis, crisis)
    assert (row.state, row.plan, row.result) == ("resolved", "先补发，再查仓库", "已全部补发")
    assert deadlines(core, crisis_id=crisis)["follow_up"] == "met"


def test_a_second_tick_and_a_missing_plan_are_refused(core: Core) -> None:
    """What is done is not done twice, and a plan needs words."""
    crisis = make_crisis(core)
    do(core, "notified_sms", "crisis", crisis)
    with pytest.raises(Refused, match="已经勾过"):
        do(core, "notified_sms", "crisis", crisis)
    with pytest.raises(Refused, match="还缺内容"):
        do(core, "plan", "crisis", crisis, note="  ")


def test_a_later_plan_does_not_take_the_crisis_back(core: Core) -> None:
    """The plan may be mended while the state stays where it is."""
    crisis = make_crisis(core)
    do(core, "plan", "crisis", crisis, note="一")
    for way in ("sms", "push", "call"):
        do(core, f"notified_{way}", "crisis", crisis)
    do(core, "plan", "crisis", crisis, note="二")
    row = get(core, Crisis, crisis)
    assert (row.state, row.plan) == ("customer_notified", "二")


@pytest.mark.parametrize("what", ["close", "merge", "assign", "resolved", "false_alarm"])
def test_leads_work_is_not_an_agents(core: Core, what: str) -> None:
    """The role is checked before anything changes."""
    crisis = make_crisis(core)
    with pytest.raises(Refused, match=r"没有.*权限"):
        do(core, what, "crisis", crisis, AGENT)
    assert get(core, Crisis, crisis).state == "open"


@pytest.mark.parametrize(
    ("what", "subject", "subject_id", "said"),
    [("fly", "case", 1, "没有这个操作"), ("plan", "case", 1, "没有这个操作"), ("claim", "case", 999, "找不到")],
)
def test_nonsense_is_refused_in_words(core: Core, what: str, subject: str, subject_id: int, said: str) -> None:
    """Unknown action, action of another subject, unknown row."""
    with pytest.raises(Refused, match=said):
        do(core, what, subject, subject_id)


def test_false_alarm_silences_the_clocks_and_becomes_a_label(core: Core) -> None:
    """误报 cancels timers and keeps a correction for the next training."""
    case = make_case(core)
    do(core, "false_alarm", "case", case, AGENT)
    assert deadlines(core, case_id=case) == {"respond": "cancelled", "solve": "cancelled"}
    with db.reading(core.engine) as session:
        label = session.exec(select(Correction)).one()
    assert label.before.items() >= {"negative": True, "categories": ["logistics"], "severity": "medium"}.items()
    assert label.after == {"negative": False, "categories": []}


def test_a_case_becomes_a_crisis_by_a_person(core: Core) -> None:
    """升级为危机 opens one crisis with the case's feedback; a second click is refused."""
    case = make_case(core)
    said = do(core, "escalate", "case", case, AGENT)
    row = get(core, Case, case)
    assert said == f"已升级为危机 #{row.crisis_id}"
    assert get(core, Crisis, row.crisis_id).scope["count"] == 1
    with pytest.raises(Refused, match="已经在危机里"):
        do(core, "escalate", "case", case, AGENT)


def test_merging_keeps_the_earlier_deadlines(core: Core) -> None:
    """The crisis that goes on has the earlier of both deadlines and all feedbacks; the other is silent."""
    first = make_crisis(core, 2)
    core.clock.move(timedelta(minutes=30))
    second = make_crisis(core, 3)
    do(core, "merge", "crisis", first, to=str(second))
    assert get(core, Crisis, first).state == "merged"
    assert get(core, Crisis, second).scope["count"] == 5
    with db.reading(core.engine) as session:
        respond = session.exec(
            select(Timer.due_at).where(Timer.crisis_id == second, Timer.stage == "respond", Timer.step == "deadline")
        ).one()
        assert not session.exec(select(Timer).where(Timer.crisis_id == first, Timer.state == "armed")).all()
    assert respond == NOW + timedelta(hours=1)
    with pytest.raises(Refused, match="只能合并到"):
        do(core, "merge", "crisis", second, to="abc")


def test_assign_needs_a_known_person(core: Core) -> None:
    """转派 names the one who is responsible now."""
    case = make_case(core)
    assert do(core, "assign", "case", case, to="客服一号") == "转给客服一号负责"
    with pytest.raises(Refused, match="没有叫"):
        do(core, "assign", "case", case, to="路人")
    with pytest.raises(Refused, match="还缺对象"):
        do(core, "assign", "case", case)


def test_a_stale_writer_is_refused(core: Core) -> None:
    """A change based on an older version of the row must not win."""
    case = make_case(core)
    stale = get(core, Case, case)
    do(core, "claim", "case", case)
    with db.writing(core.engine) as session, pytest.raises(Refused, match="被别人改过"):
        change(session, stale, NOW, state="closed")


def test_growing_pings_again_only_when_volume_doubles_or_severity_rises(core: Core) -> None:
    """Every addition edits the card; people are pinged at twice the volume."""
    crisis = make_crisis(core, 4)
    with db.writing(core.engine) as session:
        row = session.get_one(Crisis, crisis)
        for n in range(100, 104):
            crises.attach(core, session, row, [make_feedback(session, n).id], "medium")
        crises.attach(core, session, row, [make_feedback(session, 200).id], "critical")
        crises.attach(core, session, row, [], "critical")
    kinds = core.notify.kinds()
    assert kinds.count("crisis.opened") == 1
    assert kinds.count("crisis.updated") == 5
    assert kinds.count("crisis.grew") == 2
    assert get(core, Crisis, crisis).severity == "critical"


def test_every_action_and_state_has_a_chinese_name() -> None:
    """What a person reads is never a code."""
    states = (
        {to for info in ACTIONS.values() for _, to in info.moves.values() if to} | set(CASE_OPEN) | set(CRISIS_OPEN)
    )
    assert states <= set(STATE_LABELS)
    assert all(info.label and not info.label.isascii() for info in ACTIONS.values())
    assert worst(None, "low", "high") == "high"
    assert worst() == "low"


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.sampled_from([w for w, i in ACTIONS.items() if "crisis" in i.subjects]), max_size=12))
def test_whatever_people_click_a_crisis_stays_sound(core: Core, moves: list[str]) -> None:
    """After any clicks: a closed state has no armed timer but those still owed, and every change left an event."""
    crisis = make_crisis(core)
    done = 0
    for what in moves:
        try:
            do(core, what, "crisis", crisis, note="记", to="主管" if what == "assign" else "")
            done += 1
        except Refused:
            pass
    row = get(core, Crisis, crisis)
    with db.reading(core.engine) as session:
        mine = session.exec(select(Timer).where(Timer.crisis_id == crisis, Timer.state == "armed"))
        armed = {t.stage for t in mine if t.stage != "progress"}
        events = session.exec(select(Event).where(Event.subject == "crisis", Event.subject_id == crisis)).all()
    assert len(events) == done + 1
    assert row.version == done + 1
    owed = {"respond"} if row.acknowledged_at is None and row.resolved_at is None else set()
    owed |= {"notice"} if row.notified_at is None else set()
    owed |= {"follow_up"} if row.resolved_at is None else set()
    assert armed == (set() if row.state in ("false_alarm", "merged") else owed)
    assert isinstance(core.notify, Notices)
    assert isinstance(core.engine, Engine)


@pytest.mark.parametrize("done", ["contacted", "answered"])
def test_who_takes_a_case_over_undoes_nothing(core: Core, done: str) -> None:
    """A case that was answered stays so in other hands."""
    case = make_case(core)
    do(core, done, "case", case)
    do(core, "assign", "case", case, to="客服一号")
    assert get(core, Case, case).state == done
