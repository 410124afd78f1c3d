"""Counts kept by day equal what a plain query says, whatever was done to the store."""

import random
import threading
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from factories import NOW, make_core, make_settings
from factories_reports import Record, month, store
from sqlalchemy import text, update
from sqlmodel import Session, select

from monitor import db, directory
from monitor.bulk import table
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, DayChange, DayCount, Feedback, Score
from reports import daycounts
from reports.period import Period, span

DAYS = 20
FIRST = date(2026, 11, 1)


def house(core: Core, zone: str = "Asia/Shanghai") -> Core:
    shops = [{"id": name, "name": name, "platform": "tmall"} for name in ("demo", "jd")]
    made = make_core(core.engine, make_settings(service={"var_dir": "/nonexistent", "timezone": zone}, shops=shops))
    with db.writing(core.engine) as session:
        directory.sync(session, made.settings)
    return made


def counted(core: Core) -> Counter[tuple[Any, ...]]:
    """What the store keeps once it was brought up to date."""
    daycounts.refresh(core, span(FIRST, DAYS, core.settings.zone))
    with db.reading(core.engine) as session:
        rows = session.exec(select(DayCount).where(DayCount.day < FIRST + timedelta(DAYS), DayCount.day >= FIRST))
        return Counter({
            (row.day, row.kind, row.field, row.shop_id, row.value, name): getattr(row, name)
            for row in rows
            for name in ("n", "negative", "starred", "satisfied")
            if getattr(row, name)
        })  # fmt: skip


def plain(core: Core) -> Counter[tuple[Any, ...]]:
    """The same, row by row."""
    sums: Counter[tuple[Any, ...]] = Counter()
    with db.reading(core.engine) as session:
        rows = session.exec(
            select(Feedback, Score, Case)
            .join(Score, isouter=True)
            .join(Case, Case.id == Feedback.case_id, isouter=True)
        ).all()
    for feedback, score, case in rows:
        day = feedback.happened_at.astimezone(core.settings.zone).date()
        if not FIRST <= day < FIRST + timedelta(DAYS):
            continue
        bad = score is not None and score.negative and (case is None or case.state != "false_alarm")
        starred, happy = feedback.stars is not None, (feedback.stars or 0) >= 4 and not bad
        values = [("shop", ""), ("platform", feedback.platform)]
        values += [("product", feedback.product)] if feedback.product else []
        values += [(name, feedback.extra[name]) for name in ("sku", "warehouse", "courier") if name in feedback.extra]
        for field, value in values:
            key = (day, feedback.kind, field, feedback.shop_id or "", value)
            for name, one in (("n", True), ("negative", bad), ("starred", starred), ("satisfied", happy)):
                sums[*key, name] += one
        for code in score.categories if score is not None and bad else ():
            for name in ("n", "negative"):
                sums[day, feedback.kind, "category", feedback.shop_id or "", code, name] += 1
    return +sums


def records() -> list[Record]:
    rng = random.Random(5)
    found = month(seed=5, last=date(2026, 11, 20), days=DAYS + 2, a_day=12, share=0.2)
    for record in found:
        record.extra = {"warehouse": rng.choice(("苏州仓", "广州仓"))} if rng.random() < 0.3 else {}
        record.kind = "mention" if rng.random() < 0.1 else "review"
    return [record for record in found if record.at <= NOW]


def changed_at_random(session: Session, rng: random.Random) -> None:
    """Edits, corrections, scores, deletions, arrivals: as statements of any kind, from anywhere."""
    ids = [n for (n,) in session.execute(text("SELECT id FROM feedback ORDER BY id"))]
    cases = [n for (n,) in session.execute(text('SELECT id FROM "case" ORDER BY id'))]
    gone = rng.sample(ids, 5)
    for statement, several in (
        ("UPDATE feedback SET stars = 2 WHERE id = :id", rng.sample(ids, 8)),
        ("UPDATE feedback SET product = '换了名字', extra = '{\"sku\": \"大\"}' WHERE id = :id", rng.sample(ids, 8)),
        ("UPDATE score SET negative = NOT negative WHERE feedback_id = :id", rng.sample(ids, 8)),
        ("UPDATE score SET categories = '[\"price\"]' WHERE feedback_id = :id", rng.sample(ids, 8)),
        ("UPDATE \"case\" SET state = 'false_alarm' WHERE id = :id", rng.sample(cases, 4)),
        ("UPDATE \"case\" SET state = 'received' WHERE id = :id", rng.sample(cases, 4)),
        ("UPDATE feedback SET case_id = NULL WHERE id = :id", rng.sample(ids, 4)),
        ("DELETE FROM score WHERE feedback_id = :id", [*gone, *rng.sample(ids, 3)]),
        ("DELETE FROM feedback WHERE id = :id", gone),
    ):
        for n in several:
            session.execute(text(statement), {"id": n})
    moved = session.get(Feedback, next(n for n in ids if n not in gone))
    assert moved is not None
    moved.happened_at += timedelta(days=3)
    session.add(moved)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Asia/Kathmandu", "America/New_York"])
