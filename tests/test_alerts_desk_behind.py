"""Every number of a report that is a link opens as many feedbacks as it says."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from factories import NOW, make_core, make_settings
from factories_reports import Record, month, store
from serving import browse
from sqlalchemy import Engine
from test_alerts_desk_rooms import PASSWORD, enter, hashed

from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, directory
from monitor.core import Core
from monitor.models import Account, Improvement, Indicator
from reports.build import build

FRIDAY = date(2026, 11, 20)
SITE = "http://127.0.0.1:8000"
LINK = re.compile(rf'href="{SITE}(/(?:feedback|deadlines)\?[^"]+)"[^>]*>([\d,]+)<')
UNLINKED = re.compile(r'<td class="n(?: up)?"[^>]*>([\d,]*[1-9][\d,]*)</td>')  # a mean that is whole is dim

WEEKLY = {
    "became", "begin", "category", "cleared", "courier", "followup", "nobody", "over", "person", "platform", "product",
    "result", "served", "settled", "shop", "sku", "stage", "stars", "tells", "textless", "warehouse", "within", "word",
}  # fmt: skip
LONG = "大容量不锈钢保温杯便携水杯情侣款 500ml 曜石黑（赠杯刷）"


@pytest.fixture
def house(core: Core, engine: Engine) -> Core:
    people = [{"name": "主管", "role": "lead"}, {"name": "分店", "role": "lead", "shops": ["jd"]}]
    shops = [{"id": name, "name": f"{name} 店", "platform": "tmall"} for name in ("demo", "jd")]
    service = {"var_dir": "/nonexistent", "public_url": SITE}
    made = make_core(engine, make_settings(people=people, shops=shops, service=service), core.clock)
    with db.writing(engine) as session:
        directory.sync(session, made.settings)
        session.add_all(Account(name=one["name"], password=hashed(), created_at=NOW) for one in people)
    records = [record for record in month(last=FRIDAY, a_day=25, share=0.3) if record.at <= NOW]
    for n, record in enumerate(records):
        record.extra = {"warehouse": "苏州仓", "sku": 500 + n % 2, "courier": "中通"} if n % 3 else {}
        record.platform = "" if n % 5 == 0 else record.platform
    for record in records[::9]:
        record.kind = "mention"
    late = [Record(NOW - timedelta(days=6, hours=n), True, "显示签收，可我没收到", 1, ["logistics"]) for n in range(24)]
    for record in late:
        record.extra, record.said, record.product = {"courier": "中通"}, "没收到", LONG
    store(engine, [*records, *late], NOW)
    with db.writing(engine) as session:
        for shop, days in (("demo", (9, 10, 12, 14)), ("jd", (9, 13))):
            told = [{"shop_id": shop, "name": "served", "value": 90, "day": date(2026, 11, day)} for day in days]
            session.add_all(Indicator(**one) for one in told)
        for category, days in (("logistics", 20.3), ("damage", 9.7)):
            done = NOW - timedelta(days=days, microseconds=7)
            session.add(Improvement(category=category, what="换一家", shop_id="demo", done_at=done))
    return made


@pytest.fixture
def desk(house: Core) -> Iterator[httpx.Client]:
    with browse(create_app(house, Links(house.secret, SITE, house.clock))) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["weekly", "daily"])
def test_each_number_opens_as_many(desk: httpx.Client, house: Core, kind: str) -> None:
    """The page counts what the report counted; in its tables no count above nothing is without a link."""
    page = build(house, kind, FRIDAY).html  # type: ignore[arg-type]
    enter(desk, "主管", PASSWORD)  # now: the server closes what is silent for seconds
    found = LINK.findall(page)
    addresses = " ".join(address for address, _ in found)
    assert len(found) > (150 if kind == "weekly" else 10)
    assert set(re.findall("[?;]([a-z]+)=", addresses)) >= (WEEKLY if kind == "weekly" else {"became", "category"})
    for address, number in found:
        shown = re.search(r"</h1>\D*(\d+) [条项个]", desk.get(address.replace("&amp;", "&")).text)
        assert shown, address
        assert shown[1] == number.replace(",", ""), address
    assert not UNLINKED.findall(page)


def test_pages_and_shops(desk: httpx.Client) -> None:
    """More than a page is turned; who sees one shop finds only that one's; nonsense is no error."""
    enter(desk, "主管", PASSWORD)
    first = desk.get("/feedback?since=2026-11-01&until=2026-11-20")
    following = re.search(r'href="(\?since=[^"]+page=2)"', first.text)
    assert following
    second = desk.get("/feedback" + following[1].replace("&amp;", "&")).text
    assert "第 2 页" in second
    everything = re.search(r"(\d+) 条", first.text)
    enter(desk, "分店", PASSWORD)
    mine = re.search(r"(\d+) 条", desk.get("/feedback?since=2026-11-01&until=2026-11-20").text)
    assert everything
    assert mine
    assert 0 < int(mine[1]) < int(everything[1])
    assert "没有找到。" in desk.get("/feedback", params={"product": "'; DROP TABLE feedback; --"}).text
    assert desk.get("/feedback?since=yesterday").status_code == 400
    desk.cookies.clear()
    assert urlsplit(desk.get("/feedback", follow_redirects=False).headers["location"]).path == "/login"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_it_shows(desk: httpx.Client) -> None:
    """The heading says what is listed: negatives of a category, of a product, of a platform; posts."""
    enter(desk, "主管", PASSWORD)
    asked = "/feedback?bad=1&category=logistics&shop=jd&product=儿童吸管杯&platform=tmall&until=2026-11-20"
    shown = desk.get(asked).text
    for words in ("<h1>负面反馈</h1>", "物流配送", "jd 店", "儿童吸管杯", "至 2026-11-20"):
        assert words in shown
    assert "<h1>帖子</h1>" in desk.get("/feedback?kind=mention").text


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_settled_cases_and_days_with_customers(desk: httpx.Client, house: Core) -> None:
    """Settled = with one contact + with more, each case once; a category is the case's; other days are left out."""
    enter(desk, "主管", PASSWORD)

    def count(**wanted: str) -> int:
        span = {"since": "2026-11-09", "until": "2026-11-15"}
        found = re.search(r"(\d+) 条", desk.get("/feedback", params=span | wanted).text)
        assert found
        return int(found[1])

    parts = [count(settled=which) for which in ("once", "again", "all")]
    assert parts[0] > parts[1] > 0
    assert sum(parts[:2]) == parts[2]
    assert 0 < count(settled="all", category="logistics") < parts[2]
    assert "不止一次才解决的工单" in desk.get("/feedback?settled=again").text
    of_shops = [count(bad="1", served="1", shop=shop) for shop in ("demo", "jd")]
    assert count(bad="1", served="1") == sum(of_shops) < count(bad="1")
    one = {"bad": "1", "shop": "jd"}
    assert of_shops[1] == sum(count(**one, since=day, until=day) for day in ("2026-11-09", "2026-11-13"))
    assert "没有找到。" in desk.get("/feedback?served=1&until=2020-01-01").text
    assert desk.get("/feedback?settled=once&until=9999-12-31").status_code == 200


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_headings_of_what_became_of_them(desk: httpx.Client) -> None:
    """Each list says what it is, and a word is no markup; where states are those of the report, it says so."""
    enter(desk, "主管", PASSWORD)
    days = {"since": "2026-11-09", "until": "2026-11-15"}

    def page(**wanted: str) -> str:
        return desk.get("/feedback", params=days | wanted).text

    for wanted, heading in (
        ({"became": "waiting"}, "待答复的负面反馈"),
        ({"became": "received"}, "负面反馈"),
        ({"cleared": "1"}, "当天就处理了的负面反馈"),
        ({"followup": "again"}, "联系后写了追评的买家"),
        ({"stars": "good"}, "满意的评价"),
        ({"textless": "1"}, "没有文字的反馈"),
        ({"unscored": "1"}, "尚未判定的反馈"),
        ({"word": "<b>泡沫"}, "含“<bdi>&lt;b&gt;泡沫</bdi>”的差评"),
    ):
        assert f"<h1>{heading}</h1>" in page(**wanted), wanted
    assert '<mark title="找到的字">泡沫</mark>' in page(word="泡沫")
    then = "按报告做好时的状态"
    assert then in page(became="waiting", seen="1763600000")
    assert then not in page(became="waiting") + page(bad="1", seen="1763600000")
    assert "2026-11-08 00:00 起 · 2026-11-15 12:30 前" in desk.get("/feedback?begin=1794067200&end=1794717000.5").text


