"""Health of sources: each held to its own past, told once, recovery told, shown in one list."""

from datetime import datetime, timedelta
from typing import Any

from factories import NOW, make_settings
from sqlmodel import select

from crawler.job import CrawlResult
from monitor import db, health, runs
from monitor.core import Core
from monitor.models import Run, Source, Watermark

FULL = {"items": 40, "id": 40, "text": 39, "author": 40, "time": 40}
DRIFTED = {**FULL, "text": 0}


def crawl(core: Core, name: str = "site", watch: bool = True, **result: Any) -> dict[str, Any]:
    """One run of a source, as ``crawling`` would write it down."""
    started = runs.start(core, name, "html", "demo")
    assert started is not None
    whole = {"status": "ok", "pages": 1, "seen": 40, "duplicates": 40, "fills": FULL, "watermark": {"n": 1}}
    return runs.finish(core, started, CrawlResult(**(whole | result)), watch=watch)


def write_past(core: Core, moments: list[tuple[datetime, int]], **values: Any) -> None:
    """Runs of the past with what they found new, put into the store directly."""
    crawl(core)
    with db.writing(core.engine) as session:
        first = session.exec(select(Run)).one()
        source_id = first.source_id
        session.delete(first)
        for at, new in moments:
            row = Run(source_id=source_id, status="ok", started_at=at, lease_until=at, finished_at=at, new=new)
            row.seen, row.fills = 40, FULL
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)


def days_of_runs(days: int) -> list[tuple[datetime, int]]:
    """A run every hour from 8 to 21 by the local clock, eight new ones each."""
    start = NOW - timedelta(hours=14, days=days)
    moments = [start + timedelta(days=day, hours=hour, minutes=5) for day in range(days + 1) for hour in range(8, 22)]
    return [(at, 8) for at in moments if at <= NOW]


def source(core: Core) -> Source:
    with db.reading(core.engine) as session:
        return session.exec(select(Source).where(Source.name == "site")).one()


def test_schema_drift_is_told_once_and_so_is_its_end(core: Core) -> None:
    """A field gone empty in all of a run: one alert with numbers, the watermark stays, coming back is told."""
    for _ in range(4):
        assert crawl(core)["status"] == "ok"
    line = crawl(core, fills=DRIFTED, watermark={"n": 2})
    assert line["status"] == "attention"
    assert line["error"].startswith("text（文字） 在 40 条里 40 条是空的；平时 98% 有")
    for _ in range(3):
        assert crawl(core, fills=DRIFTED)["status"] == "attention"
    assert core.notify.kinds() == ["source.trouble"]
    with db.reading(core.engine) as session:
        assert session.exec(select(Watermark.value)).one() == {"n": 1}
    assert crawl(core)["status"] == "ok"
    assert core.notify.kinds() == ["source.trouble", "source.recovered"]
    assert core.notify[0].facts["name"] == "site"


def test_ids_that_are_made_up_all_at_once_are_told(core: Core) -> None:
    """When the id's selector breaks, every review looks new: the engineer hears of it."""
    for _ in range(4):
        crawl(core)
    line = crawl(core, new=40, duplicates=0, fills={**FULL, "id": 0})
    assert "id（编号） 在 40 条里 40 条是空的，同一条评价会当成新的再次入库" in line["error"]


def test_a_jump_of_skipped_ones_is_told(core: Core) -> None:
    """Half a page that cannot be used any more is trouble, although the other half is stored."""
    for _ in range(4):
        crawl(core)
    line = crawl(core, duplicates=10, skipped=30, fills={name: min(n, 10) for name, n in FULL.items()})
    assert line["status"] == "attention"
    assert line["error"].startswith("读到 40 条，30 条用不了；平时 100% 能用")


def test_fault_42_a_source_that_silently_returns_nothing_new(core: Core) -> None:
    """The same old page for hours in which there is always something: silence is a fault, with since when."""
    past = [(at, new) for at, new in days_of_runs(20) if at < NOW - timedelta(hours=5)]
    write_past(core, past)
    line = crawl(core)
    assert line["status"] == "attention"
    assert line["error"].startswith("最近 2 小时新增 0 条，平时同一时段约 16 条")
    assert datetime.fromisoformat(core.notify[0].facts["since"]) == past[-1][0]
    crawl(core)
    assert core.notify.kinds() == ["source.trouble"]
    assert crawl(core, new=20, duplicates=20)["status"] == "ok"
    assert core.notify.kinds() == ["source.trouble", "source.recovered"]


