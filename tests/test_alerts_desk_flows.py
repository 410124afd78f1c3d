"""The ways of people through the desk in a real browser, on a phone and at a desk."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, Watched
from factories import make_core, make_hash, make_settings
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect
from serving import serve
from sqlalchemy import Engine
from sqlmodel import select
from subjects import open_case, open_crisis

from alerts.desk import accounts
from alerts.desk.app import create_app
from alerts.desk.live import Live
from alerts.links import Links
from monitor import audit, db, directory, search, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Account, Case, Feedback, Outbox, Source

PASSWORD = "correct horse"
PEOPLE = {"客服一号": "agent", "客服二号": "agent", "主管": "lead", "经理": "manager", "老板": "admin"}
WIDTHS = {390: 844, 1440: 900}
REST = (
    *(
        "/mentions",
        "/outbox",
        "/answers",
        "/audit",
        "/export",
        "/tokens",
        "/api",
        "/corrections",
        "/crises/1",
        "/cases/1/drafts",
    ),
    *("/settings", "/settings/people", "/settings/people/one?name=客服一号", "/settings/rotas", "/settings/routes"),
    *("/settings/rules", "/settings/drafts", "/settings/drafts/quality", "/cases/1?lang=en", "/crises?lang=en"),
)
LONG = "包裹显示已签收，可是我一件都没有收到，打客服电话没有人接，" * 4
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which(CHROMIUM), reason=f"no Chromium at {CHROMIUM}"),
]


@pytest.fixture
def house(sqlite: Engine, clock: HandClock) -> Core:
    """A shop on a bad evening: cases, a crisis that is late, one that is new, and a message that did not go."""
    people = [{"name": name, "role": role} for name, role in PEOPLE.items()]
    core = make_core(
        sqlite,
        make_settings(people=people, sources=[{"name": "jd", "kind": "file", "shop": "demo", "path": "jd.csv"}]),
        clock,
    )
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
        session.add_all(Account(name=name, password=make_hash(PASSWORD), created_at=clock.now()) for name in PEOPLE)
    open_crisis(core, [LONG, "<script>alert(1)</script>" + "长" * 400, "https://example.com/" + "a" * 300])
    clock.move(timedelta(hours=1, minutes=20))
    timers.sweep(core)
    open_crisis(core, ["装热水以后有股刺鼻的味道"], severity="critical", category="safety")
    for text in ("杯子漏水，包里全湿了", "一直没收到货", LONG):
        open_case(core, [text], categories=["logistics", "service"], severity="high")
    now = clock.now()
    with db.writing(sqlite) as session:
        source = session.exec(select(Source).where(Source.name == "jd")).one()
        source.status, source.last_error = "failed", "TimeoutError: " + "x" * 200
        values: dict[str, Any] = {
            "channel": "ops",
            "target": "C1",
            "kind": "case.opened",
            "subject": "case",
            "last_error": "no_auth",
        }
        row = Outbox(dedupe_key="d", subject_id=1, state="dead", attempts=8, created_at=now, not_before=now, **values)
        session.add(row)
        search.add(session, [number for number in session.exec(select(Feedback.id)) if number])
    return core


class Desk:
    """The desk's address and whoever comes to it.

    Args:
        app: The desk.
        base: Where it is served.
        browser: The browser.
        shots: The folder for pictures, None where nobody wants any.
    """

    def __init__(self, app: FastAPI, base: str, browser: Browser, shots: Path | None) -> None:
        self.live: Live = app.state.live
        self.base, self._browser, self._shots = base, browser, shots
        self._doors = ExitStack()

    def enter(
        self, name: str, width: int = 1440, path: str = "/cases", *, scripts: bool = True
    ) -> tuple[Page, Watched]:
        """Somebody's own browser, logged in by the form, at a page."""
        context: BrowserContext = self._browser.new_context(
            base_url=self.base,
            viewport={"width": width, "height": WIDTHS[width]},
            has_touch=width < 1000,
            java_script_enabled=scripts,
        )
        self._doors.callback(context.close)
        context.set_default_timeout(5000)
        watched = Watched(context, self._shots)
        page = watched.page
        page.goto(path)
        page.get_by_label("名字").fill(name)
        page.get_by_label("密码").fill(PASSWORD)
        page.get_by_role("button", name="登录").click()
        expect(page.get_by_role("link", name="工单", exact=True).first).to_be_visible()
        page.wait_for_load_state()
        return page, watched

    def leave(self) -> None:
        """All browsers are shut."""
        self._doors.close()


