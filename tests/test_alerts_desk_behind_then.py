"""A number opens what it counted when it was counted, whatever people did to the cases since."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from factories_reports import month, store
from sqlalchemy import delete, update
from sqlmodel import Session, col, select
from test_monitor_lifecycle import do

from alerts.desk import behind
from alerts.desk.behind import Wanted
from monitor import db, directory
from monitor.case_clocks import snapshot
from monitor.core import Core
from monitor.models import Case, Event, Feedback, Improvement, Score
from monitor.states import CASE_OPEN
from reports.figures import Review, review, summary

MONDAY = date(2026, 11, 16)
SITE = "http://127.0.0.1:8000"
SEEN = math.ceil(NOW.timestamp())


@pytest.fixture
def house(core: Core) -> Core:
    shops = [{"id": name, "name": f"{name} 店", "platform": "tmall"} for name in ("demo", "jd")]
    made = make_core(core.engine, make_settings(shops=shops), core.clock)
    with db.writing(made.engine) as session:
        directory.sync(session, made.settings)
    records = month(a_day=14, share=0.4)
    for record in records[::11]:
        record.kind = "mention"
    for record in records[::5]:
        record.extra = {"courier": "中通"}
    bad = [record for record in records if record.bad and record.kind == "review" and record.text]
    for record in [*bad[-8:], bad[-60]]:  # a word of this week, and once of the weeks before
        record.text += "，充电时冒烟"
    bad[-1].text += "，还没收到货"
    store(made.engine, records, NOW)
    with db.writing(made.engine) as session:
        session.execute(delete(Score).where(col(Score.feedback_id) % 37 == 0))
        for row in session.exec(select(Feedback).where(col(Feedback.text) == "", col(Feedback.id) % 3 == 0)):
            row.cleared = "aged"
        session.execute(update(Case).values(policy=snapshot(made.settings.policy.case, "review", "low", [])))
        _write_again(session, NOW - timedelta(hours=1), 3)
    return made


def _write_again(session: Session, at: datetime, every: int) -> None:
    """Follow-up reviews of some of those who were answered."""
    contacted = select(Event).where(Event.what == "answered", col(Event.subject_id) % every == 0)
    for event in session.exec(contacted).all():
        told = {"at": at, "actor": "评哨", "door": "system", "subject": "case", "subject_id": event.subject_id}
        session.add(Event(what="feedback.followup", after={"change": "followup", "negative": True}, **told))


def opened(core: Core, session: Session, **wanted: Any) -> int:
    asked = Wanted(**{"seen": SEEN} | wanted)
    return len(behind.found(session, behind.parts(core, session, None, asked)))


def expected(core: Core, week: Review) -> list[tuple[int, dict[str, Any]]]:
    """Figures of the week with what is asked for to open them."""
    span, day = week.windows.now, summary(core, "daily", date(2026, 11, 14))
    days = {"since": span.first, "until": span.last}
    book, kind = week.ledger, {"kind": week.subject}
    told = [(getattr(book, name), days | {"became": name}) for name in ("received", "resolved", "answered", "waiting")]
    told += [(book.false_alarm, days | {"became": "false_alarm"})]
    told += [(book.mentions, days | {"became": "received", "kind": "mention"})]
    told += [(day.ledger.waiting, {"since": date(2026, 11, 13), "until": date(2026, 11, 13), "became": "waiting"})]
    told += [(week.clearance.part, days | {"cleared": True}), (week.clearance.whole, days | {"became": "received"})]
    before = week.windows.prior
    told += [(week.clearance_before.part, {"since": before.first, "until": before.last, "cleared": True})]
    told += [(week.followups.part, days | {"followup": "again"}), (week.followups.whole, days | {"followup": "all"})]
    told += [(week.totals.now.starred, days | kind | {"stars": "given"})]
    told += [(week.totals.now.satisfied, days | kind | {"stars": "good"})]
    told += [(week.totals.now.negative, days | kind | {"bad": True})]
    told += [(row.now, days | kind | {"bad": True, "category": row.code}) for row in week.categories[:3]]
    told += [
        (week.coverage.textless.part, days | {"textless": True}),
        (week.coverage.unscored, days | {"unscored": True}),
    ]
    norm = {"since": week.windows.norm.first, "until": week.windows.norm.last} | kind
    told += [(count, days | kind | {"word": word}) for word, count in list(week.words.cloud.items())[:6]]
    told += [(week.words.cloud["没收到"], days | kind | {"word": "没收到"}), (0, days | kind | {"word": "没收"})]
    for word in week.words.key[:2]:
        told += [(word.now, days | kind | {"word": word.text}), (word.norm, norm | {"word": word.text})]
    for one in week.improvements:
        begin, done, end = (at.timestamp() for at in (one.done_at - timedelta(28), one.done_at, _end(one)))
        where = kind | {"product": one.product, "shop": one.shop_id or ""}
        for share, (first, last) in ((one.before, (begin, done)), (one.after, (done, end))):
            told += [(share.whole, where | {"begin": first, "end": last})]
            told += [(share.part, where | {"begin": first, "end": last, "bad": True, "category": one.category})]
    return told


def _end(one: Any) -> datetime:
    at: datetime = one.done_at + timedelta(7)  # as it is within the week that is reported
    return at


def test_what_happened_since_changes_no_list(house: Core) -> None:
    """Every figure of the week opens as many before and after cases were settled, opened again, found to be none."""
    done = datetime(2026, 11, 8, 13, 7, 9, 123456, tzinfo=UTC)
    with db.writing(house.engine) as session:
        session.add(Improvement(category="logistics", what="换快递", done_at=done))
        session.add(Improvement(category="damage", product="便携茶具套装", shop_id="demo", what="加泡沫", done_at=done))
    week = review(house, "weekly", MONDAY)
    figures = expected(house, week)
    assert len(week.improvements) == 2
    assert len(week.words.key) >= 1
    assert sum(count > 0 for count, _ in figures) >= len(figures) - 4
    with db.reading(house.engine) as session:
        for count, wanted in figures:
            assert opened(house, session, **wanted) == count, wanted
    live_on(house)
    with db.reading(house.engine) as session:
        for count, wanted in figures:
            assert opened(house, session, **wanted) == count, wanted
        moved = [opened(house, session, **wanted | {"seen": 0}) != count for count, wanted in figures]
        assert sum(moved) >= len(figures) // 2
        assert sum(moved[:5]) >= 4


def live_on(core: Core) -> None:
    """Later, cases of every state are moved on, authors write again, and more comes in that was written in the week."""
    core.clock.move(timedelta(hours=3))
    with db.reading(core.engine) as session:
        rows = list(session.exec(select(Case).order_by(col(Case.id)).where(Case.opened_at > NOW - timedelta(24))))
    for n, row in enumerate(rows[::2]):
        for what in _next(row.state, n):
            core.clock.move(timedelta(seconds=1))
            do(core, what, "case", row.id or 0, note="说明", to="price" if what == "refile" else "")
    with db.writing(core.engine) as session:
        _write_again(session, core.clock.now(), 2)
        known = session.exec(
            select(Feedback).where(Feedback.text != "", Feedback.happened_at > NOW - timedelta(9))
        ).all()
        for row in known[:20]:
            late = row.model_dump(exclude={"id", "external_id", "first_seen_at", "case_id"})
            late |= {"id": (row.id or 0) + 100_000, "external_id": f"late{row.id}", "first_seen_at": core.clock.now()}
            session.add(came := Feedback(**late))
            session.flush()
            judged = {"model": "test-1", "negative": True, "p_negative": 0.9, "categories": ["logistics"]}
            judged |= {"happened_at": came.happened_at, "scored_at": core.clock.now()}
            session.add(Score(feedback_id=came.id, **judged))


def _next(state: str, n: int) -> tuple[str, ...]:
    if state in CASE_OPEN:
        return (("resolved",), ("false_alarm",), ("refile",), ("resolved", "reopen", "answered"))[n % 4]
    return (("reopen",), ("reopen", "false_alarm"), ("reopen", "answered"))[n % 3]
