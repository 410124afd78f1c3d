"""Scope and spread of crises: counted from their feedbacks, told in two short sentences, hostile facts or not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from factories_reports import ZONE, Record, store

from monitor import db, directory
from monitor.core import Core
from monitor.models import Crisis, CrisisFeedback
from monitor.models import Spread as Point
from reports import spread_words
from reports.spread import Spread, spread

AT = datetime(2026, 11, 12, 3, 30, tzinfo=UTC)


def crisis(core: Core, records: list[Record], scope: dict[str, Any] | None = None) -> Spread:
    house = make_core(core.engine, make_settings())
    with db.writing(core.engine) as session:
        directory.sync(session, house.settings)
    store(core.engine, [*records, Record(AT, platform="kuaishou")], NOW)  # the last is not of the crisis
    with db.writing(core.engine) as session:
        session.add(Crisis(id=7, state="open", cause="burst", severity="high", opened_at=AT, updated_at=AT))
        session.flush()
        session.add_all(CrisisFeedback(crisis_id=7, feedback_id=n + 1, added_at=AT) for n in range(len(records)))
        if records:
            session.add(Point(feedback_id=1, step=0, at=AT, likes=10, comments=2))
            session.add(Point(feedback_id=1, step=1, at=AT, likes=50))
    with db.reading(core.engine) as session:
        return spread(session, 7, scope or {})


def test_when_where_and_what_posts_set_off(core: Core) -> None:
    """First, last and busiest hour, platforms by number, counts of posts against those at first sight."""
    posts = [{"likes": 1000, "comments": 9}, {"likes": 5}, {"likes": "1.2万", "reposts": None}]
    records = [Record(AT, kind="mention", platform="weibo", extra=extra) for extra in posts]
    records += [Record(AT + timedelta(minutes=40 + n)) for n in range(5)] + [Record(AT + timedelta(hours=9))]
    found = crisis(core, records)
    assert (found.first_at, found.last_at) == (AT, AT + timedelta(hours=9))
    assert (found.peak_at, found.peak) == (datetime(2026, 11, 12, 4, tzinfo=UTC), 5)
    assert found.platforms == [("tmall", 6), ("weibo", 3)]
    assert (found.heat, found.heat_before) == ({"likes": 1005, "comments": 9}, 12 + 5)
    assert spread_words.course(found, ZONE) == (
        "11月12日 11:30 到 20:30，最多的一小时 5 条（12:00 起）；天猫 6 条、微博 3 条；"
        "帖子共有赞 1,005、评论 9，比刚看到时多 997"
    )
    assert spread_words.scope(found) == ""


def test_scope_is_what_most_share(core: Core) -> None:
    """What half of them have, and words that a quarter use; of copies, from how many hands."""
    scope = {
        "count": 10, "product": [["保温杯", 9], ["玻璃杯", 1]], "warehouse": [["苏州仓", 5]], "courier": [["中通", 4]],
        "said": [["没收到", 4]], "spread": {"verdict": "copied", "copies": 8, "of": 10},
    }  # fmt: skip
    found = crisis(core, [Record(AT)], scope)
    assert found.shared == [("product", "保温杯", 9), ("warehouse", "苏州仓", 5)]
    assert spread_words.scope(found) == "9 条同一商品（保温杯）、5 条同一仓库（苏州仓）；4 条说“没收到”"
    assert spread_words.course(found, ZONE).endswith("比过的 10 条里 8 条几乎一样、来自不同账号，像是搬运")


@pytest.mark.parametrize("scope", [{}, {"count": 1, "product": [["杯", 1]], "said": [["漏", 1]]}, {"said": []}])
def test_a_crisis_of_nothing_says_nothing(sqlite: Any, scope: dict[str, Any]) -> None:
    """One that a person opened, or whose feedbacks are gone, has neither scope nor spread."""
    found = crisis(make_core(sqlite), [], scope)
    assert (spread_words.scope(found), spread_words.course(found, ZONE)) == ("", "")
