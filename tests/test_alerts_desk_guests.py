"""Numbers of a mail for readers who cannot log in: each opens its own list, shows nothing more and changes nothing."""

import email
import re
from collections.abc import Iterator
from datetime import date, timedelta
from email import policy
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from factories import NOW, make_core, make_settings
from factories_reports import month, store
from serving import browse
from sqlalchemy import Engine
from sqlmodel import col, func, select

from alerts.desk.app import create_app
from alerts.links import Links
from alerts.routing import enqueue_report
from commands.app import App
from monitor import db, directory
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Account, Event, Feedback, Inbound, LoginTry, Outbox, Person, Score
from monitor.settings import Settings
from reports.build import build

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
FRIDAY, SITE, LIFE = date(2026, 11, 20), "http://127.0.0.1:8000", timedelta(days=14)
NUMBER = re.compile(rf'href="({SITE}/[^"]+)"[^>]*>([\d,]+)<')
WEEK = {"since": "2026-11-09", "until": "2026-11-15"}


@pytest.fixture
def house(core: Core, engine: Engine) -> Core:
    shops = [{"id": name, "name": f"{name} 店", "platform": "tmall"} for name in ("demo", "jd")]
    service = {"var_dir": "/nonexistent", "public_url": SITE}
    made = make_core(engine, make_settings(shops=shops, service=service), core.clock)
    with db.writing(engine) as session:
        directory.sync(session, made.settings)
    store(engine, [one for one in month(last=FRIDAY, days=14, a_day=25, share=0.3) if one.at <= NOW], NOW)
    return made


@pytest.fixture
def links(house: Core) -> Links:
    return Links(house.secret, SITE, house.clock)


@pytest.fixture
def desk(house: Core, links: Links) -> Iterator[httpx.Client]:
    with browse(create_app(house, links)) as client:
        yield client


def path(links: Links, **wanted: str) -> str:
    return urlsplit(links.listing(WEEK | wanted, LIFE)).path


def body(page: httpx.Response) -> str:
    return unescape(page.text.split("<main>")[1].split("</main>")[0])


def how_many(page: httpx.Response) -> int:
    found = re.search(r"(\d+) [条项]", body(page))
    assert found
    return int(found[1])


def standing(core: Core) -> list[int]:
    tables = (Event, Inbound, Outbox, LoginTry, Account, Feedback)
    with db.reading(core.engine) as session:
        return [session.exec(select(func.count()).select_from(table)).one() for table in tables]


@pytest.mark.slow
def test_each_number_of_the_guests_mail_opens_as_many(desk: httpx.Client, house: Core, links: Links) -> None:
    """Nobody is logged in: as many links as in the other mail, and every page counts what the report counted."""
    report = build(house, "weekly", FRIDAY, guests=lambda rows, wanted: links.listing(wanted, LIFE, of=rows))
    mail = email.message_from_bytes(report.guest_eml, policy=policy.default)
    part = mail.get_body(("html",))
    assert part is not None
    found = NUMBER.findall(part.get_content())
    assert len(found) == len(NUMBER.findall(report.html)) >= 15
    assert len(part.get_content().encode()) <= 100_000
    for address, number in found:
        assert urlsplit(address).path.startswith("/n/")
        house.clock.move(timedelta(seconds=2))  # type: ignore[attr-defined]
        assert how_many(desk.get(urlsplit(address).path)) == int(number.replace(",", "")), address


def test_what_came_in_later_is_not_behind_the_number(desk: httpx.Client, house: Core, links: Links) -> None:
    """A report is of what was known then: a review of that week that was read after it is not listed."""
    then = str(int(NOW.timestamp()))
    before, everything = path(links, seen=then), path(links)
    count = how_many(desk.get(before))
    with db.writing(house.engine) as session:
        row = session.exec(select(Feedback).where(Feedback.happened_at < NOW - timedelta(days=6))).all()[-1]
        row.first_seen_at = NOW + timedelta(hours=1)
    assert how_many(desk.get(before)) == count - 1
    assert how_many(desk.get(everything)) == count


