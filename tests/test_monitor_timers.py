"""Clocks: fired once, at the right moment, whoever sweeps and however late."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from delivering import PlainLinks, make_house, run, states, tell
from delivering import rows as outbox_rows
from factories import NOW, make_core, make_settings
from slack_double import slack_double
from sqlalchemy import Engine
from sqlmodel import select
from subjects import open_case, open_crisis
from test_monitor_lifecycle import AGENT, DAY, do, make_case, make_crisis

from alerts.cards import Reader
from alerts.digest import digest_card
from monitor import db, directory, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Crisis, Event, Person, Timer
from monitor.notices import Notice
from monitor.states import STAGES


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


def sweep_each(core: Core, span: timedelta, pause: timedelta = timedelta(minutes=5)) -> None:
    """Time passes as it does while the service runs."""
    for _ in range(span // pause):
        core.clock.move(pause)
        timers.sweep(core)


def deliver_all(core: Core) -> None:
    """Send what there is at the pace that channels allow."""
    for _ in range(5):
        run(core)
        core.clock.move(timedelta(seconds=1))


def events(core: Core, what: str = "timer.") -> list[Event]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(Event).where(Event.what.startswith(what)).order_by(Event.id)))


def test_fault_30_down_for_thirty_hours_every_breach_is_true_and_one_digest_tells_all(
    engine: Engine, clock: HandClock
) -> None:
    """Each breach is recorded once with its true time; each channel gets one message, and the cards are edited."""
    with slack_double() as slack:
        places = [
            {"name": name, "kind": "slack", "target": name, "base_url": slack.url, "rate": "100/1s"}
            for name in ("C1", "C2")
        ]
        house = make_house(engine, clock, channels=places, routes={"crisis": ["C1"], "case": ["C1", "C2"]})
        crisis = open_crisis(house, ["没收到货"])
        cases = [open_case(house, [f"第{n}件坏了"]) for n in range(50)]
        tell(house, Notice("case.opened", f"case:{cases[0]}:opened:0", "case", cases[0], "demo"))
        deliver_all(house)
        posted = [dict(message) for message in slack.messages]
        clock.move(NOW + timedelta(hours=30) - clock.now())
        assert timers.sweep(house) == 18 + 50 * 4
        assert timers.sweep(house) == 0
        deliver_all(house)
        told = slack.messages[len(posted) :]
    breaches = events(house, "timer.breached")
    assert len({(e.subject, e.subject_id, e.after["stage"]) for e in breaches}) == len(breaches) == 103
    assert [(e.after["due_at"], e.after["late_s"]) for e in breaches if e.subject == "crisis"] == [
        ((NOW + timedelta(hours=hours)).isoformat(), (30 - hours) * 3600) for hours in (1, 3, 24)
    ]
    assert {e.at for e in breaches} == {NOW + timedelta(hours=30)}
    assert sorted(message["channel"] for message in told) == ["C1", "C2"]
    with_crisis, without = sorted(told, key=lambda message: message["channel"])
    said, other = (json.dumps(message["blocks"], ensure_ascii=False) for message in (with_crisis, without))
    assert "【补报】1 个危机、50 件差评过了时限" in with_crisis["text"]
    assert f"危机 #{crisis}" in said
    assert all(stage in said for stage in ("内部响应", "告知客户", "跟进", "“首次回复” 50 件", "另有 40 件"))
    assert "昨天 15:00 前" in said
    assert "危机" not in other
    edited = [old for old, new in zip(posted, slack.messages, strict=False) if old["blocks"] != new["blocks"]]
    assert len(edited) == len(posted) == 3


def test_a_long_stop_over_one_stage_is_told_as_ever(core: Core) -> None:
    """One deadline and its rungs are no storm."""
    make_crisis(core)
    core.notify.clear()
    core.clock.move(timedelta(minutes=95))
    timers.sweep(core)
    assert core.notify.kinds() == ["timer.breached", *["timer.rung"] * 4]


def test_a_reminder_of_what_is_to_come_survives_a_long_stop(core: Core) -> None:
    """The digest tells of what is over; a reminder in time still reminds, and what is asked in between waits."""
    make_crisis(core)
    case = make_held(core)
    core.notify.clear()
    core.clock.move(timedelta(hours=2, minutes=50))
    timers.sweep(core)
    assert core.notify.kinds() == ["timers.digest", "timer.reminder"]
    assert core.notify[1].key == "crisis:1:notice:reminder:0"
    facts = core.notify[0].facts
    assert facts["crises"] == [[1, [["respond", (NOW + timedelta(hours=1)).isoformat()]]]]
    assert facts["cases"] == [[case, [["respond", (NOW + timedelta(hours=1)).isoformat()]]]]
    assert facts["rungs"] == ["assignee", "channel", "lead", "manager"]
    core.clock.move(timedelta(minutes=10))
    core.notify.clear()
    timers.sweep(core)
    assert "timer.stalled" in core.notify.kinds()


def test_fault_31_clock_jumps_fire_nothing_twice(core: Core) -> None:
    """Two hours forward and back again: what fired stays fired, what is armed keeps its time."""
    make_crisis(core)
    make_case(core)
    before = {t.id: t.due_at for t in rows(core)}
    for jump in (2, -2, 2, -4, 30):
        core.clock.move(timedelta(hours=jump))
        timers.sweep(core)
    fired = [(e.subject, e.subject_id, e.after["stage"], e.after["step"]) for e in events(core)]
    assert len(set(fired)) == len(fired) == len(before)
    assert {t.id: t.due_at for t in rows(core)} == before
    told = [notice.key for notice in core.notify]
    assert len(set(told)) == len(told)


def test_many_overdue_cases_are_one_notice(core: Core) -> None:
    """A night's backlog of cases is one card that lists all, not a storm; nobody is reminded of what is over."""
    ids = [make_case_number(core, n) for n in range(12)]
    core.notify.clear()
    sweep_each(core, timedelta(minutes=65))
    assert core.notify.kinds() == ["cases.overdue", "cases.overdue"]
    assert core.notify[1].facts == {"case_ids": ids, "stage": "respond", "step": "deadline"}


