"""The desk behind its door: who gets in, who sees what, and that nothing changes without the right role."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from factories import make_core, make_hash, make_settings
from serving import browse
from sqlalchemy import Engine
from sqlmodel import func, select
from subjects import open_case, open_crisis

import scheduler
from alerts.desk import accounts
from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, directory
from monitor.clock import HandClock
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Account, Case, Crisis, Event, Feedback, FeedbackVersion, Outbox, Person
from monitor.transitions import ACTIONS

PASSWORD = "correct horse"
ROLES = {"客服一号": "agent", "主管": "lead", "经理": "manager", "品牌": "brand", "管理员": "admin"}
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def staffed(core: Core) -> Core:
    """The store's house with one person of each role, all with an account."""
    people = [{"name": name, "role": role} for name, role in ROLES.items()]
    house = make_core(core.engine, make_settings(people=people), core.clock)
    with db.writing(core.engine) as session:
        directory.sync(session, house.settings)
        session.add_all(Account(name=name, password=hashed(), created_at=house.clock.now()) for name in ROLES)
    return house


@pytest.fixture
def core(core: Core) -> Core:
    return staffed(core)


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with browse(create_app(core, Links(core.secret, "http://127.0.0.1:8000", core.clock))) as client:
        yield client


def hashed() -> str:
    return make_hash(PASSWORD)


def enter(desk: httpx.Client, name: str = "主管", password: str = PASSWORD, **more: str) -> httpx.Response:
    desk.cookies.clear()
    return desk.post("/login", data={"name": name, "password": password, **more})


def key(desk: httpx.Client) -> str:
    found = re.search(r'name="form_key" value="(\w+)"', desk.get("/cases").text)
    assert found
    return found[1]


def do(desk: httpx.Client, path: str, **fields: str) -> httpx.Response:
    return desk.post(path, data={"form_key": key(desk), "once": "o1"} | fields)


def counts(core: Core) -> tuple[int, int, set[str]]:
    """Events, messages, and how cases and crises stand."""
    with db.reading(core.engine) as session:
        said = {f"{row.state}{row.assignee_id}{row.version}" for row in session.exec(select(Case))}
        said |= {f"{row.state}{row.assignee_id}{row.version}" for row in session.exec(select(Crisis))}
        events = session.exec(select(func.count()).select_from(Event).where(Event.what != "refused")).one()
        return events, session.exec(select(func.count()).select_from(Outbox)).one(), said


def test_nobody_gets_in_without_a_login(desk: httpx.Client, core: Core) -> None:
    """Every page leads to the login and back; the way back never leaves this desk."""
    case = open_case(core)
    for path in ("/", "/cases", f"/cases/{case}", "/crises", "/outbox"):
        answer = desk.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=")
    assert desk.post(f"/cases/{case}/claim", data={}).status_code == 401
    assert enter(desk, next="/cases?which=mine").headers["location"] == "/cases?which=mine"
    for outside in ("//evil.test/", "https://evil.test", "/\\evil.test", "javascript:x"):
        assert enter(desk, next=outside).headers["location"] == "/"


