"""Runs: one at a time, a ledger line each, health that is told once, a watermark that only success moves."""

import asyncio
import io
import re
import threading
from datetime import timedelta

import pytest
from factories import NOW, make_item
from rich.console import Console
from sqlmodel import select

from crawler.items import BadRow
from crawler.job import CrawlResult
from monitor import crawling, db, ledger, printing, runs
from monitor.core import Core
from monitor.importing import ImportFailed, import_rows
from monitor.models import Run, Source, Watermark
from monitor.settings import Source as Config


def start(core: Core) -> runs.Started | None:
    return runs.start(core, "site", "html", "demo")


def finish(core: Core, **result: object) -> dict:
    started = start(core)
    assert started is not None
    return runs.finish(core, started, CrawlResult(**({"status": "ok", "pages": 1, "seen": 3, "new": 3} | result)))


def source(core: Core) -> Source:
    with db.reading(core.engine) as session:
        return session.exec(select(Source).where(Source.name == "site")).one()


def watermark(core: Core) -> dict:
    with db.reading(core.engine) as session:
        return (session.exec(select(Watermark.value)).first()) or {}


def test_one_run_at_a_time(core: Core) -> None:
    """While a lease holds, a second run of the source does not start; after it ends, it does."""
    first = start(core)
    assert first is not None
    assert start(core) is None
    runs.finish(core, first, CrawlResult(status="ok", seen=1, new=1))
    assert start(core) is not None


def test_a_dead_runs_lease_expires(core: Core) -> None:
    """A killed run blocks its source no longer than its lease, and is written down as failed."""
    assert start(core) is not None
    core.clock.move(runs.LEASE)
    assert start(core) is not None
    with db.reading(core.engine) as session:
        assert [(run.status, run.error) for run in session.exec(select(Run).order_by(Run.id))] == [
            ("failed", "运行中断，租约已过期"),
            ("running", ""),
        ]


def test_a_living_run_keeps_its_lease(core: Core) -> None:
    """However long a run takes, none starts beside it while it says that it is alive."""
    first = start(core)
    assert first is not None
    for _ in range(4):
        core.clock.move(runs.LEASE / 2)
        runs.renew(core, first)
    assert start(core) is None


