"""Targets, cases settled with one contact, complaints of customers served: verdicts, and weeks with hardly anything."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from factories_reports import Record, fresh_cores, month, store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from monitor import db, directory
from monitor.core import Core
from monitor.models import Indicator
from reports.build import build
from reports.figures import Review, review
from reports.formats import table
from reports.shares import Share
from reports.target_words import line
from reports.targets import Reached, Target, targets

SHOPS = [{"id": name, "name": f"{name}店", "platform": "tmall"} for name in ("demo", "jd")]
FRIDAY, WEEK = date(2026, 11, 20), NOW - timedelta(days=6)
HOUR = timedelta(hours=1)


def house(engine: Engine, **policy: object) -> Core:
    core = make_core(engine, make_settings(shops=SHOPS, policy=policy))
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
    return core


def serve(core: Core, shop: str, days: dict[int, float]) -> None:
    with db.writing(core.engine) as session:
        for day, value in days.items():
            session.add(Indicator(name="served", shop_id=shop, day=date(2026, 11, day), value=value))


def bad(n: int = 0, **values: Any) -> Record:
    return Record(WEEK + timedelta(minutes=n), True, f"坏了{n}", 1, ["quality"], "low", **values)


@pytest.mark.parametrize(
    ("part", "whole", "below", "reached"),
    [
        (90, 100, False, "met"),
        (85, 100, False, "met"),
        (80, 100, False, "near"),
        (50, 100, False, "missed"),
        (29, 29, False, "few"),
        (0, 0, False, "none"),
        (84, 100, True, "met"),
        (85, 100, True, "near"),
        (99, 100, True, "missed"),
        (101, 100, True, "odd"),
    ],
)
def test_what_was_reached(part: int, whole: int, below: bool, reached: Reached) -> None:
    """At a target of 85 %: at least, or below; near is what chance explains; few say nothing."""
    target = Target("complaints" if below else "once", Share(part, whole), Share(0, 0), 0.85, below)
    assert target.reached == reached
    assert line(target)


@given(st.integers(0, 2000), st.integers(0, 2000), st.floats(0, 1), st.booleans())
def test_a_verdict_never_speaks_against_the_figures(part: int, whole: int, wanted: float, below: bool) -> None:
    """Met exactly where the rate is on the right side; missed only where it is not."""
    target = Target("once", Share(part, whole), Share(0, 0), wanted, below)
    if whole >= 30 and part <= whole:
        good = part / whole < wanted if below else part / whole >= wanted
        assert (target.reached == "met") == good
    else:
        assert target.reached in {"few", "odd", "none"}
    assert "\n" not in line(target)


def test_weeks_with_hardly_anything(sqlite: Engine) -> None:
    """No case: no rate. One: a count. Customers without a complaint: none of them. No customers: what to import."""
    core = house(sqlite)
    made = review(core, "weekly", FRIDAY)
    assert (made.contacts.share, made.complaints.all.share, targets(made)) == (Share(0, 0), Share(0, 0), [])
    store(sqlite, [bad(state="resolved", answered=HOUR, resolved=HOUR)], NOW)
    made = review(core, "weekly", FRIDAY)
    assert (made.contacts.share, made.contacts.people, made.contacts.again) == (Share(1, 1), [], 0)
    report = build(core, "weekly", FRIDAY)
    assert "一次解决率 1 个工单里 1 个，目标 ≥ 85%" in report.text
    assert "投诉率没有算：还没有服务客户数" in report.text
    assert "投诉率没有算：还没有服务客户数" in report.html
    assert "1 个工单里一次解决 1 个" in "".join(report.lines)
    serve(core, "jd", {9: 400, 10: 0})
    made = review(core, "weekly", FRIDAY)
    assert [(one.shop_id, one.days, one.share) for one in made.complaints.shops] == [("jd", 2, Share(0, 400))]
    assert "投诉率 0%（0/400），目标 < 2%：达到" in build(core, "weekly", FRIDAY).text


def test_only_days_with_customers_count(sqlite: Engine) -> None:
    """Complaints of other days, posts, false alarms and content reviews are left out; shops add up."""
    core = house(sqlite)
    rows = [bad(n) for n in range(3)] + [bad(9, shop="jd"), bad(10, kind="mention"), bad(11, state="false_alarm")]
    rows += [Record(WEEK), bad(-1440)]
    store(sqlite, rows, NOW)
    serve(core, "demo", {14: 60, 9: 40})
    serve(core, "jd", {14: 50})
    made = review(core, "weekly", FRIDAY).complaints
    assert [(one.shop_id, one.days, one.share) for one in made.shops] == [
        ("demo", 2, Share(3, 100)), ("jd", 1, Share(1, 50))
    ]  # fmt: skip
    assert (made.all.days, made.all.share) == (3, Share(4, 150))


def test_more_complaints_than_customers_is_told_not_counted(sqlite: Engine) -> None:
    """A number of customers that cannot be right makes no rate."""
    core = house(sqlite)
    store(sqlite, [bad(n) for n in range(40)], NOW)
    serve(core, "demo", {14: 31})
    report = build(core, "weekly", FRIDAY)
    assert "投诉率：差评 40 条，服务客户数却只有 31，请核对导入的数" in report.text
    assert "差评 40 条，客户只有 31 位，请核对" in report.text
    assert "核对：差评比客户还多" in report.html
    assert "投诉率" not in "".join(report.lines)


def test_with_whom_and_over_what(sqlite: Engine) -> None:
    """Worst first, only where there was more than one contact; a case of two categories counts for each."""
    core = make_core(sqlite, make_settings(shops=SHOPS, people=[{"name": name, "role": "agent"} for name in "甲乙丙"]))
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    done = {"state": "closed", "answered": HOUR, "resolved": 2 * HOUR}
    rows = [bad(n, who="甲", again=n < 2, **done) for n in range(5)]
    rows += [bad(n, who="乙", again=True, **done) for n in range(10, 13)] + [bad(20, who="丙", **done)]
    rows[0].categories = ["quality", "service"]
    store(sqlite, rows, NOW)
    found = review(core, "weekly", FRIDAY).contacts
    assert (found.share, found.again) == (Share(4, 9), 5)
    assert found.people == [("乙", Share(0, 3)), ("甲", Share(3, 5))]
    assert found.categories == [("quality", Share(4, 9)), ("service", Share(0, 1))]
    text = build(core, "weekly", FRIDAY).text
    assert "按负责人：乙 3（共 3）、甲 2（共 5）；按类别：质量问题 5（共 9）" in text


def test_targets_are_the_house_s_own(sqlite: Engine) -> None:
    """What the config says is what is said, in the page, as text and as CSV."""
    core = house(sqlite, targets={"once": 80, "complaints": 0.5})
    store(sqlite, month(last=FRIDAY, a_day=40, share=0.3), NOW)
    serve(core, "demo", dict.fromkeys(range(2, 16), 100))
    report = build(core, "weekly", FRIDAY)
    assert isinstance(report.made, Review)
    share, wanted = report.made.contacts.share, {one.name: one.wanted for one in targets(report.made)}
    assert not share.few
    assert (wanted["once"], wanted["complaints"]) == (0.8, 0.005)
    assert "目标 80%。</p>" in report.html
    assert "，目标 ≥ 80%：" in report.text
    assert "&lt; 0.5%" in report.html
    told = table(report).decode("utf-8-sig").splitlines()
    assert told[0].endswith("做到,一共,上期做到,上期一共,目标")
    (row,) = [one for one in told if one.startswith("目标,一次解决率")]
    assert row.split(",")[-5:-2] == [str(share.part), str(share.whole), str(report.made.contacts.before.part)]


@pytest.fixture
def fresh(sqlite_template: bytes, tmp_path: Path) -> Callable[[], Core]:
    return fresh_cores(sqlite_template, tmp_path, shops=SHOPS)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(("received", "answered", "resolved", "closed", "false_alarm")), st.booleans()))
)
def test_parts_are_of_their_whole(fresh: Callable[[], Core], cases: list[tuple[str, bool]]) -> None:
    """Whatever became of cases: those with one contact are some of the settled, and only those are counted."""
    core = fresh()
    done = {"answered": HOUR, "resolved": 2 * HOUR}
    rows = [
        bad(n, state=state, again=again, **(done if state in {"resolved", "closed"} else {}))
        for n, (state, again) in enumerate(cases)
    ]
    store(core.engine, rows, NOW)
    found = review(core, "weekly", FRIDAY).contacts
    over = [again for state, again in cases if state in {"resolved", "closed"}]
    assert found.share == Share(over.count(False), len(over))
    assert sum(share.whole - share.part for _, share in found.people) == found.again == over.count(True)
    core.engine.dispose()
