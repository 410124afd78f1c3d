"""Intake: masked, deduplicated, scored, filed; twice is once."""

from datetime import timedelta

from factories import NOW, make_core, make_item
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from crawler.items import FeedbackItem
from monitor import db, directory, intake
from monitor.core import Core
from monitor.incoming import Origin
from monitor.intake import store
from monitor.models import Case, Crisis, Event, Feedback, FeedbackVersion, Product, Score, Timer


def make_origin(core: Core, name: str = "site", **values: object) -> Origin:
    with db.writing(core.engine) as session:
        source = directory.ensure_source(session, name, "html", "demo")
        return Origin(
            **{"source_id": source.id, "shop_id": "demo", "platform": "tmall", "kind": "review", "watched": True}
            | values
        )


def rows(core: Core, model: type) -> list:
    with db.reading(core.engine) as session:
        return list(session.exec(select(model)))


def test_what_is_stored_is_masked_and_scored(core: Core) -> None:
    """No phone number and no full nickname reach the store; the order number stays for staff."""
    item = make_item(
        text="漏水，打 13812345678 没人接 &lt;b&gt;差&lt;/b&gt;",
        author="张小明",
        order_ref="2611180000002",
        product="保温杯",
        stars=1.0,
    )
    counts = store(core, make_origin(core), [item])
    assert (counts.new, counts.negative, counts.cases_opened) == (1, 1, 1)
    row, score = rows(core, Feedback)[0], rows(core, Score)[0]
    assert "13812345678" not in row.text
    assert "<b>" not in row.text
    assert (row.author, row.order_ref, len(row.author_hash)) == ("张**", "2611180000002", 32) or row.author.startswith(
        "张"
    )
    assert "张小明" not in row.author
    assert score.negative
    assert score.categories
    for span in score.evidence:
        assert row.text[span["start"] : span["end"]] == span["text"]
    assert [p.name for p in rows(core, Product)] == ["保温杯"]


def test_the_same_batch_twice_stores_nothing_new(core: Core) -> None:
    """A second run over an unchanged source counts duplicates only and touches no row."""
    origin, items = make_origin(core), [make_item(str(n), f"第{n}个杯子漏水") for n in range(5)]
    assert store(core, origin, items).new == 5
    before = [row.model_dump() for row in rows(core, Feedback)]
    core.clock.move(timedelta(hours=1))
    again = store(core, origin, items)
    assert (again.new, again.changed, again.duplicates) == (0, 0, 5)
    assert [row.model_dump() for row in rows(core, Feedback)] == before
    assert len(rows(core, Case)) == 5


def test_an_edited_review_becomes_a_new_version(core: Core) -> None:
    """What it said is kept, what it says is scored anew, and its case hears of it."""
    origin = make_origin(core)
    store(core, origin, [make_item(text="杯子漏水，客服不理人", stars=1.0)])
    core.clock.move(timedelta(hours=1))
    counts = store(core, origin, [make_item(text="客服已经换新了，很满意，谢谢", stars=5.0)])
    assert (counts.new, counts.changed, counts.duplicates) == (0, 1, 0)
    row, old = rows(core, Feedback)[0], rows(core, FeedbackVersion)[0]
    assert (row.version, row.text) == (2, "客服已经换新了,很满意,谢谢") or row.text.startswith("客服已经换新了")
    assert (old.version, old.text, old.stars) == (1, "杯子漏水，客服不理人", 1.0)
    assert [s.negative for s in rows(core, Score)] == [False]
    assert [e.what for e in rows(core, Event) if e.subject == "case"] == ["opened", "feedback.changed"]


