"""The desk's doors: signed links, what pages may do in a browser, hostile text, errors."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape

import httpx
import pytest
from factories import make_core, make_settings
from pages import path_of, text_of
from serving import browse
from sqlmodel import SQLModel, func, select
from subjects import open_case, open_crisis

from alerts.desk import bodies
from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Crisis, Event, Inbound, Source

HOSTILE = "<script>alert(1)</script>{{ 7*7 }}{% raw %}\u202e反向\u202c<!channel> *粗* =cmd|' /C calc'!A0 \"><img src=x>"
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def rows(core: Core, model: type[SQLModel]) -> int:
    with db.reading(core.engine) as session:
        return session.exec(select(func.count()).select_from(model)).one()


def test_a_page_is_shut(desk: httpx.Client, links: Links, core: Core) -> None:
    """Nothing inline, nothing from elsewhere, not framed, not stored, its address not passed on."""
    case_id = open_case(core)
    for url in (
        "/",
        path_of(links.make("claim", "case", case_id, "客服一号")),
        path_of(links.view("case", case_id)),
        "/x",
    ):
        page = desk.get(url)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(
            r"<script|\sstyle=|<style|\son\w+=|https?://(?!www\.w3\.org)", page.text.split("<main>")[0]
        )


def test_the_stylesheet_is_served(desk: httpx.Client) -> None:
    """The page's only asset comes from the desk itself."""
    found = re.search(r'rel="stylesheet" href="([^"]+)"', desk.get("/").text)
    assert found
    sheet = desk.get(found[1])
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert desk.get("/static/../app.py").status_code == 404


def test_behind_a_path_prefix_addresses_carry_it(core: Core) -> None:
    """Where the public address has a path, pages point below it."""
    core = make_core(core.engine, make_settings(service={"public_url": "https://example.com/watch/"}), core.clock)
    open_crisis(core)
    with browse(create_app(core, Links(core.secret, core.settings.service.public_url, core.clock))) as desk:
        page = desk.get("/").text
    assert 'href="/watch/static/desk.css"' in page
    assert 'href="/watch/v/' in page


def test_fault_26_scanners_may_open_a_link_as_often_as_they_like(desk: httpx.Client, links: Links, core: Core) -> None:
    """20 GETs change nothing, and the link still works."""
    case_id = open_case(core)
    path = path_of(links.make("claim", "case", case_id, "客服一号"))
    for _ in range(20):
        page = desk.get(path)
        assert page.status_code == 200
    assert "客服一号，要对工单" in text_of(page)
    assert "我来负责" in text_of(page)
    assert desk.head(path).status_code == 405
    assert (rows(core, Inbound), rows(core, Event)) == (0, 0)
    assert "客服一号负责" in desk.post(path).text


def test_fault_27_a_link_posted_twice_works_once(desk: httpx.Client, links: Links, core: Core) -> None:
    """The second POST, also at the same moment, shows the first outcome; so does opening it again."""
    case_id = open_case(core)
    path = path_of(links.make("note", "case", case_id, "客服一号"))
    with ThreadPoolExecutor(3) as pool:
        pages = list(pool.map(lambda n: desk.post(path, data={"note": f"第{n}次"}), range(3)))
    assert {page.status_code for page in pages} == {200}
    assert len({text_of(page) for page in [*pages, desk.get(path)]}) == 1
    assert "办好了" in pages[0].text
    assert (rows(core, Inbound), rows(core, Event)) == (1, 1)


def test_fault_27_an_expired_link_is_gone(desk: httpx.Client, links: Links, core: Core, clock: HandClock) -> None:
    """After 48 hours the answer is 410 and a sentence, to GET and to POST."""
    path = path_of(links.make("claim", "case", open_case(core), "客服一号"))
    clock.move(timedelta(hours=48))
    for page in (desk.get(path), desk.post(path)):
        assert page.status_code == 410
        assert "过期" in text_of(page)
    assert rows(core, Inbound) == 0


def test_fault_27_a_forged_link_is_forbidden(desk: httpx.Client, links: Links, core: Core) -> None:
    """A changed token is 403; so is a view token at the action door."""
    case_id = open_case(core)
    path = path_of(links.make("claim", "case", case_id, "客服一号"))
    view = path_of(links.view("case", case_id)).replace("/v/", "/a/")
    for bad in (path + "x", path[:-2], view, "/a/x", "/v/x", path.replace("/a/", "/v/")):
        assert desk.get(bad).status_code == 403
    assert desk.post(path + "x").status_code == 403
    assert (rows(core, Inbound), rows(core, Event)) == (0, 0)


def test_a_refusal_is_told(desk: httpx.Client, links: Links, core: Core) -> None:
    """What cannot be done is said in a sentence, with a way to see how things stand."""
    case_id = open_case(core)
    page = desk.post(path_of(links.make("close", "case", case_id, "主管")))
    assert page.status_code == 200
    assert "没有办成" in text_of(page)
    assert "待认领" in text_of(page)
    assert "看最新情况" in text_of(page)


