"""What those concerned by a crisis are told, whom it concerns, and the pages on which the group finds both."""

import csv
import io
import json
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from factories import NOW
from sqlalchemy import Engine
from sqlmodel import select
from subjects import add_feedbacks, open_case, open_crisis

from alerts import drafts, notices, words
from alerts.links import Links
from monitor import db, exports, sheets
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Crisis, CrisisFeedback, Feedback, Inbound, Score


@pytest.fixture
def engine(sqlite: Engine) -> Engine:
    return sqlite


def crisis_of(category: str, kind: str = "review", **values: object) -> Crisis:
    row = Crisis(cause="person", category=category, kind=kind, severity="high", opened_at=NOW, updated_at=NOW)
    for name, value in values.items():
        setattr(row, name, value)
    return row


@pytest.mark.parametrize("kind", ["review", "mention"])
@pytest.mark.parametrize("category", [*drafts.categories(), "", "brand_new"])
def test_every_category_has_a_text_for_each_way(category: str, kind: str) -> None:
    """Filled, without a forbidden word; an SMS fits into one message."""
    texts = notices.texts(crisis_of(category, kind, product="保温杯"), "示例旗舰店")
    assert [text.way for text in texts] == list(words.NOTICE_WAYS[kind].values())
    for text in texts:
        assert text.problems == ()
        assert "示例旗舰店" in text.text or text.way == "推送"
        assert "保温杯" in text.text
        assert "{" not in text.text
    if kind == "review":
        assert len(texts[0].text) <= 70, texts[0].text


def test_a_name_that_promises_too_much_is_pointed_out() -> None:
    """What may not be said is found in names as well; a long name is shortened, braces in it are letters."""
    (sms, *_) = notices.texts(crisis_of("quality", product="绝对安全杯"), "示例旗舰店")
    assert sms.problems[0][1] == "绝对"
    (sms, *_) = notices.texts(crisis_of("quality", product="{shop}" + "长" * 50), "店")
    assert "{shop}长" in sms.text
    assert len(sms.text) < 90


def test_the_product_is_named_where_most_share_it() -> None:
    """Of a crisis about a category the main product is told, else 商品."""
    scope = {"count": 10, "product": [["保温杯", 7], ["水壶", 3]]}
    assert notices.main_product(crisis_of("quality", scope=scope)) == "保温杯"
    assert notices.main_product(crisis_of("quality", scope=scope | {"count": 20})) == ""
    assert "您购买的商品" in notices.texts(crisis_of("quality"), "店")[0].text


def make_buyers(core: Core) -> int:
    """Five feedbacks of three buyers: one wrote twice, one order came under two names."""
    crisis = open_crisis(core, ["没收到", "等了九天", "顺丰丢了", "还没到", "没到"], product="保温杯")
    told = [("a", "", 2.0), ("a", "", 1.0), ("b", "8841", None), ("", "8841", 3.0), ("", "", None)]
    with db.writing(core.engine) as session:
        rows = session.exec(select(Feedback).order_by(Feedback.id)).all()
        for n, (row, (author_hash, order, stars)) in enumerate(zip(rows, told, strict=True)):
            row.author_hash, row.order_ref, row.stars = author_hash, order, stars
            row.author, row.product, row.extra = "=李**明", "保温杯", {"warehouse": "苏州仓", "sku": "S1"}
            row.happened_at = NOW + timedelta(minutes=n)
            row.text += "，打我电话 13800138000"
            session.add(row)
        first = session.exec(select(Score).order_by(Score.feedback_id)).first()
        assert first is not None
        first.severity = "low"
        session.add(first)
    return crisis


def test_buyers_are_listed_once_with_what_is_known(core: Core) -> None:
    """By order, else by author; the worst severity, the fewest stars, all their feedbacks, nothing personal."""
    crisis = make_buyers(core)
    with db.reading(core.engine) as session:
        rows = list(exports.buyers(session, crisis, core.settings.zone))
    assert [(row["order_ref"], row["author_hash"], row["feedback_ids"]) for row in rows] == [
        ("", "a", [1, 2]),
        ("8841", "b", [3, 4]),
        ("", "", [5]),
    ]
    assert [(row["severity"], row["stars"]) for row in rows] == [("high", 1.0), ("high", 3.0), ("high", None)]
    assert (rows[1]["courier"], rows[0]["warehouse"], rows[0]["sku"]) == ("顺丰", "苏州仓", "S1")
    assert rows[1]["first_at"] == "2026-11-20T14:02:00+08:00"
    assert "13800138000" not in json.dumps(rows)
    names = "shop platform order_ref author author_hash product sku warehouse courier feedback_ids first_at severity"
    assert " ".join(rows[0]) == f"{names} stars"


