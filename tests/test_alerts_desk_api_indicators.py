"""Shop indicators by the API: read as a table is, each bad row named, the good ones kept, twice the same."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from callers import desk_of, house, token
from factories import NOW
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from alerts.routing import make_notify
from monitor import db
from monitor.core import Core
from monitor.indicator_files import read_rows
from monitor.models import Event, Indicator
from monitor.settings import Settings

PATH = "/api/v1/indicators"
ROW = {"日期": "2026-11-10", "指标": "退款纠纷率", "数值": "0.12%", "行业": "0.30%"}
sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def core(core: Core) -> Core:
    new = house(core)
    new.notify = make_notify(new.settings, new.clock)
    return new


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with desk_of(core) as client:
        client.headers.update(token(core, "生意参谋", scopes=("indicators",)))
        yield client


def bring(desk: httpx.Client, *rows: dict[str, Any], shop: str = "demo") -> Any:
    answer = desk.post(PATH, json={"shop": shop, "rows": rows})
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(core: Core) -> list[tuple[Any, ...]]:
    with db.reading(core.engine) as session:
        rows = session.exec(select(Indicator)).all()
    return sorted((row.shop_id, row.name, row.day, row.value, row.industry) for row in rows)


def test_good_rows_are_kept_and_bad_ones_named(desk: httpx.Client, core: Core) -> None:
    """Long or wide, Chinese or English names of columns, as in a table; the same again changes nothing."""
    rows: list[dict[str, Any]] = [
        ROW,
        {"day": "2026-11-10", "shop": "另一家店", "name": "dsr_service", "value": 4.81, "industry": 4.7},
        {"日期": "2026-11-11", "描述相符": 4.87, "行业描述相符": 4.8, "投诉成立": 2, "退款纠纷率(%)": 0.2},
        ROW | {"日期": "哪天"},
        ROW | {"数值": 0.12},
        ROW | {"店铺": "nowhere"},
        ROW | {"指标": "天气"},
        {"a": 1},
        {},
        ROW | {"数值": None},
    ]
    told = bring(desk, *rows)
    assert (told["values"], told["changed"]) == (5, 5)
    assert [one["row"] for one in told["bad"]] == [4, 5, 6, 7, 8, 9]
    for one, why in zip(
        told["bad"], ("看不懂日期", "看不出是不是百分数", "没有“nowhere”", "没有“天气”", "应有", "应有"), strict=True
    ):
        assert why in one["why"]
    assert kept(core) == [
        ("demo", "dispute_rate", date(2026, 11, 10), 0.12, 0.3),
        ("demo", "dispute_rate", date(2026, 11, 11), 0.2, None),
        ("demo", "dsr_description", date(2026, 11, 11), 4.87, 4.8),
        ("demo", "upheld", date(2026, 11, 11), 2.0, None),
        ("other", "dsr_service", date(2026, 11, 10), 4.81, 4.7),
    ]
    assert bring(desk, *rows)["changed"] == 0
    assert bring(desk, ROW | {"数值": "0.50%"})["changed"] == 1
    with db.reading(core.engine) as session:
        events = session.exec(select(Event).where(Event.what == "indicators.stored").order_by(Event.id)).all()  # type: ignore[arg-type]
    assert [(one.actor, one.door, one.after) for one in events] == [
        ("程序 生意参谋", "api", {"count": 5, "shops": ["demo", "other"]}),
        ("程序 生意参谋", "api", {"count": 1, "shops": ["demo"]}),
    ]


@sqlite
def test_a_program_of_one_shop_brings_that_shops(desk: httpx.Client, core: Core) -> None:
    """Another shop's row is a bad row, another default shop a refusal; nothing of it is kept."""
    desk.headers.update(token(core, "一家", shops=("other",)))
    told = bring(desk, ROW | {"店铺": "demo"}, ROW | {"店铺": "示例旗舰店"}, ROW, shop="other")
    assert (told["values"], [one["row"] for one in told["bad"]]) == (1, [1, 2])
    assert [row[0] for row in kept(core)] == ["other"]
    assert desk.post(PATH, json={"shop": "demo", "rows": [ROW]}).status_code == 409
    assert "没有写店铺" in bring(desk, ROW, shop="")["bad"][0]["why"]


@sqlite
def test_values_are_read_with_their_limits(desk: httpx.Client, core: Core) -> None:
    """The oldest first, of one's shops and of so many days; which of them are bad."""
    day = "2026-11-11"
    bring(desk, ROW, ROW | {"日期": day, "数值": "0.50%"}, ROW | {"日期": "2026-01-01"}, ROW | {"店铺": "other"})
    reader = token(core, "读", scopes=("read",))
    assert desk.get(PATH).status_code == 403
    rows = desk.get(PATH, headers=reader, params={"shop": "demo"}).json()
    assert [(one["day"], one["value"], one["bad"]) for one in rows] == [("2026-11-10", 0.12, False), (day, 0.5, True)]
    assert (rows[0]["label"], rows[0]["unit"], rows[0]["limit"]) == ("退款纠纷率", "%", None)
    assert len(desk.get(PATH, headers=reader, params={"days": 400}).json()) == 4
    assert desk.get(PATH, headers=reader, params={"shop": "nowhere"}).json() == []
    theirs = desk.get(PATH, headers=token(core, "另一家的", shops=("other",))).json()
    assert [one["shop"] for one in theirs] == ["other"]


@sqlite
def test_what_is_no_table_is_refused(desk: httpx.Client, core: Core) -> None:
    """Nothing, too much, other types: 422 or 413, and nothing is kept."""
    bodies: list[Any] = [{}, {"rows": []}, {"rows": ROW}, {"rows": [[1]]}, {"rows": [ROW], "more": 1}]
    bodies += [{"rows": [ROW] * 5001}]
    bodies += [{"rows": [ROW | {"数值": cell}]} for cell in (True, ["x"], "9" * 201)]
    for body in bodies:
        assert desk.post(PATH, json=body).status_code == 422, str(body)[:80]
    assert desk.post(PATH, content=b"[" * 1_000_001).status_code == 413
    assert kept(core) == []


CELLS = (
    st.text(max_size=30) | st.integers() | st.floats() | st.none() | st.sampled_from(["4.8", "0.1%", "9" * 20, "2026"])
)
NAMES = [*ROW, "店铺", "DSR", "描述相符", "行业描述相符", "高于同行描述相符", "退款纠纷率(%)"]
KEYS = st.sampled_from(NAMES) | st.text(max_size=20)


@given(st.lists(st.dictionaries(KEYS, CELLS, max_size=6), max_size=4))
def test_no_row_breaks_the_reader(rows: list[dict[str, Any]]) -> None:
    """Whatever a row holds: values with finite numbers, or a reason."""
    settings, now = Settings(), NOW
    for one in read_rows(rows, {"demo": "demo"}, "demo", settings.zone, now):
        if hasattr(one, "value"):
            assert one.value == one.value < float("inf")
        else:
            assert one.reason
            assert 1 <= int(one.where) <= len(rows)