def test_a_missing_note_is_asked_for_without_using_up_the_link(desk: httpx.Client, links: Links, core: Core) -> None:
    """An empty or endless plan brings the form back; the link still works then."""
    crisis_id = open_crisis(core)
    path = path_of(links.make("plan", "crisis", crisis_id, "客服一号"))
    assert "required" in desk.get(path).text
    for bad in ("", "  ", "长" * 2001):
        page = desk.post(path, data={"note": bad})
        assert page.status_code == 400
        assert "<form" in page.text
    assert rows(core, Inbound) == 0
    page = desk.post(path, data={"note": "先补发再退差价"})
    assert "写了初步方案" in page.text
    with db.reading(core.engine) as session:
        assert session.get_one(Crisis, crisis_id).plan == "先补发再退差价"


@pytest.mark.parametrize(("action", "subject", "subject_id"), [("explode", "case", 1), ("claim", "case", 999)])
def test_links_to_nothing(desk: httpx.Client, links: Links, action: str, subject: str, subject_id: int) -> None:
    """A genuine link to what is not there (any more) is 404 when opened and a refusal when posted."""
    path = path_of(links.make(action, subject, subject_id, "客服一号"))
    assert desk.get(path).status_code == 404
    assert "没有办成" in desk.post(path).text
    for kind in ("case", "crisis"):
        assert desk.get(path_of(links.view(kind, 999))).status_code == 404


def test_odd_forms_are_no_server_errors(desk: httpx.Client, links: Links, core: Core) -> None:
    """Not UTF-8, too many fields, too long: 400 or 413, and the link is not used up."""
    path = path_of(links.make("note", "case", open_case(core), "客服一号"))
    assert desk.post(path, content=b"note=\xff\xfe").status_code == 400
    assert desk.post(path, content=b"&".join(b"a=1" for _ in range(50))).status_code == 400
    assert desk.post(path, content=b"note=" + b"a" * 1_000_001).status_code == 413
    assert desk.post(path, content=b"note=%ff%00%ed%a0%80&note=2").status_code == 200
    assert bodies.form(b"name=%00Ann&note=1%00%0A2") == {"name": "Ann", "note": "1\n2"}  # PostgreSQL takes no NUL


def test_hostile_text_is_shown_as_text(desk: httpx.Client, links: Links, core: Core) -> None:
    """Fault 43: script, template braces, formulas, reversing marks, Slack markup in every free field stay text."""
    crisis_id = open_crisis(core, [HOSTILE], [{"code": "<b>", "start": 0, "end": 8, "text": ""}], product=HOSTILE)
    with db.writing(core.engine) as session:
        crisis = session.get_one(Crisis, crisis_id)
        crisis.plan, crisis.result = HOSTILE, HOSTILE
        session.add(crisis)
        now = core.clock.now()
        session.add(
            Event(at=now, actor=HOSTILE, door="link", subject="crisis", subject_id=crisis_id, what=HOSTILE,
                  after={"note": HOSTILE, "stage": HOSTILE})
        )  # fmt: skip
        session.add(Source(name=HOSTILE, kind="html", status="failed", last_error=HOSTILE))
    for path in (
        "/",
        path_of(links.view("crisis", crisis_id)),
        path_of(links.make("claim", "crisis", crisis_id, HOSTILE)),
    ):
        page = desk.get(path)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert "{{ 7*7 }}" in unescape(page.text)


def test_a_hostile_address_is_no_link(desk: httpx.Client, links: Links, core: Core) -> None:
    """Only web addresses become links."""
    from subjects import add_feedbacks

    case_id = open_case(core)
    with db.writing(core.engine) as session:
        add_feedbacks(core, session, ["甲"], case_id=case_id, url="javascript:alert(1)")
        add_feedbacks(core, session, ["乙"], case_id=case_id, url="https://shop.example.com/1?a=1&b=\"'><b>")
    page = desk.get(path_of(links.view("case", case_id))).text
    assert "javascript:" not in page
    assert page.count("原文") == 1
    assert "<b>" not in page


def test_errors_are_short_sentences(desk: httpx.Client, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown pages, wrong methods and our own failures: a Chinese sentence, never a traceback."""
    assert "没有这个页面" in desk.get("/nowhere").text
    assert "不接受" in desk.post("/").text
    monkeypatch.setattr("alerts.desk.status.read", lambda *_: 1 / 0)
    page = desk.get("/")
    assert page.status_code == 500
    assert "已经记进日志" in page.text
    assert "Zero" not in page.text


def test_health(desk: httpx.Client) -> None:
    """A working service with its database says so."""
    assert desk.get("/healthz").json() == {"ok": True}


def test_openapi_names_the_doors(desk: httpx.Client) -> None:
    """The description lists every door; no page of it loads anything from elsewhere."""
    paths = desk.get("/openapi.json").json()["paths"]
    assert {"/", "/healthz", "/slack/actions", "/a/{token}", "/v/{token}"} <= set(paths)
    assert desk.get("/docs").status_code == 404