def test_the_cookie_is_shut_and_ends(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """HttpOnly, SameSite, no longer than the session; a changed password ends it at once; a forged one is none."""
    cookie = enter(desk).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert desk.get("/cases").status_code == 200
    clock.move(timedelta(hours=12, seconds=1))
    assert desk.get("/cases").status_code == 303
    enter(desk)
    with db.writing(core.engine) as session:
        accounts.set_password(session, "主管", "another horse", core.clock.now(), "老板")
    assert desk.get("/cases").status_code == 303
    desk.cookies.set("pingshao", "WyJcdTRlM2J1YWQiXQ.x")
    assert desk.get("/cases").status_code == 303


def test_wrong_passwords_cost_time(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """After some failures nobody is looked at for a while, the right password included; then it opens again."""
    for _ in range(6):
        assert enter(desk, password="wrong").status_code == 401
    told = enter(desk)
    assert told.status_code == 429
    assert "试错太多次" in told.text
    clock.move(timedelta(minutes=16))
    assert enter(desk).status_code == 303
    assert enter(desk, name="路人").status_code == 401


def test_a_person_who_left_is_out(desk: httpx.Client, core: Core) -> None:
    """Whoever is no longer among the people loses the desk with the next click."""
    enter(desk, "客服一号")
    with db.writing(core.engine) as session:
        person = session.exec(select(Person).where(Person.name == "客服一号")).one()
        person.active = False
        session.add(person)
    assert desk.get("/cases").status_code == 303


@pytest.mark.parametrize("name", ROLES)
def test_no_role_does_what_it_may_not(desk: httpx.Client, core: Core, name: str) -> None:
    """Every action on every subject, by every role: what is not allowed changes nothing, and is not offered."""
    case, crisis = open_case(core), open_crisis(core)
    enter(desk, name)
    form_key = key(desk)
    for plural, kind, number in (("cases", "case", case), ("crises", "crisis", crisis)):
        page = desk.get(f"/{plural}/{number}").text
        for n, (what, info) in enumerate(ACTIONS.items()):
            if kind in info.moves and info.allowed(kind, ROLES[name]):
                continue
            assert f"/{plural}/{number}/{what}" not in page
            before = counts(core)
            fields = {"form_key": form_key, "once": f"x{n}", "note": "记", "to": "主管"}
            assert desk.post(f"/{plural}/{number}/{what}", data=fields).status_code in (404, 409)
            assert counts(core) == before


def test_what_a_review_said_before_is_shown(desk: httpx.Client, core: Core) -> None:
    """The case shows the words as they are, the shop's reply, and what stood there before the buyer's edit."""
    case = open_case(core, ["一般，还行吧"])
    with db.writing(core.engine) as session:
        row = session.exec(select(Feedback).where(Feedback.case_id == case)).one()
        session.add(
            FeedbackVersion(feedback_id=row.id, version=1, at=row.updated_at, text="用一天就<b>坏</b>了", stars=1)
        )
        row.version, row.reply = 2, "亲，已经给您补发"
        session.add(row)
    enter(desk, "客服一号")
    page = desk.get(f"/cases/{case}").text
    for words in (
        "一般，还行吧",
        "改过 1 次",
        "用一天就&lt;b&gt;坏&lt;/b&gt;了",
        "店铺回复：<bdi>亲，已经给您补发</bdi>",
    ):
        assert words in page


def test_claim_contact_resolve(desk: httpx.Client, core: Core) -> None:
    """The way of a case through the desk; a form sent twice does it once; a second person is told who was faster."""
    case = open_case(core)
    enter(desk, "客服一号")
    assert "待认领" in desk.get("/cases").text
    for step in ("claim", "contacted", "answered", "resolved"):
        for _ in range(2):
            answer = do(desk, f"/cases/{case}/{step}", once=step)
            assert answer.status_code == 303
    with db.reading(core.engine) as session:
        row = session.get_one(Case, case)
        told = session.exec(select(Event.what, Event.door).where(Event.actor == "客服一号")).all()
    assert row.state == "resolved"
    assert told == [(step, "desk") for step in ("claim", "contacted", "answered", "resolved")]
    assert f"/cases/{case}" in desk.get("/cases?which=done").text
    again = do(desk, f"/cases/{case}/contacted", once="late")
    assert again.status_code == 409
    assert "现在是“已解决”" in again.text


def test_forms_from_elsewhere_are_refused(desk: httpx.Client, core: Core) -> None:
    """Without our key, or from a foreign page, nothing is done."""
    case = open_case(core)
    enter(desk, "客服一号")
    before = counts(core)
    good = {"form_key": key(desk), "once": "1"}
    assert desk.post(f"/cases/{case}/claim", data={"once": "1"}).status_code == 403
    assert desk.post(f"/cases/{case}/claim", data=good | {"form_key": "签名"}).status_code == 403
    foreign = {"Origin": "https://evil.test"}
    assert desk.post(f"/cases/{case}/claim", data=good, headers=foreign).status_code == 403
    assert desk.post("/login", data={"name": "主管", "password": PASSWORD}, headers=foreign).status_code == 403
    assert desk.post("/logout", data={}).status_code == 403
    assert desk.post(f"/cases/{case}/claim", data=good | {"once": ""}).status_code == 400
    assert counts(core) == before
    assert desk.post("/logout", data=good).status_code == 303
    assert desk.get("/cases").status_code == 303


def test_people_see_their_shops_only(desk: httpx.Client, core: Core) -> None:
    """Cases of other shops are neither listed nor opened nor changed, and their crises not on the status page."""
    case, crisis = open_case(core), open_crisis(core)
    enter(desk)
    assert f'href="/crises/{crisis}"' in desk.get("/").text
    with db.writing(core.engine) as session:
        person = session.exec(select(Person).where(Person.name == "客服一号")).one()
        person.shops = ["other"]
        session.add(person)
    enter(desk, "客服一号")
    assert f"/cases/{case}" not in desk.get("/cases").text
    assert desk.get(f"/cases/{case}").status_code == 404
    assert do(desk, f"/cases/{case}/claim").status_code == 404
    assert f"危机 #{crisis}" not in desk.get("/").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("which=open", True),
        ("which=mine", False),
        ("which=free", True),
        ("which=late", False),
        ("which=done", False),
        ("which=all", True),
        ("severity=low&which=all", False),
        ("shop=demo", True),
        ("shop=x", False),
        ("category=%22%25", False),
        ("q=%25", False),
        ("q=_", False),
        ("q=%231", True),
        ("q=99999999999999999999", False),
        ("page=2", False),
    ],
)
def test_the_inbox_is_filtered(desk: httpx.Client, core: Core, query: str, *, found: bool) -> None:
    """Filters choose; marks that databases know are only characters."""
    case = open_case(core)
    enter(desk)
    answer = desk.get(f"/cases?{query}")
    assert answer.status_code == 200
    assert (f'/cases/{case}"' in answer.text) is found


