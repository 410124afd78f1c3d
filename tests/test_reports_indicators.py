"""Shop indicators in reports: the span's value, the one before, six spans of trend, better or worse."""

from datetime import date

import pytest
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine

from monitor import db, directory
from monitor.models import Indicator
from reports.figures import review
from reports.indicators import Row
from reports.labels import trend

SHOPS = [{"id": "demo", "name": "示例旗舰店", "platform": "tmall"}]


def rows(engine: Engine, kind: str, values: list[tuple[str, date, float]]) -> dict[str, Row]:
    core = make_core(engine, make_settings(shops=SHOPS))
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
        session.add_all(Indicator(shop_id="demo", name=name, day=day, value=value) for name, day, value in values)
    (shop,) = review(core, kind, NOW.date()).indicators  # type: ignore[arg-type]
    return {row.name: row for row in shop.rows}


def test_weeks(sqlite: Engine) -> None:
    """The last value of each week, a gap where there is none; daily counts are summed."""
    values = [("dispute_rate", date(2026, 11, day), value) for day, value in ((15, 0.3), (13, 0.9), (8, 0.4), (1, 0.5))]
    values += [("dispute_rate", date(2026, 10, 11), 0.7), ("dispute_rate", date(2026, 10, 4), 9)]
    values += [("upheld", date(2026, 11, day), 1) for day in (9, 15, 16, 8)]
    values += [("dsr_service", date(2026, 11, 9), 4.8), ("dsr_service", date(2026, 11, 3), 4.8)]
    found = rows(sqlite, "weekly", values)
    assert found["dispute_rate"].trend == [0.7, None, None, 0.5, 0.4, 0.3]
    assert trend(found["dispute_rate"].trend) == "0.7 → 0.5 → 0.4 → 0.3"
    assert found["upheld"].trend == [None, None, None, None, 1, 2]
    assert {name: row.turn for name, row in found.items()} == {
        "dispute_rate": "better", "upheld": "worse", "dsr_service": "same"
    }  # fmt: skip


@pytest.mark.parametrize("day", [1, 30])
def test_months(sqlite: Engine, day: int) -> None:
    """Calendar months of any length, across the year's end too."""
    values = [("self_completion", date(2026, month, day), float(month)) for month in (5, 6, 7, 8, 9, 10)]
    found = rows(sqlite, "monthly", values)["self_completion"]
    assert (found.trend, found.turn) == ([5, 6, 7, 8, 9, 10], "better")
    assert trend(rows(sqlite, "monthly", [("upheld", date(2026, 10, 2), 1)])["upheld"].trend) == ""
