"""What the desk says over the config file: laid, checked, saved once, and taken over by whoever runs."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from subjects import open_crisis

import scheduler
from monitor import changes, config, db, directory, editing, overrides
from monitor.audit import Refused
from monitor.clock import HandClock
from monitor.core import Core
from monitor.editing import FILE
from monitor.errors import WrongCall
from monitor.models import Event, Override, Person, Timer
from monitor.service import Service
from monitor.settings import Settings

COUNT, RESPOND = "policy.detect.burst_count", "policy.crisis.respond"


def save(core: Core, wanted: dict[str, Any], actor: str = "经理", seen: str = "") -> None:
    with db.writing(core.engine) as session:
        now = overrides.lay(core.file, overrides.said(session)).settings
        editing.save(core, session, wanted, seen or overrides.mark(now, wanted), actor)


def person(core: Core, name: str, wanted: Any, editor: str = "经理") -> None:
    with db.writing(core.engine) as session:
        now = overrides.lay(core.file, overrides.said(session)).settings
        who = session.exec(select(Person).where(Person.name == editor)).one()
        editing.person(core, session, name, wanted, overrides.mark(now, [f"people.{name}"]), who)


def someone(role: str = "agent", **values: Any) -> dict[str, Any]:
    return {"role": role, "shops": [], "categories": [], "tiers": [], "most_open": 0} | values


def sentence(raw: dict[str, Any]) -> str:
    """What is wrong with a config file that says so."""
    try:
        return next(config.problems(make_settings(**raw)))
    except ValidationError as error:
        return config.describe(error, Settings)


def rows(core: Core) -> list[Override]:
    with db.reading(core.engine) as session:
        return overrides.rows(session)


def told(core: Core) -> Sequence[Event]:
    with db.reading(core.engine) as session:
        return session.exec(select(Event).where(Event.subject == "config").order_by(col(Event.id))).all()


def staff(core: Core) -> dict[str, str]:
    with db.reading(core.engine) as session:
        return dict(session.exec(select(Person.name, Person.role).where(col(Person.active))).all())


def test_what_the_desk_says_counts_and_the_rest_stays() -> None:
    """Each kind of key replaces just what it names."""
    file = make_settings(channels=[{"name": "ops", "kind": "slack"}])
    says = {
        COUNT: 9,
        "routes.crisis": ["ops"],
        "rotas": [{"people": ["主管"]}],
        "people.经理": None,
        "people.小李": {"role": "agent", "email": "li@example.com"},
        "people.主管": {"role": "lead", "slack": "U9"},
        "policy.case.high.respond": "30m",
        "policy.quiet.span": "23:00-07:00",
        "replies.quality": {"remedy": ["今天就给您换。"]},
    }
    laid = overrides.lay(file, says)
    assert laid.left_out == {}
    now = laid.settings
    assert [one.name for one in now.people] == ["客服一号", "主管", "小李"]
    assert (now.people[1].slack, now.people[1].email) == ("U9", "")
    assert (now.policy.detect.burst_count, now.routes.crisis, now.rotas[0].people) == (9, ["ops"], ["主管"])
    assert now.policy.case.high.respond.total_seconds() == 1800
    assert now.policy.case.high.solve == file.policy.case.high.solve
    assert now.policy.quiet.span == "23:00-07:00"
    assert now.replies["quality"].remedy == ["今天就给您换。"]
    assert overrides.lay(file, {}).settings is file
    assert overrides.value_of(now, "people.经理") is None
    assert overrides.value_of(now, "replies.price") is None


@pytest.mark.parametrize(
    ("key", "value", "raw"),
    [
        (COUNT, "五", {"policy": {"detect": {"burst_count": "五"}}}),
        (COUNT, 1, {"policy": {"detect": {"burst_count": 1}}}),
        (RESPOND, "1小时", {"policy": {"crisis": {"respond": "1小时"}}}),
        (RESPOND, "9" * 400 + "d", {"policy": {"crisis": {"respond": "9" * 400 + "d"}}}),
        ("routes.crisis", ["opps"], {"routes": {"crisis": ["opps"]}}),
        ("rotas", [{"people": ["客服二号"]}], {"rotas": [{"people": ["客服二号"]}]}),
        ("rotas", [{"people": ["主管"], "turn": "day"}], {"rotas": [{"people": ["主管"], "turn": "day"}]}),
        ("policy.quiet.span", "25:00-26:00", {"policy": {"quiet": {"span": "25:00-26:00"}}}),
    ],
)
def test_the_sentence_is_the_files(core: Core, key: str, value: Any, raw: dict[str, Any]) -> None:
    """What is wrong is refused in the words that the same mistake in the file would get, and nothing is kept."""
    with pytest.raises(WrongCall) as desk:
        save(core, {key: value})
    assert str(desk.value) == sentence(raw)
    assert rows(core) == []
    assert told(core) == []


@pytest.mark.parametrize("key", ["service.database_url", "channels", "sources.site.every", "smtp.host"])
def test_the_rest_is_the_files_alone(core: Core, key: str) -> None:
    """The desk cannot touch what engineers keep."""
    with pytest.raises(WrongCall, match="只能在配置文件里改"):
        save(core, {key: "x"})


def test_what_no_longer_fits_is_left_out(core: Core) -> None:
    """A route to a channel that the file lost does not count, and says why; what depends on each other still does."""
    says = {
        "people.小李": {"role": "agent"},
        "rotas": [{"people": ["小李"]}],
        "routes.crisis": ["gone"],
        COUNT: 7,
    }
    laid = overrides.lay(core.file, says)
    assert list(laid.left_out) == ["routes.crisis"]
    assert laid.left_out["routes.crisis"].startswith("routes.crisis: 没有叫 'gone' 的渠道")
    assert laid.settings.rotas[0].people == ["小李"]
    assert laid.settings.policy.detect.burst_count == 7


def test_a_change_is_kept_with_its_event(core: Core) -> None:
    """Who, what before, what after; the same again is none; the file's value needs no row."""
    save(core, {COUNT: "8", RESPOND: "1h"})
    [row] = rows(core)
    assert (row.key, row.value, row.version, row.actor) == (COUNT, {"value": 8}, 1, "经理")
    save(core, {COUNT: 8, RESPOND: "60m"})
    [event] = told(core)
    assert (event.actor, event.door, event.what) == ("经理", "desk", "changed")
    assert (event.before, event.after) == ({COUNT: 5}, {COUNT: 8})
    save(core, {COUNT: FILE}, "主管")
    assert rows(core) == []
    assert [(one.before, one.after) for one in told(core)][1:] == [({COUNT: 8}, {COUNT: 5})]
    save(core, {COUNT: 8})
    save(core, {COUNT: 5})
    assert rows(core) == []
    overrides.refresh(core)
    assert core.settings == core.file


