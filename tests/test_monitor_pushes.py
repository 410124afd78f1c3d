"""Sources that others push to: nothing is crawled, and silence is judged by what they usually bring."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from factories import NOW, make_core, make_settings
from sqlmodel import select

from crawler.job import CrawlResult
from monitor import db, pushes, runs
from monitor.core import Core
from monitor.models import Run, Source
from monitor.pushes import is_pushed, listen
from monitor.service import Service
from monitor.settings import Source as Config
from reports.coverage import coverage
from reports.period import span

CRM: dict[str, Any] = {"name": "crm", "kind": "webhook", "shop": "demo", "secret_env": "S"}


def push(core: Core, new: int = 8, **source: Any) -> str:
    """A push as ``receive`` writes it down; gives the source's state after it."""
    started = runs.start(core, "crm", "webhook", "demo")
    assert started is not None
    result = CrawlResult(status="ok", pages=1, unchanged=int(not new), seen=new, new=new)
    return str(runs.finish(core, started, result, watch=Config(**CRM, **source).watch)["status"])


def look(core: Core, **source: Any) -> dict[str, Any]:
    return listen(core, Config(**CRM, **source))


def state(core: Core) -> Source:
    with db.reading(core.engine) as session:
        return session.exec(select(Source).where(Source.name == "crm")).one()


def write_past(core: Core, until: timedelta, days: int = 20) -> datetime:
    """Pushes of eight every hour from 8 to 21 by the local clock, up to so long ago; gives the last one's time."""
    push(core)
    start = NOW - timedelta(hours=14, days=days)
    moments = [start + timedelta(days=day, hours=hour, minutes=5) for day in range(days + 1) for hour in range(8, 22)]
    moments = [at for at in moments if at <= NOW - until]
    with db.writing(core.engine) as session:
        first = session.exec(select(Run)).one()
        source_id = first.source_id
        session.delete(first)
        row = session.get_one(Source, source_id)
        row.last_run_at = row.last_item_at = row.last_success_at = moments[-1]
        session.add(row)
        for at in moments:
            run = Run(source_id=source_id, status="ok", started_at=at, lease_until=at, finished_at=at, new=8, seen=8)
            session.add(run)
    return moments[-1]


def test_the_service_looks_at_them(core: Core) -> None:
    """It wakes for them as for the others, and crawls nothing; those switched off are left alone."""
    sources = [CRM, {"name": "exports", "kind": "file", "shop": "demo", "path": "*.csv"}]
    sources.append({**CRM, "name": "off", "enabled": False})
    house = make_core(core.engine, make_settings(sources=sources))

    async def crawl(_: object) -> None:
        """Nothing."""

    service = Service(house, crawl=crawl, sweep=dict, deliver={}, summaries=dict, watch=dict, hand_over=dict)
    names = {job.name for job in service._alarm_clock().get_jobs()}
    assert {"exports", "crm"} <= names
    assert "off" not in names
    assert [is_pushed(source) for source in house.settings.sources] == [True, False, True]
    assert look(core)["error"] == "等对方推送，没有可抓的"
    with db.reading(core.engine) as session:
        assert session.exec(select(Run)).all() == []


def test_one_that_falls_silent_is_told_once_and_so_is_its_end(core: Core) -> None:
    """By its own norm for these hours, with since when; a push that is far less than usual does not end it."""
    last = write_past(core, timedelta(hours=5))
    line = look(core)
    assert line["status"] == "attention"
    assert line["error"].startswith("最近 2 小时新增 0 条，平时同一时段约 16 条")
    assert look(core)["error"] == line["error"]
    assert push(core, 1) == "attention"
    assert core.notify.kinds() == ["source.trouble"]
    assert datetime.fromisoformat(core.notify[0].facts["since"]) == last
    assert core.notify[0].facts["error"] == line["error"]
    assert push(core, 30) == "ok"
    assert core.notify.kinds() == ["source.trouble", "source.recovered"]


