"""Every figure against a count of our own over the same records, on both databases; and that sums add up."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median_low

import pytest
from factories import NOW, make_core, make_settings
from factories_reports import PRODUCTS, Record, fresh_cores, month, store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from monitor import db, directory
from monitor.core import Core
from monitor.models import Crisis, CrisisFeedback, Event, Improvement, Run, Source, Timer
from reports.counts import Counts
from reports.figures import review, summary

MONDAY = date(2026, 11, 16)
WEEK = (date(2026, 11, 9), date(2026, 11, 15))
SHOPS = [
    {"id": "demo", "name": "示例旗舰店", "platform": "tmall"},
    {"id": "jd", "name": "示例京东店", "platform": "jd"},
]


@pytest.fixture
def records() -> list[Record]:
    return [record for record in month(last=date(2026, 11, 20), a_day=25, share=0.12) if record.at <= NOW]


@pytest.fixture
def full(core: Core, records: list[Record]) -> Core:
    """A store with six weeks of reviews of two shops."""
    return _filled(core, records)


def _filled(core: Core, records: list[Record]) -> Core:
    two = make_core(core.engine, make_settings(shops=SHOPS))
    with db.writing(core.engine) as session:
        directory.sync(session, two.settings)
    store(core.engine, records, NOW)
    return two


def _in(records: list[Record], first: date, last: date) -> list[Record]:
    return [record for record in records if first <= record.day <= last]


def _counts(records: list[Record]) -> Counts:
    starred = [record for record in records if record.stars is not None]
    happy = [record for record in starred if record.stars and record.stars >= 4 and not record.bad]
    return Counts(len(records), sum(record.bad for record in records), len(starred), len(happy))


def test_week_by_day_and_group(full: Core, records: list[Record]) -> None:
    """Counts by day, shop, platform and product, in the three spans, are those of the records."""
    figures = review(full, "weekly", MONDAY)
    week, norm = _in(records, *WEEK), _in(records, date(2026, 10, 12), date(2026, 11, 8))
    prior = _in(records, date(2026, 11, 2), date(2026, 11, 8))
    for day in figures.windows.now.days:
        assert figures.days[day] == _counts(_in(records, day, day))
    assert (figures.totals.now, figures.totals.prior, figures.totals.norm) == (
        _counts(week),
        _counts(prior),
        _counts(norm),
    )
    keys: dict[str, Callable[[Record], str]] = {
        "shop": lambda record: {"demo": "示例旗舰店", "jd": "示例京东店"}[record.shop or ""],
        "platform": lambda record: record.platform,
        "product": lambda record: record.product,
    }
    for dimension, key in keys.items():
        assert {row.name for row in figures.groups[dimension]} == {key(record) for record in week}
        for row in figures.groups[dimension]:
            assert row.counts.now == _counts([record for record in week if key(record) == row.name])
            assert row.counts.prior == _counts([record for record in prior if key(record) == row.name])
            assert row.counts.norm == _counts([record for record in norm if key(record) == row.name])


def test_month_may_reach_further_back_than_the_norm(full: Core, records: list[Record]) -> None:
    """The monthly report's two comparisons overlap without counting anything twice."""
    figures = review(full, "monthly", date(2026, 11, 3))
    assert figures.totals.now == _counts(_in(records, date(2026, 10, 1), date(2026, 10, 31)))
    assert figures.totals.prior == _counts(_in(records, date(2026, 9, 1), date(2026, 9, 30)))
    assert figures.totals.norm == _counts(_in(records, date(2026, 9, 3), date(2026, 9, 30)))


def test_categories_count_each_named(full: Core, records: list[Record]) -> None:
    """A negative counts for each of its categories, a false alarm for none."""
    figures = review(full, "weekly", MONDAY)
    spans = (WEEK, (date(2026, 11, 2), date(2026, 11, 8)), (date(2026, 10, 12), date(2026, 11, 8)))
    now, prior, norm = (
        Counter(code for record in _in(records, *span) if record.bad for code in record.categories) for span in spans
    )
    assert {(row.code, row.now, row.prior, row.norm) for row in figures.categories} == {
        (code, now[code], prior[code], norm[code]) for code in now | prior | norm
    }


