"""Corrections, drafts that fit, feedbacks behind a number and tokens, by the API."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from callers import bearer, desk_of, house, log_in, seed, standing, token
from sqlmodel import col, select
from subjects import CASE_CLOCKS, open_case

from monitor import db, lifecycle
from monitor.core import Core
from monitor.models import Case, Event, Score
from monitor.moves import Action, Actor

API = "/api/v1"
sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def core(core: Core) -> Core:
    return house(core)


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with desk_of(core) as client:
        client.headers.update(token(core))
        yield client


def corrected(core: Core, what: str, text: str, to: str = "", note: str = "") -> int:
    """A case that somebody corrected; gives its id."""
    case = open_case(core, [text], policy=CASE_CLOCKS, categories=["logistics"])
    with db.writing(core.engine) as session:
        lifecycle.act(core, session, Action(what, "case", case, note, to), Actor("客服一号", "agent", "desk"))
    return case


def listed(desk: httpx.Client, query: str = "") -> Any:
    answer = desk.get(f"{API}/corrections{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def undo(desk: httpx.Client, number: int, key: str) -> httpx.Response:
    return desk.post(f"{API}/corrections/{number}/undo", headers={"Idempotency-Key": key})


def test_corrections_are_found_and_taken_back(desk: httpx.Client, core: Core) -> None:
    """By kind, person and category, page by page; undone through the one handler, once for each key."""
    refiled = corrected(core, "refile", "杯子裂了", "damage")
    false = corrected(core, "false_alarm", "其实挺好的")
    bad = corrected(core, "extortion", "不给钱就差评", note="截图已存")
    one, two = listed(desk)["items"]
    assert (one["kind"], one["case_id"], one["undo"], one["text"]) == ("false", false, True, "其实挺好的")
    assert (two["before"]["categories"], two["after"]["categories"]) == (["logistics"], ["damage"])
    first = listed(desk, "?limit=1")
    assert [row["id"] for row in listed(desk, f"?after={first['next']}")["items"]] == [two["id"]]
    for query, found in (("which=refile", 1), ("which=back", 0), ("category=damage", 1), ("category=%25", 0),
                         (f"who={quote('客服一号')}", 2), (f"who={quote('主管')}", 0)):  # fmt: skip
        assert len(listed(desk, f"?{query}")["items"]) == found, query
    (suspected,) = listed(desk, "?which=extortion")["items"]
    assert (suspected["case_id"], suspected["feedback_id"], suspected["text"]) == (bad, None, "疑似，依据：截图已存")
    assert listed(desk, f"?which=extortion&who={quote('主管')}")["items"] == []
    for number in (1, 2):
        answers = [undo(desk, number, f"u{number}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json()["done"]
    assert undo(desk, 1, "late").status_code == 409
    assert "另一件事" in undo(desk, 2, "u1").json()["detail"]
    assert undo(desk, 99, "none").status_code == 404
    with db.reading(core.engine) as session:
        assert session.get_one(Case, refiled).categories == ["logistics"]
        assert session.get_one(Case, false).state == "received"
        assert all(score.negative for score in session.exec(select(Score)))
        done = session.exec(select(Event.what, Event.actor).where(Event.door == "api").order_by(col(Event.id))).all()
    assert done == [("refile", "程序 erp"), ("reopen", "程序 erp")]


@sqlite
def test_corrections_of_other_shops_stay_there(desk: httpx.Client, core: Core) -> None:
    """Neither listed nor undone by a program of another shop."""
    corrected(core, "false_alarm", "其实挺好的")
    corrected(core, "extortion", "不给钱就差评", note="截图")
    desk.headers.update(token(core, "另一家", shops=("other",)))
    before = standing(core)
    assert listed(desk)["items"] == listed(desk, "?which=extortion")["items"] == []
    assert undo(desk, 1, "a").status_code == 404
    assert standing(core) == before


@sqlite
def test_drafts_are_picked_and_answers_checked(desk: httpx.Client, core: Core) -> None:
    """Those that fit, those that words find, and what is wrong with what was written; nothing changes."""
    case, crisis = seed(core)
    before = standing(core)
    fitting = desk.get(f"{API}/cases/{case}/drafts").json()
    assert len(fitting) >= 3
    assert all(one["text"] and one["name"] for one in fitting)
    found = desk.get(f"{API}/crises/{crisis}/drafts", params={"q": "电池不耐用"}).json()
    assert any("电池" in one["name"] + one["text"] for one in found)
    check = f"{API}/cases/{case}/drafts/check"
    faults = desk.post(check, json={"text": "亲，我们的杯子全网最好，给好评返现。"}).json()
    assert {"banned"} <= {one["kind"] for one in faults}
    assert desk.post(check, json={"text": ""}).status_code == 422
    assert desk.post(f"{API}/cases/99/drafts/check", json={"text": "亲"}).status_code == 404
    assert standing(core) == before
    desk.headers.update(token(core, "另一家", shops=("other",)))
    assert desk.get(f"{API}/cases/{case}/drafts").status_code == 404


def test_what_is_behind_a_number(desk: httpx.Client, core: Core) -> None:
    """As many as the report counts, chosen as it counts them; false alarms are none."""
    seed(core)
    corrected(core, "false_alarm", "其实挺好的")
    answer = desk.get(f"{API}/behind", params={"bad": "true", "category": "logistics", "limit": "1"}).json()
    assert (answer["count"], [one["id"] for one in answer["items"]], answer["next"]) == (3, [3], "3")
    rest = desk.get(f"{API}/behind?bad=true&category=logistics&after=3").json()
    assert ([one["id"] for one in rest["items"]], rest["next"]) == ([2, 1], None)
    assert desk.get(f"{API}/behind").json()["count"] == 4
    assert desk.get(f"{API}/behind?kind=mention").json()["count"] == 1
    assert desk.get(f"{API}/behind?since=2026-11-21").json()["count"] == 0
    assert desk.get(f"{API}/behind?until=2026-11-20&shop=demo&platform=x").json()["count"] == 0
    waiting = desk.get(f"{API}/behind?became=waiting&followup=&word=").json()
    assert waiting["count"] == len(waiting["items"]) == desk.get(f"{API}/behind?bad=true").json()["count"] > 0
    assert desk.get(f"{API}/behind?stars=good&begin=1.5&end=2.5").json()["count"] == 0
    for amiss in ("since=yesterday", "cleared=1", "became=gone", "word=%00", "end=inf"):
        assert desk.get(f"{API}/behind?{amiss}").status_code == 422
    desk.headers.update(token(core, "另一家", shops=("other",)))
    assert desk.get(f"{API}/behind").json()["count"] == 0


@sqlite
def test_tokens_are_listed_and_shut_but_make_no_others(desk: httpx.Client, core: Core) -> None:
    """A program of an admin sees and revokes tokens; a new one is for somebody who is logged in."""
    desk.headers.update(token(core, "管", role="admin"))
    wish = {"name": "新的", "scopes": ["read"], "role": "agent", "shops": ["demo"], "days": 30}
    refused = desk.post(f"{API}/tokens", json=wish)
    assert (refused.status_code, refused.json()["detail"]) == (403, "令牌不能造令牌，请登录后再造。")
    names = {one["name"]: one for one in desk.get(f"{API}/tokens").json()}
    assert (names["erp"]["role"], names["erp"]["state"]) == ("lead", "ok")
    assert "psh_" not in desk.get(f"{API}/tokens").text
    number = names["erp"]["id"]
    assert desk.post(f"{API}/tokens/{number}/revoke").json()["done"]
    assert desk.post(f"{API}/tokens/{number}/revoke").status_code == 409
    assert desk.post(f"{API}/tokens/99/revoke").status_code == 404
    del desk.headers["Authorization"]
    log_in(core, desk, "管理员")
    own = {"X-Form-Key": desk.get(f"{API}/me").json()["form_key"]}
    made = desk.post(f"{API}/tokens", json=wish, headers=own).json()
    told = desk.get(f"{API}/me", headers=bearer(made["token"])).json()
    assert (told["name"], told["shops"], told["scopes"]) == ("程序 新的", ["demo"], ["read"])
    assert "已经有叫" in desk.post(f"{API}/tokens", json=wish, headers=own).json()["detail"]
    lasting = desk.post(f"{API}/tokens", json=wish | {"name": "久", "days": None}, headers=own)
    assert lasting.status_code == 200
    with db.reading(core.engine) as session:
        doors = session.exec(select(Event.what, Event.door).where(Event.subject == "token", Event.door == "api")).all()
    assert doors == [("token.revoked", "api"), ("token.added", "api"), ("token.added", "api")]


@sqlite
def test_a_day_that_is_none_is_told(desk: httpx.Client, core: Core) -> None:
    """An improvement's day looks like one and is none: the desk's sentence, and nothing is entered."""
    before = standing(core)
    answer = desk.post(f"{API}/improvements", json={"what": "换箱", "category": "damage", "since": "2026-13-45"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "看不懂日期“2026-13-45”，应如 2026-11-01。")
    assert standing(core) == before
