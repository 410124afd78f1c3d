"""The deadlines behind a number: as many as the report counted, whatever has happened since."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from html import unescape
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from factories import NOW, make_core, make_settings
from factories_reports import month, store
from serving import browse
from sqlalchemy import Engine, update
from sqlmodel import col, select
from subjects import CASE_CLOCKS
from test_alerts_desk_rooms import PASSWORD, enter, hashed

from alerts.actions import Click, handle
from alerts.desk import deadlines
from alerts.desk.app import create_app
from alerts.desk.deadline_rows import Deadlines, Wanted
from alerts.desk.pages import Pages
from alerts.links import Links
from monitor import audit, crises, db, directory, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Account, Case
from monitor.moves import Action
from reports.clocks import Due, Kept, due, kept
from reports.period import Period, span
from reports.responses import Responses, minutes, responses

SITE = "http://127.0.0.1:8000"
WEEK = {"since": "2026-11-09", "until": "2026-11-15"}
Counted = tuple[Responses, tuple[list[Kept], list[Kept]], Due]
ONE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
_keys = count()


@pytest.fixture
def house(core: Core, engine: Engine, clock: HandClock) -> Core:
    """Two weeks of cases and four crises, some answered late, some by nobody; on Friday the week is counted."""
    people: list[dict[str, Any]] = [{"name": "主管", "role": "lead"}, {"name": "客服一号", "role": "agent"}]
    people.append({"name": "分店", "role": "lead", "shops": ["jd"]})
    shops = [{"id": name, "name": f"{name} 店", "platform": "tmall"} for name in ("demo", "jd")]
    service = {"var_dir": "/nonexistent", "public_url": SITE}
    made = make_core(engine, make_settings(people=people, shops=shops, service=service), clock)
    with db.writing(engine) as session:
        directory.sync(session, made.settings)
        session.add_all(Account(name=one["name"], password=hashed(), created_at=NOW) for one in people)
    clock.move(datetime(2026, 11, 10, tzinfo=UTC) - NOW)
    store(engine, month(last=date(2026, 11, 15), days=14, a_day=25, share=0.3), clock.now() + timedelta(6))
    with db.writing(engine) as session:
        session.execute(update(Case).values(policy=CASE_CLOCKS))
    facts = {"cause": "person", "category": "logistics", "severity": "high"}
    for n, shop in enumerate((None, "jd", "demo", "demo")):
        clock.move(timedelta(hours=20))
        with db.writing(engine) as session:
            crises.open_crisis(made, session, shop_id=shop, feedback_ids=[n + 1], **facts)
    done(made, "plan", "crisis", 1, note="先道歉")
    clock.move(NOW - clock.now())
    timers.sweep(made)
    done(made, "plan", "crisis", 2, note="先道歉")
    done(made, "assign", "crisis", 3, to="客服一号")
    return made


@pytest.fixture
def desk(house: Core) -> Iterator[httpx.Client]:
    with browse(create_app(house, Links(house.secret, SITE, house.clock))) as client:
        enter(client, "主管", PASSWORD)
        yield client


def done(core: Core, what: str, subject: str, number: int, note: str = "", to: str = "") -> None:
    outcome = handle(core, Click("desk", f"k{next(_keys)}", "主管", Action(what, subject, number, note, to)))
    assert outcome.done, outcome.text


def counted(core: Core, period: Period, now: datetime) -> Counted:
    with db.reading(core.engine) as session:
        return responses(session, period), kept(session, period, now), due(session, now, 5)


def go_on(core: Core) -> None:
    """What happens after the report: answers, solutions, false alarms, changes of hands, cases that come back."""
    core.clock.move(timedelta(hours=3))  # type: ignore[attr-defined]
    with db.reading(core.engine) as session:
        states = dict(session.exec(select(Case.id, Case.state).order_by(col(Case.id))).all())
    plenty = ("answered", "resolved", "false_alarm", "assign", "contacted", "")
    for number, state in states.items():
        assert number
        what = plenty[number % 6] if state in ("received", "assigned") else ""
        if state in ("resolved", "false_alarm", "closed") and number % 2:
            what = "reopen"
        elif state in ("answered", "contacted"):
            what = ("assign", "resolved", "false_alarm")[number % 3]
        if what:
            done(core, what, "case", number, note="又来了", to="客服一号" if what == "assign" else "")
    done(core, "plan", "crisis", 3, note="先道歉")
    done(core, "false_alarm", "crisis", 4)
    done(core, "assign", "crisis", 1, to="主管")
    core.clock.move(timedelta(hours=50))  # type: ignore[attr-defined]
    timers.sweep(core)


def whose(name: str) -> dict[str, Any]:
    return {"person": name} if name else {"nobody": True}


def numbers(found: Counted) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every number of the three, with what asks for it."""
    answers, (by_stage, by_person), waiting = found
    for named in (None, *answers.people):
        who = {"first": True} | ({} if named is None else whose(named.name))
        one = named or answers
        buckets = [n for _, n in answers.buckets] if named is None else named.buckets
        for n, told in enumerate(buckets):
            yield told, WEEK | who | minutes(n)
        yield buckets[1] + buckets[2], WEEK | who | {"over": 30, "within": 120}
        yield one.unanswered, WEEK | who | {"result": "missed"}
        yield sum(buckets), WEEK | who | {"result": "met"}
        yield sum(buckets) + one.unanswered, WEEK | who
    asked_for: list[tuple[list[Kept], Callable[[str], dict[str, Any]]]]
    asked_for = [(by_stage, lambda name: {"stage": name}), (by_person, whose)]
    for rows, words in asked_for:
        for row in rows:
            asked = WEEK | words(row.name)
            yield row.all, asked
            yield row.on_time, asked | {"result": "on_time"}
            yield row.late, asked | {"result": "late"}
            yield row.missed, asked | {"result": "missed"}
            yield row.on_time + row.late, asked | {"result": "met"}
    yield waiting.count, WEEK | {"result": "overdue"}
    for name, told in waiting.by_person:
        yield told, {"result": "overdue"} | whose(name)