def test_ledger_and_clearance(full: Core, records: list[Record]) -> None:
    """Received is the sum of what became of it; cleared is what was answered or resolved before the local midnight."""
    figures = review(full, "weekly", MONDAY)
    week = [record for record in _in(records, *WEEK) if record.negative]
    states = Counter(record.state for record in week)
    book = figures.ledger
    assert book.received == len(week) == book.resolved + book.open + book.false_alarm
    assert (book.resolved, book.answered, book.waiting, book.false_alarm, book.mentions, book.late) == (
        states["resolved"] + states["closed"],
        states["contacted"] + states["answered"],
        states["received"] + states["assigned"],
        states["false_alarm"],
        0,
        0,
    )
    cleared = [r for r in week if r.answered and Record(r.at + r.answered).day == r.day]
    assert (figures.clearance.part, figures.clearance.whole) == (len(cleared), len(week))
    assert figures.clearance.part


def test_response_times_and_deadlines(full: Core, records: list[Record]) -> None:
    """Buckets, median, deadlines met and missed by stage and person, from the records' own spans."""
    figures = review(full, "weekly", MONDAY)
    week = [record for record in _in(records, *WEEK) if record.bad]
    spent = [record.answered for record in week if record.answered]
    assert dict(figures.responses.buckets) == {
        "30 分钟内": sum(s <= timedelta(minutes=30) for s in spent),
        "30 分钟到 1 小时": sum(timedelta(minutes=30) < s <= timedelta(hours=1) for s in spent),
        "1 到 2 小时": sum(timedelta(hours=1) < s <= timedelta(hours=2) for s in spent),
        "2 到 24 小时": sum(timedelta(hours=2) < s <= timedelta(hours=24) for s in spent),
        "超过 24 小时": sum(s > timedelta(hours=24) for s in spent),
    }
    assert figures.responses.unanswered == len(week) - len(spent)
    assert figures.responses.median == pytest.approx(median_low(spent).total_seconds(), abs=0.01)
    for person in figures.responses.people:
        mine = [record for record in week if record.who == person.name]
        took = [record.answered for record in mine if record.answered]
        assert (person.all, person.unanswered) == (len(mine), len(mine) - len(took))
        assert person.buckets[0] == sum(s <= timedelta(minutes=30) for s in took)
        assert person.median == pytest.approx(median_low(took).total_seconds(), abs=0.01)
    assert {person.name for person in figures.responses.people} == {record.who for record in week}
    day = timedelta(hours=24)
    deadlines = [(r.who, "case.respond", r.at + day, r.answered and r.at + r.answered) for r in records if r.bad]
    deadlines += [(r.who, "case.solve", r.at + 2 * day, r.resolved and r.at + r.resolved) for r in records if r.bad]
    start, end = figures.windows.now.start, figures.windows.now.end
    expected = {"who": Counter[tuple[str, str]](), "stage": Counter[tuple[str, str]]()}
    for who, stage, due, met in deadlines:
        if start <= due < end:
            outcome = "missed" if not met else "on_time" if met <= due else "late"
            expected["who"][who, outcome] += 1
            expected["stage"][stage, outcome] += 1
    for name, rows in (("who", figures.by_person), ("stage", figures.by_stage)):
        found = {(row.name, out): getattr(row, out) for row in rows for out in ("on_time", "late", "missed")}
        assert {key: count for key, count in found.items() if count} == dict(expected[name])


