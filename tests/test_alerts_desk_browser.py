"""The desk's pages in a real browser, at a phone's and a desktop's width."""

import os
import shutil
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browsing import CHROMIUM
from factories import make_core, make_settings
from playwright.sync_api import Browser, Page, expect
from serving import serve
from sqlalchemy import Engine
from sqlmodel import select
from subjects import open_case, open_crisis

from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, directory, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Outbox, Source

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which(CHROMIUM), reason=f"no Chromium at {CHROMIUM}"),
]
# What is wider than the window, were it only by a shadow.
WIDER = "() => [...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
LONG = "包裹显示已签收，可是我一件都没有收到，打客服电话没有人接，" * 4


@pytest.fixture
def house(sqlite: Engine, clock: HandClock) -> Core:
    """A house on a bad day: two crises, one of them late, cases, sources in trouble, dead letters, hostile text."""
    named = [{"name": name, "kind": "file", "shop": "demo"} for name in ("tmall-comments", "jd-reviews", "weibo")]
    core = make_core(sqlite, make_settings(sources=named), clock)
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    evidence = [
        {"code": "logistics", "start": 2, "end": 7, "text": ""},
        {"code": "service", "start": 18, "end": 26, "text": ""},
    ]
    open_crisis(
        core,
        [LONG, "<script>alert(1)</script>" + "长" * 400, "https://example.com/" + "a" * 300],
        evidence,
        severity="critical",
    )
    clock.move(timedelta(hours=1, minutes=20))
    timers.sweep(core)
    open_crisis(core, ["一"] * 3, category="safety")
    for state in ("received", "received", "assigned", "answered"):
        open_case(core, ["杯子漏水"], state=state, categories=["quality"])
    now = clock.now()
    with db.writing(sqlite) as session:
        rows = {row.name: row for row in session.exec(select(Source))}
        rows["tmall-comments"].status, rows["tmall-comments"].last_success_at = "ok", now
        rows["jd-reviews"].status, rows["jd-reviews"].last_item_at = "attention", now - timedelta(hours=30)
        rows["jd-reviews"].last_error = "读到 0 条，而以前有内容"
        rows["weibo"].status, rows["weibo"].last_error = "failed", "TimeoutError: " + "x" * 200
        common = {"channel": "ops", "target": "C1", "subject": "crisis", "subject_id": 1, "created_at": now}
        for n in range(3):
            session.add(Outbox(dedupe_key=f"{n}", kind="crisis.opened", not_before=now, **common))
        session.add(
            Outbox(
                dedupe_key="d",
                kind="case.opened",
                state="dead",
                attempts=8,
                last_error="channel_not_found",
                not_before=now,
                **common,
            )
        )
    return core


def look(browser: Browser, url: str, width: int, name: str, shots: Path) -> list[str]:
    """Open a page, keep its picture, and give what is wrong with it."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.goto(url)
    page.screenshot(path=shots / f"{name}-{width}.png", full_page=True)
    if wider := page.evaluate(WIDER):
        wrong.append(f"{wider} elements wider than {width}")
    page.close()
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1440])
def test_pages_fit_and_are_quiet(browser: Browser, house: Core, tmp_path: Path, width: int) -> None:
    """No console message, no blocked or failed request, nothing wider than the window; hostile text runs nowhere."""
    shots = Path(os.environ.get("PINGSHAO_SHOTS", tmp_path))
    links = Links(house.secret, "", house.clock)
    pages = {
        "status": "/",
        "crisis": links.view("crisis", 1),
        "case": links.view("case", 1),
        "plan": links.make("plan", "crisis", 1, "客服一号"),
        "assign": links.make("assign", "case", 1, "主管"),
        "forged": "/a/x",
    }
    with serve(create_app(house, links)) as base:
        wrong = {name: look(browser, base + path, width, name, shots) for name, path in pages.items()}
    # A status other than 200 is itself a console message.
    assert wrong.pop("forged") == [
        "console: Failed to load resource: the server responded with a status of 403 (Forbidden)"
    ]
    assert wrong == {name: [] for name in wrong}


def test_a_person_acts_from_a_phone(browser: Browser, house: Core, tmp_path: Path) -> None:
    """Open the link, write the plan, press the button, see it done, look at the crisis: all without a script."""
    links = Links(house.secret, "", house.clock)
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844}, has_touch=True)
    page: Page = context.new_page()
    with serve(create_app(house, links)) as base:
        page.goto(base + links.make("plan", "crisis", 1, "客服一号"))
        page.get_by_label("应急小组成员").fill("主管、仓库")
        page.get_by_label("已知事实").fill("同一天出库")
        page.get_by_label("初步方案").fill("先补发，再联系快递查件")
        page.get_by_role("button", name="写初步方案").tap()
        expect(page.get_by_role("heading")).to_have_text("办好了")
        page.get_by_role("link", name="看最新情况").tap()
        expect(page.locator("main")).to_contain_text("先补发，再联系快递查件")
        assert urlsplit(page.url).path.startswith("/v/")
        context.close()
