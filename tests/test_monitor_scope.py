"""What a crisis's feedbacks share, and that a flood of them stays cheap."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from factories import NOW, make_item
from sqlmodel import Session, col, func, select
from subjects import add_feedbacks

from monitor import crises, db, runs, scope
from monitor.core import Core
from monitor.intake import BATCH, Counts, store
from monitor.models import Crisis, CrisisFeedback, Event, Feedback

FLOOD = 5000
TROUBLES = [
    "显示签收了，根本没收到货",
    "快递一直不动，等了十天还没到",
    "少发了一个{part}，问了也不补",
    "发错货了，要的不是这个{part}",
    "{part}收到就是坏的",
    "{part}一碰就漏水，质量太差",
    "客服一直不理人，{part}的事问了三天",
    "退款申请了一周还没退，{part}也不给换",
]
PARTS = ["杯盖", "杯身", "提绳", "密封圈", "外包装", "内胆", "吸管", "杯刷", "滤网", "底座", "手柄", "保温层"]
ENDS = [
    "，差评",
    "，太失望了",
    "，再也不买了",
    "，气死人",
    "，谁买谁后悔",
    "，垃圾",
    "，要投诉",
    "，别买",
    "，一星都嫌多",
]


@pytest.fixture
def session(core: Core) -> Iterator[Session]:
    with db.writing(core.engine) as opened:
        yield opened


def opened(core: Core, session: Session, ids: list[int]) -> dict[str, Any]:
    facts = {"shop_id": "demo", "cause": "person", "category": "logistics", "severity": "high"}
    return crises.open_crisis(core, session, feedback_ids=ids, **facts).scope


@pytest.mark.slow
def test_fault_37_five_thousand_reviews_at_once(core: Core) -> None:
    """5,000 negative reviews in a minute are one crisis, with every review in the ledger, whatever they complain of."""
    run = runs.start(core, "site", "html", "demo")
    assert run is not None
    rng = random.Random(37)
    items = [
        make_item(
            str(n),
            "。".join(rng.choice(TROUBLES).format(part=rng.choice(PARTS)) + rng.choice(ENDS) for _ in range(3)),
            stars=1,
            author=f"买家{n % 4000}",
            extra={"warehouse": "苏州仓" if n % 10 else "广州仓"},
            created_at=NOW - timedelta(seconds=60 * n / FLOOD),
        )
        for n in range(FLOOD)
    ]
    counts = Counts()
    for start in range(0, FLOOD, BATCH):
        counts += store(core, run.origin, items[start : start + BATCH])
    with db.reading(core.engine) as session:
        (crisis,) = session.exec(select(Crisis)).all()
        members = session.exec(select(func.count()).select_from(CrisisFeedback)).one()
        events = session.exec(select(Event.what).where(Event.subject == "crisis").order_by(col(Event.id))).all()
    assert (counts.new, counts.negative, counts.crises_opened) == (FLOOD, FLOOD, 1)
    assert crisis.scope["count"] == members == FLOOD
    assert crisis.scope["buyers"] == 4000
    assert crisis.scope["warehouse"] == [["苏州仓", 4500], ["广州仓", 500]]
    assert len(crisis.categories) > 1
    assert events[0] == "opened"
    assert set(events[1:]) == {"feedback.added"}
    kinds = core.notify.kinds()
    assert kinds.count("crisis.opened") == 1
    assert kinds.count("crisis.grew") == 3
    assert "case.opened" not in kinds
    assert "cases.opened" not in kinds


def test_scope_in_steps_is_scope_at_once(core: Core, session: Session) -> None:
    """What is added by and by gives the same counts as everything together."""
    facts = [("保温杯", "苏州仓", "20"), ("水壶", "苏州仓", "20"), ("保温杯", "", ""), ("保温杯", "苏州仓", "21")] * 3
    ids = [
        add_feedbacks(core, session, [f"第{n}位"], product=product, order_ref=order, extra={"warehouse": warehouse})[0]
        for n, (product, warehouse, order) in enumerate(facts)
    ]
    whole = opened(core, session, ids)
    crisis = session.exec(select(Crisis)).one()
    session.exec(select(CrisisFeedback))
    by_and_by: dict[str, Any] = {}
    for row in session.exec(select(CrisisFeedback)).all():
        session.delete(row)
    session.flush()
    for n in ids:
        session.add(CrisisFeedback(crisis_id=crisis.id, feedback_id=n, added_at=NOW))
        session.flush()
        by_and_by = scope.grow(session, crisis.id or 0, by_and_by, [n])
    assert by_and_by == whole
    assert whole["product"] == [["保温杯", 9], ["水壶", 3]]
    assert whole["warehouse"] == [["苏州仓", 9]]


def test_writers_are_told_apart_by_account_then_order_then_name(core: Core, session: Session) -> None:
    """The same account counts once, an order once, a masked name once, and who is anonymous each."""
    ids = add_feedbacks(core, session, [str(n) for n in range(9)])
    told = [("h", "1", "a"), ("h", "2", "b"), ("", "1", "c"), ("", "1", "d"), ("", "", "李*"), ("", "", "李*")]
    told += [("", "", "匿名用户"), ("", "", "匿名用户"), ("", "", "")]
    for n, (author_hash, order, author) in zip(ids, told, strict=True):
        row = session.get_one(Feedback, n)
        row.author_hash, row.order_ref, row.author = author_hash, order, author
        session.add(row)
    session.flush()
    assert opened(core, session, ids[:4])["buyers"] == 2
    crisis = session.exec(select(Crisis)).one()
    crises.attach(core, session, crisis, ids, "high")
    assert crisis.scope["buyers"] == 6
    assert crisis.scope["count"] == 9


@pytest.mark.parametrize(
    ("text", "courier", "warehouse"),
    [
        ("顺丰一周都没动，催也没用", "顺丰", ""),
        ("走的EMS，半个月了", "邮政", ""),
        ("说是从苏州仓发的，结果寄错", "", "苏州仓"),
        ("是广州仓库出的货，压扁了", "", "广州仓"),
        ("京东快递小哥态度差", "京东", ""),
        ("京东上买的，是你们仓库发错了", "", ""),
        ("systems 都坏了，是这个仓发的", "", ""),
    ],
)
def test_words_tell_what_no_field_does(core: Core, session: Session, text: str, courier: str, warehouse: str) -> None:
    """Couriers and warehouses are read from the text where the source does not name them, and not guessed."""
    found = opened(core, session, add_feedbacks(core, session, [text]))
    assert found.get("courier", []) == ([[courier, 1]] if courier else [])
    assert found.get("warehouse", []) == ([[warehouse, 1]] if warehouse else [])


def test_what_the_source_says_counts_before_the_words(core: Core, session: Session) -> None:
    """A field of the export is surer than a word."""
    ids = add_feedbacks(core, session, ["顺丰太慢"], extra={"courier": "中通", "region": "江苏", "batch": "B7"})
    found = opened(core, session, ids)
    assert (found["courier"], found["region"], found["batch"]) == ([["中通", 1]], [["江苏", 1]], [["B7", 1]])


def test_merged_crises_share_one_scope(core: Core, session: Session) -> None:
    """After a merge the feedbacks are the survivor's alone, each counted once."""
    ids = add_feedbacks(core, session, [f"第{n}个没到" for n in range(6)])
    opened(core, session, ids[:4])
    opened(core, session, ids[2:])
    one, other = session.exec(select(Crisis).order_by(col(Crisis.id))).all()
    crises.merge(core, session, one, other)
    assert other.scope["count"] == other.scope["buyers"] == 6
    assert set(session.exec(select(CrisisFeedback.crisis_id)).all()) == {other.id}
