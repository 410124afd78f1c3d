"""Dates and times of 追评 that were read only later: filled in, without a version and without a clock."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from blunt import Blunt
from factories import NOW, make_item
from sqlmodel import select

from crawler.bases.files import read_file
from crawler.items import FeedbackItem
from monitor import db, directory, exports
from monitor.core import Core
from monitor.importing import import_rows
from monitor.incoming import Origin
from monitor.intake import Counts, store
from monitor.models import Case, Event, Feedback, FeedbackVersion, Score, Spread, Timer

HEADERS = {
    "order and SKU": ("订单号,规格,评价内容,何时", "A{n},红,第{n}个漏水，要投诉,{at}"),
    "author only": ("买家昵称,评价内容,何时", "买家{n},漏水，要投诉,{at}"),
    "nothing": ("评价内容,何时", "漏水，要投诉,{at}"),
    "an id": ("评价编号,评价内容,何时", "{n},第{n}个漏水，要投诉,{at}"),
}


def stored(core: Core, model: Any = Feedback) -> list[Any]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(model).order_by(model.id)))


def judged(core: Core) -> list[Score]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(Score)))


def take_in(core: Core, file: Path, columns: dict[str, str]) -> dict[str, int]:
    names = {"评价编号": "id", "订单号": "order", "规格": "sku", "买家昵称": "author", "评价内容": "text"}
    header = file.read_text("utf-8").splitlines()[0].split(",")
    told = {names[name]: name for name in header if name in names} | columns
    line = import_rows(core, read_file(file, told, core.settings.zone, core.clock.now()), "demo").line
    return {name: line[name] for name in ("new", "changed", "duplicates") if line[name]}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_map_that_now_reads_dates_mends_them(core: Core, tmp_path: Path, kind: str) -> None:
    """However rows are told apart: the same rows, with their dates; no version, no case, no clock; then duplicates."""
    core.__dict__["judge"] = Blunt()
    header, row = HEADERS[kind]
    file = tmp_path / "a.csv"
    rows = [row.format(n=n, at=f"2026-11-{n:02d} 08:03") for n in range(10, 19)]
    file.write_text("\n".join([header, *rows]), encoding="utf-8")
    assert take_in(core, file, {}) == {"new": 9}
    before = [(one.id, one.text, one.version, one.updated_at) for one in stored(core)]
    assert {one.created_at for one in stored(core)} == {None}
    cases, timers, events = (stored_count(core, model) for model in (Case, Timer, Event))
    core.clock.move(timedelta(hours=2))
    assert take_in(core, file, {"time": "何时"}) == {"duplicates": 9}
    after = stored(core)
    assert [(one.id, one.text, one.version, one.updated_at) for one in after] == before
    days = [one.created_at.astimezone(core.settings.zone).day for one in after]
    assert days == list(range(10, 19))
    assert all(one.happened_at == one.created_at and one.timely for one in after)
    assert {one.feedback_id: one.happened_at for one in judged(core)} == {one.id: one.happened_at for one in after}
    assert [stored_count(core, model) for model in (Case, Timer, Event)] == [cases, timers, events]
    assert stored_count(core, FeedbackVersion) == 0
    assert take_in(core, file, {"time": "何时"}) == {"duplicates": 9}
    assert [one.created_at for one in stored(core)] == [one.created_at for one in after]


def stored_count(core: Core, model: Any) -> int:
    with db.reading(core.engine) as session:
        return len(session.exec(select(model)).all())


@pytest.fixture
def origin(core: Core) -> Origin:
    core.__dict__["judge"] = Blunt()
    with db.writing(core.engine) as session:
        source = directory.ensure_source(session, "site", "html", "demo")
        assert source.id is not None
        return Origin(source.id, "demo", "tmall", "review", watched=True)


def test_a_date_that_is_there_stays(core: Core, origin: Origin) -> None:
    """A source that changes its mind about when something was written is not believed; nor is a missing date."""
    store(core, origin, [make_item("1", created_at=NOW - timedelta(days=2))])
    for at in (NOW - timedelta(days=1), None):
        assert store(core, origin, [make_item("1", created_at=at)]) == Counts(duplicates=1)
    assert [one.created_at for one in stored(core)] == [NOW - timedelta(days=2)]


def test_an_edit_with_the_date_is_an_edit_and_has_the_date(core: Core, origin: Origin) -> None:
    """One version, and the date filled in."""
    store(core, origin, [make_item("1", "漏水", created_at=None)])
    assert store(core, origin, [make_item("1", "不漏了", created_at=NOW - timedelta(days=3))]).changed == 1
    (one,) = stored(core)
    assert (one.text, one.version, one.created_at) == ("不漏了", 2, NOW - timedelta(days=3))


def test_two_dated_rows_that_were_one_without_dates(core: Core, origin: Origin) -> None:
    """One of them is the row that was known, the other is new: nothing is lost."""
    store(core, origin, [make_item("undated", created_at=None)])
    dated = [replace(make_item(f"d{n}", created_at=NOW - timedelta(days=n)), undated_id="undated") for n in (1, 2)]
    counts = store(core, origin, dated)
    assert (counts.new, counts.duplicates) == (1, 1)
    assert {one.external_id for one in stored(core)} == {"d1", "d2"}
    assert store(core, origin, dated) == Counts(duplicates=2)


def test_another_sources_row_is_not_touched(core: Core, origin: Origin) -> None:
    """Ids are a source's own."""
    with db.writing(core.engine) as session:
        other = directory.ensure_source(session, "other", "html", "demo").id
    store(core, replace(origin, source_id=other), [make_item("undated", created_at=None)])
    counts = store(core, origin, [replace(make_item("d1"), undated_id="undated")])
    assert counts.new == 1
    assert [one.external_id for one in stored(core)] == ["undated", "d1"]