@pytest.fixture
def desk(house: Core, browser: Browser) -> Iterator[Desk]:
    shots = os.environ.get("PINGSHAO_SHOTS")
    app = create_app(house, Links(house.secret, "", house.clock))
    with serve(app) as base:
        desk = Desk(app, base, browser, Path(shots) if shots else None)
        yield desk
        desk.leave()  # before the server goes: it would wait for open streams


@pytest.mark.parametrize("width", WIDTHS)
def test_a_case_is_claimed_contacted_and_resolved(desk: Desk, width: int) -> None:
    """From the list by one tap, then step by step; each page can be read and used."""
    page, watched = desk.enter("客服一号", width)
    watched.judge("inbox")
    page.get_by_role("button", name="我来负责 #2").click()
    expect(page.locator("[data-part=facts]")).to_contain_text("客服一号")
    watched.judge("case")
    for step, state in (("已联系", "已联系"), ("已解决", "已解决")):
        page.get_by_role("button", name=step, exact=True).click()
        expect(page.locator("[data-part=facts]")).to_contain_text(state)
    watched.judge("case-done")
    page.goto("/cases?which=done")
    expect(page.locator("[data-row]")).to_have_count(1)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_crisis_goes_through_its_stages(desk: Desk, width: int) -> None:
    """Claim, plan, three ways of telling the customers, result, review: all on one page."""
    page, watched = desk.enter("主管", width, "/crises")
    watched.judge("board")
    page.get_by_role("link", name="危机 #2").click()
    facts = page.locator("[data-part=facts]")
    page.get_by_role("button", name="我来负责").click()
    expect(facts).to_contain_text("主管")
    watched.judge("crisis")
    plan = page.locator("details[open]")  # the next thing to do is open already
    plan.get_by_label("小组成员").fill("主管、仓库")
    plan.get_by_label("已知事实").fill("同一批次")
    plan.get_by_label("初步方案").fill("先下架，再逐个联系")
    plan.get_by_role("button").click()
    expect(facts).to_contain_text("已响应")
    for way in ("已发短信", "已推送", "已外呼"):
        page.get_by_role("button", name=way).click()
        expect(page.get_by_role("button", name=way)).to_have_count(0)
    expect(facts).to_contain_text("已告知客户")
    for action, note in (("已解决", "全部退款"), ("写复盘", "新供应商没有送检")):
        form = page.locator("details[open]", has_text=action)
        form.get_by_role("textbox").fill(note)
        form.get_by_role("button").click()
        expect(form).to_have_count(0)
    for said in ("全部退款", "新供应商没有送检"):
        expect(facts).to_contain_text(said)
    watched.judge("crisis-done")


def test_words_are_searched_for(desk: Desk) -> None:
    """Typed words find the case that has them, and only it; none is said in words."""
    page, watched = desk.enter("客服一号", 390)
    page.get_by_label("找", exact=True).fill("漏水")
    page.get_by_role("button", name="查找").click()
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.locator("[data-row]")).to_contain_text("包里全湿了")
    page.get_by_label("找", exact=True).fill("没有人写过的话")
    page.get_by_role("button", name="查找").click()
    expect(page.get_by_text("没有符合的工单。")).to_be_visible()
    watched.judge("search-none")


def test_a_dead_letter_is_sent_again(desk: Desk, house: Core) -> None:
    """A lead sends it again and it leaves the list."""
    page, watched = desk.enter("主管", 390, "/outbox")
    watched.judge("outbox")
    page.get_by_role("button", name="重发").click()
    expect(page.get_by_text("都发出去了。")).to_be_visible()
    with db.reading(house.engine) as session:
        assert session.exec(select(Outbox.state)).one() == "pending"


@pytest.mark.parametrize("width", WIDTHS)
def test_every_other_page_can_be_read(desk: Desk, width: int) -> None:
    """Every page of every room, help, and English: nothing too wide, too pale, unlabelled or blocked."""
    page, watched = desk.enter("老板", width, "/")
    watched.judge("home")
    for path in REST:
        page.goto(path)
        watched.judge(re.sub(r"\W+", "-", path).strip("-"))
    if width > 1000:
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        watched.judge("keys")


