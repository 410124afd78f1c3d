"""The way from a crawl into the store: batches, counts, and a store that refuses them for a while."""

from types import SimpleNamespace
from typing import Any

import pytest
from factories import make_core, make_item
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import func, select

from monitor import db, directory, intake, pipeline
from monitor.incoming import Origin
from monitor.models import Feedback
from monitor.pipeline import NotStored, StorePipeline


class Stats(dict[str, int]):
    """A crawl's stats."""

    def inc_value(self, key: str, count: int) -> None:
        self[key] = self.get(key, 0) + count


def make_pipeline(engine: Engine) -> tuple[StorePipeline, Stats]:
    """A pipeline with its store open; what it counts."""
    core, stats = make_core(engine), Stats()
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
        source = directory.ensure_source(session, "site", "html", "demo")
        assert source.id is not None
        origin = Origin(source.id, "demo", "tmall", "review", True)
    made = StorePipeline(SimpleNamespace(stats=stats))  # type: ignore[arg-type]
    made._core, made._origin = core, origin
    return made, stats


class Moody:
    """A store that refuses so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int, error: Exception | None = None) -> None:
        self.times, self.calls, self._store = times, 0, intake.store
        self.error = error or OperationalError("INSERT", None, Exception("database is locked"))
        monkeypatch.setattr(intake, "store", self)
        self.slept: list[float] = []
        monkeypatch.setattr(pipeline.time, "sleep", self.slept.append)

    def __call__(self, *given: Any) -> Any:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return self._store(*given)


def stored(engine: Engine) -> int:
    with db.reading(engine) as session:
        return session.exec(select(func.count()).select_from(Feedback)).one()


def test_a_full_batch_is_stored_at_once_and_the_rest_at_the_end(sqlite: Engine) -> None:
    """Items are counted as what became of them."""
    crawl, stats = make_pipeline(sqlite)
    for n in range(intake.BATCH + 1):
        item = make_item(str(n), "还行")
        assert crawl.process_item(item) is item
    assert stored(sqlite) == intake.BATCH
    crawl.process_item(make_item("0", "还行"))
    crawl.close_spider()
    assert stats == {"pingshao/new": intake.BATCH + 1, "pingshao/changed": 0, "pingshao/duplicates": 1}


def test_a_slow_crawl_does_not_wait_for_its_batch(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came is stored after a few seconds."""
    crawl, _ = make_pipeline(sqlite)
    monkeypatch.setattr(pipeline, "_FLUSH_AFTER", -1.0)
    crawl.process_item(make_item())
    assert stored(sqlite) == 1


def test_a_batch_that_is_refused_is_kept_and_tried_again(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised meanwhile, each new item does not cause a new try, and at the end all is stored."""
    crawl, stats = make_pipeline(sqlite)
    store = Moody(monkeypatch, 2)
    for n in range(intake.BATCH + 20):
        crawl.process_item(make_item(str(n), "还行"))
    assert (store.calls, stored(sqlite)) == (1, 0)
    crawl.close_spider()
    assert (store.slept, stored(sqlite)) == ([1.0], intake.BATCH + 20)
    assert stats["pingshao/new"] == intake.BATCH + 20


def test_a_store_that_refuses_to_the_last_fails_the_run(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason and the number are told, the ledger still balances, and the next run finds the items anew."""
    crawl, stats = make_pipeline(sqlite)
    store = Moody(monkeypatch, 99)
    for n in range(3):
        crawl.process_item(make_item(str(n), "还行"))
    with pytest.raises(NotStored, match="database is locked；3 条没有入库"):
        crawl.close_spider()
    assert store.slept == list(pipeline._LAST_PAUSES)
    assert stats == {"pingshao/skipped": 3}


def test_a_batch_that_breaks_is_left_out_and_the_others_are_stored(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of another kind fails the run at once; it does not come back with every item."""
    crawl, stats = make_pipeline(sqlite)
    Moody(monkeypatch, 1, ValueError("no such column"))
    monkeypatch.setattr(pipeline, "_FLUSH_AFTER", -1.0)
    with pytest.raises(NotStored, match="ValueError: no such column"):
        crawl.process_item(make_item("1", "还行"))
    crawl.process_item(make_item("2", "还行"))
    crawl.close_spider()
    assert (stats["pingshao/skipped"], stats["pingshao/new"], stored(sqlite)) == (1, 1, 1)
