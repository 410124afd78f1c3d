"""Automatic assignment: who is on duty, whom it fits, who has the least to do; in bulk without a query each."""

from collections import Counter
from typing import Any

import pytest
from blunt import Blunt
from factories import NOW, make_core, make_item, make_settings
from sqlalchemy import Engine, event
from test_monitor_edits import BAD, case, origin, rows, see
from test_monitor_lifecycle import LEAD, do

from monitor import db, directory
from monitor.assign import choose
from monitor.core import Core
from monitor.intake import store
from monitor.models import Case, Event, Timer

AUTO = {"assign": {"mode": "auto"}}


def make(engine: Engine, people: list[dict[str, Any]], **overrides: Any) -> Core:
    """A house that assigns by itself."""
    core = make_core(engine, make_settings(people=people, **({"policy": AUTO} | overrides)))
    core.__dict__["judge"] = Blunt()
    with db.writing(core.engine) as session:
        directory.sync(session, core.settings)
    return core


def chosen(core: Core, categories: list[str] | None = None, shop: str | None = "demo", tier: str = "") -> str | None:
    with db.reading(core.engine) as session:
        row = Case(shop_id=shop, categories=categories or [], tier=tier, opened_at=NOW, updated_at=NOW)
        found = choose(session, core.settings, row, NOW)
        return found.name if found else None


def hold(core: Core, name: str, count: int, state: str = "assigned") -> None:
    """Give somebody some cases."""
    with db.writing(core.engine) as session:
        people = {row.name: row.id for row in directory_rows(core)}
        for _ in range(count):
            session.add(Case(shop_id="demo", state=state, opened_at=NOW, updated_at=NOW, assignee_id=people[name]))


def directory_rows(core: Core) -> list[Any]:
    from monitor.models import Person

    return rows(core, Person)


@pytest.mark.parametrize(
    ("asked", "who"),
    [
        ({}, "甲"),
        ({"categories": ["logistics"]}, "快递"),
        ({"categories": ["quality", "logistics"]}, "快递"),
        ({"categories": ["logistics"], "tier": "金卡"}, "金卡快递"),
        ({"tier": "金卡"}, "甲"),
        ({"shop": "jd"}, "京东"),
        ({"shop": None}, "甲"),
    ],
)
def test_the_most_specialised_comes_first(engine: Engine, asked: dict[str, Any], who: str) -> None:
    """By category, tier and shop; whom it does not fit never gets it; a brand's mentions go to who has no shops."""
    people = [
        {"name": "甲"},
        {"name": "快递", "categories": ["logistics"]},
        {"name": "金卡快递", "categories": ["logistics"], "tiers": ["金卡"]},
        {"name": "京东", "shops": ["jd"]},
        {"name": "主管", "role": "lead"},
    ]
    assert chosen(make(engine, people), **asked) == who


def test_among_equals_who_has_least_to_do(engine: Engine) -> None:
    """Open cases count, settled ones do not; the same load goes by the order of the config; full is full."""
    core = make(engine, [{"name": "甲", "most_open": 3}, {"name": "乙"}, {"name": "丙"}])
    assert chosen(core) == "甲"
    hold(core, "甲", 1, state="resolved")
    assert chosen(core) == "甲"
    hold(core, "甲", 1)
    hold(core, "丙", 2)
    assert chosen(core) == "乙"
    hold(core, "乙", 9)
    hold(core, "丙", 9)
    assert chosen(core) == "甲"
    hold(core, "甲", 2, state="suspected")
    assert chosen(core) == "乙"


def test_only_who_is_on_duty_gets_work(engine: Engine) -> None:
    """Where the shop has a rota it decides, leads included; at night nobody does; who left gets nothing."""
    rota = {"people": ["乙", "主管"], "shops": ["demo"], "shift": "14:00-18:00"}
    core = make(
        engine, [{"name": "甲"}, {"name": "乙", "most_open": 1}, {"name": "主管", "role": "lead"}], rotas=[rota]
    )
    assert chosen(core) == "乙"
    hold(core, "乙", 1)
    assert chosen(core) == "主管"
    assert chosen(core, shop="jd") == "甲"
    night = make(engine, [{"name": "甲"}], rotas=[rota | {"people": ["甲"], "shift": "20:00-08:00"}])
    assert chosen(night) is None
    gone = make(engine, [{"name": "乙"}], rotas=[rota | {"people": ["甲"]}])
    assert chosen(gone) is None


def test_a_new_case_is_assigned_as_it_opens(engine: Engine) -> None:
    """In the same breath, with the reason; whoever got it is asked again if nothing happens."""
    rota = {"people": ["甲", "乙"]}
    core = make(engine, [{"name": "甲", "categories": ["quality"]}, {"name": "乙"}], rotas=[rota])
    see(core)
    assert (case(core).state, case(core).assignee_id) == ("assigned", 1)
    opened, assigned = rows(core, Event)
    assert (opened.what, opened.after["state"]) == ("opened", "received")
    assert (assigned.what, assigned.actor, assigned.after["state"]) == ("assign", "评哨", "assigned")
    assert assigned.after["note"] == "自动派给甲：值班、负责质量问题、手上 0 件"
    assert {(t.stage, t.step) for t in rows(core, Timer)} >= {("progress", "stalled")}


def test_nobody_fits_and_the_case_waits(engine: Engine) -> None:
    """As in the other mode: whoever takes it."""
    core = make(engine, [{"name": "甲", "categories": ["logistics"]}])
    see(core)
    assert (case(core).state, case(core).assignee_id) == ("received", None)
    assert [row.what for row in rows(core, Event)] == ["opened"]


def test_a_case_of_the_backlog_is_given_when_it_wakes(engine: Engine) -> None:
    """What is old has no clock and no holder until something new is said."""
    core = make(engine, [{"name": "甲"}])
    store(core, origin(core), [make_item("1", BAD, order_ref="A1", created_at=NOW.replace(year=2025))])
    assert case(core).assignee_id is None
    store(core, origin(core), [make_item("2", BAD + "了", order_ref="A1")])
    assert (case(core).state, case(core).assignee_id) == ("assigned", 1)


def test_a_case_that_comes_back_stays_with_its_holder(engine: Engine) -> None:
    """Nobody else has to read it up."""
    core = make(engine, [{"name": "甲"}, {"name": "乙"}, {"name": "主管", "role": "lead"}])
    see(core)
    do(core, "resolved", "case", 1, LEAD)
    see(core, followup="还是漏")
    assert (case(core).state, case(core).assignee_id) == ("received", 1)


def test_a_tier_told_by_the_source_counts(engine: Engine) -> None:
    """Golden customers have their own people."""
    core = make(engine, [{"name": "甲"}, {"name": "乙", "tiers": ["金卡"]}])
    see(core, extra={"tier": "金卡"})
    assert (case(core).tier, case(core).assignee_id) == ("金卡", 2)
    assert rows(core, Event)[0].after["tier"] == "金卡"


def test_many_at_once_are_spread_without_a_query_each(engine: Engine) -> None:
    """Five hundred new cases go to three people evenly; people and their loads are read once for all."""
    core = make(engine, [{"name": "甲"}, {"name": "乙"}, {"name": "丙"}])
    asked: list[str] = []
    event.listen(core.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    store(core, origin(core), [make_item(f"a{n}", f"第{n}个漏") for n in range(500)])
    assert sum("FROM person" in one for one in asked) == 1
    assert sum("assignee_id IS NOT NULL GROUP BY" in one for one in asked) == 1
    held = Counter(row.assignee_id for row in rows(core, Case))
    assert max(held.values()) - min(held.values()) <= 1
