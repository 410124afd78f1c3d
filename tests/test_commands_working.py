"""What does the jobs of each queue: done twice is done once, and what cannot be done says so."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import make_settings
from sqlmodel import select

import scheduler
from commands import working
from commands.app import App
from monitor import db, directory
from monitor.clock import HandClock
from monitor.models import Outbox, Run
from monitor.rescoring import OtherModel

LATE = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)  # half past eleven in Shanghai: the morning check was due at ten


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A house on SQLite that has been at work for a month, with mail."""
    service = {"var_dir": tmp_path, "database_url": f"sqlite:///{tmp_path / 'pingshao.db'}"}
    smtp = {"host": "127.0.0.1", "port": 9, "sender": "评哨 <pingshao@example.com>"}
    summaries = {"recipients": ["lead@example.com"]}
    routes = {"summary": ["mail"]}
    settings = make_settings(tmp_path, service=service, smtp=smtp, summaries=summaries, routes=routes)
    made = scheduler.build(settings, HandClock(LATE))
    with db.writing(made.core.engine) as session:
        source = directory.ensure_source(session, "site", "html", "demo")
        at = LATE - timedelta(days=30)
        session.add(Run(source_id=source.id, started_at=at, lease_until=at, status="ok"))
    yield made
    made.close()


def do(app: App, queue: Any, **arguments: Any) -> Any:
    async def once() -> Any:
        return await working.work(app)[queue](**arguments)

    return asyncio.run(once())


def mails(app: App) -> list[str]:
    with db.reading(app.core.engine) as session:
        return list(session.exec(select(Outbox.dedupe_key)).all())


def test_a_due_summary_is_made_once_however_often_it_is_asked_for(app: App) -> None:
    """By the schedule, and again by a worker that another one died before."""
    for _ in range(2):
        asyncio.run(working.put_due_summaries(app, working.jobs(app)))
    do(app, "report", kind="daily", day="2026-11-20")
    assert mails(app) == ["daily:2026-11-20"]


def test_a_source_that_this_machine_does_not_know(app: App) -> None:
    """It is logged and left: the configs differ, and trying again would not help."""
    assert do(app, "crawl", source="elsewhere") is None


def test_an_export_is_whole_or_not_there(app: App, tmp_path: Path) -> None:
    """Written again it replaces the last; one that breaks leaves nothing behind."""
    for form in ("csv", "jsonl"):
        written = do(app, "export", what="events", form=form, since="2026-11-01T00:00:00+08:00", name="events")
    assert Path(written).read_text("utf-8").startswith("{")
    with pytest.raises(KeyError):
        do(app, "export", what="nothing", form="csv", since=None, name="events")
    assert [file.name for file in (tmp_path / "exports").iterdir()] == ["events"]


def test_a_worker_with_another_model_refuses(app: App) -> None:
    """Else it would find nothing to do, and whoever asked would believe it done."""
    part = {"after": 0, "upto": 9, "since": None, "batch": 5}
    with pytest.raises(OtherModel, match="older"):
        do(app, "score", model="older", **part)
    assert do(app, "score", model=app.core.judge.model, **part) == {}


def test_history_is_judged_here_where_there_are_no_workers(app: App) -> None:
    """Then nothing is handed out."""
    assert working.parts_shared(app) is None
