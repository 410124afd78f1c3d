"""Whole reports: golden pages, odd weeks, hostile text, many products, files, and how they look in a browser."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from factories_reports import Record, fresh_cores, month, store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import select

from monitor import db, directory
from monitor.core import Core
from monitor.indicators import KINDS as INDICATORS
from monitor.models import Case, Crisis, CrisisFeedback, Event, Improvement, Indicator, Source, Spread
from reports.build import Report, build, standing_alone, write
from reports.period import Kind

GOLDEN = Path(__file__).parent / "golden" / "reports"
FRIDAY = date(2026, 11, 20)
KINDS: tuple[Kind, ...] = ("daily", "evening", "weekly", "monthly")
SHOPS = [
    {"id": "demo", "name": "示例旗舰店", "platform": "tmall"},
    {"id": "jd", "name": "示例京东店", "platform": "jd"},
]
SOURCES = [{"name": "站点", "kind": "html", "shop": "demo"}, {"name": "微博", "kind": "feed", "brand": ["示例"]}]
HOSTILE = (
    "<script>alert(1)</script>",
    "{{ 7*7 }}{% for x in y %}",
    '"><img src=x onerror=alert(1)>',
    '"cid:weekly-2026-11-16-trend.png@pingshao"',
    "$\\frac{1}{0}$ $",
    "\u202e倒过来\u202c\u0000\u0007",
    "😀🈚\U0001f9ff𠮷",
    "=cmd|' /C calc'!A0",
    "\n\n【危机】\n- 假的",
    "长" * 5000,
    "W" * 5000,
)


SERVICE = {"var_dir": "/nonexistent", "public_url": "http://desk.test"}


def _core(engine: Engine, **overrides: Any) -> Core:
    told = {"service": SERVICE, "shops": SHOPS, "sources": SOURCES} | overrides
    core = make_core(engine, make_settings(**told))
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
    return core


@pytest.fixture
def busy(engine: Engine) -> Core:
    """Six weeks of two shops, a crisis, an improvement, a source in trouble."""
    return _busy(engine)


def _busy(engine: Engine) -> Core:
    core = _core(engine)
    records = [record for record in month(last=FRIDAY, a_day=30, share=0.06) if record.at <= NOW]
    records += [Record(NOW - timedelta(hours=9 * n), kind="mention", shop=None, stars=None) for n in range(60)]
    places = {"demo": {"warehouse": "苏州仓", "courier": "中通"}, "jd": {"warehouse": "广州仓", "courier": "京东"}}
    for record in records:
        record.extra = dict(places.get(record.shop or "", {}))
    at = NOW - timedelta(days=8)
    late = [_late(at - timedelta(minutes=7 * n)) for n in range(14)]
    post = Record(at, True, "下单九天没发货，问就是在路上", None, ["logistics"], "high", kind="mention", shop=None)
    post.platform, post.extra = "weibo", {"likes": 1203, "reposts": 340, "comments": 98}
    store(engine, [*late, post, *records], NOW)
    with db.writing(engine) as session:
        for row in session.exec(select(Source)):
            row.last_run_at = row.last_success_at = row.last_item_at = NOW - timedelta(minutes=5)
            row.status = "attention" if row.name == "微博" else "ok"
            row.last_error = "页面要求登录" if row.name == "微博" else ""
        session.add(
            Crisis(
                id=1, shop_id="demo", state="acknowledged", cause="burst", category="logistics", product="保温杯",
                severity="high", opened_at=at, updated_at=at, acknowledged_at=at + timedelta(minutes=40),
                scope={
                    "count": 15, "product": [["保温杯 500ml 曜石黑", 14]], "warehouse": [["苏州仓", 14]],
                    "said": [["没收到", 14]], "spread": {"verdict": "independent", "copies": 0, "of": 15},
                },
            )
        )  # fmt: skip
        session.flush()
        session.add_all(CrisisFeedback(crisis_id=1, feedback_id=n + 1, added_at=at) for n in range(15))
        session.add(Spread(feedback_id=15, step=0, at=at, likes=200, reposts=10, comments=4))
        for minutes, what in ((0, "opened"), (5, "claim"), (40, "plan"), (90, "notified_sms"), (95, "something.new")):
            actor, when = "主管" if minutes else "评哨", at + timedelta(minutes=minutes)
            session.add(Event(at=when, actor=actor, door="desk", subject="crisis", subject_id=1, what=what))
        session.add(Improvement(category="damage", what="加固包装", done_at=NOW - timedelta(days=25)))
        session.add(Improvement(category="logistics", what="换快递", done_at=NOW - timedelta(days=6)))
        for name, days, value, industry in (
            ("dispute_rate", 30, 0.42, 0.3), ("dispute_rate", 14, 0.38, 0.3), ("dispute_rate", 7, 0.35, 0.3),
            ("self_completion", 7, 93.5, 90),
            ("dsr_service", 7, 4.86, 4.8), ("upheld", 9, 1, None), ("upheld", 25, 1, None),
        ):  # fmt: skip
            day = NOW.date() - timedelta(days)
            session.add(Indicator(shop_id="demo", name=name, day=day, value=value, industry=industry))
        for shop, days in (("demo", (5, 6, 7, 8, 10, 11, 12, 13, 26, 30)), ("jd", (6, 7, 14))):
            for n in days:
                facts = {"shop_id": shop, "name": "served", "day": NOW.date() - timedelta(n)}
                session.add(Indicator(**facts, value=180 + 7 * n))
    return core


def _late(at: datetime) -> Record:
    facts = {"warehouse": "苏州仓", "courier": "中通"}
    made = Record(at, True, "显示签收，可我没收到", 1, ["logistics"], "high", extra=facts, said="没收到")
    made.product, made.state, made.who = "保温杯 500ml 曜石黑", "contacted", "客服一号"
    made.answered = timedelta(minutes=25)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_golden(busy: Core, kind: Kind, request: pytest.FixtureRequest) -> None:
    """The pages are those that were looked at and kept, from either database."""
    report = build(busy, kind, FRIDAY)
    for suffix, content in (("html", report.html), ("txt", report.text), ("lines", "\n".join(report.lines))):
        file = GOLDEN / f"{kind}.{suffix}"
        if request.config.getoption("--update-golden"):
            file.write_text(content, encoding="utf-8")
        assert content == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("records", [[], [Record(NOW - timedelta(days=6), True, "漏水", 1, ["quality"], "high")]])
def test_hardly_anything(sqlite: Engine, kind: Kind, records: list[Record]) -> None:
    """An empty store and a single review give a report that says so, without a percentage of them."""
    core = _core(sqlite, sources=[])
    store(sqlite, records, NOW)
    report = build(core, kind, FRIDAY)
    assert report.lines
    shown = _Page(report.html).words.split("</style>")[-1]
    assert set(re.findall(r"[\d.]+%", shown.split("}")[-1])) <= {"80%", "90%", "95%", "99%", "100%"}


def test_all_positive(sqlite: Engine) -> None:
    """A week without a complaint has a trend, no cloud, no categories."""
    core = _core(sqlite)
    store(sqlite, [Record(NOW - timedelta(days=6, hours=n)) for n in range(60)], NOW)
    report = build(core, "weekly", FRIDAY)
    assert list(report.images) == ["weekly-2026-11-16-trend.png"]
    assert report.lines[0] == "上周 60 条评价，没有差评。"


def test_order_numbers_of_buyers_stay_in_the_house(sqlite: Engine) -> None:
    """They are in no page, mail or figures; an improvement is entered from the category that rose."""
    core = _core(sqlite)
    week, before = NOW - timedelta(days=6), NOW - timedelta(days=20)
    text = "订单号 88123456，就是 2211034567890123456，漏水"
    rows = [Record(week + timedelta(minutes=n), True, text, 1, ["quality"], "high") for n in range(40)]
    rows += [Record(at) for at in (before, week) for _ in range(60)] + [Record(NOW - timedelta(days=40))]
    store(sqlite, rows, NOW)
    report = build(core, "weekly", FRIDAY)
    assert "订单号 ****3456，就是 ***************3456，漏水" in report.text
    for page in (report.html, report.text, report.figures, report.eml.decode()):
        assert "88123456" not in page
        assert "22110345678" not in page
    assert 'href="http://desk.test/improvements?category=quality"' in report.html


class _Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


_TAGS = {"html", "head", "meta", "title", "style", "body", "div", "table", "tbody", "tr", "td", "th"}
_TAGS |= {"h1", "h2", "h3", "p", "br", "b", "a", "img", "span"}


def _harmless(report: Report) -> None:
    for page in (report.html, standing_alone(report)):
        seen = _Page(page)
        assert seen.tags <= _TAGS
        assert not [name for name, _ in seen.attributes if name.startswith("on")]
        links = [value or "" for name, value in seen.attributes if name in {"href", "src"}]
        known = re.compile(r"http://desk\.test/|cid:[\w.-]+@pingshao$|[\w.-]+\.png$")
        assert [link for link in links if not known.match(link)] == []
        assert not re.search(r"[\x00-\x08\u202a-\u202e]", page)
    assert len(report.html.encode()) <= 100_000
    assert len(report.eml) <= 300_000


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_is_shown_as_text(sqlite: Engine, kind: Kind) -> None:
    """Scripts, template braces, formulas, marks that turn text and endless words stay text, everywhere."""
    core = _core(sqlite)
    at = NOW - timedelta(days={"weekly": 6, "monthly": 25, "daily": 1, "evening": 0}[kind], minutes=1)
    texts = [text.replace("\x00", "") for text in HOSTILE]
    rows = [
        Record(at, True, text, 1, [text, "quality"], "high", product=text, platform=text, state="assigned", who="主管")
        for text in texts
        for _ in range(4)
    ]
    store(sqlite, rows, NOW, respond=timedelta(seconds=1))
    with db.writing(sqlite) as session:
        for text in texts:
            crisis = Crisis(
                state="open", cause="burst", category=text, product=text, severity="high", opened_at=at, updated_at=at
            )
            session.add(crisis)
            session.flush()
            assert crisis.id
            session.add(Event(at=at, actor=text, door="desk", subject="crisis", subject_id=crisis.id, what=text))
            session.add(Improvement(category=text, what=text, product=text, done_at=at - timedelta(days=1)))
        for row in session.exec(select(Source)):
            row.status, row.last_error, row.last_run_at = "failed", texts[0], NOW
    report = build(core, kind, FRIDAY)
    _harmless(report)
    assert "{{ 7*7 }}" in _Page(report.html).words
    assert "<script>alert(1)</script>" in report.text
    assert not any(line.startswith("- 假的") for line in report.text.splitlines())


@pytest.fixture
def fresh(sqlite_template: bytes, tmp_path: Path) -> Callable[[], Core]:
    return fresh_cores(sqlite_template, tmp_path, service=SERVICE)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=60))
def test_any_text_renders_harmlessly(fresh: Callable[[], Core], text: str) -> None:
    """No text, product or category, whatever its characters, becomes markup or breaks a chart."""
    core = fresh()
    store(core.engine, [Record(NOW - timedelta(days=6), True, text, 1, [text], "low", product=text)] * 5, NOW)
    _harmless(build(core, "weekly", FRIDAY))
    core.engine.dispose()


def test_sixty_categories_and_products(sqlite: Engine) -> None:
    """Sixty of each fit the mail's limits."""
    core = _core(sqlite)
    rows = [
        Record(
            NOW - timedelta(days=6 if k < 3 else 15), True, f"商品{n}坏在部位{c}", 1, [f"类别{c}"], "high",
            product=f"一件名字很长很长很长很长的商品，第 {n} 号，多色可选",
        )
        for n in range(60) for c in range(60) if (n + c) % 4 == 0 for k in range(4)
    ]  # fmt: skip
    store(sqlite, rows, NOW)
    report = build(core, "weekly", FRIDAY)
    _harmless(report)
    assert len(json.loads(report.figures)["categories"]) == 60


