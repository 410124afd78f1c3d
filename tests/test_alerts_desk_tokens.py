"""Tokens of programs: shown once, kept as a digest, shut when they should be."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from callers import ROLES, bearer, desk_of, house, standing, token
from factories import make_core, make_hash
from sqlalchemy import Engine
from sqlmodel import select

import scheduler
from alerts.desk import tokens
from alerts.desk.tokens import Unknown, Wish
from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Account, ApiToken, Event, LoginTry, Person

ME = "/api/v1/me"
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def core(core: Core) -> Core:
    return house(core)


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    hashed = make_hash("correct horse")
    with db.writing(core.engine) as session:
        session.add_all(Account(name=name, password=hashed, created_at=core.clock.now()) for name in ROLES)
    with desk_of(core) as client:
        yield client


def enter(desk: httpx.Client, name: str) -> str:
    """Log in; gives the key of forms."""
    desk.cookies.clear()
    assert desk.post("/login", data={"name": name, "password": "correct horse"}).status_code == 303
    found = re.search(r'name="form_key" value="(\w+)"', desk.get("/").text)
    assert found
    return found[1]


def row(core: Core, name: str = "erp") -> ApiToken:
    with db.reading(core.engine) as session:
        return session.exec(select(ApiToken).where(ApiToken.name == name)).one()


def test_a_token_is_kept_as_a_digest(core: Core) -> None:
    """What is shown begins with psh_ and stands nowhere in the store or the audit."""
    given = token(core)["Authorization"].removeprefix("Bearer ")
    assert re.fullmatch(r"psh_[0-9a-f]{48}", given)
    kept = row(core)
    assert re.fullmatch("[0-9a-f]{64}", kept.digest)
    with db.reading(core.engine) as session:
        event = session.exec(select(Event).where(Event.what == "token.added")).one()
    assert given[4:] not in f"{kept!r}{event!r}"
    assert (event.actor, event.after["as"]) == ("老板", "role:lead")


def test_use_is_noted_once_a_minute(core: Core, clock: HandClock) -> None:
    """The first use, and the next that is a minute later; nothing between."""
    given = token(core)["Authorization"].removeprefix("Bearer ")
    first = clock.now()
    for seconds, noted in ((0, first), (59, first), (1, first + timedelta(minutes=1))):
        clock.move(timedelta(seconds=seconds))
        tokens.find(core, given, "")
        assert row(core).last_used_at == noted


def test_a_store_that_takes_nothing_can_be_read(core: Core) -> None:
    """Where the use cannot be noted the token counts all the same."""
    given = token(core)["Authorization"].removeprefix("Bearer ")
    hasty = make_core(db.connect(str(core.engine.url), busy_ms=1), core.settings, core.clock)
    with db.writing(core.engine) as session:
        session.connection()  # takes the lock
        assert tokens.find(hasty, given, "")[0].name == "erp"
    hasty.engine.dispose()
    assert row(core).last_used_at is None


def test_tokens_end(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """Revoked, expired, of somebody who left, of shops nobody has any more: each says why, and lets nobody in."""
    revoked, brief = token(core, "一"), token(core, "二", lasts=timedelta(days=1))
    left, moved = token(core, "三", person="客服一号"), token(core, "四", person="经理", shops=("demo",))
    for headers in (revoked, brief, left, moved):
        assert desk.get(ME, headers=headers).status_code == 200
    clock.move(timedelta(days=1))
    with db.writing(core.engine) as session:
        tokens.revoke(core, session, "一", "老板", "cli")
        people = {one.name: one for one in session.exec(select(Person))}
        people["客服一号"].active, people["经理"].shops = False, ["other"]
        session.add_all(people.values())
    for headers, status, words in (
        (revoked, 401, "已停用"),
        (brief, 401, "已过期"),
        (left, 401, "不在了"),
        (moved, 403, "店铺"),
    ):
        answer = desk.get(ME, headers=headers)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True)


def test_wrong_tokens_cost_time(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """After some from one address none is looked up there for a while; a right one is, and people log in as before."""
    good = token(core)
    wrong = [desk.get(ME, headers=bearer(f"psh_{n}")).status_code for n in range(8)]
    assert wrong == [401] * 6 + [429] * 2
    assert int(desk.get(ME, headers=bearer("psh_x")).headers["retry-after"]) >= 1
    assert desk.get(ME, headers=good).status_code == 200
    assert enter(desk, "主管")
    with db.reading(core.engine) as session:
        assert [one.failures for one in session.exec(select(LoginTry))] == [6]
    clock.move(timedelta(minutes=16))
    assert desk.get(ME, headers=bearer("psh_x")).status_code == 401


def test_strange_tokens_are_none(desk: httpx.Client, core: Core) -> None:
    """Whatever stands in the header: no 500, and only what begins like one of ours counts as a try."""
    for value in (
        "Bearer",
        "Bearer psh_签名".encode(),
        "Basic YTpi",
        "bearer psh_",
        "Bearer " + "psh_" * 5000,
        "psh_1",
    ):
        assert desk.get(ME, headers={"Authorization": value}).status_code in (400, 401)  # type: ignore[dict-item]


def test_what_is_wished_is_checked(core: Core) -> None:
    """Every mistake is one line that says what is there instead; nothing is made."""
    with db.writing(core.engine) as session:
        person = session.exec(select(Person).where(Person.name == "客服一号")).one()
        person.shops = ["demo"]
        session.add(person)
    token(core)
    read = ("read",)
    wrong = [
        (Wish("erp", read, role="lead"), "已经有"),
        (Wish(" ", read, role="lead"), "看得见"),
        (Wish("a\n", read, role="lead"), "看得见"),
        (Wish("a" * 61, read, role="lead"), "看得见"),
        (Wish("a", (), role="lead"), "能做什么"),
        (Wish("a", ("write",), role="lead"), "能做的事.*read"),
        (Wish("a", read, role="boss"), "角色.*admin"),
        (Wish("a", read, person="主管", role="lead"), "二者选一"),
        (Wish("a", read), "二者选一"),
        (Wish("a", read, person="路人"), "没有叫 '路人' 的人"),
        (Wish("a", read, role="lead", shops=("x",)), "店铺"),
        (Wish("a", read, person="客服一号", shops=("other",)), "只管 demo"),
        (Wish("a", read, role="lead", lasts=timedelta()), "将来"),
    ]
    for wish, words in wrong:
        with pytest.raises(WrongCall, match=words), db.writing(core.engine) as session:
            tokens.add(core, session, wish, "老板", "cli")
    with pytest.raises(WrongCall, match="没有叫"), db.writing(core.engine) as session:
        tokens.revoke(core, session, "x", "老板", "cli")
    with db.reading(core.engine) as session:
        assert [one.name for one, _ in tokens.listing(session)] == ["erp"]
    with pytest.raises(Unknown):
        tokens.find(core, "psh_", "")


def test_an_admin_makes_and_revokes_tokens_on_the_desk(desk: httpx.Client, core: Core) -> None:
    """The page shows a new token once; it works, is listed without its secret, and ends with a click."""
    form_key = enter(desk, "管理员")
    wish = {"form_key": form_key, "name": "<b>ERP</b>", "who": "person:客服一号", "scope_read": "1", "shops": "demo"}
    page = desk.post("/tokens", data=wish | {"lasts": "30"})
    assert page.status_code == 200
    found = re.search(r"<code>(psh_\w+)</code>", page.text)
    assert found
    assert "&lt;b&gt;ERP&lt;/b&gt;" in page.text
    assert desk.get(ME, headers=bearer(found[1])).json()["name"] == "客服一号"
    again = desk.get("/tokens").text
    assert found[1] not in again
    assert "代表" in again
    assert desk.post("/tokens", data=wish).status_code == 409
    assert "能做什么" in desk.post("/tokens", data={"form_key": form_key, "name": "x", "who": "role:agent"}).text
    assert desk.post("/tokens", data=wish | {"name": "y", "lasts": "7"}).status_code == 400
    number = row(core, "<b>ERP</b>").id
    assert desk.post(f"/tokens/{number}/revoke", data={"form_key": form_key}).status_code == 303
    assert desk.post(f"/tokens/{number}/revoke", data={"form_key": form_key}).status_code == 409
    assert desk.post("/tokens/99/revoke", data={"form_key": form_key}).status_code == 404
    assert "已停用" in desk.get("/tokens").text
    assert desk.get(ME, headers=bearer(found[1])).status_code == 401


@pytest.mark.parametrize("name", ROLES)
def test_only_admins_have_to_do_with_tokens(desk: httpx.Client, core: Core, name: str) -> None:
    """Every other role, an admin of some shops, a form without our key: refused, and nothing changes."""
    token(core)
    form_key = enter(desk, name)
    wish = {"name": "x", "who": "role:admin", "scope_act": "1", "lasts": ""}
    before = standing(core)
    assert desk.post("/tokens", data=wish).status_code == 403
    assert desk.post("/tokens/1/revoke", data={}).status_code == 403
    if ROLES[name] == "admin":
        with db.writing(core.engine) as session:
            person = session.exec(select(Person).where(Person.name == name)).one()
            person.shops = ["demo"]
            session.add(person)
    assert desk.get("/tokens").status_code == 403
    assert desk.post("/tokens", data=wish | {"form_key": form_key}).status_code == 403
    assert desk.post("/tokens/1/revoke", data={"form_key": form_key}).status_code == 403
    assert standing(core) == before
    desk.cookies.clear()
    assert desk.post("/tokens", data=wish | {"form_key": form_key}).status_code == 401


def test_tokens_by_command(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made, listed and revoked on the command line; a mistake is one line and exit status 2."""
    (tmp_path / "pingshao.toml").write_text(
        '[[shops]]\nid = "demo"\nname = "店"\n[[people]]\nname = "主管"\nrole = "lead"\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    add = ["token", "add", "erp", "--scope", "read", "--scope", "act"]
    assert scheduler.run([*add, "--person", "主管", "--shop", "demo"]) == 0
    assert capsys.readouterr().out.startswith("psh_")
    assert scheduler.run(["token", "add", "bi", "--scope", "export", "--role", "lead", "--lasts", "always"]) == 0
    assert scheduler.run([*add, "--role", "lead"]) == 2
    assert scheduler.run(["token", "add", "x", "--scope", "read", "--role", "lead", "--lasts", "soon"]) == 2
    assert "--lasts" in capsys.readouterr().err
    assert scheduler.run(["token", "revoke", "erp"]) == 0
    assert scheduler.run(["token", "revoke", "erp"]) == 2
    capsys.readouterr()
    assert scheduler.run(["token", "list"]) == 0
    assert capsys.readouterr().out == "bi\trole:lead\texport\t有效\nerp\t主管\tread,act\t已停用\n"
    assert scheduler.run(["token", "list", "--json"]) == 0
    assert '"expires_at": null' in capsys.readouterr().out