def test_whoever_saw_an_older_value_is_told(core: Core) -> None:
    """A form that was opened before somebody else saved changes nothing; one about something else does."""
    old = overrides.mark(core.file, [COUNT])
    other = overrides.mark(core.file, [RESPOND])
    save(core, {COUNT: 8}, "经理")
    with pytest.raises(Refused, match="刚刚被别人改过"):
        save(core, {COUNT: 3}, "老板", old)
    save(core, {RESPOND: "2h"}, "老板", other)
    assert [(row.key, row.value["value"]) for row in rows(core)] == [(RESPOND, "7200.0s"), (COUNT, 8)]


def test_two_editors_at_once(core: Core) -> None:
    """Of two who save the same key at the same moment, one does and the other is told; nothing is half done."""
    seen = overrides.mark(core.file, [COUNT])
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def edit(value: int) -> None:
        ready.wait()
        try:
            save(core, {COUNT: value}, f"经理{value}", seen)
        except Refused:
            outcomes.append("told")
        else:
            outcomes.append("saved")

    editors = [threading.Thread(target=edit, args=(value,)) for value in (7, 9)]
    for one in editors:
        one.start()
    for one in editors:
        one.join()
    assert sorted(outcomes) == ["saved", "told"]
    assert len(told(core)) == len(rows(core)) == 1


def test_people_follow_at_once(core: Core) -> None:
    """Added, changed, removed and back: the store's people, their events and those of the config say the same."""
    person(core, "小李", someone(email="li@example.com"))
    assert staff(core)["小李"] == "agent"
    person(core, "小李", someone("lead", email="li@example.com"))
    assert staff(core)["小李"] == "lead"
    person(core, "客服一号", None)
    assert "客服一号" not in staff(core)
    person(core, "客服一号", FILE)
    person(core, "小李", FILE)
    assert staff(core) == {"客服一号": "agent", "主管": "lead", "经理": "manager"}
    with db.reading(core.engine) as session:
        moved = select(Event.what, Event.door).where(Event.subject == "person")
        moves = session.exec(moved.order_by(col(Event.id))).all()
    assert moves == [("joined", "desk"), ("left", "desk"), ("joined", "desk"), ("left", "desk")]
    assert rows(core) == []