def test_a_thousand_categories_of_nonsense(sqlite: Engine) -> None:
    """Each is counted, in the right place, and none becomes markup; the mail stays within its limits."""
    core = _core(sqlite)
    names = [f"{text[:40]}{n}".replace("\x00", "") for n, text in zip(range(1000), cycle(HOSTILE), strict=False)]
    week, before, first = (NOW - timedelta(days=days) for days in (6, 20, 39))
    rows = [Record(first), *(Record(week, True, "坏了", 1, [name], "low") for name in names)]
    store(sqlite, [*rows, *(Record(before, True, "坏了", 1, [name], "low") for name in names[::2])], NOW)
    report = build(core, "weekly", FRIDAY)
    _harmless(report)
    counted = {row["code"]: (row["now"], row["norm"]) for row in json.loads(report.figures)["categories"]}
    assert counted == {name: (1, int(n % 2 == 0)) for n, name in enumerate(names)}


def test_the_fullest_month_stays_within_the_limits(sqlite: Engine) -> None:
    """Every table full, every shop with indicators and points, many crises: fewer rows, and no byte too many."""
    shops = [
        {"id": f"shop{n}" if n else "demo", "name": f"第{n}家有长名字的旗舰店", "platform": "tmall"} for n in range(20)
    ]
    core = _core(sqlite, shops=shops, sources=[])
    week, before, day = NOW - timedelta(days=25), NOW - timedelta(days=60), date(2026, 10, 26)
    places = [{name: f"{name}一个很长的名字{n}" for name in ("sku", "warehouse", "courier")} for n in range(12)]
    rows = [
        Record(
            at, bad, f"第{n}种毛病，{'说了很多' * 30}", 1, [f"类别{n % 14}"] if bad else [], "high" if bad else None,
            shop=shops[n % 20]["id"], product=f"一件名字很长很长的商品{n % 12}", extra=places[n % 12],
            state="resolved", answered=timedelta(minutes=5), resolved=timedelta(hours=2),
            said=f"毛病{n % 14}的原话" if bad else "",
        )
        for n in range(600) for at, bad in ((week, True), (week, False), (before, n % 20 == 0))
    ]  # fmt: skip
    store(sqlite, rows, NOW)
    with db.writing(sqlite) as session:
        for n in range(12):
            session.add(
                Crisis(
                    state="open", cause="burst", category="quality", severity="high", opened_at=week, updated_at=week
                )
            )
            session.add(Improvement(category="quality", what="改了一处又一处" * 5, done_at=week - timedelta(days=20)))
            for _ in range(10):
                facts = {"actor": "一位名字很长的主管", "door": "desk", "subject": "crisis", "subject_id": n + 1}
                session.add(Event(at=week, what="claim", **facts))
        for shop in shops:
            for name in INDICATORS:
                session.add(Indicator(shop_id=shop["id"], name=name, day=day, value=1.5, industry=1.4))
    report = build(core, "monthly", FRIDAY)
    _harmless(report)
    assert len(report.made.indicators) == 20
    assert "每表最多 8 行" not in report.html


