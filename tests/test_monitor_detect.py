"""What becomes a crisis, and what does not."""

from datetime import datetime, timedelta

import pytest
from factories import NOW
from sqlalchemy import insert
from sqlmodel import col, func, select

from monitor import cases, db, detect, directory
from monitor.core import Core
from monitor.fresh import Fresh
from monitor.models import Case, Crisis, CrisisFeedback, Feedback, Score


def put(
    core: Core,
    count: int,
    at: datetime = NOW,
    category: str = "logistics",
    severity: str | None = "medium",
    negative: bool = True,
    product: str = "",
    spread: timedelta = timedelta(minutes=40),
    timely: bool = True,
    shop: str | None = "demo",
    text: str = "第{}位没收到货",
) -> list[Fresh]:
    """Store feedbacks spread over a time before ``at``, and file and detect them as intake does."""
    with db.writing(core.engine) as session:
        source = directory.ensure_source(session, f"site {shop}", "html", shop)
        first = session.exec(select(func.coalesce(func.max(Feedback.id), 0))).one()
        rows = [
            {
                "source_id": source.id,
                "shop_id": shop,
                "external_id": str(first + n),
                "text": text.format(first + n),
                "author_hash": f"a{first + n}",
                "product": product,
                "happened_at": at - spread * (n / count),
                "timely": timely,
                "first_seen_at": at,
                "updated_at": at,
                "content_hash": "x",
                "extra": {"warehouse": "苏州仓"} if negative else {},
            }
            for n in range(1, count + 1)
        ]
        ids = list(
            session.execute(insert(Feedback).returning(col(Feedback.id), sort_by_parameter_order=True), rows).scalars()
        )
        scores = [
            {
                "feedback_id": n,
                "model": "m",
                "negative": negative,
                "p_negative": 0.9,
                "severity": severity if negative else None,
                "categories": [category] if negative else [],
                "flags": [],
                "evidence": [],
                "happened_at": row["happened_at"],
                "scored_at": at,
            }
            for n, row in zip(ids, rows, strict=True)
        ]
        session.execute(insert(Score), scores)
        batch = [
            Fresh(
                feedback_id=n,
                shop_id=shop,
                kind="review",
                product=product,
                join_key=f"k{n}",
                negative=negative,
                severity=severity if negative else None,
                categories=(category,) if negative else (),
                happened_at=row["happened_at"],
                timely=timely,
                stale=row["happened_at"] < NOW - core.settings.policy.detect.max_age,
            )
            for n, row in zip(ids, rows, strict=True)
        ]
        opened = cases.file_feedback(core, session, batch)
        detect.detect(core, session, batch)
        cases.tell(core, session, opened)
        return batch


def crises(core: Core) -> list[Crisis]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(Crisis).order_by(Crisis.id)))


def test_one_critical_feedback_is_a_crisis(core: Core) -> None:
    """Harm, a leak or a legal threat does not wait for company."""
    put(core, 1, category="safety", severity="critical")
    (crisis,) = crises(core)
    assert (crisis.cause, crisis.category, crisis.severity, crisis.scope["count"]) == (
        "critical",
        "safety",
        "critical",
        1,
    )
    assert core.notify.kinds() == ["crisis.opened"]


def test_a_burst_is_one_crisis_with_its_scope(core: Core) -> None:
    """Complaints of one kind within the hour open one crisis that says what they share; no case cards beside it."""
    put(core, 200, NOW - timedelta(days=3), negative=False, spread=timedelta(days=20))
    core.notify.clear()
    put(core, 37, product="保温杯")
    (crisis,) = crises(core)
    assert (crisis.cause, crisis.category, crisis.severity) == ("burst", "logistics", "high")
    assert crisis.scope["count"] == crisis.scope["buyers"] == 37
    assert crisis.scope["warehouse"] == [["苏州仓", 37]]
    assert crisis.scope["product"] == [["保温杯", 37]]
    assert core.notify.kinds() == ["crisis.opened"]
    with db.reading(core.engine) as session:
        assert set(session.exec(select(Case.crisis_id))) == {crisis.id}


def test_one_text_from_many_accounts_is_told_from_many_buyers(core: Core) -> None:
    """The spread verdict names copies as copies."""
    put(core, 12, text="这家店的杯子有毒大家千万不要买")
    assert crises(core)[0].scope["spread"]["verdict"] == "copied"