def test_the_board_and_stuck_messages(desk: httpx.Client, core: Core) -> None:
    """Crises with their clocks; a dead message is sent again by a lead, not by an agent."""
    crisis = open_crisis(core)
    with db.writing(core.engine) as session:
        row = Outbox(
            dedupe_key="k", channel="ops", target="C1", kind="crisis.opened", subject="crisis", subject_id=crisis,
            state="dead", created_at=core.clock.now(), not_before=core.clock.now(), last_error="channel_not_found",
        )  # fmt: skip
        session.add(row)
    enter(desk, "客服一号")
    assert f"/crises/{crisis}" in desk.get("/crises").text
    assert "channel_not_found" in desk.get("/outbox").text
    assert do(desk, "/outbox/1/retry").status_code == 403
    enter(desk, "主管")
    assert do(desk, "/outbox/1/retry").status_code == 303
    with db.reading(core.engine) as session:
        assert session.get_one(Outbox, 1).state == "pending"
        retried = session.exec(select(Event).where(Event.what == "retried")).one()
    assert (retried.actor, retried.door, retried.subject_id) == ("主管", "desk", 1)


def test_a_plan_brings_members_and_facts(desk: httpx.Client, core: Core) -> None:
    """Stage 1 on the desk asks for the group, the facts and the plan."""
    crisis = open_crisis(core)
    enter(desk, "客服一号")
    fields = {"note": "先补发", "members": "客服、仓库", "facts": "一批没出库"}
    assert do(desk, f"/crises/{crisis}/plan", **fields).status_code == 303
    with db.reading(core.engine) as session:
        row = session.get_one(Crisis, crisis)
    assert (row.plan, row.members, row.facts) == ("先补发", "客服、仓库", "一批没出库")


@pytest.mark.parametrize(
    ("peers", "status"), [(["127.0.0.1"], 200), (["10.0.0.1"], 303), (["203.0.113.7"], 303)], ids=str
)
def test_a_proxy_may_say_who_it_is(core: Core, peers: list[str], status: int) -> None:
    """A known proxy's word counts, by its own address, whosever it passes on; from elsewhere the header is nothing."""
    desk = core.settings.desk.model_copy(update={"user_header": "X-User", "header_from": peers})
    house = make_core(core.engine, core.settings.model_copy(update={"desk": desk}), core.clock)
    with browse(create_app(house, Links(house.secret, "http://127.0.0.1:8000", house.clock))) as client:
        for passed_on in ({}, {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}):
            for name, answered in (("主管", status), ("nobody", 303)):
                headers = passed_on | {"X-User": name.encode()}
                assert client.get("/cases", headers=headers).status_code == answered, (passed_on, name)


