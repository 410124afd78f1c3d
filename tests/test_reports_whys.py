"""Root-cause prompts: a question only about what stands out, with the figures that it rests on."""

from datetime import date, timedelta
from typing import Any

from factories import NOW, make_core, make_settings
from factories_reports import PRODUCTS, Record, store

from monitor import db, directory
from monitor.core import Core
from reports.figures import Review, review
from reports.labels import why
from reports.shares import Share
from reports.whys import Evidence

FRIDAY = date(2026, 11, 20)
WEEK = NOW - timedelta(days=6)  # within the week the report is about
BEFORE = NOW - timedelta(days=20)


def told(core: Core, records: list[Record]) -> Review:
    shops = [{"id": name, "name": f"{name}店", "platform": "tmall"} for name in ("demo", "jd")]
    house = make_core(core.engine, make_settings(shops=shops))
    with db.writing(core.engine) as session:
        directory.sync(session, house.settings)
    store(core.engine, [Record(NOW - timedelta(days=39)), *records], NOW)  # known for as long as it is compared with
    return review(house, "weekly", FRIDAY)


def some(count: int, at: Any = WEEK, bad: bool = True, **facts: Any) -> list[Record]:
    code = ["logistics"] if bad else []
    return [
        Record(at, bad, "等了九天", 1 if bad else 5, code, "medium" if bad else None, **facts) for _ in range(count)
    ]


def test_what_stands_out_is_asked_about(core: Core) -> None:
    """A warehouse that makes most of the week's complaints, and the buyers' own words."""
    records = some(1200, BEFORE, bad=False)
    records += [one for place in ("苏州仓", "广州仓") for one in some(150, bad=False, extra={"warehouse": place})]
    records += some(34, BEFORE, extra={"warehouse": "广州仓"}) + some(6, BEFORE, extra={"warehouse": "苏州仓"})
    records += some(30, extra={"warehouse": "苏州仓"}, said="没收到") + some(10, extra={"warehouse": "广州仓"})
    (found,) = told(core, records).whys
    assert (found.code, found.now) == ("logistics", 40)
    assert found.evidence == [
        Evidence("said", "没收到", Share(30, 40), Share(0, 40), True),
        Evidence("warehouse", "苏州仓", Share(30, 40), Share(6, 40), True, Share(180, 340)),
    ]
    assert why(found.evidence[-1]) == "为什么多在苏州仓？那几天的人手、系统、打包和出库有什么不同？"


def test_where_all_is_sold_nothing_is_special(core: Core) -> None:
    """A shop, platform or product that most complaints name is not asked about where it is most of all feedback."""
    everywhere: dict[str, Any] = {"shop": "demo", "platform": "tmall", "product": PRODUCTS[0]}
    elsewhere: dict[str, Any] = {"shop": "jd", "platform": "jd", "product": PRODUCTS[1]}
    records = some(280, bad=False, **everywhere) + some(20, bad=False, **elsewhere)
    records += some(1200, BEFORE, bad=False, **everywhere) + some(20, BEFORE, **elsewhere)
    (found,) = told(core, records + some(40, **everywhere)).whys
    assert (found.now, found.evidence) == (40, [])


def test_what_is_as_ever_is_not_asked_about(core: Core) -> None:
    """All complaints rise alike: nothing is blamed."""
    records = some(300, bad=False) + some(1200, BEFORE, bad=False)
    for shop in ("demo", "jd"):
        records += some(15, BEFORE, shop=shop) + some(20, shop=shop)
    (found,) = told(core, records).whys
    assert found.evidence == []


def test_a_category_that_did_not_rise_has_no_question(core: Core) -> None:
    """As many as ever."""
    records = some(300, bad=False) + some(1200, BEFORE, bad=False) + some(40, BEFORE) + some(10)
    assert told(core, records).whys == []


def test_what_exports_tell_is_counted_by_group(core: Core) -> None:
    """Warehouse, courier and SKU have tables of their own where exports name them."""
    facts = {"warehouse": "苏州仓", "courier": "中通", "sku": "500ml"}
    records = some(40, bad=False, extra=facts) + some(9, extra=facts) + some(5, extra={"warehouse": "广州仓"})
    groups = told(core, records).groups
    assert [(row.name, row.counts.now.negative, row.counts.now.n) for row in groups["warehouse"]] == [
        ("苏州仓", 9, 49),
        ("广州仓", 5, 5),
    ]
    assert [row.name for row in groups["courier"]] == ["中通"]
    assert [row.name for row in groups["sku"]] == ["500ml"]
