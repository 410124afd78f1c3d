"""The desk in English: chosen by a link, kept by a cookie, complete, and never a word of a buyer changed."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
from factories import make_core, make_settings
from jinja2 import Environment
from serving import browse
from sqlalchemy import Engine, update
from sqlmodel import select
from subjects import open_case, open_crisis

from alerts import words
from alerts.actions import Click, handle
from alerts.desk import inbox, labels, language
from alerts.desk.app import create_app
from alerts.desk.pages import HERE
from alerts.links import Links
from monitor import categories, db, directory, states, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Feedback, Improvement, Indicator, Outbox, Source
from monitor.moves import Action
from monitor.transitions import ACTIONS

HAN = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+")
DESK = {"user_header": "X-User", "header_from": ["127.0.0.1"]}
TEMPLATES = sorted((HERE / "templates").glob("*.html"))


@pytest.fixture
def house(sqlite: Engine, clock: HandClock) -> Core:
    """A house whose people, shops and buyers write in English, so that all Chinese on a page is the desk's own."""
    people = [{"name": "Ann", "role": "admin"}, {"name": "Bob", "role": "agent"}]
    shops = [{"id": "demo", "name": "Demo", "platform": "tmall"}, {"id": "two", "name": "Two", "platform": "jd"}]
    sources = [{"name": "jd", "kind": "file", "shop": "demo", "path": "jd.csv"}]
    core = make_core(sqlite, make_settings(people=people, shops=shops, sources=sources, desk=DESK), clock)
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    open_crisis(core, ["never arrived", "not here"], [{"code": "logistics", "start": 0, "end": 5, "text": ""}])
    clock.move(timedelta(hours=1, minutes=5))
    timers.sweep(core)
    open_crisis(core, ["smells"], severity="critical", category="safety")
    for state in ("received", "assigned", "resolved"):
        open_case(core, ["leaks", "still leaks"], state=state, categories=["quality", "service"])
    for n, (who, what, kind, number, note) in enumerate(
        [
            ("Bob", "claim", "case", 1, ""),
            ("Ann", "claim", "case", 1, ""),
            ("Bob", "contacted", "case", 1, ""),
            ("Ann", "note", "case", 1, "note"),
            ("Ann", "plan", "crisis", 1, "send again"),
            ("Ann", "notified_sms", "crisis", 1, ""),
        ]
    ):
        handle(core, Click("desk", str(n), who, Action(what, kind, number, note)))
    now = clock.now()
    with db.writing(sqlite) as session:
        session.execute(update(Feedback).values(author="L**i"))
        source = session.exec(select(Source).where(Source.name == "jd")).one()
        source.status, source.last_error, source.last_run_at = "attention", "timeout", now
        source.last_item_at = now - timedelta(hours=30)
        session.add(Improvement(category="damage", what="box", done_at=now, actor="Ann"))
        facts = {"shop_id": "demo", "name": "dispute_rate", "value": 0.4, "industry": 0.3}
        session.add_all(Indicator(**facts, day=now.date() - timedelta(n)) for n in range(3))
        session.add(
            Outbox(
                dedupe_key="d", channel="ops", target="C", kind="case.opened", subject="case", subject_id=1,
                state="dead", attempts=8, last_error="no_auth", created_at=now, not_before=now,
            )
        )  # fmt: skip
    return core


@pytest.fixture
def desk(house: Core) -> Iterator[httpx.Client]:
    with browse(create_app(house, Links(house.secret, "", house.clock))) as client:
        client.headers["X-User"] = "Ann"
        yield client


def shown(page: httpx.Response) -> str:
    """What a person can read of a page, but for drafts to customers and the way back to Chinese."""
    text = re.sub(
        r'<p class="(?:quote|sample)">.*?</p>|<textarea.*?</textarea>|<a [^>]*lang="zh-CN".*?</a>',
        "",
        page.text,
        flags=re.DOTALL,
    ).replace(" 、 ", " ")
    attributes = re.findall(r'(?:title|placeholder|aria-label|data-\w+)="([^"]*)"', text)
    return unescape(" ".join([re.sub(r"<[^>]*>", " ", text), *attributes]))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.stem)
def test_every_piece_of_a_template_has_english(file: Path) -> None:
    """The catalogue has all that is Chinese in the templates, English of it has no Chinese, and its code compiles."""
    pages = language._catalogue()[0]
    pieces = language.pieces(file.read_text("utf-8"))
    assert [piece for piece in pieces if piece not in pages] == []
    assert [
        piece for piece in pieces if HAN.search(re.sub("［］| 、 ", "", pages[piece])) and pages[piece] != piece
    ] == []
    environment = Environment(loader=language.Loader(HERE / "templates"), autoescape=True)
    environment.filters |= dict.fromkeys(["t", *re.findall(r"\| (\w+)", file.read_text("utf-8"))], str)
    environment.get_template(file.name)


