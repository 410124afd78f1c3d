"""The headline and the cards: what the figures carry, and nothing else."""

from datetime import date, datetime, timedelta

import pytest
from factories import NOW, make_core, make_settings
from factories_reports import PRODUCTS, ZONE, Record, store
from sqlalchemy import Engine

from monitor import db, directory
from monitor.core import Core
from monitor.models import Crisis, Improvement, Source
from reports.build import build
from reports.figures import review, summary
from reports.headline import headline

MONDAY, FRIDAY = date(2026, 11, 16), date(2026, 11, 20)
WEEK = datetime(2026, 11, 10, 12, tzinfo=ZONE)


@pytest.fixture
def core(sqlite: Engine) -> Core:
    made = make_core(sqlite, make_settings())
    with db.writing(sqlite) as session:
        directory.sync(session, made.settings)
    return made


def _bad(at: datetime, code: str = "logistics", product: str = PRODUCTS[0], state: str = "resolved") -> Record:
    return Record(at, True, "等了九天", 1, [code], "medium", product=product, state=state)


def _weeks(now_bad: int, before_bad: int = 10, n: int = 300, code: str = "logistics") -> list[Record]:
    """A week of ``n`` and four weeks of ``n`` each, with so many negatives a week, two products in turn."""
    rows = [Record(WEEK - timedelta(weeks=5))]
    for week in range(5):
        at, bad = WEEK - timedelta(weeks=week), before_bad if week else now_bad
        rows += [_bad(at, code if not week else "quality", PRODUCTS[k % 2 if week else 0]) for k in range(bad)]
        rows += [Record(at, product=PRODUCTS[k % 2]) for k in range(n - bad)]
    return rows


def _headline(core: Core, records: list[Record]) -> list[str]:
    store(core.engine, records, NOW)
    return headline(review(core, "weekly", MONDAY))


def test_rise_with_its_cause(core: Core) -> None:
    """A rise is told with counts, the category and the product that carry it."""
    assert _headline(core, _weeks(40)) == [
        "上周差评率 13.3%（40/300），前四周平均 3.3%，明显升高。",
        f"比往常多出约 30 条，主要在物流配送（多 40 条）；集中在“{PRODUCTS[0]}”（多 35 条）。",
        "80 个到期的时限里有 80 个超时。",
    ]


def test_fall(core: Core) -> None:
    """A fall names what there is less of."""
    lines = _headline(core, _weeks(2, before_bad=40, code="quality"))
    assert lines[:2] == [
        "上周差评率 0.7%（2/300），前四周平均 13.3%，明显下降。",
        "比往常少了约 38 条，主要在质量问题（少 38 条）。",
    ]


def test_level_with_a_category_that_rose(core: Core) -> None:
    """Where the whole stands still and one category grows, that is said."""
    assert _headline(core, _weeks(14))[:2] == [
        "上周差评率 4.7%（14/300），前四周平均 3.3%，持平。",
        "但物流配送增多：14 条，按前四周的比例应为 0 条左右。",
    ]


def test_nothing_is_made_of_few(core: Core) -> None:
    """Three reviews get no percentage and no comparison."""
    lines = _headline(core, [_bad(WEEK), Record(WEEK), Record(WEEK)])
    assert lines[0] == "上周只有 3 条评价，其中差评 1 条；数量太少，不作比较。"
    assert not any("%" in line for line in lines)


def test_first_week_and_clean_week(core: Core) -> None:
    """Without weeks before there is no comparison; without negatives that is said with the number behind it."""
    assert (
        _headline(core, [Record(WEEK)] * 40 + [_bad(WEEK)])[0] == "上周差评率 2.4%（1/41）；前四周数据太少，暂不比较。"
    )
    clean = headline(review(core, "weekly", date(2026, 11, 23)))
    assert clean[0] == "上周没有收到评价（没有配置来源）。"


def test_all_positive(core: Core) -> None:
    """No negatives at all is said with counts."""
    assert _headline(core, [Record(WEEK)] * 50) == ["上周 50 条评价，没有差评。"]


def test_crisis_before_improvement_before_clocks(core: Core) -> None:
    """The last sentence is the most urgent thing there is to say."""
    rows = _weeks(10)
    rows += [_bad(WEEK - timedelta(days=15), "damage") for _ in range(60)]
    store(core.engine, rows, NOW)
    with db.writing(core.engine) as session:
        session.add(Improvement(category="damage", what="加厚泡沫垫", done_at=WEEK - timedelta(days=12)))
    assert (
        headline(review(core, "weekly", MONDAY))[-1]
        == "改进“加厚泡沫垫”后，破损包装从 6.2%（60/961）降到 0%（0/600）。"
    )
    with db.writing(core.engine) as session:
        for state, days in (("open", 2), ("closed", 1), ("open", 20)):
            at = WEEK - timedelta(days=days)
            crisis = Crisis(state=state, cause="person", category="other", severity="high", opened_at=at, updated_at=at)
            session.add(crisis)
    assert headline(review(core, "weekly", MONDAY))[-1] == "上周发生 1 起危机，还有 2 起没有了结。"


