"""Crises of other causes than a burst: posts that spread, copied texts, trouble that comes back, merged crises."""

from datetime import timedelta
from typing import Any

import pytest
from blunt import Blunt
from factories import NOW, make_item
from sqlmodel import Session, col, select

from crawler.items import FeedbackItem
from monitor import crises, db, runs
from monitor.core import Core
from monitor.incoming import Origin
from monitor.intake import Counts, store
from monitor.lifecycle import act
from monitor.models import Case, Crisis, CrisisFeedback, Event, Feedback, Timer
from monitor.moves import Action, Actor

LEAD = Actor("主管", "lead", "link")
COPY = "大家千万别买这家店的杯子，漏水漏得到处都是"
OTHERS = ["杯盖扣不上，漏", "客服差", "收到就漏", "质量差得很", "杯底漏水了", "物流差，等了九天", "颜色差太多"]


@pytest.fixture
def forum(core: Core) -> Origin:
    core.__dict__["judge"] = Blunt()
    started = runs.start(core, "forum", "html", None, mention=True)
    assert started is not None
    return started.origin


@pytest.fixture
def shop(core: Core) -> Origin:
    core.__dict__["judge"] = Blunt()
    started = runs.start(core, "site", "html", "demo")
    assert started is not None
    return started.origin


def post(external_id: str = "1", likes: int = 0, text: str = "示例的杯子漏水", **values: Any) -> FeedbackItem:
    return make_item(external_id, text, author=f"网友{external_id}", extra={"likes": likes, "comments": 2}, **values)


def burst(core: Core, origin: Origin, first: int, count: int = 6) -> Counts:
    now = core.clock.now()
    items = [make_item(f"b{n}", OTHERS[n % len(OTHERS)], created_at=now) for n in range(first, first + count)]
    return store(core, origin, items)


def all_crises(core: Core) -> list[Crisis]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(Crisis).order_by(col(Crisis.id))))


def members(core: Core, crisis_id: int | None) -> int:
    with db.reading(core.engine) as session:
        mine = select(CrisisFeedback.feedback_id).where(CrisisFeedback.crisis_id == crisis_id)
        return len(session.exec(mine).all())


def do(core: Core, what: str, crisis: int | None, note: str = "", to: str = "", **more: str) -> str:
    with db.writing(core.engine) as session:
        return act(core, session, Action(what, "crisis", crisis or 0, note, to, more or None), LEAD)


def settle(core: Core, crisis: int | None) -> None:
    for what in ("notified_sms", "notified_push", "notified_call"):
        do(core, what, crisis)
    do(core, "resolved", crisis, "都补发了")


def stages(session: Session, crisis: int | None) -> dict[tuple[str, int], str]:
    rows = session.exec(select(Timer).where(Timer.crisis_id == crisis, Timer.step == "deadline"))
    return {(timer.stage, timer.generation): timer.state for timer in rows}


def test_a_post_that_reaches_many_is_a_crisis_of_posts(core: Core, forum: Origin) -> None:
    """At the policy's reach a negative post opens a crisis with its own clocks; praise and small posts do not."""
    store(core, forum, [post("1", 900), post("2", 5000, "示例的杯子真好看"), post("3", 997)])
    assert all_crises(core) == []
    counts = store(core, forum, [post("4", 998)])
    (crisis,) = all_crises(core)
    assert counts.crises_opened == 1
    assert (crisis.kind, crisis.cause, crisis.severity, crisis.shop_id) == ("mention", "spread", "high", None)
    assert members(core, crisis.id) == 1
    assert (
        crisis.policy | {"apology": 3600.0, "statement": 86400.0, "stalled": 1800.0, "hours": "wall"} == crisis.policy
    )
    with db.reading(core.engine) as session:
        due = {
            timer.stage: timer.due_at - NOW
            for timer in session.exec(select(Timer).where(Timer.crisis_id == crisis.id, Timer.step == "deadline"))
        }
    hour = timedelta(hours=1)
    assert due == {"respond": hour, "apology": hour, "statement": 24 * hour}