def test_a_followup_reopens_a_settled_case_with_new_clocks(core: Core) -> None:
    """A 追评 that still complains brings the case back to received, with a new generation of timers."""
    origin = make_origin(core)
    store(core, origin, [make_item(text="杯子漏水，太差了", stars=1.0)])
    from test_monitor_lifecycle import do

    do(core, "resolved", "case", rows(core, Case)[0].id)
    core.clock.move(timedelta(days=1))
    store(core, origin, [make_item(text="杯子漏水，太差了", followup="换来的还是漏水，气死了", stars=1.0)])
    case = rows(core, Case)[0]
    assert (case.state, case.resolved_at) == ("received", None)
    assert "【追评】换来的还是漏水" in rows(core, Feedback)[0].text
    armed = [t for t in rows(core, Timer) if t.state == "armed" and t.stage != "progress"]
    assert {t.generation for t in armed} == {1}
    assert min(t.due_at for t in armed) > core.clock.now()


def test_one_order_is_one_case(core: Core) -> None:
    """Two complaints about one order share a case; anonymous buyers never do."""
    origin = make_origin(core)
    store(
        core,
        origin,
        [make_item("1", "漏水，差评", order_ref="A1"), make_item("2", "还少发一个杯盖，差评", order_ref="A1")],
    )
    store(core, origin, [make_item("3", "A1 的快递也太慢了，差评", order_ref="A1")])
    store(
        core,
        origin,
        [make_item("4", "漏水，很差", author="匿名用户"), make_item("5", "不保温，很差", author="匿名用户")],
    )
    assert [row.case_id for row in rows(core, Feedback)] == [1, 1, 1, 2, 3]


def test_praise_opens_nothing(core: Core) -> None:
    """A happy review is stored and scored, and nobody is called."""
    counts = store(core, make_origin(core), [make_item(text="非常好，很满意，下次还来", stars=5.0)])
    assert (counts.new, counts.negative, counts.cases_opened) == (1, 0, 0)
    assert rows(core, Case) == []
    assert core.notify == []


def test_old_complaints_are_kept_without_clocks(core: Core) -> None:
    """A review from long ago has its case, but no timer runs and nobody is told."""
    store(
        core,
        make_origin(core),
        [make_item(text="喝了以后拉肚子进医院，已经打了12315", created_at=NOW - timedelta(days=90))],
    )
    assert [case.backlog for case in rows(core, Case)] == [True]
    assert rows(core, Timer) == []
    assert rows(core, Crisis) == []
    assert core.notify == []


def test_many_new_cases_are_one_card(core: Core) -> None:
    """More cases than the limit come as one notice that lists all."""
    items = [make_item(str(n), f"杯子{n}漏水，差评", created_at=NOW - timedelta(days=n)) for n in range(9)]
    store(core, make_origin(core), items)
    assert core.notify.kinds() == ["cases.opened"]
    assert len(core.notify[0].facts["case_ids"]) == 9


def test_copies_point_at_the_first(core: Core) -> None:
    """The same words again, with other punctuation, are marked as a copy of the earliest."""
    origin = make_origin(core)
    text = "这家店卖的都是垃圾，千万别买，买了后悔"
    store(core, origin, [make_item("1", text, author="甲"), make_item("2", text + "！！", author="乙")])
    store(core, make_origin(core, "forum"), [make_item("1", text + "。。。", author="丙")])
    assert [row.duplicate_of for row in rows(core, Feedback)] == [None, 1, 1]


def test_a_review_taken_down_keeps_its_words_as_a_version(core: Core) -> None:
    """Deletion is an edit: the row says deleted, the version what it said."""
    origin = make_origin(core)
    store(core, origin, [make_item(text="漏水，差评")])
    store(core, origin, [make_item(text="漏水，差评", deleted=True)])
    assert rows(core, Feedback)[0].deleted
    assert [v.deleted for v in rows(core, FeedbackVersion)] == [False]