def wrong(core: Core, found: Counted, seen: datetime) -> list[tuple[int, int, dict[str, Any]]]:
    """Numbers whose list has another length: what was told, what is listed, what was asked."""
    told = [(said, {"seen": int(seen.timestamp())} | asked) for said, asked in numbers(found)]
    assert len(told) > 70
    assert sum(said > 0 for said, _ in told) > 50
    with db.reading(core.engine) as session:
        lists = [(said, Deadlines(core, session, None, Wanted.model_validate(one)), one) for said, one in told]
        assert all(len(rows.rows(1000)) == said for said, rows, _ in lists[::9])
        counts = [(said, rows.count(), asked) for said, rows, asked in lists]
    return [one for one in counts if one[0] != one[1]]


@pytest.mark.slow
def test_each_number_has_as_many_whatever_happened_since(house: Core) -> None:
    """Buckets, people, stages, results: what the report counted is listed two days on, and then what is so by then."""
    period, seen = span(date(2026, 11, 9), 7, house.settings.zone), house.clock.now()
    then = counted(house, period, seen)
    go_on(house)
    assert wrong(house, then, seen) == []
    now = house.clock.now()
    later = counted(house, period, now)
    assert later[0].people != then[0].people
    assert later[1] != then[1]
    assert later[2] != then[2]
    assert wrong(house, later, now) == []


def text(page: httpx.Response) -> str:
    """What a page says between its tags."""
    main = page.text.split("<main>")[1].split("</main>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", unescape(main)).split())


@ONE
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("first=1&over=30&within=60", "首次回复：30 分钟到 1 小时"),
        ("first=1&within=30", "首次回复：30 分钟内"),
        ("first=1&over=60&within=120&person=主管", "首次回复：1 到 2 小时 · 主管"),
        ("first=1&over=1440", "首次回复：超过 24 小时"),
        ("first=1&result=missed&nobody=1", "首次回复：还没有答复 · 没有人负责"),
        ("first=1", "首次回复"),
        ("result=missed&stage=case.respond&person=主管", "未办的时限：工单首次回复 · 主管"),
        ("result=late&stage=crisis.notice", "迟办的时限：危机告知客户"),
        ("result=on_time&person=<b>", "按时办到的时限：<b>"),
        ("result=overdue&first=1", "超时未办的时限"),
        ("stage=nonsense", "到期的时限：nonsense"),
        ("", "到期的时限"),
    ],
)
def test_its_heading_says_what_is_listed(core: Core, asked: str, told: str) -> None:
    """In few words: what they are, how long they took, of which stage, whose."""
    wanted = Wanted.model_validate(dict(parse_qsl(asked)))
    with db.reading(core.engine) as session:
        shown = deadlines.shown(core, session, None, wanted, 1)
    page = Pages(core).render("deadlines", address=wanted.address, **shown)
    head = bytes(page.body).decode().split("<h1>")[1].split("</h1>")[0]
    assert unescape(re.sub("</?bdi>", "", head)) == told