def test_what_is_asked_amiss(desk: httpx.Client) -> None:
    """Unknown words, days without end, seconds that are none, NUL, endless names: refused, never an error of ours."""
    enter(desk, "主管", PASSWORD)
    amiss = ("became=gone", "stars=6", "followup=once", "begin=nan", "begin=-1", "end=1e999", "end=99999999999999")
    days = ("cleared=1", "cleared=1&since=2026-11-01", "cleared=1&since=2020-01-01&until=2026-01-01")
    back = "cleared=1&since=2026-11-02&until=2026-11-01"
    for query in (*amiss, *days, back, "word=%00", "shop=%00", f"word={'长' * 201}", "seen=1e30", "since=99999-01-01"):
        assert desk.get(f"/feedback?{query}").status_code == 400, query
    hostile = ("word=%25_\\'--", "word=%20", "word=😀%F0", "begin=0.000001&end=4102444800", "begin=2e9&end=1e9")
    bounds = "since=0001-01-01&until=9999-12-31"
    whole = ("became=waiting&seen=1", "followup=all&seen=1", "cleared=1&since=9999-12-31&until=9999-12-31", bounds)
    for query in (*hostile, *whole, f"followup=all&{bounds}", f"settled=all&{bounds}", f"served=1&{bounds}"):
        assert desk.get(f"/feedback?{query}").status_code == 200, query