def test_the_keyboard_is_enough(desk: Desk) -> None:
    """Down, up, open, claim, search, help, rooms; what is typed is text; Tab reaches the content first."""
    page, watched = desk.enter("客服一号")
    press = page.keyboard.press
    at = "document.activeElement.closest('[data-row]')?.dataset.row"
    for key, row in (("j", "case:1"), ("j", "case:2"), ("j", "case:3"), ("j", "case:3"), ("k", "case:2")):
        press(key)
        assert page.evaluate(at) == row
    press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Escape")
    press("/")
    page.keyboard.type("jjc?")
    expect(page.get_by_label("找", exact=True)).to_have_value("jjc?")
    page.goto("/cases")
    press("j")
    press("o")
    page.wait_for_url("**/cases/1")
    press("c")
    expect(page.locator("[data-part=facts]")).to_contain_text("客服一号")
    page.wait_for_load_state()
    for room, path in (("b", "crises"), ("m", "mentions"), ("i", "cases")):
        press("g")
        press(room)
        page.wait_for_url(f"**/{path}")
    press("g")
    press("b")
    page.wait_for_url("**/crises")
    press("/")
    page.wait_for_url("**/cases#q")
    expect(page.get_by_label("找", exact=True)).to_be_focused()
    page.goto("/cases")
    press("Tab")
    expect(page.get_by_role("link", name="跳到正文")).to_be_focused()
    assert watched.wrong == []


def test_another_page_hears_of_it_within_two_seconds(desk: Desk, house: Core) -> None:
    """Who claims is seen on the other's case page and list; what the other is writing stays."""
    one, first = desk.enter("客服一号", path="/cases/1")
    two, second = desk.enter("客服二号")
    lead, third = desk.enter("主管", 390, "/crises/2")
    lead.get_by_text("备注").first.click()
    note = lead.locator("details[open]").get_by_role("textbox")
    note.fill("还没写完")
    two.get_by_role("button", name="我来负责 #1").click()
    expect(one.locator("[data-part=facts]")).to_contain_text("客服二号", timeout=2000)
    two.goto("/cases")
    one.goto("/crises/2")
    one.get_by_role("button", name="我来负责").click()
    expect(lead.locator("[data-part=facts]")).to_contain_text("客服一号", timeout=2000)
    expect(note).to_have_value("还没写完")
    expect(note).to_be_focused()
    third.judge("crisis-live")
    new = open_case(house, ["又一个没收到"], severity="critical")
    with db.writing(house.engine) as session:
        audit.record(session, house.clock.now(), session.get_one(Case, new), "opened")
    expect(two.get_by_role("button", name="有 1 条新的，点这里看")).to_be_visible(timeout=2000)
    expect(two).to_have_title(re.compile(r"^\(1\) 工单"))
    second.judge("inbox-new")
    two.get_by_role("button", name="有 1 条新的").click()
    expect(two.locator("[data-row]").first).to_contain_text("又一个没收到")
    assert first.wrong + second.wrong + third.wrong == []


def test_a_page_whose_stream_breaks_says_so_and_comes_back(desk: Desk, house: Core) -> None:
    """Interrupted updates are named until they are back; a session that ended asks for the login, and stops asking."""
    desk.live._beat = 0.2
    page, _ = desk.enter("客服一号", path="/crises")
    with db.writing(house.engine) as session:
        accounts.set_password(session, "客服一号", "another horse", house.clock.now(), "老板")
    page.get_by_role("button", name="登录已经过期").click()
    page.wait_for_url("**/login?next=%2Fcrises")
    page, _ = desk.enter("客服二号", path="/crises")
    desk.live.close()
    lost = page.get_by_text("实时更新断开了")
    expect(lost).to_be_visible(timeout=10000)
    desk.live._closed = False
    expect(lost).to_be_hidden(timeout=10000)


def test_a_rule_is_tried_then_saved_and_taken_back(desk: Desk) -> None:
    """What the rule would have done is shown first; saved it is named as other than the file, and can be taken back."""
    page, watched = desk.enter("经理", 390, "/settings/rules")
    count = page.get_by_label("扎堆：至少几条差评")
    count.fill("2")
    form = page.locator("form").filter(has=count)
    form.get_by_role("button", name="先拿过去 7 天试试").click()
    expect(page.get_by_role("heading", name="按这个规则，过去 7 天")).to_be_visible()
    expect(count).to_have_value("2")
    watched.judge("rule-tried")
    form.get_by_role("button", name="保存").click()
    expect(page.get_by_text("保存好了")).to_be_visible()
    page.goto("/settings")
    expect(page.get_by_text("扎堆：至少几条差评")).to_be_visible()
    watched.judge("rule-saved")
    page.get_by_role("button", name="回到配置文件的值").click()
    expect(page.get_by_text("都和配置文件一样。")).to_be_visible()


def test_all_of_it_works_without_scripts(desk: Desk) -> None:
    """On a phone that runs none: claim from the list, write a note, change the language."""
    page, _ = desk.enter("客服一号", 390, scripts=False)
    page.get_by_role("button", name="我来负责 #1").click()
    page.locator("summary", has_text="备注").click()
    note = page.locator("details[open]")
    note.get_by_role("textbox").fill("明天再打")
    note.get_by_role("button").click()
    expect(page.get_by_text("明天再打").last).to_be_visible()
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", name="Case #1")).to_be_visible()