def test_counts_equal_a_plain_query(core: Core, zone: str) -> None:
    """After a fill and after rounds of changes of every kind, in zones whose days begin within an hour too."""
    mine, rng = house(core, zone), random.Random(9)
    store(core.engine, records(), NOW)
    assert counted(mine) == plain(mine)
    assert sum(plain(mine).values()) > 1000
    for _ in range(3):
        with db.writing(core.engine) as session:
            changed_at_random(session, rng)
        assert counted(mine) == plain(mine)


def test_another_zone_counts_anew(core: Core) -> None:
    """The days of the old zone are not taken for those of the new one."""
    house(core)
    store(core.engine, records(), NOW)
    for zone in ("Asia/Shanghai", "America/New_York", "Asia/Shanghai"):
        mine = house(core, zone)
        assert counted(mine) == plain(mine), zone


def test_only_what_changed_is_counted_anew(core: Core) -> None:
    """A second report counts nothing; a day on which something changed is counted alone."""
    mine = house(core)
    store(core.engine, records(), NOW)
    counted(mine)
    with db.writing(core.engine) as session:
        untouched = {row.id for row in session.exec(select(DayCount).where(DayCount.day != date(2026, 11, 10)))}
        one = session.exec(
            select(Feedback).where(
                Feedback.happened_at >= datetime(2026, 11, 10, tzinfo=ZoneInfo("Asia/Shanghai")),
                Feedback.happened_at < datetime(2026, 11, 11, tzinfo=ZoneInfo("Asia/Shanghai")),
            )
        ).first()
        assert one is not None
        one.stars = 1 if one.stars != 1 else 2
        session.add(one)
    assert counted(mine) == plain(mine)
    with db.reading(core.engine) as session:
        assert untouched <= {row.id for row in session.exec(select(DayCount))}
        in_days = select(DayChange.hour).where(DayChange.hour >= "2026-11-02", DayChange.hour < "2026-11-20")
        assert session.exec(in_days).all() == []


def asked(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The days that are counted from now on."""
    days: list[date] = []
    count = daycounts._count

    def told(session: Session, day: Period) -> None:
        days.append(day.first)
        count(session, day)

    monkeypatch.setattr(daycounts, "_count", told)
    return days


def test_a_store_that_was_never_counted_is_counted_before_a_report_asks(
    core: Core, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newest days first, some in a round, each once; what still changes all the time is left to the report."""
    mine = replace(house(core), clock=clock)
    store(core.engine, records(), NOW)
    with db.writing(core.engine) as session:  # as after a move or an upgrade
        session.execute(text("DELETE FROM day_change"))
    days = asked(monkeypatch)
    monkeypatch.setattr(daycounts, "_ROUND", 0.0)
    rounds = []
    while done := daycounts.keep(mine):
        rounds.append(done)
        clock.move(timedelta(seconds=daycounts.KEEP_EVERY))
    assert rounds == [1] * len(days)
    assert days == sorted(set(days), reverse=True)
    assert days[0] == NOW.astimezone(mine.settings.zone).date() - timedelta(2)
    assert days[-1] <= FIRST, "the oldest feedback's day"
    counts = counted(mine)
    left = [date(2026, 11, 19), date(2026, 11, 20)]
    assert days[len(rounds) :] == left, "of all days, the report counted these"
    assert counts == plain(mine)


def test_a_day_that_changed_is_counted_again_before_a_report_asks(
    core: Core, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That day alone; and where nothing changed, nothing is written either."""
    mine = replace(house(core), clock=clock)
    store(core.engine, records(), NOW)
    assert daycounts.keep(mine) > DAYS - 4
    days = asked(monkeypatch)
    clock.move(timedelta(minutes=1))
    assert daycounts.keep(mine) == 0
    with db.writing(core.engine) as session:
        zone = mine.settings.zone
        begun = datetime(2026, 11, 10, 12, tzinfo=zone)
        session.execute(
            update(table(Feedback)).where(table(Feedback).c.happened_at.between(begun, begun + timedelta(hours=9))),
            {"stars": 5},
        )
    assert daycounts.keep(mine) == 1
    assert days == [date(2026, 11, 10)]
    assert counted(mine) == plain(mine)


def test_of_several_services_one_counts(core: Core, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the same time, with a report that asks meanwhile, no day is counted twice and all are right."""
    mine = replace(house(core), clock=clock)
    store(core.engine, records(), NOW)
    days = asked(monkeypatch)
    start = threading.Barrier(4)
    done: list[int] = []

    def keep() -> None:
        start.wait()
        done.append(daycounts.keep(mine))

    def report() -> None:
        start.wait()
        daycounts.refresh(mine, span(FIRST, DAYS, mine.settings.zone))

    threads = [threading.Thread(target=work) for work in (keep, keep, keep, report)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done)[:2] == [0, 0]
    assert len(days) == len(set(days))
    assert counted(mine) == plain(mine)


def test_what_is_not_counted_changes_nothing(core: Core) -> None:
    """A new text, an assignee, a case's other states: no day is counted anew for them."""
    mine = house(core)
    store(core.engine, records(), NOW)
    counted(mine)
    with db.writing(core.engine) as session:
        before = session.exec(select(DayChange.id)).all()
        session.execute(text("UPDATE feedback SET text = '改了', version = 2"))
        session.execute(text("UPDATE \"case\" SET state = 'answered' WHERE state = 'contacted'"))
        assert session.exec(select(DayChange.id)).all() == before