def test_accounts_are_told_what_is_wrong(core: Core) -> None:
    """A double, a short password, another role than the config's, an unknown name."""
    now = core.clock.now()
    with db.writing(core.engine) as session:
        for name, role, password, words in (
            ("主管", "lead", PASSWORD, "已经有"),
            ("新人", "agent", "short", "密码要"),
            (" ", "agent", PASSWORD, "不能是空的"),
        ):
            with pytest.raises(WrongCall, match=words):
                accounts.add(session, name, role, password, now, "老板")
        accounts.add(session, "新人", "agent", PASSWORD, now, "老板")
        assert session.get_one(Account, "新人").password.startswith("$argon2id$")
        assert session.exec(select(Person.origin).where(Person.name == "新人")).one() == "desk"
        directory.sync(session, core.settings)
        assert session.exec(select(Person.active).where(Person.name == "新人")).one()
        accounts.remove(session, "新人", now, "老板")
        session.flush()
        told = session.exec(select(Event.what).where(Event.actor == "老板")).all()
        assert told == ["account.added", "account.removed"]
        assert not session.exec(select(Person.active).where(Person.name == "新人")).one()
        for change in (
            lambda: accounts.remove(session, "x", now, "老板"),
            lambda: accounts.set_password(session, "x", PASSWORD, now, "老板"),
        ):
            with pytest.raises(WrongCall, match="没有叫"):
                change()


def test_users_by_command(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first admin is made on the command line; the password comes from standard input and is never shown."""
    (tmp_path / "pingshao.toml").write_text('[[shops]]\nid = "demo"\nname = "店"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("commands.users._password", lambda: PASSWORD)
    assert scheduler.run(["user", "add", "老板"]) == 0
    assert scheduler.run(["user", "password", "老板"]) == 0
    assert scheduler.run(["user", "list"]) == 0
    told = capsys.readouterr()
    assert "老板\tadmin" in told.out
    assert PASSWORD not in told.out + told.err
    assert scheduler.run(["user", "add", "乙", "--role", "boss"]) == 2
    assert scheduler.run(["user", "remove", "老板"]) == 0
    assert scheduler.run(["user", "list", "--json"]) == 0
    assert '"users": []' in capsys.readouterr().out


def test_records_are_for_leads(desk: httpx.Client, core: Core) -> None:
    """The audit and the tables: leads see them, agents and people of some shops do not."""
    open_crisis(core, ["没收到货"])
    enter(desk, "客服一号")
    assert [desk.get(path).status_code for path in ("/audit", "/export", "/export/events.csv")] == [403] * 3
    enter(desk, "主管")
    assert "开启" in desk.get("/audit").text
    assert desk.get("/audit?who=nobody&page=2").status_code == 200
    assert "/export/feedback.xlsx" in desk.get("/export").text
    table = desk.get("/export/events.csv")
    assert table.text.lstrip("\ufeff").startswith("id,")
    assert "attachment" in table.headers["content-disposition"]
    assert desk.get("/export/feedback.xlsx").content[:2] == b"PK"
    assert [desk.get(path).status_code for path in ("/export/x.csv", "/export/cases.exe")] == [404] * 2


def test_posts_with_their_spread(desk: httpx.Client, core: Core) -> None:
    """Negative posts, or all of them; reviews are not among them."""
    case = open_case(core, ["杯子漏水"])
    with db.writing(core.engine) as session:
        row = session.exec(select(Feedback).where(Feedback.case_id == case)).first()
        assert row is not None
        row.kind, row.text = "mention", "这家店的杯子漏水，<b>别买</b>"
        session.add(row)
    enter(desk, "品牌")
    page = desk.get("/mentions?only=all").text
    assert "&lt;b&gt;别买" in page
    assert f'/cases/{case}"' in page
    assert desk.get("/mentions?page=3").status_code == 200


def test_the_buyers_of_a_crisis(desk: httpx.Client, core: Core) -> None:
    """A table of who is affected, masked, for those who may see the shop."""
    crisis = open_crisis(core, ["没收到货", "说是签收了"])
    enter(desk, "客服一号")
    assert f"/crises/{crisis}/buyers.csv" in desk.get(f"/crises/{crisis}").text
    table = desk.get(f"/crises/{crisis}/buyers.csv")
    assert table.status_code == 200
    assert "李**明" in table.text
    assert desk.get("/crises/99/buyers.csv").status_code == 404
