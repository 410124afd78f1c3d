"""Shop indicators at the desk: how they went beside industry and limit, and tables that bring them."""

import io
import re
from collections.abc import Iterator
from datetime import date, timedelta

import httpx
import openpyxl
import pytest
from callers import SITE
from factories import NOW, Notices, make_core, make_settings
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st
from serving import browse
from sqlalchemy import Engine
from sqlmodel import select

from alerts.desk import indicators_chart
from alerts.desk.app import create_app
from alerts.desk.indicators_upload import Upload
from alerts.links import Links
from monitor import db, directory
from monitor.clock import HandClock
from monitor.core import Core
from monitor.indicators import Value, store
from monitor.models import Event, Indicator

PEOPLE = [
    {"name": "Lead", "role": "lead"},
    {"name": "Agent", "role": "agent"},
    {"name": "Branch", "role": "lead", "shops": ["jd"]},
]
TODAY = date(2026, 11, 20)
ON_SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def house(engine: Engine, clock: HandClock) -> Core:
    shops = [{"id": name, "name": f"{name} 店", "platform": "tmall"} for name in ("demo", "jd")]
    policy = {"indicators": {"refund_hours": 24.0}}
    settings = make_settings(people=PEOPLE, shops=shops, desk={"user_header": "X-User"}, policy=policy)
    core = make_core(engine, settings, clock, notify=Notices())
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
    return core


@pytest.fixture
def desk(house: Core) -> Iterator[httpx.Client]:
    with browse(create_app(house, Links(house.secret, SITE, house.clock))) as client:
        client.headers["X-User"] = "Lead"
        yield client


def bring(desk: httpx.Client, content: bytes, name: str = "a.csv", shop: str = "demo", **more: str) -> httpx.Response:
    found = re.search(r'name="form_key" value="(\w+)"', desk.get("/indicators").text)
    fields = {"form_key": found[1] if found else "", "shop": shop} | more
    return desk.post("/indicators", data=fields, files={"file": (name, content)})


def kept(core: Core) -> list[tuple[str, str, float]]:
    with db.reading(core.engine) as session:
        rows = session.exec(select(Indicator).order_by(Indicator.shop_id, Indicator.name, Indicator.day))  # type: ignore[arg-type]
        return [(row.shop_id, row.name, row.value) for row in rows]


@ON_SQLITE
def test_a_table_is_brought_and_shown(desk: httpx.Client, house: Core) -> None:
    """Values are kept and drawn, bad rows told by line and reason; what became bad is told once; the audit knows."""
    table = "日期,退款纠纷率,行业退款纠纷率\n2026-11-18,0.2%,0.3%\n2026-11-19,0.4%,0.3%\n2026-11-20,高<b>,0.3%\n"
    page = bring(desk, table.encode("gb18030"), "指标.csv")
    assert (page.status_code, "读到 2 个值，新的或改了的 2 个。" in page.text) == (200, True)
    assert "指标.csv:4" in page.text
    assert "看不懂“高&lt;b&gt;”，应为数字" in page.text
    assert kept(house) == [("demo", "dispute_rate", 0.2), ("demo", "dispute_rate", 0.4)]
    card = page.text.split('<article class="card">')[1]
    for words in (
        "退款纠纷率 <span",
        "差</span>",
        "0.4%",
        "行业 0.3%",
        "2026-11-18 起，最低 0.2%，最高 0.4%",
        "<polyline",
    ):
        assert words in card, words
    assert isinstance(house.notify, Notices)
    assert house.notify.kinds() == ["indicator.worse"]
    with db.reading(house.engine) as session:
        (event,) = session.exec(select(Event).where(Event.subject == "indicator")).all()
    assert (event.actor, event.door) == ("Lead", "desk")
    assert "新的或改了的 0 个" in bring(desk, table.encode()).text
    assert house.notify.kinds() == ["indicator.worse"]


@ON_SQLITE
def test_a_workbook_of_two_shops(desk: httpx.Client, house: Core) -> None:
    """XLSX as it is; a column of shops goes before the choice; who leads one shop brings that one's alone."""
    book = openpyxl.Workbook()
    assert book.active is not None
    day = "2026-11-19"
    for row in (("日期", "店铺", "指标", "数值"), (day, "demo 店", "退货率", "8%"), (day, "jd", "退货率", "9%")):
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    desk.headers["X-User"] = "Branch"
    page = bring(desk, file.getvalue(), "..\\..//后台 导出.xlsx", "demo")
    assert "读到 1 个值" in page.text
    assert "后台 导出.xlsx" in page.text
    assert "没有“demo 店”这家店，应为 jd、jd 店" in page.text
    assert kept(house) == [("jd", "return_rate", 9.0)]
    desk.headers["X-User"] = "Lead"
    assert "读到 2 个值，新的或改了的 1 个" in bring(desk, file.getvalue(), "a.xlsx").text
    assert kept(house) == [("demo", "return_rate", 8.0), ("jd", "return_rate", 9.0)]


@ON_SQLITE
@pytest.mark.parametrize(
    ("content", "name", "status", "said"),
    [
        (b"", "a.csv", 409, "请先选一个文件。"),
        (b"hello", "a.csv", 409, "没有找到表头"),
        (b"hello", "a.xlsx", 409, "不是 XLSX 文件"),
        (b"\xd0\xcf\x11\xe0", "a.xls", 409, "请另存为 XLSX 或 CSV"),
        ("日期,退货率\n2026-11-19,-\n".encode(), "a.csv", 409, "一个值也没有读到。"),
        (b"x" * 1_000_001, "a.csv", 413, "内容太长了"),
    ],
)
def test_what_is_no_table_is_told(
    desk: httpx.Client, house: Core, content: bytes, name: str, status: int, said: str
) -> None:
    """One sentence, and nothing is kept."""
    page = bring(desk, content, name)
    assert (page.status_code, said in page.text) == (status, True)
    assert kept(house) == []