async def test_a_crawl_renews_its_lease(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the crawl process works, its parent says again and again that the run is alive, whatever goes wrong."""
    renewed: list[int] = []
    often = threading.Event()

    def renew(_core: Core, started: runs.Started) -> None:
        renewed.append(started.run_id)
        if len(renewed) == 1:
            raise OSError("database is locked")
        if len(renewed) > 2:
            often.set()

    monkeypatch.setattr(runs, "LEASE", timedelta(seconds=0.04))
    monkeypatch.setattr(runs, "renew", renew)
    started = start(core)
    assert started is not None
    keeping = asyncio.create_task(crawling._keep_lease(core, started))
    assert await asyncio.to_thread(often.wait, 30)
    keeping.cancel()
    assert set(renewed) == {started.run_id}


def test_only_a_good_run_moves_the_watermark(core: Core) -> None:
    """A failed run leaves the watermark where the last good one put it, and the next run is given that."""
    finish(core, watermark={"at": 1})
    finish(core, status="failed", error="超时", watermark={"at": 2})
    assert watermark(core) == {"at": 1}
    started = start(core)
    assert started is not None
    assert started.watermark == {"at": 1}
    assert started.origin.watched


def test_the_ledger_line_is_the_run(core: Core) -> None:
    """What the run counted is what the line says."""
    line = finish(core, pages=2, seen=10, new=4, changed=1, duplicates=3, skipped=2)
    assert line == {
        "name": "site",
        "status": "ok",
        "pages": 2,
        "seen": 10,
        "new": 4,
        "changed": 1,
        "duplicates": 3,
        "skipped": 2,
        "error": "",
    }


def test_nothing_where_there_was_something_is_a_fault(core: Core) -> None:
    """A source that answers politely with no items needs a person; silence is never "no bad reviews"."""
    from monitor.intake import store

    started = start(core)
    assert started is not None
    store(core, started.origin, [make_item()])
    runs.finish(core, started, CrawlResult(status="ok", pages=1, seen=1, new=1))
    line = finish(core, seen=0, new=0)
    assert line["status"] == "attention"
    assert "读到 0 条" in line["error"]
    assert source(core).last_item_at == NOW


def test_unchanged_pages_are_not_silence(core: Core) -> None:
    """304 means nothing new, not nothing there."""
    finish(core)
    assert finish(core, seen=0, new=0, unchanged=1)["status"] == "ok"


def test_an_html_page_without_any_match_asks_for_the_selector(core: Core) -> None:
    """The first run with a wrong selector says so."""
    line = finish(core, seen=0, new=0)
    assert (line["status"], "选择器" in line["error"]) == ("attention", True)


def test_a_page_without_markup_is_not_a_page_without_reviews(core: Core) -> None:
    """A product page that carries no schema.org reviews at all asks for another kind of source."""
    started = runs.start(core, "shop", "schema_org", "demo")
    assert started is not None
    line = runs.finish(core, started, CrawlResult(status="ok", pages=1))
    assert (line["status"], 'kind = "html"' in line["error"]) == ("attention", True)


def test_reviews_of_which_none_can_be_read_are_a_fault(core: Core) -> None:
    """A wrong field is told with the first reason; mentions of other brands are no fault."""
    line = finish(core, seen=3, new=0, skipped=3, log=["http://x/: 没有文字、标题和评分"])
    assert (line["status"], line["error"]) == ("attention", "读到 3 条，一条也用不了：http://x/: 没有文字、标题和评分")
    started = runs.start(core, "forum", "feed", None, mention=True)
    assert started is not None
    line = runs.finish(core, started, CrawlResult(status="ok", pages=1, seen=3, skipped=3, log=["没有提到品牌词"]))
    assert line["status"] == "ok"


def test_trouble_and_recovery_are_told_once_each(core: Core) -> None:
    """Three failures in a row are one message; coming back is one more."""
    for status in ("ok", "failed", "failed", "attention", "ok", "ok"):
        finish(core, status=status, error="" if status == "ok" else "连不上")
    assert core.notify.kinds() == ["source.trouble", "source.recovered"]
    assert core.notify[0].facts == {"name": "site", "error": "连不上", "since": NOW.isoformat()}
    assert source(core).status == "ok"


async def test_a_source_that_is_being_read_is_said_to_be_skipped(core: Core) -> None:
    """The second of two passes at once says so instead of "all well", and is no failure."""
    assert start(core) is not None
    line = await crawling.crawl_source(core, Config(name="site", kind="html", shop="demo"), "nobody:opens")
    assert (line["status"], line["busy"], line["error"]) == ("ok", True, "上一次抓取还没结束，这次跳过")
    told = io.StringIO()
    printing.ledger(ledger.ledger(core, ledger.mark(core), [line], 0, 0), Console(file=told, width=120))
    assert re.search(r"site +跳过 +0", told.getvalue())
    assert "正常" not in told.getvalue()


def test_a_site_is_read_by_one_source_at_a_time(core: Core) -> None:
    """Whatever process reads another source of the site; one that ended, or died, holds nobody back."""

    def read(name: str, site: str = "shop.example.com") -> runs.Started:
        started = runs.start(core, name, "html", "demo", site=site)
        assert started is not None
        return started

    first = read("reviews")
    assert runs.start(core, "reviews", "html", "demo", site="shop.example.com") is None
    with pytest.raises(runs.SiteBusy):
        read("questions")
    read("elsewhere", "other.example.com")
    read("api", "")
    read("another api", "")
    runs.finish(core, first, CrawlResult(status="ok", seen=1, new=1))
    read("questions")
    with pytest.raises(runs.SiteBusy):
        read("reviews")
    core.clock.move(runs.LEASE)
    read("reviews")


async def test_a_crawl_waits_for_its_sites_turn(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read once the other source of the site is done with, and skipped where that takes too long."""
    monkeypatch.setattr(crawling, "_TURN_EVERY", 0.01)
    options = {"kind": "html", "shop": "demo", "start": ["https://Shop.example.com/a"], "item": "p", "fields": {}}
    first = runs.start(core, "first", "html", "demo", site="shop.example.com")
    assert first is not None
    line = await crawling.crawl_source(core, Config(name="second", time_limit="0s", **options), "nobody:opens")
    assert (line["status"], line["busy"], line["new"]) == ("ok", True, 0)
    assert line["error"] == "同一网站的另一个来源还没抓完，这次跳过"
    waiting = asyncio.create_task(crawling._start(core, Config(name="second", **options)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    runs.finish(core, first, CrawlResult(status="ok", seen=1, new=1))
    assert await asyncio.wait_for(waiting, 30) is not None


def test_an_import_counts_every_row(core: Core) -> None:
    """seen = new + changed + duplicates + skipped; a bad row is named and the rest stored."""
    since = ledger.mark(core)
    rows = [make_item("1"), BadRow("x.csv:3", "时间看不懂"), make_item("2", "物流太慢，等了十天"), make_item("1")]
    done = import_rows(core, rows, "demo")
    line, bad = done.line, done.tally.bad
    assert (line["seen"], line["new"], line["duplicates"], line["skipped"]) == (4, 2, 1, 1)
    assert (line["status"], line["error"]) == ("failed", "1 行读不了")
    assert bad == [rows[1]]
    book = ledger.ledger(core, since, [line], 0, 0)
    assert book["feedback"] == {"new": 2, "negative": 2}
    assert book["cases"] == {"opened": 2, "open": 2}
    assert book["outbox"] == {"sent": 0, "pending": 0, "uncertain": 0, "dead": 0}
    again = import_rows(core, [row for row in rows if row is not bad[0]], "demo").line
    assert (again["new"], again["duplicates"], again["status"]) == (0, 3, "ok")


def test_an_import_that_breaks_is_written_down(core: Core) -> None:
    """Rows before the fault are kept; the run is failed and the lease free."""

    def rows() -> object:
        yield from (make_item(str(n)) for n in range(600))
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        import_rows(core, rows(), "demo")
    with db.reading(core.engine) as session:
        run = session.exec(select(Run)).one()
    assert (run.status, run.new, run.error) == ("failed", 500, "导入被中断")
    assert import_rows(core, [], "demo").line["status"] in ("ok", "attention")


def test_two_imports_for_one_shop_wait_for_each_other(core: Core) -> None:
    """The second is told so instead of mixing the counts."""

    def rows() -> object:
        with pytest.raises(ImportFailed, match="还没结束"):
            import_rows(core, [make_item("2")], "demo")
        yield make_item("1")

    assert import_rows(core, rows(), "demo").line["new"] == 1
