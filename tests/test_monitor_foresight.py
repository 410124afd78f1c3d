"""Rules tried on what came in: what the replay foresees is what detection would have done, and nothing is written."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine
from sqlmodel import Session, func, select

from monitor import db, detect, directory, foresight, week
from monitor.clock import HandClock
from monitor.core import Core
from monitor.foresight import Outlook
from monitor.fresh import Fresh
from monitor.models import Case, Crisis, Event, Feedback, Outbox, Score, Source, Spread, Timer
from monitor.settings import Settings

HOUR = timedelta(hours=1)
UNTIL = NOW + timedelta(days=1)


@pytest.fixture
def core(engine: Engine) -> Core:
    shops = [{"id": name, "name": name, "platform": "tmall"} for name in ("demo", "two")]
    house = make_core(engine, make_settings(shops=shops), HandClock(NOW))
    with db.writing(engine) as session:
        directory.sync(session, house.settings)
        session.add(Source(name="tests", kind="file", shop_id="demo"))
    return house


def tuned(core: Core, **detect_: Any) -> Settings:
    return make_settings(shops=[shop.model_dump() for shop in core.settings.shops], policy={"detect": detect_})


def come(core: Core, at: datetime, *texts: str, really: bool = True, **values: Any) -> list[int]:
    """Complaints come in at a time, in one batch; detection looks at them unless it is told not to."""
    told = {
        "shop_id": "demo",
        "categories": ["logistics"],
        "severity": "medium",
        "negative": True,
        "product": "",
    } | values
    clock: Any = core.clock
    clock.move(at - clock.now())
    with db.writing(core.engine) as session:
        rows = [_store(session, at, text, told) for text in texts]
        batch = [_fresh(row, told) for row in rows]
        if really:
            detect.detect(core, session, batch)
        return [row.id or 0 for row in rows]


def _store(session: Session, at: datetime, text: str, told: dict[str, Any]) -> Feedback:
    count = session.exec(select(func.count()).select_from(Feedback)).one()
    row = Feedback(
        source_id=1,
        shop_id=told["shop_id"],
        kind=told.get("kind", "review"),
        external_id=str(count),
        text=text,
        product=told["product"],
        author_hash=told.get("author", f"a{count}"),
        extra=told.get("extra", {}),
        timely=told.get("timely", True),
        happened_at=told.get("happened_at", at),
        first_seen_at=at,
        updated_at=at,
        content_hash=str(count),
    )
    session.add(row)
    session.flush()
    score = Score(feedback_id=row.id or 0, happened_at=row.happened_at, model="t", p_negative=0.9, scored_at=at)
    score.negative, score.categories, score.severity = told["negative"], list(told["categories"]), told["severity"]
    session.add(score)
    session.flush()
    return row


def _fresh(row: Feedback, told: dict[str, Any]) -> Fresh:
    return Fresh(
        feedback_id=row.id or 0,
        shop_id=row.shop_id,
        kind=row.kind,
        product=row.product,
        join_key="",
        negative=told["negative"],
        severity=told["severity"],
        categories=tuple(told["categories"]),
        happened_at=row.happened_at,
        timely=row.timely,
    )


def look(core: Core, settings: Settings | None = None, until: datetime = UNTIL) -> Outlook:
    with db.reading(core.engine) as session:
        return foresight.outlook(session, settings or core.settings, until)


def ordinary(core: Core, days: int = 20) -> None:
    """A quiet past: a little praise every hour, a complaint every few days."""
    with db.writing(core.engine) as session:
        for n in range(days * 8):
            at = NOW - timedelta(days=days) + n * 3 * HOUR
            bad = n % 24 == 0
            told = {"shop_id": "demo", "categories": ["price"] if bad else [], "severity": "low" if bad else None}
            _store(session, at, f"第{n}天用着", told | {"negative": bad, "product": ""})


def opened(core: Core) -> list[tuple[Any, ...]]:
    with db.reading(core.engine) as session:
        rows = session.exec(select(Crisis).order_by(Crisis.id)).all()  # type: ignore[arg-type]
    return [(row.opened_at, row.shop_id, row.cause, row.category, row.product, row.severity, row.also) for row in rows]


def foreseen(seen: Outlook) -> list[tuple[Any, ...]]:
    rows = [one.crisis for one in seen.foreseen]
    return [(row.opened_at, row.shop_id, row.cause, row.category, row.product, row.severity, row.also) for row in rows]


def various(n: int, word: str = "物流") -> list[str]:
    """Complaints in different words."""
    ways = (
        "一直没有送到，客服也没人回",
        "显示签收却找不到包裹",
        "等了一个星期还在路上打转",
        "快递员态度差还乱放",
        "退回去又重新发了一遍",
    )
    return [
        f"{word}：{ways[k % 5]}，{'真的很' * (k // 5)}失望第{k}次" + "甲乙丙丁戊己庚辛壬癸"[k % 10] * (k % 7)
        for k in range(n)
    ]


def test_the_replay_agrees_with_detection(core: Core) -> None:
    """Bursts by category and product, copies, a critical text, a spreading post: the same crises as really opened."""
    ordinary(core)
    at = NOW
    come(core, at, *various(7), product="保温杯")
    come(core, at + 20 * timedelta(minutes=1), *various(3, "客服"), categories=["service"])
    come(core, at + 6 * HOUR, "用了以后孩子进了医院", categories=["safety"], severity="critical", shop_id="two")
    come(
        core, at + 7 * HOUR, *["这家店卖的都是假货大家千万不要上当受骗"] * 6, categories=["authenticity"], shop_id="two"
    )
    come(
        core,
        at + 8 * HOUR,
        "转发扩散这家店的问题",
        kind="mention",
        extra={"likes": 900, "reposts": 200},
        categories=["price"],
    )
    seen = look(core)
    assert foreseen(seen) == opened(core)
    assert [one.real for one in seen.foreseen] == list(range(1, len(opened(core)) + 1))
    assert seen.missed == []
    assert {one.crisis.cause for one in seen.foreseen} == {"burst", "critical", "copies", "spread"}


def test_other_rules_foresee_other_crises(core: Core) -> None:
    """A stricter count loses what really opened, a looser one finds what did not."""
    ordinary(core)
    come(core, NOW, *various(5))
    come(core, NOW + 12 * HOUR, *various(4, "质量"), categories=["quality"])
    assert [row[3] for row in opened(core)] == ["logistics"]
    strict = look(core, tuned(core, burst_count=9))
    assert strict.foreseen == []
    assert [crisis.id for crisis in strict.missed] == [1]
    loose = look(core, tuned(core, burst_count=3))
    assert [(one.crisis.category, one.real) for one in loose.foreseen] == [("logistics", 1), ("quality", None)]
    assert loose.missed == []


@pytest.mark.parametrize(
    ("rule", "found"),
    [({}, ["critical"]), ({"critical_opens_crisis": False}, []), ({"max_age": "1h"}, [])],
)
def test_one_critical_text(core: Core, rule: dict[str, Any], found: list[str]) -> None:
    """It opens a crisis where the rule says so, unless it is too old."""
    come(core, NOW, "漏电了", severity="critical", categories=["safety"], happened_at=NOW - 2 * HOUR, really=False)
    assert [one.crisis.cause for one in look(core, tuned(core, **rule)).foreseen] == found


@pytest.mark.parametrize(("copies", "found"), [(5, 0), (4, 1)])
def test_one_text_under_several_accounts(core: Core, copies: int, found: int) -> None:
    """Accounts are counted, not texts: one person's fifth copy is none."""
    for n in range(5):
        said = f"千万不要买这家的东西全是骗人的{n}"
        come(core, NOW + n * HOUR * 3, said, author=f"w{min(n, 3)}", categories=["price"], really=False)
    assert len(look(core, tuned(core, copies=copies)).foreseen) == found


