"""The audit trail: only added to, by whoever tries; sends, refusals, people and the config leave their events."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select
from subjects import open_case, open_crisis

from monitor import audit, changes, db, known, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Event, Known, Outbox, Timer


def add(engine: Engine, *days: int) -> None:
    """Events that happened so many days before now."""
    with db.writing(engine) as session:
        for day in days:
            audit.note(session, NOW - timedelta(days=day), "case", day, "opened")


def events(engine: Engine, *subjects: str) -> list[Event]:
    with db.reading(engine) as session:
        wanted = select(Event).order_by(col(Event.id))
        return list(session.exec(wanted.where(col(Event.subject).in_(subjects)) if subjects else wanted))


def starts(engine: Engine, actor: str = "root", **config: Any) -> None:
    with db.writing(engine) as session:
        changes.start(session, make_settings(**config), NOW, actor)


def test_whoever_changes_or_deletes_an_event_is_refused(engine: Engine) -> None:
    """The database itself says so, whatever the statement; the events stay as they were."""
    add(engine, 1, 2)
    before = events(engine)
    statements = ["UPDATE event SET actor = 'nobody'", "DELETE FROM event", "DELETE FROM event WHERE subject_id = 1"]
    if engine.dialect.name == "postgresql":
        statements += [
            "TRUNCATE event",
            "INSERT INTO event_before SELECT * FROM event ON CONFLICT (id) DO UPDATE SET what = 'x'",
        ]
    else:
        statements += ["INSERT OR REPLACE INTO event SELECT * FROM event"]
    for statement in statements:
        with pytest.raises(IntegrityError, match="events are append-only"), db.writing(engine) as session:
            session.connection().exec_driver_sql(statement)
    assert events(engine) == before


def test_retention_removes_what_is_older_and_says_so(engine: Engine) -> None:
    """Only the events before the limit go; the door is shut again at once, and its use is an event."""
    add(engine, 0, 10, 20, 30)
    limit = NOW - timedelta(days=15)
    with db.writing(engine) as session:
        assert audit.retire(session, limit, NOW) == 2
        with pytest.raises(IntegrityError), session.begin_nested():
            session.connection().exec_driver_sql("DELETE FROM event")
    assert [event.subject_id for event in events(engine, "case")] == [0, 10]
    [told] = events(engine, "event")
    assert (told.what, told.at, told.after) == ("retired", NOW, {"before": limit.isoformat(), "count": 2})
    with db.reading(engine) as session:
        assert session.exec(select(Known).where(Known.name == "events.retire")).all() == []


def test_retention_that_is_rolled_back_removes_nothing(engine: Engine) -> None:
    """The door and the deletion share the caller's transaction."""
    add(engine, 30)

    def fail() -> None:
        with db.writing(engine) as session:
            audit.retire(session, NOW, NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert len(events(engine)) == 1
    with pytest.raises(IntegrityError), db.writing(engine) as session:
        session.connection().exec_driver_sql("DELETE FROM event")


def test_a_config_that_changed_is_one_event(engine: Engine) -> None:
    """Only the changed keys, as dotted paths, with their old and new values; an entry is known by its name."""
    rss = {"name": "rss", "kind": "feed", "shop": "demo", "urls": ["http://me:geheim@feeds.example/rss"]}
    starts(engine, sources=[rss])
    assert events(engine, "config") == []
    starts(engine, "root", sources=[rss])
    assert events(engine, "config") == []
    api = {"name": "api", "kind": "json", "shop": "demo"}
    url = "postgresql+psycopg://app:geheim@db/pingshao"
    policy = {"crisis": {"respond": "30m"}}
    starts(engine, "li", sources=[api, rss | {"every": "5m"}], policy=policy, service={"database_url": url})
    [event] = events(engine, "config")
    assert (event.what, event.actor, event.door, event.at) == ("changed", "li", "cli", NOW)
    assert event.before["policy.crisis.respond"] == "3600.0s"
    assert event.after["policy.crisis.respond"] == "1800.0s"
    assert (event.before["sources.rss.every"], event.after["sources.rss.every"]) == (None, "300.0s")
    assert event.after["sources.api.kind"] == "json"
    assert "sources.rss.urls" not in event.after
    assert event.after["service.database_url"] == "postgresql+psycopg://***@db/pingshao"
    assert "geheim" not in str((event.before, event.after))
    starts(engine, "li")
    assert set(event.after) - {"service.database_url"} > {"sources.api.name"}
    gone = events(engine, "config")[-1]
    assert "sources.rss.name" in gone.before
    assert "sources.rss.name" not in gone.after


def test_tables_without_names_of_their_own_are_told_whole() -> None:
    """A list of tables is one value where its entries cannot be told apart."""
    steps = [{"url": "http://me:geheim@a.example/"}, {"url": "http://b.example/"}]
    same = [{"name": "x"}, {"name": "x"}]
    source = {"name": "api", "kind": "json", "shop": "demo", "steps": steps, "same": same}
    told = changes.flat(make_settings(sources=[source]))
    assert told["sources.api.steps"] == [{"url": "http://***@a.example/"}, {"url": "http://b.example/"}]
    assert told["sources.api.same"] == same


def test_people_who_join_leave_and_come_back_are_events(engine: Engine) -> None:
    """Each once, by who started the process with that config."""
    one, two = {"name": "甲", "role": "lead"}, {"name": "乙"}
    for people in ([one], [one, two], [two], [two], [one, two]):
        starts(engine, people=people)
    told = [(event.what, event.after["name"], event.actor) for event in events(engine, "person")]
    assert told == [(what, name, "root") for what, name in
                    (("joined", "甲"), ("joined", "乙"), ("left", "甲"), ("joined", "甲"))]  # fmt: skip


def test_two_processes_that_start_at_once_write_it_once(engine: Engine) -> None:
    """Whoever comes second finds it written: the first start ever, and a changed config."""
    broken: list[BaseException] = []

    def start(gate: threading.Barrier, **config: Any) -> None:
        gate.wait()
        try:
            starts(engine, **config)
        except BaseException as error:  # noqa: BLE001 — the thread hands over whatever went wrong
            broken.append(error)

    for config in ({}, {"routes": {"crisis": []}, "summaries": {"daily": "11:00"}}):
        gate = threading.Barrier(4)
        threads = [threading.Thread(target=start, args=(gate,), kwargs=config) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert broken == []
    assert [event.what for event in events(engine, "person")] == ["joined"] * 3
    [event] = events(engine, "config")
    assert (event.before, event.after) == ({"summaries.daily": "10:00"}, {"summaries.daily": "11:00"})


def test_what_is_held_is_fresh_and_kept_from_others(engine: Engine) -> None:
    """A counter raised by many at once loses no step, even where the session read it before."""

    def raise_it() -> None:
        for _ in range(5):
            with db.writing(engine) as session:
                session.get(Known, "count")
                row = known.hold(session, "count", NOW)
                row.value = {"n": row.value.get("n", 0) + 1}
                session.add(row)

    threads = [threading.Thread(target=raise_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.reading(engine) as session:
        assert session.get_one(Known, "count").value == {"n": 20}


def make_message(session: Session, **values: Any) -> Outbox:
    row = Outbox(
        **{"dedupe_key": "crisis:1:opened", "channel": "ops", "target": "C1", "kind": "crisis.opened"} | values,
        subject="crisis",
        subject_id=1,
        created_at=NOW,
        not_before=NOW,
    )
    session.add(row)
    session.flush()
    return row


def test_a_send_is_told_with_its_place(core: Core) -> None:
    """What, where, under which key, and as what the provider knows it."""
    with db.writing(core.engine) as session:
        row = make_message(session, maybe_twice=True)
        audit.sent(session, NOW, row, "1.2")
        audit.dead(session, NOW, row, "channel_not_found")
    sent, dead = events(core.engine)
    place = {"key": "crisis:1:opened", "channel": "ops", "target": "C1"}
    assert (sent.subject, sent.subject_id, sent.what) == ("crisis", 1, "sent")
    assert sent.after == place | {"ref": "1.2", "maybe_twice": True}
    assert (dead.what, dead.after) == ("dead", place | {"error": "channel_not_found"})


def test_fault_38_a_changed_config_moves_no_running_clock(core: Core, clock: HandClock) -> None:
    """The crisis and the case keep what they were opened with, ladder and all; what opens later has the new clocks."""
    crisis_id, case_id = open_crisis(core), open_case(core)
    before = clocks(core)
    strict = {
        "crisis": {"respond": "5m", "notify": "10m", "follow_up": "15m", "ladder": ["manager"], "step": "1m"},
        "case": {name: {"respond": "5m", "solve": "10m"} for name in ("critical", "high", "medium", "low")},
    }
    changed = make_settings(policy=strict, people=[{"name": "新来的", "role": "lead"}])
    with db.writing(core.engine) as session:
        changes.start(session, changed, clock.now(), "root")
    after = make_core(core.engine, changed, clock)
    clock.move(timedelta(minutes=44))
    timers.sweep(after)
    assert clocks(after) == before
    clock.move(timedelta(minutes=16))
    timers.sweep(after)
    fired = {key for key, (_, state) in clocks(after).items() if state in ("fired", "breached")}
    assert {(crisis_id, None, "respond", "deadline"), (None, case_id, "respond", "deadline")} <= fired
    clock.move(timedelta(minutes=10))
    timers.sweep(after)
    rungs = [notice.facts["rung"] for notice in after.notify if notice.kind == "timer.rung"]  # type: ignore[attr-defined]
    assert rungs == ["assignee", "channel"]
    later = open_crisis(after)
    due = clocks(after)[later, None, "respond", "deadline"][0]
    assert due == clock.now() + timedelta(minutes=5)


def clocks(core: Core) -> dict[tuple[int | None, int | None, str, str], tuple[datetime, str]]:
    """When each clock is due, and how it stands."""
    with db.reading(core.engine) as session:
        rows = session.exec(select(Timer)).all()
    return {(row.crisis_id, row.case_id, row.stage, row.step): (row.due_at, row.state) for row in rows}
