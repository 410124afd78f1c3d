"""What was mended, at the desk and by the API: entered by who leads, with what came of it, put right and taken back."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from callers import SITE, token
from factories import NOW, make_core, make_settings
from factories_reports import Record, month, store
from serving import browse
from sqlalchemy import Engine
from sqlmodel import Session, select

from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, directory, improvements
from monitor.clock import HandClock
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.improvements import Entry
from monitor.models import Event, Improvement, Product
from reports import effects
from reports.improvements import mended
from reports.shelf import ReportShelf

API = "/api/v1/improvements"
PEOPLE = [
    {"name": "Lead", "role": "lead"},
    {"name": "Agent", "role": "agent"},
    {"name": "Brand", "role": "brand"},
    {"name": "Branch", "role": "lead", "shops": ["jd"]},
]
BOX = {"what": "加固包装", "category": "damage", "day": "2026-10-28", "shop": "", "product": ""}
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def house(engine: Engine, clock: HandClock) -> Core:
    shops = [{"id": name, "name": f"{name} 店", "platform": "tmall"} for name in ("demo", "jd")]
    desk = {"user_header": "X-User", "api_rate": "100000/1m"}
    core = make_core(engine, make_settings(people=PEOPLE, shops=shops, desk=desk), clock)
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
        session.add(Product(shop_id="demo", name="双层玻璃杯 420ml"))
    return core


@pytest.fixture
def desk(house: Core) -> Iterator[httpx.Client]:
    app = create_app(house, Links(house.secret, SITE, house.clock), ReportShelf(house))
    with browse(app) as client:
        client.headers["X-User"] = "Lead"
        yield client


def send(desk: httpx.Client, path: str = "/improvements", **fields: str) -> httpx.Response:
    found = re.search(r'name="form_key" value="(\w+)"', desk.get("/improvements").text)
    return desk.post(path, data={"form_key": found[1] if found else "", **fields})


def kept(core: Core, model: Any = Improvement) -> list[Any]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(model).order_by(model.id)))


def seen(desk: httpx.Client, number: int) -> str:
    found = re.search(r'name="seen" value="(\w+)"', desk.get(f"/improvements/{number}").text)
    assert found
    return found[1]


def test_what_was_entered_is_listed_with_what_came_of_it(desk: httpx.Client, house: Core) -> None:
    """The page tells as the report does: fell, rose, nothing to see, too early, with counts and the interval."""
    records = month(last=date(2026, 11, 19), days=60, a_day=40, share=0.02, burst=None)
    for one in records:
        if one.day < date(2026, 10, 28) and one.at.minute % 4 == 0:
            one.negative, one.text, one.stars, one.categories = True, "裂了", 1, ["damage"]
    store(house.engine, records, NOW)
    assert send(desk, **BOX).status_code == 303
    send(desk, **BOX | {"what": "换快递", "category": "logistics", "day": "2026-11-19"})
    page = desk.get("/improvements").text
    first, second = re.findall(r"<li>\n(.*?)</li>", page, re.DOTALL)
    assert "换快递" in first
    assert "还太早" in first
    assert "降了" in second
    assert re.search(r"前 28 天 2\d\.\d% \(\d+/1,\d+\)，之后 21 天 0\.\d% \(\d/\d+\)", second)
    assert re.search(r"变化 −2\d\.\d 到 −2\d\.\d 个百分点", second)
    assert "2026-10-28 起" in second
    (told, other) = desk.get(API, headers=token(house)).json()["items"][::-1]
    assert (told["effect"]["verdict"], other["effect"]["verdict"]) == ("fell", "early")
    assert (told["what"], told["since"], told["effect"]["days"]) == ("加固包装", "2026-10-28", 21)
    assert told["effect"]["interval"][1] < 0


def test_who_leads_enters_and_every_step_is_in_the_audit(desk: httpx.Client, house: Core) -> None:
    """Entered, changed, withdrawn: who, where, what before and after; personal data masked, once only."""
    send(desk, **BOX | {"what": "加固包装 13812345678"})
    (row,) = kept(house)
    assert "13812345678" not in row.what
    again = send(desk, **BOX | {"what": "加固包装 13812345678"})
    assert (again.status_code, "登记过了，是 #1" in again.text) == (409, True)
    change = BOX | {"number": "1", "do": "save", "what": "换五层箱", "product": "双层玻璃杯 420ml", "shop": "demo"}
    assert send(desk, "/improvements/change", seen=seen(desk, 1), **change).status_code == 303
    (row,) = kept(house)
    assert (row.what, row.shop_id, row.actor) == ("换五层箱", "demo", "Lead")
    assert send(desk, "/improvements/change", seen=seen(desk, 1), **change).status_code == 303  # says the same
    send(desk, "/improvements/change", number="1", do="withdraw", seen=seen(desk, 1))
    assert kept(house) == []
    events = [one for one in kept(house, Event) if one.subject == "improvement"]
    assert [one.what.partition(".")[2] for one in events] == ["added", "changed", "withdrawn"]
    assert {(one.actor, one.door) for one in events} == {("Lead", "desk")}
    assert events[1].before["category"] == events[1].after["category"] == "damage"
    assert events[2].before["what"] == events[1].after["what"] == "换五层箱"
    assert "登记了一项改进" in desk.get("/audit").text


def test_nobody_writes_over_what_he_did_not_see(desk: httpx.Client, house: Core) -> None:
    """A second form of the same page is refused and keeps what was typed; what was withdrawn is told."""
    send(desk, **BOX)
    old = seen(desk, 1)
    send(desk, "/improvements/change", number="1", seen=old, **BOX | {"what": "先改的"})
    late = send(desk, "/improvements/change", number="1", seen=old, **BOX | {"what": "后改的"})
    assert (late.status_code, "刚刚被别人改过" in late.text, 'value="后改的"' in late.text) == (409, True, True)
    assert send(desk, "/improvements/change", number="1", do="withdraw", seen=old).status_code == 409
    assert [one.what for one in kept(house)] == ["先改的"]
    send(desk, "/improvements/change", number="1", do="withdraw", seen=seen(desk, 1))
    assert send(desk, "/improvements/change", number="1", seen="", **BOX).status_code == 404
    assert send(desk, "/improvements/change", number="x", seen="", **BOX).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"what": " "}, "改进了什么，要写一句。"),
        ({"category": "broken"}, "没有 &#39;broken&#39; 这个类别"),
        ({"shop": "nowhere"}, "没有 &#39;nowhere&#39;"),
        ({"day": "2026-11-21"}, "2026-11-21 还没到，改进做了以后再登记。"),
        ({"day": "0001-01-01"}, "0001-01-01 太久以前了。"),
        ({"day": "昨天"}, "看不懂日期“昨天”，应如 2026-11-01。"),
        ({"product": "双层玻璃杯"}, "没有 &#39;双层玻璃杯&#39; 这件商品，是不是 &#34;双层玻璃杯 420ml&#34;"),
        ({"product": "雨伞"}, "要和评价里的商品名一字不差。"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_lost(
    desk: httpx.Client, house: Core, wrong: dict[str, str], said: str
) -> None:
    """The page says what is wrong, in words without options of the command line, and keeps what was typed."""
    page = send(desk, **BOX | {"what": "<b>箱子"} | wrong)
    assert (page.status_code, said in page.text, "--" in page.text.split("<main>")[1]) == (409, True, False)
    assert "what" in wrong or 'value="&lt;b&gt;箱子"' in page.text
    assert kept(house) == []


def test_roles_and_shops(desk: httpx.Client, house: Core) -> None:
    """Agents and brands look; who leads one shop sees and enters its own alone; foreign forms do nothing."""
    send(desk, **BOX)
    send(desk, **BOX | {"what": "京东换箱", "shop": "jd"})
    for name in ("Agent", "Brand"):
        desk.headers["X-User"] = name
        page = desk.get("/improvements").text
        assert "加固包装" in page
        assert "/improvements/1" not in page
        assert "登记一项改进" not in page
        key = re.search(r'name="form_key" value="(\w+)"', page)
        assert key
        for path in ("/improvements", "/improvements/change"):
            answer = desk.post(path, data=BOX | {"number": "1", "do": "withdraw", "form_key": key[1]})
            assert (answer.status_code, "主管以上" in answer.text) == (403, True)
        assert desk.get("/improvements/1").status_code == 403
    desk.headers["X-User"] = "Branch"
    page = desk.get("/improvements").text
    assert ("京东换箱" in page, "加固包装" in page, 'href="/improvements" aria-current' in page) == (True, False, True)
    assert send(desk, **BOX).status_code == 403
    assert send(desk, **BOX | {"shop": "demo"}).status_code == 403
    assert send(desk, **BOX | {"shop": "jd"}).status_code == 303
    assert desk.get("/improvements/1").status_code == desk.get("/improvements/99").status_code == 404
    assert send(desk, "/improvements/change", number="2", **BOX | {"shop": "demo"}).status_code == 403
    desk.headers["X-User"] = "Lead"
    assert desk.post("/improvements", data=BOX | {"form_key": "x"}).status_code == 403
    assert len(kept(house)) == 3
    del desk.headers["X-User"]
    assert desk.get("/improvements", follow_redirects=False).status_code == 303


def test_programs_enter_and_withdraw_too(desk: httpx.Client, house: Core) -> None:
    """The same rules by the API: roles, shops, marks, mistakes as problems, pages."""
    lead, brand = token(house), token(house, "brand", role="brand")
    mine = token(house, "mine", shops=("jd",))
    given = {"what": "加固包装", "category": "破损包装", "since": "2026-11-01"}
    made = desk.post(API, headers=lead, json=given)
    assert (made.status_code, made.json()["category"], made.json()["effect"]) == (201, "damage", None)
    assert desk.post(API, headers=brand, json=given).status_code == 403
    assert desk.post(API, headers=mine, json=given).status_code == 403
    assert desk.post(API, headers=mine, json=given | {"shop": "jd"}).status_code == 201
    again = desk.post(API, headers=lead, json=given)
    assert (again.status_code, again.json()["detail"]) == (409, "这项改进登记过了，是 #1。")
    for bad in ({"since": "soon"}, {"what": ""}, {"what": "\x00"}, {"more": 1}):
        assert desk.post(API, headers=lead, json=given | bad).status_code == 422
    for number, status in ((1, 404), (2, 200), (9, 404)):
        answer = desk.put(f"{API}/{number}", headers=mine, json=given | {"shop": "jd", "since": "2026-11-02"})
        assert answer.status_code == status
    listed = desk.get(API, headers=lead, params={"limit": 1}).json()
    assert (listed["next"], listed["items"][0]["id"]) == ("1", 2)
    assert desk.get(API, headers=lead, params={"limit": 1, "after": "1"}).json()["next"] is None
    assert [one["id"] for one in desk.get(API, headers=mine).json()["items"]] == [2]
    assert desk.delete(f"{API}/1", headers=lead, params={"seen": "other"}).status_code == 409
    assert desk.delete(f"{API}/1", headers=lead, params={"seen": made.json()["seen"]}).json()["words"] == "撤回了。"
    assert [one.id for one in kept(house)] == [2]


def test_pages_and_other_houses(desk: httpx.Client, house: Core) -> None:
    """More than a page is turned; a shop-less house that hears mentions only is judged by those."""
    for n in range(15):
        improvements.add(house, Entry(f"第 {n} 项", "damage", date(2026, 11, 1)), "Lead", "cli")
    assert desk.get("/improvements").text.count("第 ") == 11
    assert desk.get("/improvements?page=2").text.count(" 项</bdi>") == 5
    assert 'value="logistics" selected' in desk.get("/improvements?category=logistics").text
    shelf = ReportShelf(house)
    with db.reading(house.engine) as session:
        row = first(session)
        assert shelf.effects([row])[row.id or 0].before == (0, 0)
    records = month(last=date(2026, 11, 19), days=40, a_day=5)
    for one in records:
        one.kind = "mention"
    store(house.engine, records, NOW)
    assert shelf.effects([row])[row.id or 0].before[1] > 100


def first(session: Session) -> Improvement:
    row = session.exec(select(Improvement)).first()
    assert row is not None
    return row


def test_without_reports_there_is_no_verdict(house: Core) -> None:
    """Where nobody keeps reports the list stands without what came of it."""
    improvements.add(house, Entry("加固包装", "damage", (NOW - timedelta(days=9)).date()), "Lead", "cli")
    with browse(create_app(house, Links(house.secret, SITE, house.clock))) as desk:
        page = desk.get("/improvements", headers={"X-User": "Lead"}).text
    assert ("加固包装" in page, "前 28 天 " in page.split("</ul>")[0]) == (True, False)
    with pytest.raises(WrongCall, match="要写一句"):
        improvements.add(house, Entry("", "damage", NOW.date()), "Lead", "cli")


@pytest.mark.parametrize("at_once", [0, 99])
def test_counts_by_day_say_what_the_rows_say(house: Core, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Of all, of a shop, of a product, at midnight and not, after days and weeks: the same as the report's own look."""
    monkeypatch.setattr(effects, "_AT_ONCE", at_once)
    records = month(last=date(2026, 11, 19), days=62, a_day=12, share=0.3)
    records += [Record(NOW - timedelta(hours=n), negative=True, categories=["damage"], shop="jd") for n in range(1, 31)]
    store(house.engine, [one for one in records if one.at <= NOW], NOW)
    with db.writing(house.engine) as session:
        made: dict[str, Any] = {"category": "logistics", "what": "x"}
        for days in (0, 1, 6, 7, 20, 40):
            midnight = NOW.replace(hour=16) - timedelta(days=days + 1)
            session.add_all(
                Improvement(**made | more)
                for more in (
                    {"done_at": midnight},
                    {"done_at": midnight, "shop_id": "jd", "category": "damage"},
                    {"done_at": midnight, "product": "儿童吸管杯"},
                    {"done_at": midnight + timedelta(hours=3)},
                )
            )
    with db.reading(house.engine) as session:
        rows = session.exec(select(Improvement)).all()
        told = {row.id: mended(session, row, NOW, "review") for row in rows}
    for number, one in effects.effects(house, rows).items():
        mine = told[number]
        assert one.before == (mine.before.part, mine.before.whole)
        assert one.after == (mine.after.part, mine.after.whole)
        assert (one.interval, one.verdict, one.days) == (mine.interval, mine.verdict, mine.days)
    assert len({one.verdict for one in told.values()}) > 1