def test_nothing_that_stood_falls(core: Core) -> None:
    """Somebody on a rota is not removed under it; what did not count before stands in nobody's way."""
    person(core, "小李", someone())
    save(core, {"rotas": [{"people": ["小李"]}]})
    for wanted in (None, FILE):
        with pytest.raises(WrongCall, match="没有叫 '小李' 的人"):
            person(core, "小李", wanted)
    assert staff(core)["小李"] == "agent"
    with db.writing(core.engine) as session:
        session.add(Override(key="routes.case", value={"value": ["gone"]}, at=NOW, actor="经理"))
    save(core, {COUNT: 8})
    with db.reading(core.engine) as session:
        assert editing.preview(core, session, {COUNT: 9}).settings.policy.detect.burst_count == 9


def test_a_start_keeps_the_desks_people(core: Core) -> None:
    """Whoever the desk added stays, whoever it removed stays away; nothing is told twice."""
    person(core, "小李", someone())
    person(core, "客服一号", None)
    for _ in range(2):
        with db.writing(core.engine) as session:
            changes.start(session, core.file, NOW, "root")
    assert staff(core) == {"主管": "lead", "经理": "manager", "小李": "agent"}
    assert [event.actor for event in told(core)] == ["经理", "经理"]


def test_somebody_whom_only_the_account_made_can_go(core: Core) -> None:
    """A person of ``user add`` is in no config; removing him works all the same, once."""
    with db.writing(core.engine) as session:
        session.add(Person(name="临时", role="agent", origin="desk"))
    person(core, "临时", None)
    assert "临时" not in staff(core)
    with db.reading(core.engine) as session:
        assert session.exec(select(Event.what).where(Event.subject == "person")).all() == ["left"]


@pytest.mark.parametrize(
    ("editor", "name", "wanted", "why"),
    [
        ("经理", "经理", someone("admin"), "比自己高"),
        ("经理", "经理", someone("agent"), "自己的角色"),
        ("经理", "经理", someone("manager", shops=["demo"]), "自己的角色"),
        ("经理", "经理", None, "移除自己"),
        ("经理", "老板", someone("agent"), "比自己高"),
        ("经理", "老板", None, "比自己高"),
        ("经理", "小李", someone("admin"), "比自己高"),
        ("经理", "小李", someone("king"), "应为"),
        ("经理", "小李", someone(slack="U0001"), "已经是客服一号的"),
        ("经理", "小李", someone(shops=["nowhere"]), "没有叫 'nowhere' 的店铺"),
        ("经理", "小李", someone(categories=["x"]), "没有叫 'x' 的类别"),
        ("经理", "小李", someone(most_open="-1"), "most_open"),
        ("经理", " ", someone(), "名字要有"),
        ("经理", "小\u202e李", someone(), "名字要有"),
        ("经理", "李" * 51, someone(), "名字要有"),
        ("老板", "老板", None, "移除自己"),
    ],
)
def test_nobody_rises_or_locks_himself_out(core: Core, editor: str, name: str, wanted: Any, why: str) -> None:
    """Above oneself nobody is changed and nobody is put; of oneself neither role nor shops nor the way in."""
    with db.writing(core.engine) as session:
        session.add(Person(name="老板", role="admin", origin="desk"))
    before = staff(core)
    with pytest.raises((Refused, WrongCall), match=why):
        person(core, name, wanted, editor)
    assert staff(core) == before
    assert told(core) == []


def test_the_highest_may_all_but_that(core: Core) -> None:
    """An admin gives any role, and changes his own address."""
    with db.writing(core.engine) as session:
        session.add(Person(name="老板", role="admin", origin="desk"))
    person(core, "经理", someone("admin"), "老板")
    person(core, "老板", someone("admin", email="boss@example.com"), "老板")
    assert staff(core)["经理"] == "admin"


