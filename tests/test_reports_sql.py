"""A year of feedback: what reports say against SQL written for this test alone, week by week and month by month."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import pytest
from factories import make_core, make_settings
from factories_reports import ZONE, month, store
from sqlalchemy import Engine, text

from monitor import db, directory
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Indicator
from reports.counts import Counts
from reports.figures import Review, review, summary

LAST = date(2026, 11, 15)
NOW = datetime(2026, 11, 16, 9, tzinfo=ZONE)
SHOPS = [{"id": name, "name": f"{name}店", "platform": "tmall"} for name in ("demo", "jd")]
SOME_WEEKS = [LAST + timedelta(1) - timedelta(weeks=n) for n in (0, 1, 2, 9, 23, 41)]
SOME_MONTHS = [date(2026, 11, 1), date(2026, 10, 1), date(2026, 3, 1), date(2026, 1, 1)]
SOME_DAYS = [LAST + timedelta(1) - timedelta(days=n) for n in (0, 1, 2, 3, 30, 111)]

VIEW = """
CREATE VIEW told AS SELECT f.*, s.categories, c.state, c.answered_at, c.resolved_at,
  coalesce(s.negative AND coalesce(c.state, '') <> 'false_alarm', 0) AS bad,
  coalesce(s.negative OR c.state = 'false_alarm', 0) AS suspect
FROM feedback f LEFT JOIN score s ON s.feedback_id = f.id LEFT JOIN "case" c ON c.id = f.case_id
"""
COUNTS = """
SELECT count(*), coalesce(sum(bad), 0), count(stars), coalesce(sum(stars >= 4 AND NOT bad), 0)
FROM told WHERE happened_at >= :start AND happened_at < :end AND kind = 'review'
"""
CATEGORIES = """
SELECT value, count(*) FROM told, json_each(categories)
WHERE happened_at >= :start AND happened_at < :end AND bad AND kind = 'review' GROUP BY 1
"""
GROUPS = {
    "shop": """
SELECT shop_id || '店', sum(bad), count(*) FROM told
WHERE happened_at >= :start AND happened_at < :end AND kind = 'review' GROUP BY 1
""",
    "product": """
SELECT product, sum(bad), count(*) FROM told
WHERE happened_at >= :start AND happened_at < :end AND kind = 'review' AND product <> '' GROUP BY 1
""",
    "warehouse": """
SELECT extra ->> 'warehouse' AS place, sum(bad), count(*) FROM told
WHERE happened_at >= :start AND happened_at < :end AND kind = 'review' AND place <> '' GROUP BY 1
""",
}
LEDGER = """
SELECT CASE WHEN state = 'false_alarm' THEN 'false_alarm' WHEN state IN ('resolved', 'closed') THEN 'resolved'
  WHEN state IN ('contacted', 'answered') THEN 'answered' ELSE 'waiting' END, count(*)
FROM told WHERE happened_at >= :start AND happened_at < :end AND suspect GROUP BY 1
"""
CLEARED = """
SELECT count(*), coalesce(sum(min(coalesce(answered_at, '9'), coalesce(resolved_at, '9'))
  < datetime(date(happened_at, '+8 hours'), '+1 day', '-8 hours')), 0)
FROM told WHERE happened_at >= :start AND happened_at < :end AND suspect
"""
DUE = """
SELECT t.stage, sum(t.met_at <= t.due_at), sum(t.met_at > t.due_at), sum(t.met_at IS NULL) FROM timer t
WHERE t.step = 'deadline' AND t.state <> 'cancelled' AND t.due_at >= :start AND t.due_at < :end GROUP BY 1
"""
SOON = """
SELECT count(*), coalesce(sum(julianday(t.met_at) - julianday(c.opened_at) < 30.001 / 1440), 0)
FROM timer t JOIN "case" c ON c.id = t.case_id WHERE t.stage = 'respond' AND t.step = 'deadline'
AND c.state <> 'false_alarm' AND c.opened_at >= :start AND c.opened_at < :end
"""
SETTLED = """
SELECT count(*), coalesce(sum((SELECT count(*) FROM event e WHERE e.subject = 'case' AND e.subject_id = c.id
  AND e.what LIKE 'feedback.%' AND e.after ->> 'negative' = 1) = 0), 0)
FROM "case" c WHERE c.state IN ('resolved', 'closed') AND c.resolved_at >= :start AND c.resolved_at < :end
"""
SERVED = """
SELECT count(*), coalesce(sum((SELECT count(*) FROM told t WHERE t.kind = 'review' AND t.bad AND t.shop_id = i.shop_id
  AND date(t.happened_at, '+8 hours') = i.day)), 0), coalesce(sum(i.value), 0)