@pytest.mark.slow
def test_files_stand_alone(sqlite: Engine, tmp_path: Path) -> None:
    """The folder holds page, pictures, mail and figures; writing it again changes nothing."""
    busy = _busy(sqlite)
    report = build(busy, "weekly", FRIDAY)
    files = write(report, tmp_path / "out")
    names = [file.name for file in files]
    assert names[0] == "weekly-2026-11-16.html"
    assert set(names) == {
        "weekly-2026-11-16.html", "weekly-2026-11-16.eml", "weekly-2026-11-16.json", *report.images
    }  # fmt: skip
    page = files[0].read_text(encoding="utf-8")
    assert "cid:" not in page
    assert set(re.findall(r'src="([^"]+)"', page)) == set(report.images)
    figures = json.loads((tmp_path / "out" / "weekly-2026-11-16.json").read_text(encoding="utf-8"))
    assert figures["totals"]["now"]["n"] == sum(figures["days"][f"2026-11-{day:02}"]["n"] for day in range(9, 16))
    before = {file: file.read_bytes() for file in files}
    assert write(build(busy, "weekly", date(2026, 11, 18)), tmp_path / "out") == files
    assert {file: file.read_bytes() for file in sorted((tmp_path / "out").iterdir())} == dict(sorted(before.items()))


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as play:
        shown = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield shown
        shown.close()


