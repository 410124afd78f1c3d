"""Shop indicators: what tables say, what is kept, who hears of it, and what points they make."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from factories import NOW, make_settings

from crawler.bases.base import SourceError
from crawler.items import BadRow
from monitor import db
from monitor.core import Core
from monitor.indicator_files import read_indicators, read_rows
from monitor.indicators import KINDS, Value, above, bad, limit_of, newest, shown, store
from monitor.points import Point, points
from monitor.policies import IndicatorPolicy

DAY = date(2026, 11, 10)
SHOPS = {"demo": "demo", "示例旗舰店": "demo", "other": "other"}


def read(path: Path, text: str, shop: str = "demo") -> list[Value | BadRow]:
    path.write_text(text, encoding="utf-8")
    return list(read_indicators(path, SHOPS, shop, make_settings().zone, NOW))


def put(core: Core, name: str, value: float, industry: float | None = None, day: date = DAY, **more: float) -> int:
    return store(core, [Value("demo", name, day, value, industry, **more)])


@pytest.mark.parametrize(
    "text",
    [
        "日期,店铺,指标,数值,行业值\n2026-11-10,示例旗舰店,退款纠纷率,0.12%,0.30%\n2026-11-10,示例旗舰店,描述相符,4.87,4.80\n",
        "统计日期,退款纠纷率,行业退款纠纷率,描述相符,描述相符行业均值\n2026/11/10,0.12%,0.30%,4.87,4.80 分\n",
        "店铺指标导出\n日期;退款纠纷率(%);同行退款纠纷率（％）;描述相符;行业描述相符\n2026年11月10日;0.12;0.3;4.87分;4.80\n",
    ],
)
def test_long_and_wide_tables_say_the_same(tmp_path: Path, text: str) -> None:
    """A line a value or a column an indicator; percent by sign or by header."""
    assert read(tmp_path / "a.csv", text) == [
        Value("demo", "dispute_rate", DAY, 0.12, 0.3),
        Value("demo", "dsr_description", DAY, 4.87, 4.8),
    ]


def test_a_lead_over_the_industry_is_read_as_the_back_end_tells_it(tmp_path: Path) -> None:
    """高于同行 is kept as it stands; without it the lead is the way from the industry's score to the best."""
    (told,) = read(tmp_path / "a.csv", "日期,描述相符,行业描述相符,高于同行描述相符\n2026-11-10,4.9,4.8,42.5%\n")
    assert isinstance(told, Value)
    assert above(told) == 42.5
    assert above(Value("demo", "dsr_service", DAY, 4.9, 4.8)) == pytest.approx(50)
    assert above(Value("demo", "dsr_service", DAY, 4.9)) is None
    assert above(Value("demo", "dsr_service", DAY, 5, 5)) == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("某一天,0.1%,", "看不懂日期“某一天”，应如 2026-11-01"),
        ("2026-11-10,0.1,", "退款纠纷率：“0.1”看不出是不是百分数，请写成 0.12%，或在表头写明“退款纠纷率(%)”"),
        ("2026-11-10,很低,", "退款纠纷率：看不懂“很低”，应为数字"),
        ("2026-11-10,0.1%,没有的店", "没有“没有的店”这家店，应为 demo、示例旗舰店、other"),
    ],
)
def test_a_bad_row_is_told_and_the_rest_goes_on(tmp_path: Path, row: str, reason: str) -> None:
    """Line and reason; the next row is read."""
    bad, good = read(tmp_path / "a.csv", f"日期,退款纠纷率,店铺\n{row}\n2026-11-11,0.2%,other\n")
    assert bad == BadRow("a.csv:2", reason)
    assert good == Value("other", "dispute_rate", date(2026, 11, 11), 0.2)


def test_an_unknown_indicator_or_no_shop_is_told(tmp_path: Path) -> None:
    """What is expected stands in the message."""
    (bad,) = read(tmp_path / "a.csv", "日期,指标,数值\n2026-11-10,好评率,1%\n")
    assert isinstance(bad, BadRow)
    assert bad.reason.startswith("没有“好评率”这个指标，应为 退款纠纷率、")
    (bad,) = read(tmp_path / "b.csv", "日期,退款纠纷率\n2026-11-10,1%\n", shop="")
    assert bad == BadRow("b.csv:2", "没有写店铺，也没有 --shop")