def test_summary_of_a_day(full: Core, records: list[Record]) -> None:
    """The morning check: yesterday's counts, the usual number, everything overdue with its owner."""
    figures = summary(full, "daily", date(2026, 11, 20))
    yesterday = _in(records, date(2026, 11, 19), date(2026, 11, 19))
    thursdays = [record for n in range(1, 5) for record in _in(records, *[date(2026, 11, 19) - n * timedelta(7)] * 2)]
    assert figures.reviews.now == _counts(yesterday)
    assert figures.norm_days == 28
    assert figures.usual == _counts(thursdays).negative / 4
    for row in figures.categories:
        assert row.count == sum(row.code in record.categories for record in yesterday if record.bad)
        assert row.mean == sum(row.code in record.categories for record in thursdays if record.bad) / 4
    day = timedelta(hours=24)
    running = {"received", "assigned", "contacted", "answered"}
    late = [
        (record.who, due)
        for record in records
        if record.negative and record.state in running
        for due, met in ((record.at + day, record.answered), (record.at + 2 * day, record.resolved))
        if due <= NOW and not met
    ]
    assert dict(figures.due.by_person) == Counter(who for who, _ in late)
    assert figures.due.count == len(late)
    assert [row.due_at for row in figures.due.overdue] == sorted(due for _, due in late)[:10]
    assert all(quote.state in running for quote in figures.quotes)


def test_evening_counts_today(core: Core) -> None:
    """What was written the day before is not in it."""
    bad = {"negative": True, "categories": ["quality"], "severity": "low", "text": "漏水"}
    ats = (NOW - timedelta(hours=15), NOW - timedelta(minutes=1))
    store(core.engine, [Record(at, **bad) for at in ats], NOW)
    assert summary(core, "evening", date(2026, 11, 20)).reviews.now.n == 1


def test_late_arrivals_are_told(core: Core) -> None:
    """Negatives written days ago and first seen yesterday stand outside the ledger, and are counted there."""
    seen = datetime(2026, 11, 19, 3, tzinfo=UTC)
    bad = {"negative": True, "categories": ["quality"], "severity": "low", "text": "漏水"}
    late = Record(seen - timedelta(days=3), first_seen=seen, **bad)
    old = Record(seen - timedelta(days=90), first_seen=seen, **bad)
    store(core.engine, [late, old, Record(seen, **bad)], NOW)
    book = summary(core, "daily", date(2026, 11, 20)).ledger
    assert (book.received, book.late) == (1, 1)


def test_mentions_stand_in_for_missing_reviews(core: Core) -> None:
    """Where only mentions are watched, the report is about them; where both are, it is about reviews."""
    mentions = [Record(NOW - timedelta(days=6), kind="mention", shop=None, platform="weibo", stars=None)] * 40
    store(core.engine, mentions, NOW)
    figures = review(core, "weekly", MONDAY)
    assert (figures.subject, figures.totals.now.n, figures.groups["shop"][0].name) == ("mention", 40, "品牌")


def test_crises_with_their_clocks(core: Core) -> None:
    """Running crises are always told with their next deadline; merged ones and false alarms never."""
    bad = {"negative": True, "categories": ["logistics"], "severity": "high", "text": "没发货"}
    store(core.engine, [Record(NOW - timedelta(days=6), **bad) for _ in range(3)], NOW)
    opened = NOW - timedelta(days=6)
    with db.writing(core.engine) as session:
        for n, state in enumerate(("acknowledged", "closed", "merged", "false_alarm"), 1):
            resolved = opened + timedelta(hours=9) if state == "closed" else None
            session.add(
                Crisis(
                    id=n, shop_id="demo", state=state, cause="burst", category="logistics", severity="high",
                    opened_at=opened, updated_at=opened, resolved_at=resolved,
                )
            )  # fmt: skip
        session.flush()
        session.add_all(CrisisFeedback(crisis_id=1, feedback_id=n, added_at=opened) for n in (1, 2, 3))
        for what, after in (("opened", {}), ("feedback.added", {}), ("timer.breached", {"stage": "respond"})):
            session.add(
                Event(at=opened, actor="评哨", door="system", subject="crisis", subject_id=1, what=what, after=after)
            )
        for stage, hours, state in (("respond", 1, "breached"), ("notice", 3, "armed"), ("follow_up", 24, "armed")):
            due = opened + timedelta(hours=hours)
            session.add(Timer(crisis_id=1, stage=stage, step="deadline", due_at=due, state=state))
    found = review(core, "weekly", MONDAY).crises
    assert (found.opened, found.open, [line.id for line in found.lines]) == (2, 1, [1, 2])
    first = found.lines[0]
    assert (first.feedbacks, first.buyers, first.breached) == (3, 3, ["respond"])
    assert (first.next_stage, first.next_due) == ("notice", opened + timedelta(hours=3))
    assert [(event.what, event.stage) for event in first.timeline] == [("opened", ""), ("timer.breached", "respond")]
    overdue = summary(core, "daily", date(2026, 11, 20)).due.overdue
    assert [row.stage for row in overdue[:3]] == ["respond", "notice", "follow_up"]
    assert {(row.subject, row.severity, tuple(row.categories)) for row in overdue[:3]} == {
        ("crisis", "high", ("logistics",))
    }