@pytest.mark.slow
@pytest.mark.browser
def test_it_fits_the_screen(sqlite: Engine, tmp_path: Path, browser: Any) -> None:
    """On a phone and a desktop, light and dark: nothing to scroll sideways, every picture there, text legible."""
    core = _busy(sqlite)
    for kind in ("weekly", "daily"):
        file = write(build(core, kind, FRIDAY), tmp_path)[0]
        for width, scheme in ((320, "light"), (390, "dark"), (800, "light"), (800, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("[...document.images].every(image => image.naturalWidth === 1200)")
            assert page.evaluate(_PALE) == []
            page.close()


# Texts whose contrast against what is behind them is below 4:1.
_PALE = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = part => part <= 10.3 ? part / 3295 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const light = colour => {
    const [r, g, b] = numbers(colour).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return numbers(colour)[3] === 0 && element.parentElement ? behind(element.parentElement) : colour;
  };
  const contrast = element => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const speaks = element => getComputedStyle(element).fontSize !== '1px'
    && [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  return [...document.querySelectorAll('h1,h2,h3,p,td,th,a,span,b')]
    .filter(element => speaks(element) && contrast(element) < 4).map(element => element.textContent);
}"""


def test_who_was_contacted_and_wrote_again_is_told(engine: Engine) -> None:
    """追评率 stands in the weekly mail, in text and HTML, once somebody was contacted."""
    core = _core(engine)
    at = NOW - timedelta(days=6)
    store(
        engine,
        [Record(at, text="杯子漏水", stars=1, negative=True, categories=["quality"], severity="medium")] * 2,
        NOW,
    )
    assert "追评率" not in build(core, "weekly", date(2026, 11, 16)).text
    with db.writing(engine) as session:
        cases = session.exec(select(Case.id).order_by(Case.id)).all()
        for n, case in enumerate(cases):
            facts = {"actor": "客服一号", "door": "slack", "subject": "case", "subject_id": case}
            session.add(Event(at=at, what="contacted", **facts))
            if n == 0:
                later = {"at": at + timedelta(hours=1), "after": {"change": "followup"}}
                session.add(Event(what="feedback.followup", **facts, **later))
    report = build(core, "weekly", date(2026, 11, 16))
    assert "追评率" in report.text
    assert "追评率" in report.html
