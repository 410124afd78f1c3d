"""Reports that were sent show the same numbers again; corrected data makes a new version; other shapes of the same."""

import csv
import io
import json
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from factories import NOW, Ahead
from factories_reports import Record, month, store
from sqlmodel import select

import scheduler
from monitor import db
from monitor.config import load
from monitor.models import Feedback, Outbox, ReportCopy
from reports import archive
from reports.build import build
from reports.shelf import ReportShelf

CONFIG = """
[service]
database_url = "sqlite:///{folder}/var/pingshao.db"
var_dir = "{folder}/var"

[smtp]
host = "127.0.0.1"
port = 9
sender = "评哨 <pingshao@example.com>"

[summaries]
recipients = ["lead@example.com"]

[[shops]]
id = "demo"
name = "示例旗舰店"
platform = "tmall"

[[shops]]
id = "jd"
name = "=示例京东店"
platform = "jd"
"""
pytestmark = pytest.mark.slow  # each report draws its pictures
FRIDAY = (NOW + timedelta(hours=8)).date()


@pytest.fixture
def app(tmp_path: Path) -> scheduler.App:
    (tmp_path / "pingshao.toml").write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    made = scheduler.build(load(tmp_path / "pingshao.toml"), Ahead(0))
    store(made.core.engine, [record for record in month(days=42) if record.at <= NOW], NOW)
    return made


def late(app: scheduler.App, count: int) -> None:
    """Complaints of the reported week that come in after the report."""
    at = NOW - timedelta(days=6)
    with db.writing(app.core.engine) as session:
        first = len(session.exec(select(Feedback.id)).all())
        for n in range(count):
            session.add(
                Feedback(
                    source_id=1, shop_id="demo", external_id=f"late{first + n}", text="晚到的", happened_at=at,
                    first_seen_at=at, updated_at=at, content_hash="x",
                )
            )  # fmt: skip


def sent(app: scheduler.App) -> list[tuple[str, str]]:
    with db.reading(app.core.engine) as session:
        return [(row.dedupe_key, row.payload["title"]) for row in session.exec(select(Outbox))]


def test_a_sent_report_shows_the_same_numbers_again(app: scheduler.App, tmp_path: Path) -> None:
    """What came in since is not in it, unless it is made anew; a preview is not kept."""
    app.report("weekly", FRIDAY, tmp_path / "0")
    app.report("weekly", FRIDAY, tmp_path / "1", send=True)
    late(app, 9)
    app.report("weekly", FRIDAY, tmp_path / "2")
    app.report("weekly", FRIDAY, tmp_path / "3", anew=True)
    figures = [json.loads(next((tmp_path / str(n)).glob("*.json")).read_text()) for n in range(4)]
    totals = [made["totals"]["now"]["n"] for made in figures]
    assert totals == [totals[0], totals[0], totals[0], totals[0] + 9]
    assert figures[1] == figures[2]
    with db.reading(app.core.engine) as session:
        assert [(row.key, row.version) for row in archive.listing(session)] == [("weekly:2026-11-16", 1)]


def test_corrected_data_make_a_new_version(app: scheduler.App, tmp_path: Path) -> None:
    """The second mail has a name of its own and says what is different; sent again without changes, nothing goes."""
    for _ in range(2):
        app.report("weekly", FRIDAY, tmp_path, send=True)
    late(app, 9)
    for _ in range(2):
        app.report("weekly", FRIDAY, tmp_path, send=True)
    keys, titles = zip(*sent(app), strict=True)
    assert keys == ("weekly:2026-11-20", "weekly:2026-11-20:2")
    assert titles[1] == f"{titles[0]}（更正，第 2 版）"
    before, after = (
        json.loads((tmp_path / f"weekly-2026-11-16{name}.json").read_text())["totals"]["now"]["n"]
        for name in ("", "-2")
    )
    assert after == before + 9
    said = f"评价 {before:,} → {after:,}"
    assert said in (tmp_path / "weekly-2026-11-16-2.html").read_text(encoding="utf-8")
    assert said not in (tmp_path / "weekly-2026-11-16.html").read_text(encoding="utf-8")
    again = build(app.core, "weekly", FRIDAY, anew=False)
    assert (again.edition.version, again.edition.changes) == (2, (said,))
    assert said in again.text