def test_improvements_before_and_after(core: Core) -> None:
    """A complaint that fell is said to have fallen; one mended yesterday, or hardly seen, is too early to judge."""
    done = NOW - timedelta(days=20)
    bad = {"negative": True, "severity": "low", "text": "碎了"}
    rows = [Record(done - timedelta(days=n % 20 + 1), product="甲") for n in range(200)]
    rows += [Record(done - timedelta(days=2), categories=["damage"], product="甲", **bad) for _ in range(21)]
    rows += [Record(done - timedelta(days=40), categories=["damage"], product="甲", **bad) for _ in range(5)]
    rows += [Record(done + timedelta(days=n % 14 + 0.5), product="甲") for n in range(200)]
    rows += [Record(done + timedelta(days=3), categories=["damage"], product="甲", **bad) for _ in range(2)]
    rows += [Record(done + timedelta(days=3), categories=["quality"], product="甲", **bad) for _ in range(18)]
    rows += [Record(done + timedelta(days=3), categories=["damage"], product="乙", **bad) for _ in range(9)]
    store(core.engine, rows, NOW)
    with db.writing(core.engine) as session:
        made = {"category": "damage", "product": "甲", "shop_id": "demo"}
        session.add(Improvement(**made, what="加厚泡沫垫", done_at=done))
        session.add(Improvement(**(made | {"category": "quality"}), what="换供应商", done_at=done))
        session.add(Improvement(**(made | {"category": "price"}), what="改价签", done_at=done))
        session.add(Improvement(**made, what="换箱子", done_at=NOW - timedelta(days=6)))
        session.add(Improvement(**made, what="去年的事", done_at=NOW - timedelta(days=300)))
    found = {row.what: row for row in review(core, "weekly", MONDAY).improvements}
    assert {what: row.verdict for what, row in found.items()} == {
        "加厚泡沫垫": "fell",
        "换供应商": "rose",
        "改价签": "same",
        "换箱子": "early",
    }
    fell = found["加厚泡沫垫"]
    assert (fell.before.part, fell.before.whole, fell.after.part, fell.after.whole) == (21, 221, 2, 220)


def test_coverage_names_what_is_silent(core: Core) -> None:
    """A source that fails, saw nothing for a day, stopped or never ran is named; lost hours come from its runs."""
    names = ("好", "坏", "静", "停", "新", "关")
    sources = [{"name": name, "kind": "html", "shop": "demo", "enabled": name != "关"} for name in names]
    watched = make_core(core.engine, make_settings(sources=sources))
    week_end = datetime(2026, 11, 15, 16, tzinfo=UTC)
    with db.writing(core.engine) as session:
        directory.sync(session, watched.settings)
        rows = {row.name: row for row in session.exec(select(Source))}
        for name, hours, seen, status in (
            ("好", 1, 1, "ok"),
            ("坏", 1, 30, "failed"),
            ("静", 1, 30, "ok"),
            ("停", 30, 30, "ok"),
        ):
            row = rows[name]
            row.last_run_at, row.last_item_at = NOW - timedelta(hours=hours), NOW - timedelta(hours=seen)
            row.status, row.last_success_at, row.last_error = (
                status,
                row.last_item_at,
                "超时" if status == "failed" else "",
            )
        for name, hours, status, seen in (
            ("坏", 10, "ok", 4), ("坏", 6, "failed", 0), ("坏", 2.5, "ok", 3),
            ("静", 5, "ok", 0), ("好", 200, "failed", 0),
        ):  # fmt: skip
            at = week_end - timedelta(hours=hours)
            session.add(Run(source_id=rows[name].id, status=status, started_at=at, lease_until=at, seen=seen))
    store(core.engine, [Record(NOW - timedelta(days=6), text=text) for text in ("好", "", "")], NOW)
    found = review(watched, "weekly", MONDAY).coverage
    assert (found.reviews, found.mentions, found.textless.part, found.unscored, found.models) == (
        3,
        0,
        2,
        0,
        ["test-1"],
    )
    lines = {line.name: line for line in found.sources}
    assert {name: line.trouble for name, line in lines.items()} == {
        "好": "", "坏": "failed", "静": "silent", "停": "stopped", "新": "new"
    }  # fmt: skip
    assert (lines["坏"].failed_hours, lines["静"].silent_hours) == (pytest.approx(3.5), pytest.approx(5))
    assert (lines["好"].failed_hours, lines["坏"].error, found.well) == (0, "超时", 1)