def test_a_date_in_the_future_counts_as_now(core: Core) -> None:
    """A source whose clock runs ahead does not put feedback into tomorrow's report."""
    store(core, make_origin(core), [make_item(created_at=NOW + timedelta(days=2))])
    assert rows(core, Feedback)[0].happened_at == NOW


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(texts=st.lists(st.text(max_size=60), max_size=6), more=st.text(max_size=40))
def test_intake_twice_is_once_for_any_text(core: Core, texts: list[str], more: str) -> None:
    """Whatever the characters: the first run adds each id once, the second adds nothing; the counts balance."""
    origin = make_origin(core, f"any {abs(hash((tuple(texts), more)))}")
    items = [
        FeedbackItem(external_id=str(n), text=t, title=more, author=more, product=more, url=more)
        for n, t in enumerate(texts)
    ]
    first = store(core, origin, items)
    second = store(core, origin, items)
    assert first.new + first.changed + first.duplicates == len(items)
    assert (second.new, second.changed, second.duplicates) == (0, 0, len(items))


def test_two_processes_storing_the_same_items_store_them_once(core: Core) -> None:
    """Rows that another writer stored between look-up and write are left to it."""
    origin, items = make_origin(core), [make_item(str(n), f"第{n}件漏水") for n in range(4)]
    other = make_core(core.engine, core.settings, core.clock)
    original = core.judge.judge_many

    class Interrupting:
        def judge_many(self, texts: list) -> list:
            store(other, origin, items[:2])
            return original(texts)

    core.__dict__["judge"] = Interrupting()
    counts = store(core, origin, items)
    assert (counts.new, counts.duplicates) == (2, 2)
    assert len(rows(core, Feedback)) == len(rows(core, Score)) == len(rows(core, Case)) == 4
    assert intake.BATCH >= 100


def test_a_case_that_turns_out_worse_has_less_time(core: Core) -> None:
    """An edit that raises the severity brings the open deadlines forward to the stricter policy's."""
    origin = make_origin(core)
    store(core, origin, [make_item(text="杯子颜色和图片有点差别，一般", stars=3.0)])
    core.clock.move(timedelta(hours=1))
    store(core, origin, [make_item(text="骗子，卖假货，退货不给退款，必须赔偿", stars=1.0)])
    case = rows(core, Case)[0]
    assert case.severity == "high"
    due = {t.stage: t.due_at - core.clock.now() for t in rows(core, Timer) if t.step == "deadline"}
    assert due["respond"] == timedelta(hours=2)
    assert due["solve"] == timedelta(hours=24)
    assert case.policy["respond"] == 7200.0
    said = next(event.after for event in rows(core, Event) if event.what == "feedback.changed")
    assert said["rule"] == "首次回复 2 小时（严重），解决 24 小时（售后退换）"


def test_undated_rows_of_an_export_start_no_clock(core: Core) -> None:
    """A table without dates tells of an unknown past: filed and counted, nobody is called."""
    items = [make_item(str(n), "喝了拉肚子住院，已经打12315", created_at=None) for n in range(3)]
    counts = store(core, make_origin(core, archive=True), items)
    assert (counts.new, counts.crises_opened, counts.cases_opened) == (3, 0, 3)
    assert rows(core, Timer) == []
    assert core.notify == []


def test_a_new_complaint_wakes_a_case_of_the_backlog(core: Core) -> None:
    """An old case that gets a complaint of today has clocks from now on, and people hear of it."""
    origin = make_origin(core)
    store(core, origin, [make_item("1", "漏水，差评", order_ref="A1", created_at=NOW - timedelta(days=90))])
    assert rows(core, Timer) == []
    store(core, origin, [make_item("2", "换来的还是漏水，差评", order_ref="A1")])
    case = rows(core, Case)[0]
    assert not case.backlog
    assert {t.stage for t in rows(core, Timer)} == {"respond", "solve"}
    assert core.notify.kinds() == ["case.opened"]


def test_long_ids_stay_apart_and_addresses_are_web_addresses(core: Core) -> None:
    """Ids alike in their first hundreds of characters are two reviews; a script is no link."""
    long = "http://shop.example.com/" + "x" * 300
    items = [
        make_item(long + "1", url="javascript:alert(1)"),
        make_item(long + "2", url="https://shop.example.com/r/2"),
    ]
    assert store(core, make_origin(core), items).new == 2
    assert [row.url for row in rows(core, Feedback)] == ["", "https://shop.example.com/r/2"]
    assert store(core, make_origin(core), items).duplicates == 2