def make_case_number(core: Core, n: int) -> int:
    with db.writing(core.engine) as session:
        case = Case(shop_id="demo", opened_at=NOW, updated_at=NOW, policy=DAY, join_key=str(n))
        session.add(case)
        session.flush()
        timers.arm(session, timers.case_rows(case.id, NOW, DAY, settings=core.settings))
        return case.id


def test_a_few_overdue_cases_are_told_one_by_one(core: Core) -> None:
    """Up to the limit each case has its own notice with its own key."""
    first, second = make_case(core), make_case_number(core, 1)
    core.notify.clear()
    sweep_each(core, timedelta(hours=1))
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
            timers.arm(session, timers.case_rows(case.id, NOW, DAY, settings=core.settings))
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
    assert [row["step"] for row in timers.case_rows(1, NOW, policy, settings=make_settings())] == [
        "deadline",
        "deadline",
    ]


CRISIS = {"respond": 3600, "notice": 10800, "follow_up": 86400, "apology": 1800, "statement": 7200} | {
    "remind_before": 900,
    "step": 600,
    "ladder": ["assignee", "lead"],
}


@pytest.mark.parametrize(("kind", "generation"), [("review", 0), ("mention", 2)])
def test_the_kind_of_a_crisis_says_its_stages(kind: str, generation: int) -> None:
    """A crisis about posts is answered by an apology and a statement; a reopened one starts its clocks anew."""
    crisis = Crisis(id=7, kind=kind, cause="person", severity="high", opened_at=NOW, updated_at=NOW, policy=CRISIS)
    since = NOW + timedelta(days=1)
    armed = timers.crisis_rows(crisis, generation, settings=make_settings(), since=since)
    deadlines = {row["stage"]: row["due_at"] - since for row in armed if row["step"] == "deadline"}
    assert deadlines == {stage: timedelta(seconds=CRISIS[stage]) for stage in STAGES[kind]}
    assert {row["generation"] for row in armed} == {generation}
    assert {row["step"] for row in armed} == {"reminder", "deadline", "rung1", "rung2"}


def test_business_hours_move_deadlines_and_reminders_into_the_shift() -> None:
    """Opened at 17:50, one hour is over at 08:50 next morning; its reminder never comes at night."""
    settings = make_settings(calendar={"shifts": ["08:00-18:00"]})
    policy = {"respond": 3600, "solve": 900, "remind_before": 3300, "hours": "business"}
    at = datetime(2026, 11, 20, 9, 50, tzinfo=UTC)  # 17:50 in Shanghai
    due = {(row["stage"], row["step"]): row["due_at"] for row in timers.case_rows(1, at, policy, settings=settings)}
    assert due == {
        ("respond", "reminder"): at + timedelta(minutes=5),
        ("respond", "deadline"): datetime(2026, 11, 21, 0, 50, tzinfo=UTC),
        ("solve", "deadline"): datetime(2026, 11, 21, 0, 5, tzinfo=UTC),
    }
    crisis = Crisis(id=7, cause="person", severity="high", opened_at=at, updated_at=at, policy=CRISIS | policy)
    rungs = {row["step"]: row["due_at"] for row in timers.crisis_rows(crisis, settings=settings)}
    assert rungs["rung2"] - rungs["rung1"] == timedelta(minutes=10)