@ONE
def test_what_a_row_says(house: Core, desk: httpx.Client) -> None:
    """Whose case, which deadline, when it was due and met, how late, who had it then; and how it stands now."""
    asked = WEEK | {"seen": int(NOW.timestamp())}
    crises_ = text(desk.get("/deadlines", params=asked | {"stage": "crisis.respond"}))
    assert "危机 #2 已响应 内部响应 jd 店 2026-11-1" in crises_
    assert "照 2026-11-20 14:00 的情况选出，负责人是那时的" in crises_
    assert re.search(r"危机 #3 待响应 .* 还没有， 超时 \d 天 客服一号", crises_)
    assert re.search(r"危机 #1 已响应 内部响应 品牌 .* 2026-11-13 16:00， 晚了 2 天 主管", crises_)
    house.clock.move(timedelta(minutes=1))  # type: ignore[attr-defined]
    done(house, "assign", "crisis", 3, to="主管")
    done(house, "false_alarm", "crisis", 3)
    again = text(desk.get("/deadlines", params=asked | {"stage": "crisis.respond"}))
    assert re.search(r"危机 #3 误报 .* 没有办 客服一号", again)
    answers = desk.get("/deadlines", params=asked | {"first": "1", "over": "1440"})
    assert re.search(r"，用了 1 天，<span class=\"late\">晚了 \d+ 小时", answers.text)
    number = re.search(r'<a href="/cases/(\d+)">工单 #\1</a>', answers.text)
    assert number
    assert desk.get(f"/cases/{number[1]}").status_code == 200
    with db.writing(house.engine) as session:
        audit.retire(session, NOW - timedelta(days=400), NOW)
    assert "没有记录" not in text(desk.get("/deadlines", params=asked))
    house.clock.move(timedelta(days=2))  # type: ignore[attr-defined]
    with db.writing(house.engine) as session:
        audit.retire(session, NOW + timedelta(days=1), house.clock.now())
    enter(desk, "主管", PASSWORD)
    assert "那时谁负责已经没有记录" in text(desk.get("/deadlines", params=asked))


@ONE
def test_pages_and_shops(house: Core, desk: httpx.Client) -> None:
    """Turned to the end each comes once, what fell due last first; who sees one shop finds only its and the brand's."""
    everything, seen = [], []
    for page in (1, 2, 3, 4):
        shown = desk.get("/deadlines", params=WEEK | {"page": page}).text
        everything += re.findall(r'/(cases|crises)/(\d+)">.*?<td role="cell">(.*?)</td>', shown, re.DOTALL)
        seen += re.findall(r'data-label="到期">([^<]+)<', shown)
    told = re.search(r"(\d+) 项", desk.get("/deadlines", params=WEEK).text)
    assert told
    assert len(everything) == len(set(everything)) == int(told[1]) > 100
    assert seen == sorted(seen, reverse=True)
    assert 'href="?since=2026-11-09&amp;until=2026-11-15&amp;page=2"' in desk.get("/deadlines", params=WEEK).text
    enter(desk, "分店", PASSWORD)
    mine = text(desk.get("/deadlines", params=WEEK | {"stage": "crisis.respond"}))
    assert "jd 店" in mine
    assert "品牌" in mine
    assert "demo" not in mine
    assert "没有找到。" in text(desk.get("/deadlines", params={"person": "'; DROP TABLE timer; --"}))
    for nonsense in (
        "since=yesterday",
        "over=-1",
        "within=1e9",
        "result=x",
        "seen=-1",
        "seen=99999999999",
        "person=%00",
    ):
        assert desk.get(f"/deadlines?{nonsense}").status_code == 400, nonsense
    for far in ("since=2150-01-01&until=9999-12-31&over=10000000&first=1", "since=0001-01-01&until=0001-01-02"):
        assert desk.get(f"/deadlines?{far}").status_code == 200, far
    desk.cookies.clear()
    assert desk.get("/deadlines", follow_redirects=False).headers["location"].startswith("/login")


@ONE
def test_programs_ask_for_the_same(house: Core, desk: httpx.Client) -> None:
    """The API counts and lists what the page does, some at a time; asked to go on after what is not there, nothing."""
    whole = desk.get("/api/v1/deadlines", params=WEEK | {"limit": 100}).json()
    told = re.search(r"(\d+) 项", desk.get("/deadlines", params=WEEK).text)
    assert told
    assert whole["count"] == int(told[1])
    items, after = list[dict[str, Any]](), ""
    while after is not None:
        answer = desk.get("/api/v1/deadlines", params=WEEK | {"limit": 40, "after": after}).json()
        items, after = items + answer["items"], answer["next"]
    assert len({one["id"] for one in items}) == len(items) == whole["count"]
    assert items[: len(whole["items"])] == whole["items"]
    assert [one["due_at"] for one in items] == sorted((one["due_at"] for one in items), reverse=True)
    assert {one["subject"] for one in items} == {"case", "crisis"}
    assert {one["person"] for one in items} == {"主管", "客服一号", None}
    assert desk.get("/api/v1/deadlines?after=999999").json()["items"] == []
    assert desk.get("/api/v1/deadlines?result=x").status_code == 422