@pytest.mark.parametrize("kind", sheets.FORMATS)
def test_buyers_go_into_every_format(core: Core, kind: str) -> None:
    """As the other exports: JSON lines, CSV, XLSX."""
    crisis = make_buyers(core)
    out = io.BytesIO()
    with db.reading(core.engine) as session:
        sheets.write(exports.buyers(session, crisis, core.settings.zone), kind, out)
    assert len(out.getvalue()) > 100


def test_buyers_of_no_crisis(core: Core) -> None:
    """An unknown number is said to be one; a crisis of nobody has no rows."""
    empty = open_crisis(core)
    with db.reading(core.engine) as session:
        assert list(exports.buyers(session, empty, core.settings.zone)) == []
        with pytest.raises(WrongCall, match="没有危机 99"):
            list(exports.buyers(session, 99, core.settings.zone))


def test_the_page_has_the_texts_and_the_list(core: Core, desk: httpx.Client, links: Links) -> None:
    """The crisis page shows a text for each way and leads to the list, which holds no formula."""
    crisis = make_buyers(core)
    path = urlsplit(links.view("crisis", crisis)).path
    page = desk.get(path)
    assert "短信（" in page.text
    assert "今天 14:00，5 条差评" in page.text
    assert "【示例旗舰店】非常抱歉，您购买的保温杯没有按时送到。" in page.text
    assert f"{path}/buyers.csv" in page.text
    listed = desk.get(f"{path}/buyers.csv")
    assert listed.headers["content-type"] == "text/csv; charset=utf-8"
    assert listed.headers["cache-control"] == "no-store"
    assert "attachment" in listed.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(listed.content.decode("utf-8-sig"))))
    assert [row["author"] for row in rows] == ["'=李**明"] * 3
    assert desk.get(f"{urlsplit(links.view('case', open_case(core))).path}/buyers.csv").status_code == 404
    assert desk.get(f"{urlsplit(links.view('crisis', 99)).path}/buyers.csv").status_code == 404


def test_the_page_of_a_crisis_of_posts(core: Core, desk: httpx.Client, links: Links) -> None:
    """Apology and statement instead of SMS; what only the group knows is marked."""
    with db.writing(core.engine) as session:
        (feedback,) = add_feedbacks(core, session, ["示例的杯子漏水"], kind="mention", shop_id=None)
        row = crisis_of("quality", "mention")
        session.add(row)
        session.flush()
        assert row.id is not None
        session.add(CrisisFeedback(crisis_id=row.id, feedback_id=feedback, added_at=NOW))
        crisis = row.id
    page = desk.get(urlsplit(links.view("crisis", crisis)).path).text
    assert "私下致歉（" in page
    assert "［由小组填写］" in page
    assert "短信（" not in page


def test_the_plan_asks_for_members_and_facts(core: Core, desk: httpx.Client, links: Links) -> None:
    """Three fields; what is written is kept when something lacks, masked when stored, and shown the next time."""
    crisis = open_crisis(core, ["没收到"])
    path = urlsplit(links.make("plan", "crisis", crisis, "客服一号")).path
    assert 'name="members"' in desk.get(path).text
    again = desk.post(path, data={"note": " ", "members": "小王、<b>小李</b>", "facts": "七位"})
    assert again.status_code == 400
    assert "小王、&lt;b&gt;小李&lt;/b&gt;" in again.text
    assert desk.post(path, data={"note": "补发", "members": "长" * 2001}).status_code == 400
    told = {"note": "补发", "members": "小王 13800138000", "facts": "七位没收到"}
    assert "写了初步方案" in desk.post(path, data=told).text
    with db.reading(core.engine) as session:
        row = session.get_one(Crisis, crisis)
        kept = session.exec(select(Inbound.payload)).one()
    assert (row.plan, row.facts, row.state) == ("补发", "七位没收到", "acknowledged")
    assert "小王" in row.members
    assert "13800138000" not in row.members + json.dumps(kept)
    page = desk.get(urlsplit(links.make("plan", "crisis", crisis, "主管")).path).text
    assert "七位没收到" in page
    shown = desk.get(urlsplit(links.view("crisis", crisis)).path).text
    assert "应急小组" in shown
    assert "七位没收到" in shown