FROM indicator i
WHERE i.name = 'served' AND i.day >= date(:start, '+8 hours') AND i.day < date(:end, '+8 hours')
"""


@pytest.fixture(scope="module")
def year(sqlite_template: bytes, tmp_path_factory: pytest.TempPathFactory) -> Core:
    """Twelve months of two shops, with a bad week every other month."""
    file = tmp_path_factory.mktemp("year") / "year.db"
    file.write_bytes(sqlite_template)
    made = make_core(db.connect(f"sqlite:///{file}"), make_settings(shops=SHOPS), HandClock(NOW))
    with db.writing(made.engine) as session:
        directory.sync(session, made.settings)
    rng, rows = random.Random(3), []
    for n in range(13):
        last = LAST - timedelta(days=28 * n)
        burst = (last - timedelta(days=6), "logistics") if n % 2 == 0 else None
        rows += month(seed=n, last=last, days=28, a_day=12, share=0.09, burst=burst)
    for row in rows:
        row.kind = "mention" if rng.random() < 0.08 else "review"
        row.extra = {"warehouse": rng.choice(("苏州仓", "广州仓"))} if rng.random() < 0.5 else {}
    store(made.engine, rows, NOW)
    with db.writing(made.engine) as session:
        for n in range(13 * 28):
            for shop in (one["id"] for one in SHOPS if rng.random() < 0.7):
                day = LAST - timedelta(n)
                session.add(Indicator(shop_id=shop, name="served", day=day, value=rng.randrange(20, 90)))
    with made.engine.begin() as connection:
        connection.execute(text(VIEW))
    return made


def _asked(engine: Engine, sql: str, first: date, days: int) -> Sequence[Any]:
    start = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(hours=8)
    here = {"start": start, "end": start + timedelta(days=days)}
    with engine.connect() as connection:
        return connection.execute(text(sql), {name: f"{at:%Y-%m-%d %H:%M:%S.%f}" for name, at in here.items()}).all()


def _counts(engine: Engine, first: date, days: int) -> Counts:
    return Counts(*_asked(engine, COUNTS, first, days)[0])


def _spans(kind: str, day: date) -> tuple[date, int, date, int]:
    if kind == "weekly":
        return day - timedelta(7), 7, day - timedelta(14), 7
    first = (day - timedelta(1)).replace(day=1)
    earlier = (first - timedelta(1)).replace(day=1)
    return first, (day - first).days, earlier, (first - earlier).days


def _check(engine: Engine, made: Review, first: date, days: int) -> None:
    """All tables of the reported span."""
    for day in made.windows.now.days:
        assert made.days[day] == _counts(engine, day, 1)
    norm = dict(_asked(engine, CATEGORIES, first - timedelta(28), 28)) if made.windows.weeks == 4 else None
    categories = dict(_asked(engine, CATEGORIES, first, days))
    assert {row.code: row.now for row in made.categories if row.now} == categories
    if norm is not None:
        assert {row.code: row.norm for row in made.categories if row.norm} == norm
    for field, sql in GROUPS.items():
        rows = {(row.name, row.counts.now.negative, row.counts.now.n) for row in made.groups[field]}
        assert rows == set(map(tuple, _asked(engine, sql, first, days)))
    book = {name: getattr(made.ledger, name) for name in ("resolved", "answered", "waiting", "false_alarm")}
    assert +Counter(book) == dict(_asked(engine, LEDGER, first, days))
    ((whole, part),) = _asked(engine, CLEARED, first, days)
    assert (made.clearance.part, made.clearance.whole) == (part, whole)
    due = {f"case.{stage}": tuple(counts) for stage, *counts in _asked(engine, DUE, first, days)}
    assert {row.name: (row.on_time, row.late, row.missed) for row in made.by_stage} == due
    assert sum(row.all for row in made.by_person) == sum(map(sum, due.values()))
    ((cases, soon),) = _asked(engine, SOON, first, days)
    assert (made.responses.soon.part, made.responses.soon.whole) == (soon, cases)
    assert sum(person.all for person in made.responses.people) == cases
    ((whole, part),) = _asked(engine, SETTLED, first, days)
    assert (made.contacts.share.part, made.contacts.share.whole) == (part, whole)
    every = made.complaints.all
    assert (every.days, every.share.part, every.share.whole) == tuple(_asked(engine, SERVED, first, days)[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "day"), [("weekly", day) for day in SOME_WEEKS] + [("monthly", day) for day in SOME_MONTHS]
)
def test_weeks_and_months_say_what_sql_says(year: Core, kind: Literal["weekly", "monthly"], day: date) -> None:
    """Totals of the three spans, days, categories, groups, ledger, clearance, clocks, first answers."""
    made = review(year, kind, day)
    first, days, earlier, before = _spans(kind, day)
    known = min(28, (first - (LAST - timedelta(13 * 28 - 1))).days) // 7 * 7
    assert made.totals.now == _counts(year.engine, first, days)
    assert made.totals.prior == _counts(year.engine, earlier, before)
    assert made.totals.norm == _counts(year.engine, first - timedelta(known), known)
    assert made.totals.now.n > 50
    ((whole, part),) = _asked(year.engine, SETTLED, earlier, before)
    assert (made.contacts.before.part, made.contacts.before.whole) == (part, whole)
    assert made.contacts.share.whole > 0
    assert made.contacts.again > 0 or kind == "weekly"
    old = made.complaints.all.before
    assert (old.part, old.whole) == tuple(_asked(year.engine, SERVED, earlier, before)[0][1:])
    _check(year.engine, made, first, days)


@pytest.mark.slow
@pytest.mark.parametrize("day", SOME_DAYS)
def test_days_say_what_sql_says(year: Core, day: date) -> None:
    """Yesterday's counts, and the categories beside those of the same weekday of four weeks."""
    made = summary(year, "daily", day)
    yesterday = day - timedelta(1)
    assert made.reviews.now == _counts(year.engine, yesterday, 1)
    every = CATEGORIES.replace("AND kind = 'review'", "")
    assert {row.code: row.count for row in made.categories} == dict(_asked(year.engine, every, yesterday, 1))
    before = [dict(_asked(year.engine, every, yesterday - timedelta(weeks=n), 1)) for n in (1, 2, 3, 4)]
    for row in made.categories:
        counts = sorted(one.get(row.code, 0) for one in before)
        assert row.mean in {sum(counts[:left]) / left for left in (4, 3, 2)}