def test_not_modified_for_too_long_is_silence_too(core: Core) -> None:
    """A server that answers "not modified" for ever is held to the same norm."""
    write_past(core, [(at, new) for at, new in days_of_runs(20) if at < NOW - timedelta(hours=30)])
    assert crawl(core, seen=0, duplicates=0, unchanged=1, fills={})["status"] == "attention"


def test_a_page_that_shows_far_less_than_usual(core: Core) -> None:
    """Three reviews where there were always forty."""
    write_past(core, days_of_runs(10))
    line = crawl(core, seen=3, new=3, duplicates=0, fills={"items": 3, "id": 3, "text": 3, "author": 3, "time": 3})
    assert "只读到 3 条，平时这个时段约 40 条" in line["error"]


def test_a_source_that_is_not_watched_is_left_alone(core: Core) -> None:
    """``watch = false`` and imports have no norm."""
    for _ in range(4):
        crawl(core)
    assert crawl(core, watch=False, fills=DRIFTED)["status"] == "ok"
    assert core.notify == []


def test_a_young_source_is_not_judged(core: Core) -> None:
    """Without enough past nothing is said, whatever the numbers do."""
    crawl(core)
    assert crawl(core, fills=DRIFTED)["status"] == "ok"
    assert crawl(core, seen=1, duplicates=1, fills={"items": 1})["status"] == "ok"


def test_one_broken_file_is_told_each_time_it_changes(core: Core) -> None:
    """It stays visible, moves the mark of the others, and is told anew only when it is; then that it is mended."""
    broken = {"status": "attention", "error": "a.csv 是空文件", "moved": True}
    for number, anew in enumerate((True, False, False, True, False)):
        line = crawl(core, **broken, anew=anew, watermark={"n": number})
        assert (line["status"], source(core).status, source(core).last_error) == ("attention",) * 2 + (broken["error"],)
        with db.reading(core.engine) as session:
            assert session.exec(select(Watermark.value)).one() == {"n": number}
    assert core.notify.kinds() == ["source.trouble"] * 2
    crawl(core)
    assert core.notify.kinds()[2:] == ["source.recovered"]
    crawl(core, status="attention", error="登录页", anew=True, watermark={"n": 9})
    crawl(core, status="attention", error="登录页", anew=True, watermark={"n": 9})
    assert core.notify.kinds()[3:] == ["source.trouble"]
    with db.reading(core.engine) as session:
        assert session.exec(select(Watermark.value)).one() == {"n": 1}


def test_failures_are_told_as_what_they_are(core: Core) -> None:
    """A run that failed is not compared with anything."""
    for _ in range(4):
        crawl(core)
    assert crawl(core, status="failed", error="超时", fills=DRIFTED)["error"] == "超时"


def test_the_overview_of_all_sources(core: Core) -> None:
    """Sources of the config in their order, never crawled ones too, with their day, their norm and what ends soon."""
    named = [{"name": name, "kind": "html", "shop": "demo"} for name in ("site", "new")]
    settings = make_settings(sources=named)
    write_past(core, days_of_runs(20))
    last = NOW.astimezone(settings.zone).date() + timedelta(days=5)
    crawl(core, expires=str(last))
    with db.reading(core.engine) as session:
        site, new = health.overview(session, settings, NOW)
    assert (site.name, site.status, new.name, new.status, new.warnings) == ("site", "ok", "new", "new", [])
    assert (site.new_24h, site.usual_24h, site.last_new_at) == (112, 112, days_of_runs(20)[-1][0])
    assert (site.fills["text"].now, site.fills["text"].usual) == (39 / 40, 39 / 40)
    assert site.warnings == [f"授权 {last} 到期（还有 5 天），请续期"]
    assert source(core).status == "ok"