def test_a_dash_is_nothing(tmp_path: Path) -> None:
    """Back ends write a dash where they know nothing."""
    (told,) = read(tmp_path / "a.csv", "日期,退款纠纷率,行业退款纠纷率,退货率\n2026-11-10,0.1%,--,-\n")
    assert told == Value("demo", "dispute_rate", DAY, 0.1)


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    """The message says what header is expected."""
    with pytest.raises(SourceError, match="没有找到表头，应有“日期、指标、数值、行业值”"):
        read(tmp_path / "a.csv", "订单,评价\n1,好\n")


def test_a_day_imported_again_is_corrected(core: Core) -> None:
    """The same table again changes nothing; a new value for a known day replaces it."""
    assert put(core, "return_rate", 8.0, 9.0) == 1
    assert put(core, "return_rate", 8.0, 9.0) == 0
    assert put(core, "return_rate", 7.5, 9.0) == 1
    assert put(core, "return_rate", 6.0, 9.0, DAY + timedelta(1)) == 1
    with db.reading(core.engine) as session:
        assert newest(session, ["demo"])["demo", "return_rate"].value == 6.0
        assert newest(session, ["demo"], DAY)["demo", "return_rate"].value == 7.5
    assert store(core, []) == 0


def test_who_reads_summaries_hears_once_when_it_becomes_bad(core: Core) -> None:
    """Bad, still bad, good, bad again: told twice; an old day's correction and a value without industry are not."""
    for day, value in enumerate((0.2, 0.4, 0.5, 0.2, 0.4)):
        put(core, "dispute_rate", value, 0.3, DAY + timedelta(day))
    assert core.notify.kinds() == ["indicator.worse"] * 2
    assert core.notify[0].facts == {
        "name": "dispute_rate",
        "value": 0.4,
        "day": "2026-11-11",
        "industry": 0.3,
        "limit": None,
    }
    core.notify.clear()
    put(core, "dispute_rate", 0.9, 0.3, DAY)
    put(core, "return_rate", 50)
    assert core.notify == []


def test_an_own_limit_stands_before_the_industrys(core: Core) -> None:
    """A shop may ask more of itself, or less; an upheld complaint is always told."""
    policy = core.settings.policy.model_copy(update={"indicators": IndicatorPolicy(dsr_service=4.9, upheld=0)})
    strict = replace(core, settings=core.settings.model_copy(update={"policy": policy}))
    put(strict, "dsr_service", 4.85, 4.7)
    put(strict, "upheld", 1)
    assert [(notice.facts["name"], notice.facts["limit"]) for notice in core.notify] == [
        ("dsr_service", 4.9),
        ("upheld", 0),
    ]


def sheet(core: Core, clearance: float | None = None, followups: float | None = None) -> dict[str, Point]:
    with db.reading(core.engine) as session:
        found = points(session, "demo", date(2026, 11, 1), date(2026, 11, 30), clearance, followups)
    return {point.label: point for point in found}


def test_a_month_of_which_nothing_is_known_has_no_points(core: Core) -> None:
    """Not nothing reached: not known."""
    put(core, "dispute_rate", 0.1, 0.3, date(2026, 10, 31))
    assert [point.got for point in sheet(core).values()] == [None] * 9


def test_the_best_month_has_all_points(core: Core) -> None:
    """15 + 10 + 2 + 3 + 20 + 15 + 5 + 3 + 5."""
    for name, value, industry in (
        ("dispute_rate", 0.1, 0.3),
        ("self_completion", 95, 90),
        ("refund_hours", 10, 20),
        ("return_hours", 60, 90),
        ("retained_returns", 20, None),
        ("upheld", 0, None),
    ):
        put(core, name, value, industry)
    for name in KINDS:
        if name.startswith("dsr"):
            put(core, name, 4.9, 4.8, above=14)
    found = sheet(core, 0.8, 0.5)
    assert sum(point.got or 0 for point in found.values()) == sum(point.of for point in found.values()) == 78
    assert found["DSR 三项"].why == "合计高于行业 42.0%"
    assert found["退款纠纷率"].why == "0.1%，行业 0.3%"