def test_a_post_that_grows_is_found_when_it_is_seen_again(core: Core, forum: Origin) -> None:
    """200 more within an hour are growth; as many over a day are not, and a crisis is opened once."""
    store(core, forum, [post("1", 10), post("2", 10)])
    core.clock.move(timedelta(hours=20))
    store(core, forum, [post("2", 230)])
    assert all_crises(core) == []
    core.clock.move(timedelta(hours=5))
    store(core, forum, [post("2", 320), post("1", 100)])
    core.clock.move(timedelta(minutes=40))
    counts = store(core, forum, [post("2", 530)])
    (crisis,) = all_crises(core)
    assert counts.crises_opened == 1
    assert (crisis.cause, members(core, crisis.id)) == ("spread", 1)
    core.clock.move(timedelta(minutes=40))
    assert store(core, forum, [post("2", 3000)]).crises_opened == 0
    assert store(core, forum, [post("1", 3000)]).crises_opened == 0
    assert members(core, crisis.id) == 2


def test_an_old_post_is_no_news(core: Core, forum: Origin) -> None:
    """What was written before the policy's age opens nothing, however far it went."""
    store(core, forum, [post("1", 9000, created_at=NOW - timedelta(days=40))])
    store(core, forum, [post("1", 99000, created_at=NOW - timedelta(days=40))])
    assert all_crises(core) == []


def test_stages_of_a_crisis_of_posts(core: Core, forum: Origin) -> None:
    """Apology and statement each meet their own clock; only then may it be resolved; SMS is none of its steps."""
    from monitor.audit import Refused

    store(core, forum, [post("1", 5000)])
    (crisis,) = all_crises(core)
    with pytest.raises(Refused, match="没有“已发短信”"):
        do(core, "notified_sms", crisis.id)
    do(core, "plan", crisis.id, "先联系作者", members="主管、公关", facts="一位网友的杯子漏水")
    do(core, "apologised", crisis.id)
    with db.reading(core.engine) as session:
        assert stages(session, crisis.id) == {("respond", 0): "met", ("apology", 0): "met", ("statement", 0): "armed"}
    with pytest.raises(Refused, match="私下致歉并公开声明"):
        do(core, "resolved", crisis.id, "好了")
    do(core, "stated", crisis.id)
    do(core, "resolved", crisis.id, "作者已换货")
    do(core, "review", crisis.id, "密封圈批次有问题，已换供应商")
    (crisis,) = all_crises(core)
    assert (crisis.state, crisis.members, crisis.facts) == ("resolved", "主管、公关", "一位网友的杯子漏水")
    assert crisis.review == "密封圈批次有问题，已换供应商"
    with db.reading(core.engine) as session:
        assert set(stages(session, crisis.id).values()) == {"met"}


def test_one_text_under_many_accounts_is_a_crisis_of_its_own(core: Core, shop: Origin) -> None:
    """Slow copies are no burst, yet found; other complaints stay outside, further copies join."""
    for n in range(5):
        text = f"{COPY}{'！' * n}" if n % 2 else COPY.replace("到处", "哪儿")
        store(core, shop, [make_item(f"c{n}", text, author=f"路人{n}", created_at=core.clock.now())])
        core.clock.move(timedelta(hours=3))
    (crisis,) = all_crises(core)
    assert (crisis.cause, crisis.scope["count"], crisis.scope["spread"]["verdict"]) == ("copies", 5, "copied")
    now = core.clock.now()
    store(core, shop, [make_item("x", "杯盖扣不上，漏", created_at=now), make_item("c9", COPY, created_at=now)])
    assert members(core, crisis.id) == 6
    assert len(all_crises(core)) == 1


def test_copies_of_one_account_or_of_a_few_words_are_none(core: Core, shop: Origin) -> None:
    """Who says the same five times is one; five who say three words alike are five."""
    for n in range(6):
        now = core.clock.now()
        items = [
            make_item(f"s{n}", COPY, author="同一个人", created_at=now),
            make_item(f"k{n}", "质量差", created_at=now),
        ]
        store(core, shop, items)
        core.clock.move(timedelta(hours=2))
    assert [crisis.cause for crisis in all_crises(core) if crisis.cause == "copies"] == []


def test_a_burst_of_copies_is_called_copies(core: Core, shop: Origin) -> None:
    """Ten accounts with one text within the hour, and two complaints of other words."""
    now = core.clock.now()
    items = [make_item(f"c{n}", COPY, author=f"路人{n}", created_at=now) for n in range(10)]
    store(core, shop, [*items, make_item("a", "客服差", created_at=now), make_item("b", "收到就漏", created_at=now)])
    (crisis,) = all_crises(core)
    assert (crisis.cause, crisis.scope["count"]) == ("copies", 10)