@pytest.mark.parametrize(
    ("rule", "hour"), [({}, None), ({"reach": 500}, 6), ({"growth": 50}, 1), ({"growth": 101}, None)]
)
def test_a_post_that_spreads(core: Core, rule: dict[str, Any], hour: int | None) -> None:
    """When its reach or its growth first passes the figures, by the counts that were taken."""
    [post] = come(
        core, NOW, "大家来看看这家店", kind="mention", extra={"likes": 600}, categories=["service"], really=False
    )
    with db.writing(core.engine) as session:
        for step, (hours, likes) in enumerate([(0, 10), (1, 110), (6, 600)]):
            session.add(Spread(feedback_id=post, step=step, at=NOW + hours * HOUR, likes=likes))
    found = look(core, tuned(core, **rule)).foreseen
    assert [one.crisis.opened_at for one in found] == ([] if hour is None else [NOW + hour * HOUR])


def test_what_belongs_joins_and_what_comes_again_reopens(core: Core) -> None:
    """One crisis while it runs and soon after; much later it is another."""
    for days in (0, 1.5, 5):
        at = NOW - timedelta(days=5) + timedelta(days=days)
        come(core, at, "漏电了", severity="critical", categories=["safety"], really=False)
        come(core, at + HOUR, "也漏电", severity="critical", categories=["safety"], really=False)
    seen = look(core)
    assert [(one.first, len(one.feedback_ids)) for one in seen.foreseen] == [(1, 4), (1, 2)]