def test_a_running_process_takes_it_over(core: Core) -> None:
    """Another process's core follows with its next look, back too; without changes it keeps what it has."""
    other = make_core(core.engine, core.file, HandClock(NOW))
    mine = other.settings
    overrides.refresh(other)
    assert other.settings is mine
    save(core, {COUNT: 8})
    overrides.refresh(other)
    assert other.settings.policy.detect.burst_count == 8
    assert other.file is mine
    kept = other.settings
    overrides.refresh(other)
    assert other.settings is kept
    save(core, {COUNT: FILE})
    overrides.refresh(other)
    assert other.settings.policy.detect.burst_count == 5


def test_running_clocks_stay(core: Core) -> None:
    """A crisis that runs keeps its deadlines; the next one has the new ones."""
    first = open_crisis(core)
    save(core, {RESPOND: "10m"})
    overrides.refresh(core)
    second = open_crisis(core, category="quality")
    with db.reading(core.engine) as session:
        wanted = select(Timer).where(Timer.stage == "respond", Timer.step == "deadline").order_by(col(Timer.crisis_id))
        due = {timer.crisis_id: (timer.due_at - NOW).total_seconds() for timer in session.exec(wanted)}
    assert due == {first: 3600, second: 600}


async def test_the_service_looks_for_itself(core: Core) -> None:
    """A service that runs goes by a change within seconds, without a restart."""

    async def crawl(_source: Any) -> None:
        raise AssertionError

    quiet: dict[str, Any] = {"sweep": int, "deliver": {}, "summaries": int, "watch": int, "hand_over": int}
    ends = asyncio.Event()
    service = asyncio.create_task(Service(core, crawl=crawl, **quiet).run(ends.wait()))
    await asyncio.sleep(0.1)
    other = make_core(core.engine, core.file, HandClock(NOW))
    await asyncio.to_thread(save, other, {COUNT: 8})
    async with asyncio.timeout(10):
        while core.settings.policy.detect.burst_count != 8:  # noqa: ASYNC110 — nothing rings when settings change
            await asyncio.sleep(0.05)
    ends.set()
    assert await service


def test_a_start_goes_by_it_and_so_do_its_messages(core: Core, tmp_path: Any) -> None:
    """The composition root reads what the desk said, and routes follow while it runs."""
    url = core.engine.url.render_as_string(hide_password=False)
    channels = [{"name": name, "kind": "webhook", "target": name, "base_url": "http://127.0.0.1:9"} for name in "ab"]
    service = {"var_dir": tmp_path, "database_url": url}
    file = make_settings(service=service, channels=channels, routes={"crisis": ["a"]})
    with db.writing(core.engine) as session:
        directory.sync(session, file)
        session.add(Override(key=COUNT, value={"value": 8}, at=NOW, actor="经理"))
    app = scheduler.build(file, HandClock(NOW))
    try:
        assert app.core.settings.policy.detect.burst_count == 8
        save(app.core, {"routes.crisis": ["b"]})
        overrides.refresh(app.core)
        open_crisis(app.core)
        with db.reading(core.engine) as session:
            from monitor.models import Outbox

            assert set(session.exec(select(Outbox.channel).where(Outbox.kind == "crisis.opened"))) == {"b"}
    finally:
        app.close()


def test_it_is_what_a_fresh_engine_reads(engine: Engine) -> None:
    """Nothing said is nothing laid, on an empty store too."""
    core = make_core(engine)
    overrides.refresh(core)
    assert core.settings is core.file
    assert core.laid == 0


def test_a_store_is_only_looked_at(sqlite: Engine, tmp_path: Any) -> None:
    """What the file's own store says is laid over it; one that is not there yet, or not set up, is left as it is."""
    none, bare = tmp_path / "none.db", tmp_path / "bare.db"
    bare.touch()
    for url, count in ((f"sqlite:///{none}", 5), (f"sqlite:///{bare}", 5), (str(sqlite.url), 8)):
        file = make_settings(service={"database_url": url, "var_dir": tmp_path})
        core = make_core(sqlite, file)
        if count != file.policy.detect.burst_count:
            save(core, {COUNT: count})
        assert overrides.stored(file).settings.policy.detect.burst_count == count
    assert not none.exists()
    with pytest.raises(SQLAlchemyError):
        overrides.stored(make_settings(service={"database_url": "postgresql+psycopg://nobody@127.0.0.1:9/none"}))