def test_the_same_trouble_soon_after_reopens_its_crisis(core: Core, shop: Origin) -> None:
    """Within a day of the solution the old crisis goes on with new clocks; later it is a new one."""
    burst(core, shop, 0)
    (crisis,) = all_crises(core)
    do(core, "plan", crisis.id, "先补发", members="主管", facts="杯盖")
    settle(core, crisis.id)
    core.notify.clear()
    core.clock.move(timedelta(hours=9))
    assert burst(core, shop, 100).crises_opened == 0
    (crisis,) = all_crises(core)
    assert (crisis.state, crisis.plan, crisis.result, crisis.notices, crisis.facts) == ("open", "", "", {}, "杯盖")
    assert (crisis.resolved_at, crisis.acknowledged_at, crisis.notified_at) == (None, None, None)
    assert members(core, crisis.id) == crisis.scope["count"] == crisis.pinged_count == 12
    with db.reading(core.engine) as session:
        again = {
            stage
            for (stage, generation), state in stages(session, crisis.id).items()
            if (generation, state) == (1, "armed")
        }
        event = session.exec(select(Event).where(Event.what == "reopened")).one()
        due = session.exec(
            select(Timer.due_at).where(Timer.generation == 1, Timer.stage == "notice", Timer.step == "deadline")
        ).one()
    assert again == {"respond", "notice", "follow_up"}
    assert (event.before["plan"], event.before["result"]) == ("先补发", "都补发了")
    assert due == core.clock.now() + timedelta(hours=3)
    assert [n.key for n in core.notify if n.kind == "crisis.opened"] == [f"crisis:{crisis.id}:opened:1"]
    settle(core, crisis.id)
    core.clock.move(timedelta(hours=30))
    assert burst(core, shop, 200).crises_opened == 1


def test_a_false_alarm_is_not_reopened(core: Core, shop: Origin) -> None:
    """What people called none stays none; the next burst is judged anew."""
    burst(core, shop, 0)
    do(core, "false_alarm", all_crises(core)[0].id)
    with db.reading(core.engine) as session:
        assert session.exec(select(Case.state)).first() == "received"
    core.clock.move(timedelta(hours=9))
    burst(core, shop, 100, 20)
    assert [crisis.state for crisis in all_crises(core)] == ["false_alarm", "open"]


def test_a_lead_reopens_with_what_was_said_kept_in_the_event(core: Core, shop: Origin) -> None:
    """重新打开 clears what the next round must do again; the audit still has it."""
    burst(core, shop, 0)
    crisis = all_crises(core)[0].id
    settle(core, crisis)
    do(core, "review", crisis, "错在打包")
    do(core, "reopen", crisis, "又来了")
    row = all_crises(core)[0]
    assert (row.state, row.result, row.review, row.notices, row.closed_at) == ("open", "", "", {}, None)
    with db.reading(core.engine) as session:
        event = session.exec(select(Event).where(Event.what == "reopen")).one()
    assert (event.before["result"], event.before["review"], event.before["state"]) == (
        "都补发了",
        "错在打包",
        "resolved",
    )
    assert set(event.before["notices"]) == {"sms", "push", "call"}


def test_what_matches_a_merged_crisis_joins_the_survivor(core: Core, shop: Origin) -> None:
    """Merged twice over: cases, feedbacks and what comes later are the last survivor's; its ticks stay its own."""
    burst(core, shop, 0)
    first = all_crises(core)[0]
    with db.writing(core.engine) as session:
        facts = {"shop_id": "demo", "cause": "person", "severity": "high", "feedback_ids": []}
        second, third = (
            crises.open_crisis(core, session, category=code, **facts).id for code in ("logistics", "safety")
        )
    do(core, "notified_sms", first.id)
    do(core, "merge", first.id, to=str(second))
    do(core, "merge", second, to=str(third))
    burst(core, shop, 50, 1)
    assert [members(core, n) for n in (first.id, second, third)] == [0, 0, 7]
    rows = all_crises(core)
    assert [row.state for row in rows] == ["merged", "merged", "open"]
    assert rows[2].notices == {}
    with db.reading(core.engine) as session:
        event = session.exec(select(Event).where(Event.what == "merged.in").order_by(col(Event.id))).first()
        assert event is not None
        assert list(event.after["notices"]) == ["sms"]
        assert set(session.exec(select(Case.crisis_id)).all()) == {third}
        assert len(session.exec(select(Feedback.id)).all()) == 7