def test_every_label_has_english() -> None:
    """States, severities, stages, actions, events, categories, platforms: none is forgotten."""
    said = [info.label for info in ACTIONS.values()] + list(categories.names().values()) + list(inbox.WHICH.values())
    for told in (states, labels, words):
        for value in vars(told).values():
            if isinstance(value, dict):
                said += [
                    one for inner in value.values() for one in (inner.values() if isinstance(inner, dict) else [inner])
                ]
    chinese = [one for one in said if isinstance(one, str) and HAN.search(one)]
    assert len(chinese) > 90
    assert [one for one in chinese if HAN.search(language.english(one))] == []


def test_no_piece_is_left_over() -> None:
    """The catalogue has nothing that no template says any more."""
    said = {piece for file in TEMPLATES for piece in language.pieces(file.read_text("utf-8"))}
    assert sorted(set(language._catalogue()[0]) - said) == []


def test_the_pages_are_english(desk: httpx.Client, house: Core) -> None:
    """Walked with a store in which only the desk speaks Chinese: no page has any left."""
    links = Links(house.secret, "", house.clock)
    paths = [
        "/", "/cases", "/cases?which=all", "/cases?q=nothing", "/cases/1", "/cases/2", "/cases/3", "/cases/99",
        "/crises", "/crises/1", "/crises/2", "/mentions", "/mentions?q=x", "/outbox", "/audit", "/export", "/nowhere",
        "/login", "/tokens", "/api", "/answers", "/cases/1/drafts", "/crises/1/drafts",
        "/settings", "/settings/people", "/settings/people/one", "/settings/people/one?name=Bob", "/settings/rotas",
        "/settings/routes", "/settings/rules", "/settings/drafts", "/settings/drafts/quality",
        "/settings/drafts/quality:异味", "/settings/drafts/grave", "/corrections", "/reports",
        "/improvements", "/improvements/1", "/indicators",
        links.view("crisis", 1), links.make("plan", "crisis", 1, "Ann"), links.make("assign", "case", 2, "Ann"), "/a/x",
    ]  # fmt: skip
    desk.get("/cases?lang=en")
    left = {path: HAN.findall(shown(desk.get(path))) for path in paths}
    assert {path: found for path, found in left.items() if found} == {}


def test_the_choice_is_kept(desk: httpx.Client) -> None:
    """A link changes the language at once and for later; nonsense in address or cookie changes nothing."""
    assert '<html lang="zh-CN">' in desk.get("/cases").text
    for asked in ("xx", "en%00", "EN"):
        assert "set-cookie" not in desk.get(f"/cases?lang={asked}").headers
    answer = desk.get("/cases?lang=en")
    assert '<html lang="en">' in answer.text
    assert "SameSite=Lax" in answer.headers["set-cookie"]
    assert "Open" in desk.get("/cases").text
    assert "未办结" in desk.get("/cases?lang=zh").text
    assert "未办结" in desk.get("/cases").text
    for cookie in ("xx", "en; a=b", 'x"; ='):
        assert desk.get("/cases", headers={"Cookie": f"pingshao_language={cookie}"}).status_code == 200


def test_what_broke_is_told_in_english(desk: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of a fault of our own follows the choice too, though it is made outside of everything else."""
    desk.headers["Connection"] = "close"  # the server hangs up after a fault
    monkeypatch.setattr(inbox, "read", lambda *_: 1 / 0)
    assert "评哨出了点问题" in desk.get("/cases").text
    page = desk.get("/cases?lang=en")
    assert page.status_code == 500
    assert "Something went wrong" in page.text
    desk.cookies.set("pingshao_language", "en")
    assert HAN.findall(shown(desk.get("/cases"))) == []


def test_buyers_words_stay(desk: httpx.Client, house: Core) -> None:
    """What a buyer or a colleague wrote is not translated, were it a label to the letter."""
    number = open_case(house, ["已解决", "质量问题"], categories=["quality"])
    handle(house, Click("desk", "x", "Ann", Action("note", "case", number, "待认领")))
    page = desk.get(f"/cases/{number}?lang=en").text
    for own in ("已解决", "质量问题", "待认领"):
        assert f"<bdi>{own}</bdi>" in page
    assert "<bdi>已解决</bdi>" in desk.get(f"/cases?lang=en&q=%23{number}").text + page


def test_unknown_words_stay() -> None:
    """What the catalogue lacks is shown in Chinese."""
    assert language.english("没有人写过的话") == "没有人写过的话"
    assert language.english("已超时 5 分钟") == "5 min overdue"
    assert language.english("物流配送、没有人写过的话") == "delivery, 没有人写过的话"
    assert language.pieces('{# 注 #}<p title="甲{{ x }}">乙 {{ "丙" if y else z }}</p>{% set a = "丁" %}') == [
        "甲{{ x }}", '乙 {{ "丙" if y else z }}', "丁",
    ]  # fmt: skip