def test_a_crisis_that_ran_before_takes_what_is_its(core: Core) -> None:
    """What joined a crisis of an earlier week opens none in this one; what people opened by hand is no rule's."""
    come(core, NOW - timedelta(days=7), "漏电了", severity="critical", categories=["safety"])
    come(core, NOW, "还是漏电", severity="critical", categories=["safety"])
    with db.writing(core.engine) as session:
        session.add(Crisis(shop_id="two", cause="person", severity="high", opened_at=NOW, updated_at=NOW))
    seen = look(core)
    assert (seen.foreseen, seen.missed) == ([], [])


def test_what_came_long_after_it_happened_is_no_burst(core: Core) -> None:
    """An import of the past, and feedback of unknown time, are history."""
    come(core, NOW, *various(9), happened_at=NOW - timedelta(days=3), really=False)
    come(core, NOW, *various(9, "服务"), timely=False, categories=["service"], really=False)
    assert look(core).foreseen == []


def test_nothing_is_written_and_nobody_is_told(core: Core) -> None:
    """However often it is tried, the store stays as it is."""
    come(core, NOW, *various(8), really=False)
    tables = (Crisis, Case, Event, Outbox, Timer, Feedback)
    with db.reading(core.engine) as session:
        before = [session.exec(select(func.count()).select_from(table)).one() for table in tables]
    assert len(look(core).foreseen) == 1
    with db.reading(core.engine) as session:
        assert [session.exec(select(func.count()).select_from(table)).one() for table in tables] == before
    assert list(core.notify) == []  # type: ignore[call-overload]


def test_too_much_is_cut_and_says_so(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more complaints than can be looked at the newest count, and the days begin with them."""
    come(core, NOW - timedelta(days=2), *various(6), really=False)
    come(core, NOW, *various(6, "质量"), categories=["quality"], really=False)
    monkeypatch.setattr(week, "MOST", 6)
    seen = look(core)
    assert (seen.cut, seen.looked_at, seen.since) == (True, 6, NOW)
    assert [one.crisis.category for one in seen.foreseen] == ["quality"]


def test_an_empty_store_foresees_nothing(core: Core) -> None:
    """No feedback, no crisis, no error."""
    seen = look(core)
    assert (seen.foreseen, seen.missed, seen.looked_at, seen.cut) == ([], [], 0, False)