def test_a_guest_sees_words_and_nothing_else(desk: httpx.Client, house: Core, links: Links) -> None:
    """No author, order, case, original, form or script; nothing leads further than the pages of this list."""
    with db.writing(house.engine) as session:
        for row in session.exec(select(Feedback)):
            row.author, row.order_ref, row.url, row.case_id = "李**明", "A123", "https://shop.test/1", row.case_id
            row.extra = {"parent": "https://shop.test/2"}
    page = desk.get(path(links))
    assert (page.status_code, "评价</h1>" in page.text) == (200, True)
    for hidden in ("李**明", "A123", "shop.test", "工单", "<form", "<button", "<script", "/cases", "/feedback"):
        assert hidden not in page.text, hidden
    addresses = set(re.findall(r'<a [^>]*href="([^"]+)"', page.text))
    assert addresses == {"#main", "?lang=en", "?page=2"}
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"


def test_a_guest_sees_deadlines_and_no_way_to_their_cases(desk: httpx.Client, house: Core, links: Links) -> None:
    """Which, when due and met, whose: as at the desk, without a link; further conditions are refused here too."""
    wanted = {"until": "2026-11-19", "seen": str(int(NOW.timestamp())), "stage": "case.respond"}
    address = urlsplit(links.listing(wanted, LIFE, of="deadlines")).path
    page = desk.get(address)
    assert page.status_code == 200
    assert "到期的时限：工单首次回复" in body(page)
    assert re.search(r"工单 #\d+ ", body(page))
    assert "客服一号" in body(page)
    addresses = set(re.findall(r'<a [^>]*href="([^"]+)"', page.text))
    assert addresses == {"#main", "?lang=en", "?page=2"}
    for hidden in ("<form", "<button", "<script", "/cases", "/deadlines?"):
        assert hidden not in page.text, hidden
    seen = [body(desk.get(address, params={"page": n})).count(" #") for n in (1, 2, 3)]
    assert seen[2] == 0 < seen[1]
    assert sum(seen) == how_many(page)
    for asked in ("seen=0", "person=主管", "of=feedback"):
        assert desk.get(f"{address}?{asked}").status_code == 403
    english = desk.get(f"{address}?lang=en").text
    assert "Deadlines that fell due" in english
    desk.cookies.clear()
    for of, words in (("outbox", WEEK), ("deadlines", WEEK | {"result": "x"}), ("feedback", {"since": "x"})):
        assert desk.get(urlsplit(links.listing(words, LIFE, of=of)).path).status_code == 403


def test_a_guest_sees_no_order_number(desk: httpx.Client, house: Core, links: Links) -> None:
    """What buyers wrote of their orders is hidden in text and title; marks stay in their places."""
    with db.writing(house.engine) as session:
        row = session.exec(select(Feedback).where(Feedback.happened_at < NOW - timedelta(days=6))).all()[-1]
        row.title, row.text = "订单 88123456 呢", "单子 2211034567890123456 漏水，催了 3 次"
        score = session.get_one(Score, row.id)
        start = row.text.index("漏水")
        score.evidence = [{"code": "quality", "start": start, "end": start + 2, "text": "漏水"}]
    page = body(desk.get(path(links)))
    assert "订单 ****3456 呢" in page
    assert "单子 ***************3456 " in page
    assert re.search(r"<mark[^>]*>漏水</mark>", page)
    assert "2211034567" not in page


def test_its_pages_are_all_there_is(desk: httpx.Client, links: Links) -> None:
    """Turned to the end each feedback comes once; what is no page of it is told, not guessed."""
    address, seen, number = path(links), [], 1
    whole = how_many(desk.get(address))
    while 'class="card"' in (shown := desk.get(address, params={"page": number})).text:
        seen.append(shown.text.count('class="card"'))
        number += 1
    assert sum(seen) == whole > 100
    for page in ("0", "-1", "201", "x", "１", "99999999999", "1e3", ""):
        assert (answer := desk.get(address, params={"page": page})).status_code == 404, page
        assert "没有这一页" in answer.text