@pytest.fixture
def fresh(sqlite_template: bytes, tmp_path: Path) -> Callable[[], Core]:
    """Gives an empty store, as often as it is called."""

    return fresh_cores(sqlite_template, tmp_path, shops=SHOPS)


_states = st.sampled_from(("received", "assigned", "contacted", "answered", "resolved", "closed", "false_alarm"))
_some = st.builds(
    Record,
    at=st.integers(0, 50 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    negative=st.booleans(),
    stars=st.sampled_from((None, 1, 3, 4, 5)),
    categories=st.lists(st.sampled_from(("quality", "damage", "x'\"%s")), unique=True),
    severity=st.sampled_from((None, "low", "critical")),
    kind=st.sampled_from(("review", "review", "mention")),
    shop=st.sampled_from(("demo", "jd", None)),
    platform=st.sampled_from(("tmall", "")),
    product=st.sampled_from(("", *PRODUCTS)),
    state=_states,
)


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(_some, max_size=40))
def test_sums_always_add_up(fresh: Callable[[], Core], records: list[Record]) -> None:
    """Whatever there is: days sum to the total, shops too, no count exceeds its whole, the ledger balances."""
    core = fresh()
    store(core.engine, records, NOW)
    figures = review(core, "weekly", MONDAY)
    core.engine.dispose()
    now = figures.windows.now.days
    assert sum((figures.days[day] for day in now), Counts()) == figures.totals.now
    assert sum((row.counts.now for row in figures.groups["shop"]), Counts()) == figures.totals.now
    assert all(0 <= row.now <= figures.totals.now.negative for row in figures.categories)
    week = [record for record in _in(records, *WEEK) if record.negative]
    assert figures.ledger.received == len(week)
    assert figures.ledger.received == figures.clearance.whole
    judged = figures.ledger.received - figures.ledger.false_alarm
    assert figures.responses.answered + figures.responses.unanswered == judged


def test_what_was_handled_well_is_told(core: Core) -> None:
    """Severe and settled, the soonest answer first; neither slight ones nor those still open."""
    at = NOW - timedelta(days=6)

    def record(text: str, severity: str, state: str, minutes: int) -> Record:
        answered = timedelta(minutes=minutes)
        return Record(
            at, True, text, 1, ["quality"], severity, state=state, answered=answered, resolved=answered, who="主管"
        )

    store(
        core.engine,
        [
            record("漏电了", "high", "closed", 40),
            record("杯子炸了", "critical", "resolved", 8),
            record("小刮痕", "low", "resolved", 2),
            record("还没好", "high", "answered", 3),
            record("最慢的", "high", "resolved", 90),
        ],
        NOW,
    )
    found = review(core, "weekly", MONDAY).best
    assert [(quote.text, quote.answered) for quote in found] == [
        ("杯子炸了", timedelta(minutes=8)),
        ("漏电了", timedelta(minutes=40)),
    ]