@pytest.mark.parametrize(
    ("name", "value", "industry", "label", "got"),
    [
        ("dispute_rate", 0.2, 0.3, "退款纠纷率", 0),
        ("self_completion", 90, 90, "退款自主完结率", 0),
        ("retained_returns", 19.9, None, "退货挽回率", 10),
        ("retained_returns", 5, None, "退货挽回率", 5),
        ("retained_returns", 4, None, "退货挽回率", 0),
        ("upheld", 1, None, "投诉成立", 3),
        ("upheld", 2, None, "投诉成立", 0),
        ("refund_hours", 10, None, "仅退款完结时长", None),
    ],
)
def test_each_step_of_the_sheet(
    core: Core, name: str, value: float, industry: float | None, label: str, got: int | None
) -> None:
    """Exactly at a step counts as reached; exactly 0.1 below the industry's is not more than 0.1."""
    put(core, name, value, industry)
    assert sheet(core)[label].got == got


def test_shares_below_their_targets_have_no_points(core: Core) -> None:
    """日清率 80 %, 追评率 50 %."""
    found = sheet(core, 0.79, 0.49)
    assert (found["日清率"].got, found["追评率"].got) == (0, 0)


@pytest.mark.parametrize(
    "text",
    [
        '日期,店铺,指标,数值\n2026-11-10,demo,服务客户数,"1,240 人"\n2026-11-11,demo,接待人数,0\n',
        "日期,接待人数\n2026-11-10,1240\n2026-11-11,0\n",
        "统计日期,支付买家数（人）\n2026-11-10,1240.0\n2026-11-11,0\n",
        "date,customers served\n2026-11-10,1240\n2026-11-11,0\n",
        "day,shop,indicator,value\n2026-11-10,demo,orders,1240\n2026-11-11,demo,Customers,0\n",
    ],
)
def test_customers_served_go_by_many_names(tmp_path: Path, text: str) -> None:
    """Long and wide, in Chinese and English."""
    assert read(tmp_path / "a.csv", text) == [
        Value("demo", "served", DAY, 1240), Value("demo", "served", DAY + timedelta(1), 0)
    ]  # fmt: skip


@pytest.mark.parametrize("said", ["-3", "12.5", "1.2万", "很多", "35%"])
def test_a_number_of_customers_is_a_whole_one(tmp_path: Path, said: str) -> None:
    """What is none is told with its line; the rest is kept."""
    bad, good = read(tmp_path / "a.csv", f"日期,服务客户数\n2026-11-10,{said}\n2026-11-10,7\n")
    assert isinstance(bad, BadRow)
    assert bad.reason.startswith("服务客户数：")
    assert good == Value("demo", "served", DAY, 7)


def test_two_columns_about_the_same_are_refused(tmp_path: Path) -> None:
    """Customers and orders in one table: nobody knows which of them counts."""
    with pytest.raises(SourceError, match="不止一列说的是服务客户数，请只留一列"):
        read(tmp_path / "a.csv", "日期,接待人数,订单数\n2026-11-10,9,7\n")
    rows = [{"日期": "2026-11-10", "接待人数": 9, "订单数": 7}, {"日期": "2026-11-10", "订单数": 7}]
    bad, good = read_rows(rows, SHOPS, "demo", make_settings().zone, NOW)
    assert bad == BadRow("1", "不止一列说的是服务客户数，请只留一列")
    assert good == Value("demo", "served", DAY, 7)


def test_customers_are_neither_good_nor_bad(core: Core) -> None:
    """Fewer than the industry's, or than the day before, calls nobody."""
    assert put(core, "served", 3, 500) == 1
    assert not bad(Value("demo", "served", DAY, 3, 500), IndicatorPolicy())
    assert limit_of("served", IndicatorPolicy()) is None
    assert core.notify.kinds() == []  # type: ignore[attr-defined]
    assert (shown("served", 12345), shown("upheld", 2)) == ("12,345 人", "2 件")