def test_fault_42_no_bad_reviews_is_said_with_its_coverage(core: Core) -> None:
    """A clean day says what it rests on; with a source in trouble it is not called clean."""
    watched = make_core(core.engine, make_settings(sources=[{"name": "site", "kind": "html", "shop": "demo"}]))
    with db.writing(core.engine) as session:
        directory.sync(session, watched.settings)
    store(core.engine, [Record(NOW - timedelta(days=1))] * 4, NOW)
    lines = build(watched, "daily", FRIDAY).lines
    assert lines[0] == "昨天没有收到差评（收到评价 4 条），但有 1 个来源异常，不等于没有差评。"
    assert lines[-1] == "1 个来源异常：site（尚未运行）。"
    with db.writing(core.engine) as session:
        row = session.get(Source, 1)
        assert row is not None
        assert row.name == "site"
        row.last_run_at = row.last_item_at = NOW
        row.status = "ok"
    assert build(watched, "daily", FRIDAY).lines == (
        "昨天没有差评（收到评价 4 条；1 个来源都正常）。",
        "没有超时未办的。",
    )
    assert build(core, "evening", FRIDAY).lines[0] == "今天没有差评（收到评价 0 条；没有配置来源）。"


def test_summary_lines_tell_all_that_presses(core: Core) -> None:
    """Counts beside the usual, ledger, late arrivals, overdue with names, crises, what is new."""
    rows = [Record(NOW - timedelta(days=n)) for n in range(2, 30) for _ in range(3)]
    rows += [_bad(NOW - timedelta(days=n), "quality") for n in range(2, 30)]
    rows += [_bad(NOW - timedelta(days=1), "logistics", state="received") for _ in range(4)]
    rows += [_bad(NOW - timedelta(days=1), "quality") for _ in range(6)]
    rows += [
        Record(NOW - timedelta(days=1, hours=1), True, "曝光", None, ["privacy"], "high", kind="mention", shop=None)
    ]
    rows[-1].who = "主管"
    rows += [_bad(NOW - timedelta(days=3))]
    rows[-1].first_seen = NOW - timedelta(days=1)
    for row in rows:
        if row.state == "resolved":
            row.answered = row.resolved = timedelta(minutes=5)
    store(core.engine, rows, NOW, respond=timedelta(hours=23))
    with db.writing(core.engine) as session:
        at = NOW - timedelta(hours=9)
        session.add(
            Crisis(state="open", cause="burst", category="logistics", severity="high", opened_at=at, updated_at=at)
        )
    assert build(core, "daily", FRIDAY).lines == (
        "昨天收到评价 10 条，差评 10 条（往常周四 1 条）；品牌提及 1 条，负面 1 条（往常周四 0 条）。",
        "负面 11 条 = 已解决 6 + 处理中 5 + 误报 0；5 条还没有答复；当天处理 6 条。",
        "另有 1 条更早写下、昨天才看到的负面反馈。",
        "超时未办 5 项：未认领 4、主管 1。",
        "24 小时内到期 5 项，最早 11月21日 11:00。",
        "进行中的危机 1 起：物流配送（待响应）。",
        "比往常的周四多：质量问题 6 条（平均 1）、物流配送 4 条（平均 0）；四周来首次出现：信息泄露 1 条",
    )
    assert summary(core, "daily", FRIDAY).due.overdue[0].who == "主管"


def _seasonal(day: date, many: int) -> list[Record]:
    """Some days up to one: ten complaints each Monday, one on other days; fifty content buyers on all of them."""
    rows = []
    for n in range(many):
        at = datetime(day.year, day.month, day.day, 12, tzinfo=ZONE) - timedelta(days=n)
        rows += [_bad(at) for _ in range(10 if at.weekday() == 0 else 1)] + [Record(at)] * 50
    return rows


def test_a_monday_like_others_is_not_worse(core: Core) -> None:
    """A day is held against its own weekday; what is usual on Mondays is unusual on a Wednesday."""
    store(core.engine, _seasonal(MONDAY, 40), NOW)
    assert build(core, "daily", date(2026, 11, 17)).lines[0] == "昨天收到评价 60 条，差评 10 条（往常周一 10 条）。"
    assert not any("多" in line for line in build(core, "daily", date(2026, 11, 17)).lines)


def test_as_many_on_a_wednesday_are_told(core: Core) -> None:
    """The same ten, where one is usual; a flood in the weeks before is no norm."""
    rows = _seasonal(date(2026, 11, 18), 40)
    rows += [_bad(datetime(2026, 11, 18, 13, tzinfo=ZONE))] * 9 + [_bad(datetime(2026, 11, 4, 13, tzinfo=ZONE))] * 30
    store(core.engine, rows, NOW)
    lines = build(core, "daily", date(2026, 11, 19)).lines
    assert lines[0] == "昨天收到评价 60 条，差评 10 条（往常周三 1 条）。"
    assert "比往常的周三多：物流配送 10 条（平均 1）" in lines


def test_a_week_is_held_against_whole_weeks(core: Core) -> None:
    """Ten days of data before it, two bad Mondays among them, are one week; a shop that is as ever stands still."""
    store(core.engine, _seasonal(date(2026, 11, 15), 18), NOW)
    figures = review(core, "weekly", MONDAY)
    assert (figures.windows.weeks, figures.totals.norm) == (1, figures.totals.now)
    assert headline(figures)[0] == "上周差评率 4.4%（16/366），前一周平均 4.4%，持平。"
    first = review(core, "weekly", date(2026, 11, 5))
    assert (first.windows.weeks, first.totals.norm.n) == (0, 0)
    assert headline(first)[0].endswith("前四周数据太少，暂不比较。")


def test_a_promotion_is_told(sqlite: Engine) -> None:
    """On days that are not like others the card says so."""
    service = {"var_dir": "/nonexistent", "promotions": ["2026-11-10..2026-11-12"]}
    made = make_core(sqlite, make_settings(service=service))
    with db.writing(sqlite) as session:
        directory.sync(session, made.settings)
    store(sqlite, [_bad(WEEK)] + [Record(WEEK)] * 9, NOW)
    assert "昨天是大促，量和平时不同" in build(made, "daily", date(2026, 11, 11)).lines