def test_when_a_followup_was_written_is_kept_and_exported(core: Core, origin: Origin) -> None:
    """With the 追评, or later, when the source begins to say so: never a version of its own; by the shop's clock."""
    followup = {"followup": "用了一周就坏", "created_at": NOW - timedelta(days=9)}
    at = (NOW - timedelta(days=1)).isoformat()
    store(core, origin, [make_item("1", extra={"sku": "红"}, created_at=NOW - timedelta(days=9))])
    assert store(core, origin, [make_item("1", **followup)]).changed == 1
    assert store(core, origin, [make_item("1", extra={"followup_at": at}, **followup)]) == Counts(duplicates=1)
    (one,) = stored(core)
    assert (one.extra, one.version) == ({"sku": "红", "followup_at": at}, 2)
    store(core, origin, [make_item("1", extra={"followup_at": NOW.isoformat()}, **followup)])
    store(core, origin, [make_item("2", "好用", extra={"followup_at": at}, followup="还是好用")])
    with db.reading(core.engine) as session:
        rows = list(exports.export(session, "feedback", None, core.settings.zone))
    assert [row["followup_at"] for row in rows] == ["2026-11-19T14:00:00+08:00"] * 2


def test_counts_that_grow_lose_nothing_of_what_is_new(core: Core, origin: Origin) -> None:
    """Likes and the time of a 追评 in the same reading are both kept."""
    store(core, origin, [make_item("1", extra={"likes": 1, "sku": "红"})])
    at = NOW.isoformat()
    store(core, origin, [make_item("1", extra={"likes": 5, "followup_at": at})])
    assert stored(core)[0].extra == {"likes": 5, "sku": "红", "followup_at": at}


def recounted(number: str, likes: int) -> FeedbackItem:
    return FeedbackItem(number, "", extra={"likes": likes}, counts_only=True)


def test_what_was_asked_for_again_brings_its_counts_only(core: Core, origin: Origin) -> None:
    """No words are overwritten, nothing erased comes back, nothing is counted; the whole item of a batch wins."""
    mention = replace(origin, kind="mention")
    store(core, mention, [make_item("1", "示例杯子漏水", extra={"likes": 1}, stars=1.0)])
    core.clock.move(timedelta(minutes=30))
    assert store(core, mention, [recounted("1", 40), recounted("gone", 7)]) == Counts()
    (one,) = stored(core)
    assert (one.text, one.stars, one.version, one.extra) == ("示例杯子漏水", 1.0, 1, {"likes": 40})
    assert points(core) == [(0, 1), (1, 40)]
    batch = [make_item("2", "又漏水", extra={"likes": 2}), recounted("2", 9), recounted("1", 41)]
    assert store(core, mention, batch).new == 1
    assert [(one.text, one.extra["likes"]) for one in stored(core)] == [("示例杯子漏水", 41), ("又漏水", 2)]


def points(core: Core) -> list[tuple[int, int | None]]:
    with db.reading(core.engine) as session:
        return sorted((one.step, one.likes) for one in session.exec(select(Spread)))