def test_a_link_that_was_changed_or_widened_does_not_open(desk: httpx.Client, links: Links) -> None:
    """Another signature, another kind of link, further conditions: refused in Chinese, with the way to the login."""
    good = path(links, category="logistics", bad="1")
    view = urlsplit(links.view("crisis", 1)).path.replace("/v/", "/n/")
    token = good.removeprefix("/n/")
    longer = f"/n/{Links(b'another', SITE, HandClock(NOW)).listing(WEEK, LIFE).rpartition('/')[2]}"
    unknown = f"/n/{links.listing({'since': 'some day'}, LIFE).rpartition('/')[2]}"
    for forged in (good[:-1], good + "x", f"/n/{token[::-1]}", view, longer, unknown, "/n/x", "/n/" + "a" * 5000):
        answer = desk.get(forged)
        assert answer.status_code == 403
        assert "不是评哨发出的" in answer.text
        assert 'href="/login"' in answer.text
    for more in ("bad=0", "since=2020-01-01", "category=", "page=1&shop=jd", "q=x"):
        answer = desk.get(f"{good}?{more}")
        assert (answer.status_code, "不能改条件" in answer.text) == (403, True), more
    assert desk.get(f"/a/{token}").status_code == desk.get(f"/v/{token}").status_code == 403
    assert [desk.request(how, good).status_code for how in ("POST", "PUT", "DELETE")] == [405] * 3


def test_it_ends(desk: httpx.Client, house: Core, links: Links, clock: HandClock) -> None:
    """After its life the answer is 410 with the way to the login; switched off in the config, 403 at once."""
    address = path(links)
    clock.move(LIFE - timedelta(seconds=1))
    assert desk.get(address).status_code == 200
    clock.move(timedelta(seconds=1))
    answer = desk.get(address)
    assert (answer.status_code, "过期" in answer.text, 'href="/login"' in answer.text) == (410, True, True)
    house.settings = house.settings.model_copy(
        update={"summaries": house.settings.summaries.model_copy(update={"guest_links": False})}
    )
    answer = desk.get(path(links))
    assert (answer.status_code, "停用" in answer.text) == (403, True)


def test_no_link_is_asked_without_end(desk: httpx.Client, links: Links, clock: HandClock) -> None:
    """Some pages at once, then it rests, and another link is not touched by that; a minute later it opens again."""
    address, other = path(links, bad="1"), path(links, shop="jd")
    answers = [desk.get(address) for _ in range(20)]
    assert answers[14].status_code == 200
    assert (answers[-1].status_code, answers[-1].headers["retry-after"]) == (429, "2")
    assert "过一会儿" in answers[-1].text
    assert desk.get(other).status_code == 200
    clock.move(timedelta(minutes=1))
    assert desk.get(address).status_code == 200


def test_whoever_has_the_link_changes_nothing(desk: httpx.Client, house: Core, links: Links) -> None:
    """After walking all that a guest can ask, good and bad, the store is as it was, and no door is open."""
    before, address = standing(house), path(links)
    for asked in (address, f"{address}?page=2", f"{address}?lang=en", f"{address}x", f"{address}?bad=1"):
        desk.get(asked)
        desk.post(asked, data={"form_key": "x"})
    assert standing(house) == before
    assert "Complaints" in desk.get(f"{path(links, bad='1')}?lang=en").text
    for closed in ("/feedback", "/cases", "/audit", "/api/v1/feedback"):
        assert desk.get(closed, follow_redirects=False).status_code in (303, 401)