QUIET = {"policy": {"quiet": {"span": "23:30-07:30"}}}
NIGHT = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)  # 23:40 in Shanghai
MORNING = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)


def test_quiet_hours_delay_reminders_and_never_breaches(engine: Engine) -> None:
    """At night reminders wait for the morning, and are not told at all once the deadline is past; breaches come."""
    core = make_core(engine, make_settings(**QUIET), HandClock(NIGHT))
    policies = {"short": (3600, 5), "long": (9 * 3600, 8 * 3600)}
    for name, (respond, early) in policies.items():
        with db.writing(engine) as session:
            case = Case(shop_id=None, opened_at=NIGHT, updated_at=NIGHT, join_key=name)
            session.add(case)
            session.flush()
            clocks = {"respond": respond, "solve": 10**6, "remind_before": max(900, early)}
            timers.arm(session, timers.case_rows(case.id, NIGHT, clocks, settings=core.settings))
    sweep_each(core, timedelta(minutes=70))
    assert [(n.kind, n.key) for n in core.notify] == [("timer.breached", "case:1:respond:deadline:0")]
    assert [t.due_at for t in rows(core) if t.step == "reminder" and t.state == "armed"][:2] == [MORNING] * 2
    sweep_each(core, MORNING - core.clock.now())
    assert [n.key for n in core.notify[1:]] == ["case:2:respond:reminder:0"]
    assert {t.state for t in rows(core) if (t.stage, t.step) == ("respond", "reminder")} == {"fired"}


def make_held(core: Core, **values: Any) -> int:
    """A case that an agent holds, asked after every half hour."""
    with db.writing(core.engine) as session:
        if session.exec(select(Person)).first() is None:
            directory.sync(session, core.settings)
        case = Case(
            shop_id=None,
            state="assigned",
            assignee_id=1,
            opened_at=core.clock.now(),
            updated_at=core.clock.now(),
            policy=DAY | {"stalled": 1800.0} | values,
        )
        session.add(case)
        session.flush()
        timers.arm(session, timers.case_rows(case.id, core.clock.now(), case.policy, settings=core.settings))
        timers.touch(core, session, case, core.clock.now())
        return case.id


def touch(core: Core, case_id: int, **values: Any) -> None:
    with db.writing(core.engine) as session:
        case = session.get(Case, case_id)
        for name, value in values.items():
            setattr(case, name, value)
        timers.touch(core, session, case, core.clock.now())


def asked(core: Core) -> list[tuple[str, str | None]]:
    return [(n.key, n.facts.get("rung")) for n in core.notify if n.kind == "timer.stalled"]


def test_silence_is_asked_after_three_times_then_the_lead_hears(core: Core) -> None:
    """Every interval without progress the holder is asked; the fourth time it is the lead's, and that is all."""
    case = make_held(core)
    sweep_each(core, timedelta(hours=5))
    key = f"case:{case}:progress:stalled"
    assert asked(core) == [(f"{key}:{n}", None) for n in range(3)] + [(f"{key}:3", "lead")]
    touch(core, case)
    core.notify.clear()
    sweep_each(core, timedelta(minutes=35))
    assert asked(core) == [(f"{key}:4", None)]


def test_progress_starts_the_silence_anew_and_an_end_ends_it(core: Core) -> None:
    """Whatever is done puts the question off; who holds nothing, or waits for the buyer, is not asked."""
    case = make_held(core)
    sweep_each(core, timedelta(minutes=25))
    touch(core, case)
    sweep_each(core, timedelta(minutes=25))
    assert asked(core) == []
    for ended in ({"state": "answered"}, {"state": "resolved"}, {"state": "assigned", "assignee_id": None}):
        touch(core, case, **ended)
        assert [t.step for t in rows(core) if t.stage == "progress" and t.state == "armed"] == []


def test_no_silence_is_too_long_for_a_policy_that_says_so(core: Core) -> None:
    """A span of nought means that nobody asks; so does a policy from before there was one."""
    make_held(core, stalled=0.0)
    assert all(t.stage != "progress" for t in rows(core))


def test_questions_wait_for_the_morning_and_come_in_a_list(engine: Engine) -> None:
    """Many silent cases at the end of quiet hours are one message."""
    core = make_core(engine, make_settings(**QUIET), HandClock(NIGHT))
    ids = [make_held(core, respond=10**6, solve=10**6) for _ in range(8)]
    sweep_each(core, timedelta(hours=7))
    assert core.notify == []
    sweep_each(core, MORNING - core.clock.now())
    assert core.notify[0].facts == {"case_ids": ids, "stage": "progress", "step": "stalled"}