def test_a_promotions_volume_is_no_crisis_but_its_rate_is(core: Core) -> None:
    """Ten times the orders with the usual share of complaints stay quiet; with four times the share they do not."""
    for day in range(1, 21):
        put(core, 95, NOW - timedelta(days=day), negative=False, spread=timedelta(hours=20))
        put(core, 5, NOW - timedelta(days=day), severity="low", spread=timedelta(hours=20))
    assert crises(core) == []
    put(core, 190, negative=False)
    put(core, 10, severity="low")
    assert crises(core) == []
    put(core, 40, severity="low")
    assert [c.category for c in crises(core)] == ["logistics"]


def test_fewer_than_the_count_is_none(core: Core) -> None:
    """Four complaints are four cases."""
    put(core, 4)
    assert crises(core) == []
    assert core.notify.kinds() == ["case.opened"] * 4


def test_more_of_the_same_joins_the_running_crisis(core: Core) -> None:
    """A second wave appends to the crisis; its timers do not restart and its cases belong to it."""
    put(core, 6)
    core.clock.move(timedelta(minutes=20))
    put(core, 3, core.clock.now())
    (crisis,) = crises(core)
    assert crisis.opened_at == NOW
    assert crisis.scope["count"] == 9
    with db.reading(core.engine) as session:
        assert len(session.exec(select(CrisisFeedback.feedback_id)).all()) == 9


def test_a_critical_text_of_another_kind_has_its_own_alarm(core: Core) -> None:
    """A poisoning does not disappear in a logistics crisis."""
    put(core, 6)
    put(core, 1, category="safety", severity="critical")
    assert [c.category for c in crises(core)] == ["logistics", "safety"]


def test_shops_do_not_share_crises(core: Core) -> None:
    """Three complaints each at two shops are no burst, nor do mentions join a shop's."""
    with db.writing(core.engine) as session:
        from monitor.models import Shop

        session.add(Shop(id="other", name="另一家", platform="jd"))
    put(core, 3)
    put(core, 3, shop="other")
    put(core, 3, shop=None)
    assert crises(core) == []
    put(core, 3, shop=None)
    assert [c.shop_id for c in crises(core)] == [None]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"at": NOW - timedelta(days=40), "severity": "critical"}, "too old"),
        ({"at": NOW - timedelta(days=3)}, "a burst long over"),
        ({"timely": False}, "nobody knows when it happened"),
        ({"negative": False}, "praise"),
    ],
)
def test_what_is_no_news_opens_nothing(core: Core, values: dict, why: str) -> None:
    """Old, undated or harmless feedback is kept without alarm."""
    put(core, 9, **values)
    assert crises(core) == [], why


def test_a_product_wide_burst_of_mixed_complaints_is_found(core: Core) -> None:
    """Different complaints about one product are one crisis about that product."""
    put(core, 100, NOW - timedelta(days=2), negative=False, spread=timedelta(days=9))
    for category in ("quality", "damage", "service"):
        put(core, 2, category=category, product="保温杯")
    assert [(c.category, c.product, c.scope["count"]) for c in crises(core)] == [("", "保温杯", 6)]


def test_what_breaks_out_together_is_one_crisis(core: Core) -> None:
    """Late, missing and nobody answers: several categories of one trouble have one card, and more of each joins."""
    put(core, 8)
    put(core, 6, category="wrong_item")
    core.clock.move(timedelta(hours=5))
    put(core, 1, core.clock.now(), category="wrong_item")
    put(core, 1, core.clock.now(), category="quality")
    (crisis,) = crises(core)
    assert crisis.categories == ["logistics", "wrong_item"]
    assert crisis.scope["count"] == 15
    assert core.notify.kinds().count("crisis.opened") == 1


def test_another_trouble_later_is_another_crisis(core: Core) -> None:
    """Half a day after the first broke out, other complaints are not taken for a part of it."""
    put(core, 6)
    core.clock.move(timedelta(hours=12))
    put(core, 6, core.clock.now(), category="wrong_item")
    assert [crisis.categories for crisis in crises(core)] == [["logistics"], ["wrong_item"]]


def test_copies_beside_a_burst_keep_their_own_card(core: Core) -> None:
    """A burst hides no campaign; but a handful that say the same in a flood are part of it."""
    put(core, 40)
    put(core, 12, category="wrong_item", text="这家店的杯子有毒大家千万不要买")
    assert [crisis.cause for crisis in crises(core)] == ["burst", "copies"]
    put(core, 200)
    put(core, 8, category="service", text="客服一直不回我的消息等了三天了都没人")
    assert [crisis.scope["count"] for crisis in crises(core)] == [248, 12]