def test_texts_without_end_are_cut(desk: httpx.Client, house: Core, links: Links) -> None:
    """A page of 50 feedbacks stays small, whatever they say; no text, a title, and hostile markup are shown as such."""
    with db.writing(house.engine) as session:
        rows = session.exec(select(Feedback).where(Feedback.happened_at < NOW - timedelta(days=6))).all()
        for row in rows:
            row.text, row.title = "漏水<b>" + "长" * 100_000, "<i>题"
        rows[-1].text = ""
    page = desk.get(path(links), params={"page": "2"})
    assert len(page.content) < 500_000
    assert "漏水&lt;b&gt;长" in page.text
    assert "&lt;i&gt;题" in page.text
    assert "……" in page.text


def test_who_gets_which_mail(house: Core, engine: Engine) -> None:
    """Whose address is a person's with an account logs in; anybody else, and he whose account is gone, is a guest."""
    smtp, summaries = {"host": "127.0.0.1"}, {"recipients": ["Lead@example.com", "head@example.com"]}
    settings = make_settings(smtp=smtp, summaries=summaries | {"cc": ["agent1@example.com", "manager@example.com"]})
    with db.writing(engine) as session:
        directory.sync(session, settings)
        session.add_all(Account(name=name, created_at=NOW) for name in ("主管", "经理"))
        session.exec(select(Person).where(Person.name == "经理")).one().active = False
    payload = {"title": "周报", "lines": ["一行"], "eml": "/desk.eml", "guest_eml": "/guest.eml"}
    assert sent(engine, settings, "a", payload) == {
        "Lead@example.com": "/desk.eml", "head@example.com": "/guest.eml",
        "agent1@example.com": "/guest.eml", "manager@example.com": "/guest.eml",
    }  # fmt: skip
    company = make_settings(smtp=smtp, summaries=summaries, desk={"user_header": "X-User"})
    assert set(sent(engine, company, "b", payload).values()) == {"/desk.eml", "/guest.eml"}
    shut = {name: said for name, said in payload.items() if name != "guest_eml"}
    assert set(sent(engine, settings, "c", shut).values()) == {"/desk.eml"}


def test_sending_makes_both_editions(house: Core, links: Links, tmp_path: Path) -> None:
    """The guests' mail lies beside the other and is what they get; switched off, there is one."""
    settings = make_settings(tmp_path, smtp={"host": "127.0.0.1"}, summaries={"recipients": ["head@example.com"]})
    app = App(make_core(house.engine, settings, house.clock), {}, links)  # type: ignore[arg-type]
    app.report("daily", FRIDAY, tmp_path / "a", send=True)
    assert mailed(house.engine) == str(tmp_path / "a" / "daily-2026-11-20-guest.eml")
    assert b"guest" not in (tmp_path / "a" / "daily-2026-11-20.eml").read_bytes()
    shut = {"recipients": ["head@example.com"], "guest_links": False}
    settings = make_settings(tmp_path, smtp={"host": "127.0.0.1"}, summaries=shut)
    app = App(make_core(house.engine, settings, house.clock), {}, links)  # type: ignore[arg-type]
    app.report("evening", FRIDAY, tmp_path / "b", send=True)
    assert mailed(house.engine) == str(tmp_path / "b" / "evening-2026-11-20.eml")
    assert not list((tmp_path / "b").glob("*guest*"))
    app.report("evening", FRIDAY, tmp_path / "c")
    assert len(list((tmp_path / "c").glob("*.eml"))) == 1


def mailed(engine: Engine) -> str:
    with db.reading(engine) as session:
        row = session.exec(select(Outbox).order_by(col(Outbox.id).desc())).first()
    assert row is not None
    return str(row.payload["eml"])


def sent(engine: Engine, settings: Settings, key: str, payload: dict[str, Any]) -> dict[str, str]:
    with db.writing(engine) as session:
        enqueue_report(session, settings, key, "weekly", payload, NOW)
        rows = session.exec(select(Outbox).where(Outbox.dedupe_key == key)).all()
        return {row.target: row.payload["eml"] for row in rows}
