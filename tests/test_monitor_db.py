"""The store: schema, transactions, backups."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from factories import NOW
from sqlalchemy import Engine, inspect, text
from sqlmodel import SQLModel, select

from monitor import db
from monitor.errors import WrongCall
from monitor.models import Event


def event(what: str = "x", at: datetime = NOW) -> Event:
    return Event(at=at, actor="a", door="system", subject="case", subject_id=1, what=what)


def test_migrations_make_exactly_the_tables_of_the_models(engine: Engine) -> None:
    """Autogenerate must find nothing to change after an upgrade."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        made = ("feedback_search", "event_")  # by hand, and month by month
        ours = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith(made)}
        differences = compare_metadata(MigrationContext.configure(connection, opts=ours), SQLModel.metadata)
    assert differences == []
    assert "feedback" in inspect(engine).get_table_names()


def test_second_upgrade_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    """A store that is up to date is neither changed nor backed up."""
    assert db.upgrade(engine, tmp_path / "backups", NOW) is None
    assert not (tmp_path / "backups").exists()


def test_sqlite_file_with_data_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    """A backup with the data must exist before the schema moves."""
    old = db.connect(f"sqlite:///{tmp_path}/old.db")
    db.migrate(old, db.revisions()[-1])
    insert = """INSERT INTO event (at, actor, door, subject, subject_id, what, before, after)
    VALUES ('2026-11-20 06:00:00', 'a', 'system', 'case', 1, 'before', '{}', '{}')"""
    with old.begin() as connection:
        connection.exec_driver_sql(insert)
    copied = db.upgrade(old, tmp_path / "backups", NOW)
    assert copied in (tmp_path / "backups").glob("*.db")
    copy = db.connect(f"sqlite:///{copied}")
    assert (db.revision(copy), db.revision(old)) == (db.revisions()[-1], db.newest())
    with db.reading(copy) as session:
        assert session.exec(select(Event.what)).all() == ["before"]
    for engine in (copy, old):
        engine.dispose()


def test_a_newer_versions_store_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    """It is said in one line, and no backup of it pushes older ones out, however often it is tried."""
    say = text("UPDATE alembic_version SET version_num = :revision")
    with engine.execution_options(writing=True).begin() as connection:
        connection.execute(say, {"revision": "9999"})
    try:
        with pytest.raises(WrongCall, match="更新的评哨（表结构 9999）"):
            db.upgrade(engine, tmp_path / "backups", NOW)
    finally:
        with engine.execution_options(writing=True).begin() as connection:
            connection.execute(say, {"revision": db.newest()})
    assert not (tmp_path / "backups").exists()


def test_times_come_back_aware_in_utc(engine: Engine) -> None:
    """What is stored in another zone is the same moment when read."""
    shanghai = NOW.astimezone(tz=__import__("zoneinfo").ZoneInfo("Asia/Shanghai"))
    with db.writing(engine) as session:
        session.add(event(at=shanghai))
    with db.reading(engine) as session:
        row = session.exec(select(Event)).one()
    assert row.at == NOW
    assert row.at.utcoffset() == timedelta(0)
    assert row.at.tzinfo == UTC


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    """An exception inside writing() rolls everything back."""

    def fail() -> None:
        with db.writing(engine) as session:
            session.add(event())
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with db.reading(engine) as session:
        assert session.exec(select(Event)).all() == []


def test_two_writers_that_read_first_both_succeed(sqlite: Engine) -> None:
    """Read-then-write waits for the other writer instead of failing at once."""
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(20):
                with db.writing(sqlite) as session:
                    count = len(session.exec(select(Event.id)).all())
                    session.add(event(str(count)))
        except Exception as error:  # noqa: BLE001 — the thread hands over whatever went wrong
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with db.reading(sqlite) as session:
        seen = [int(what) for what in session.exec(select(Event.what)).all()]
    assert sorted(seen) == list(range(80))