def test_the_shelf_shows_every_version(app: scheduler.App, tmp_path: Path) -> None:
    """What was sent, each version with its numbers and pictures; nothing of any other name."""
    app.report("weekly", FRIDAY, tmp_path, send=True)
    late(app, 9)
    app.report("weekly", FRIDAY, tmp_path, send=True)
    shelf = ReportShelf(app.core)
    assert [(entry.name, entry.version) for entry in shelf.listing()] == [
        ("weekly-2026-11-16-2", 2),
        ("weekly-2026-11-16", 1),
    ]
    first, second = (shelf.page(entry.name, "/reports/x/") or "" for entry in reversed(shelf.listing()))
    assert "的上一版相比" in second
    assert "的上一版相比" not in first
    pictures = re.findall(r'src="/reports/x/([^"]+)"', second)
    assert pictures
    assert all((shelf.picture("weekly-2026-11-16-2", file) or b"").startswith(b"\x89PNG") for file in pictures)
    assert shelf.picture("weekly-2026-11-16-2", "../pingshao.toml") is None
    for name in ("weekly-2026-11-16-3", "weekly-2026-11-09", "../x", "weekly-2026-11-16-1x", ""):
        assert shelf.page(name, "/") is None
        assert shelf.picture(name, pictures[0]) is None


def test_figures_of_another_program_are_not_read(app: scheduler.App) -> None:
    """A copy that this program cannot read is left alone; the report is made of what is known now."""
    with db.writing(app.core.engine) as session:
        session.add(ReportCopy(key="weekly:2026-11-16", kind="weekly", title="", at=NOW, figures='{"old": 1}'))
    assert build(app.core, "weekly", FRIDAY, anew=False).edition == archive.Edition()


def test_the_table_has_the_pages_counts(app: scheduler.App, tmp_path: Path) -> None:
    """One line a count, for spreadsheets that execute nothing."""
    (file,) = app.report("weekly", FRIDAY, tmp_path / "out", form="csv")
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    made = build(app.core, "weekly", FRIDAY).made
    assert rows[0]["条数"] == str(made.totals.now.n)
    days = [int(row["条数"]) for row in rows if row["部分"] == "日期"]
    assert (len(days), sum(days)) == (7, made.totals.now.n)
    assert {row["名称"] for row in rows if row["部分"] == "店铺"} == {"示例旗舰店", "'=示例京东店"}
    (evening,) = app.report("evening", FRIDAY, tmp_path / "out", form="csv")
    assert evening.read_text(encoding="utf-8-sig").startswith("部分,名称,条数")
    (figures,) = app.report("weekly", FRIDAY, tmp_path / "out", form="json")
    assert json.loads(figures.read_text())["kind"] == "weekly"


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="the PDF is made by the system's Chromium")
def test_a_pdf_is_made_by_the_systems_chromium(app: scheduler.App, tmp_path: Path) -> None:
    """A file that begins as a PDF does, more than an empty page, in our own font where the system has none."""
    (file,) = app.report("weekly", FRIDAY, tmp_path / "out", form="pdf")
    content = file.read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(content) > 20_000
    assert b"NotoSans" in content


def test_without_a_browser_the_pdf_is_refused(
    app: scheduler.App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install; one that fails is told with its own words."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(scheduler.WrongCall, match="apt install chromium"):
        app.report("weekly", FRIDAY, tmp_path, form="pdf")
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho 没有空间 >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(scheduler.WrongCall, match="没有做成：没有空间"):
        app.report("weekly", FRIDAY, tmp_path, form="pdf")


def test_an_evening_that_goes_on_has_a_second_version(app: scheduler.App, tmp_path: Path) -> None:
    """Mentions, categories and many differences are told, the rest is counted."""
    at = NOW - timedelta(hours=1)
    codes = ("quality", "damage", "logistics", "service", "price", "wrong_missing", "aftersales")
    day = (at + timedelta(hours=8)).date()
    with db.reading(app.core.engine) as session:
        before = archive.edition(session, f"evening:{day}", build(app.core, "evening", day).made)
    assert before == archive.Edition()
    app.report("evening", day, tmp_path, send=True)
    rows = [Record(at, True, "坏", 1, [code], "low") for code in codes]
    with db.writing(app.core.engine) as session:
        from monitor.models import Score

        for n, row in enumerate(rows):
            one = Feedback(
                source_id=1, shop_id="demo", external_id=f"e{n}", text=row.text, stars=1, happened_at=at,
                first_seen_at=at, updated_at=at, content_hash="x",
            )  # fmt: skip
            session.add(one)
            session.flush()
            session.add(
                Score(
                    feedback_id=one.id, happened_at=at, model="m", negative=True, p_negative=1, severity="low",
                    categories=row.categories, scored_at=at,
                )
            )  # fmt: skip
    changes = build(app.core, "evening", day).edition.changes
    assert changes[0].startswith("评价 ")
    assert changes[-1].startswith("另有 ")