@ON_SQLITE
def test_who_looks_and_who_brings(desk: httpx.Client, house: Core) -> None:
    """Agents look; shops that are not theirs are not shown; foreign forms and other bodies do nothing."""
    store(house, [Value("demo", "refund_hours", TODAY, 30.0), Value("jd", "refund_hours", TODAY, 20.0)])
    table = b"date,return_rate(%)\n2026-11-19,8\n"
    desk.headers["X-User"] = "Agent"
    page = desk.get("/indicators")
    assert ("仅退款完结时长" in page.text, "界限 24 小时" in page.text, 'type="file"' in page.text) == (
        True,
        True,
        False,
    )
    assert bring(desk, table).status_code == 403
    key = re.search(r'name="form_key" value="(\w+)"', page.text)
    assert key
    assert desk.post("/indicators", data={"form_key": key[1]}).status_code == 400
    answer = desk.post("/indicators", data={"form_key": key[1]}, files={"file": ("a.csv", table)})
    assert (answer.status_code, "主管以上" in answer.text) == (403, True)
    desk.headers["X-User"] = "Branch"
    page = desk.get("/indicators?shop=demo")
    assert ("20 小时" in page.text, "30 小时" in page.text) == (True, False)
    assert bring(desk, table, form_key="x").status_code == 403
    assert len(kept(house)) == 2
    del desk.headers["X-User"]
    assert desk.get("/indicators", follow_redirects=False).status_code == 303
    assert desk.post("/indicators", files={"file": ("a.csv", table)}).status_code == 401


@ON_SQLITE
def test_long_tables_are_cut_and_old_values_are_left_out(
    desk: httpx.Client, house: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many values of one table and no more, and that is said; the page tells of sixty days."""
    monkeypatch.setattr("alerts.desk.indicators._MOST", 3)
    monkeypatch.setattr("alerts.desk.indicators._TOLD", 1)
    rows = [f"{TODAY - timedelta(n)},{'8%' if n > 1 else 'x'}" for n in range(5)]
    page = bring(desk, "\n".join(["日期,退货率", *rows]).encode())
    assert "只读了前 3 个" in page.text
    assert "只列前 1 个" in page.text
    assert "读到 1 个值" in page.text
    store(house, [Value("jd", "return_rate", NOW.date() - timedelta(90), 5.0)])
    assert "最近 60 天没有这家店的指标。" in desk.get("/indicators?shop=jd").text


def indicator(day: int, value: float, industry: float | None) -> Indicator:
    return Indicator(shop_id="demo", name="return_rate", day=TODAY + timedelta(day), value=value, industry=industry)


@given(
    st.lists(st.tuples(st.floats(-1e12, 1e12), st.none() | st.floats(-1e12, 1e12)), max_size=30),
    st.none() | st.floats(-1e12, 1e12),
)
def test_every_line_stays_in_the_picture(values: list[tuple[float, float | None]], limit: float | None) -> None:
    """Whatever the figures, each point lies inside, days go to the right, and a gap of the industry's is a gap."""
    rows = [indicator(day, *one) for day, one in enumerate(values)]
    chart = indicators_chart.draw(rows, limit)
    assert (chart is None) == (len(rows) < 2)
    if chart is None:
        return
    for line in (chart.own, *chart.industry):
        points = [tuple(map(float, point.split(","))) for point in line.split(" ")]
        assert [x for x, _ in points] == sorted(x for x, _ in points)
        assert all(0 <= x <= indicators_chart.WIDTH and 0 <= y <= indicators_chart.HEIGHT for x, y in points)
    assert (chart.limit is None) == (limit is None)
    assert sum(len(line.split(" ")) for line in chart.industry) <= sum(one is not None for _, one in values)


@given(st.binary(max_size=200), st.text(max_size=40), st.text("abc\r\n\"'-", max_size=20))
def test_files_come_as_they_were_sent(content: bytes, name: str, field: str) -> None:
    """Any bytes under any name, as a browser sends them; the name takes no folder along."""
    called = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode("utf-8", "replace")
    head = b'--XyZ\r\nContent-Disposition: form-data; name="shop"\r\n\r\n' + field.encode() + b"\r\n"
    head += b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="' + called + b'"\r\n'
    body = head + b"Content-Type: text/csv\r\n\r\n" + content + b"\r\n--XyZ--\r\n"
    if b"\r\n--XyZ" in b"\r\n" + content + field.encode():
        return
    upload = Upload.of(body, "multipart/form-data; boundary=XyZ")
    assert (upload.file, upload.fields) == (content, {"shop": field})
    assert upload.name
    assert not set(upload.name) & set("/\\\x00\n")
    assert upload.name not in (".", "..")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"a=1", "application/x-www-form-urlencoded"),
        (b"--x--", "multipart/form-data"),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\n\r\n" * 30 + b"--x--", "multipart/form-data; boundary=x"),
        (b"", 'multipart/form-data; boundary="\xff'.encode("latin-1").decode("latin-1")),
        (b"", ""),
    ],
)
def test_other_bodies_are_refused(body: bytes, kind: str) -> None:
    """No form with a file, cut off, or with too many parts: 400, never a crash."""
    with pytest.raises(HTTPException) as refused:
        Upload.of(body, kind)
    assert refused.value.status_code == 400