def test_what_silence_says(engine: Engine, clock: HandClock) -> None:
    """The holder is named with the time of the last step; the lead is asked by mail too; progress makes it stale."""
    with slack_double() as slack:
        ops = {"name": "ops", "kind": "slack", "target": "C1", "base_url": slack.url, "rate": "100/1s"}
        house = make_house(engine, clock, channels=[ops], smtp={"host": "127.0.0.1", "port": 9})
        case = open_case(house, ["杯子漏水"], state="received", policy={"stalled": 1800})
        crisis = open_crisis(house, ["没收到货"])
        do(house, "claim", "case", case, AGENT)
        do(house, "claim", "crisis", crisis, AGENT)
        clock.move(timedelta(minutes=30))
        for n, rung in enumerate(({}, {"rung": "lead"})):
            facts = {"stage": "progress", "since": NOW.isoformat(), **rung}
            tell(house, Notice("timer.stalled", f"case:{n}", "case", case, "demo", facts))
            tell(house, Notice("timer.stalled", f"crisis:{n}", "crisis", crisis, "demo", facts))
            deliver_all(house)
        said = {m["metadata"]["event_payload"]["key"]: json.dumps(m, ensure_ascii=False) for m in slack.messages}
        assert "【没有进展】差评：示例旗舰店" in said["case:0"]
        assert "已经 30 分钟 没有动静" in said["case:0"]
        assert "上一步在今天 14:00" in said["case:0"]
        assert "<@U0001>" in said["case:0"]
        assert "【没有进展】危机：" in said["crisis:1"]
        assert "请主管看一下" in said["crisis:1"]
        assert "<@U0002>" in said["crisis:1"]
        facts = {"stage": "progress", "since": NOW.isoformat()}
        tell(house, Notice("timer.stalled", "later", "case", case, "demo", facts))
        clock.move(timedelta(minutes=1))
        do(house, "note", "case", case, note="联系不上，明天再打")
        deliver_all(house)
    mails = [row.target for row in outbox_rows(house, "timer.stalled") if row.channel != "ops"]
    assert mails == ["lead@example.com"] * 2
    later = [(row.state, row.last_error) for row in outbox_rows(house, "timer.stalled") if row.dedupe_key == "later"]
    assert later == [("folded", "已经有进展")]
    assert "dead" not in states(house)


def test_a_digest_goes_where_its_parts_would_have_gone(engine: Engine, clock: HandClock) -> None:
    """Crises to those who hear of crises, cases to those who hear of cases; the lead and the holders are named."""
    places = [{"name": name, "kind": "slack", "target": name} for name in ("boss", "floor")]
    house = make_house(engine, clock, channels=places, routes={"crisis": ["boss"], "case": ["floor"]})
    for n in range(25):
        open_crisis(house, [f"第{n}单没收到货"])
    case = open_case(house, ["杯子漏水"])
    do(house, "claim", "case", case, AGENT)
    clock.move(timedelta(hours=2))
    timers.sweep(house)
    boss, floor = outbox_rows(house, "timers.digest")
    assert (boss.channel, len(boss.payload["crises"]), boss.payload["count"]) == ("boss", 25, 0)
    assert (floor.channel, floor.payload["crises"], floor.payload["count"]) == ("floor", [], 1)
    assert boss.payload["ping"] == ["客服一号", "主管", "经理"]
    with db.reading(engine) as session:
        reader = Reader(clock.now(), house.settings.zone, house.settings.shop_name, PlainLinks())
        card = digest_card(session, boss, reader)
        assert [line.text for line in card.lines][-1] == "……另有 5 个危机"
        assert "负责人是客服一号" in digest_card(session, floor, reader).lines[-1].text
        boss.payload = boss.payload | {"crises": [[99, []]]}
        with pytest.raises(LookupError):
            digest_card(session, boss, reader)


def test_nobody_is_asked_once_the_customers_know(core: Core) -> None:
    """After the last tick a crisis waits for its buyers: no question every half hour through the night."""
    crisis = make_crisis(core)
    do(core, "claim", "crisis", crisis)
    for tick in ("notified_sms", "notified_push", "notified_call"):
        do(core, tick, "crisis", crisis)
    with db.reading(core.engine) as session:
        mine = (Timer.crisis_id == crisis, Timer.step == "stalled", Timer.state == "armed")
        assert session.exec(select(Timer).where(*mine)).all() == []