def test_not_being_crawled_is_no_silence(core: Core) -> None:
    """Nights, a young source, a source never heard of, and small pushes beside large ones are all well."""
    assert look(core)["status"] == "ok"
    write_past(core, timedelta(minutes=30))
    assert look(core)["status"] == "ok"
    assert push(core, 1) == "ok"
    core.clock.move(timedelta(hours=16))  # six in the morning, the last push was eight hours before
    with db.writing(core.engine) as session:
        source_id = session.exec(select(Source.id).where(Source.name == "crm")).one()
        for hours in range(1, 8):
            at = NOW + timedelta(hours=hours)
            session.add(Run(source_id=source_id, status="ok", started_at=at, lease_until=at, new=8, seen=8))
    assert look(core)["status"] == "ok"
    assert core.notify == []


def test_a_rare_sender_is_never_overdue(core: Core) -> None:
    """Three a fortnight tell no norm; thirty days without one are nothing to be told."""
    push(core, 3)
    for _ in range(30):
        core.clock.move(timedelta(days=1))
        assert look(core)["status"] == "ok"
    assert (core.notify, state(core).status) == ([], "ok")


def test_hours_in_the_config_are_the_norm(core: Core) -> None:
    """Then they count from the last push, whatever was usual; a push ends it, even one of nothing."""
    assert look(core, silent_hours=6)["status"] == "ok"
    push(core, 1)
    for hours, status in ((5.5, "ok"), (1, "attention"), (5, "attention")):
        core.clock.move(timedelta(hours=hours))
        assert look(core, silent_hours=6)["status"] == status
    assert state(core).last_error.startswith("已有 6 小时没有推送来，约定最多 6 小时。")
    assert push(core, 0) == "ok"
    assert look(core, silent_hours=6)["status"] == "ok"
    assert core.notify.kinds() == ["source.trouble", "source.recovered"]


def test_one_that_is_not_watched_is_left_alone(core: Core) -> None:
    """``watch = false`` holds for them too; hours that were asked for are kept to all the same."""
    write_past(core, timedelta(hours=30))
    assert look(core, watch=False)["status"] == "ok"
    assert push(core, 1, watch=False) == "ok"
    core.clock.move(timedelta(hours=3))
    assert look(core, watch=False, silent_hours=2)["status"] == "attention"


def test_other_trouble_stays_what_it_is(core: Core) -> None:
    """A source whose pushes cannot be used is not called silent."""
    started = runs.start(core, "crm", "webhook", "demo")
    assert started is not None
    runs.finish(core, started, CrawlResult(status="failed", error="入库被中断"))
    core.clock.move(timedelta(days=9))
    assert (look(core, silent_hours=1)["status"], look(core)["error"]) == ("failed", "入库被中断")


def test_a_push_is_judged(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """``receive`` holds a push to the source's norm unless the config says otherwise."""
    asked: list[bool] = []
    finish = runs.finish

    def seen(*args: Any, **values: Any) -> Any:
        asked.append(values["watch"])
        return finish(*args, **values)

    monkeypatch.setattr(pushes.runs, "finish", seen)
    for watch in (True, False):
        pushes.receive(core, Config(**CRM, watch=watch), b"[]", f"key-{watch}")
    assert asked == [True, False]


def test_reports_do_not_call_it_stopped(core: Core) -> None:
    """A day without a push is no day without a crawl; one that is in trouble is named."""
    house = make_core(core.engine, make_settings(sources=[CRM]), core.clock)
    push(core, 1)
    core.clock.move(timedelta(days=5))
    days = span(NOW.date(), 5, house.settings.zone)
    with db.reading(core.engine) as session:
        (line,) = coverage(session, days, house.settings, core.clock.now()).sources
    assert (line.name, line.trouble) == ("crm", "")
    look(core, silent_hours=24)
    with db.reading(core.engine) as session:
        (line,) = coverage(session, days, house.settings, core.clock.now()).sources
    assert line.trouble == "attention"
