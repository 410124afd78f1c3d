"""The audit by months: made ahead, append-only in every part, taken away whole; nothing is ever refused."""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
from alembic import command
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from monitor import audit, db, doctor, months, retention
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Event, Known

DAY = timedelta(days=1)
_numbers = count()


@pytest.fixture(scope="module")
def template(postgres: str) -> Iterator[str]:
    """A database with our schema and no connections, to be copied."""
    name = f"months_{os.getpid()}"
    alter(postgres, f"CREATE DATABASE {name}")
    engine = db.connect(at(postgres, name))
    db.migrate(engine)
    engine.dispose()
    yield name
    alter(postgres, f"DROP DATABASE {name}")


@pytest.fixture
def store(postgres: str, template: str) -> Iterator[Engine]:
    """A store of its own, whose parts may be changed."""
    name = f"{template}_{next(_numbers)}"
    alter(postgres, f"CREATE DATABASE {name} TEMPLATE {template}")
    engine = db.connect(at(postgres, name))
    yield engine
    engine.dispose()
    alter(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def at(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def alter(url: str, statement: str) -> None:
    engine = db.connect(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def parts(engine: Engine) -> dict[str, months.Part]:
    with engine.connect() as connection:
        return {part.name: part for part in months.parts(connection)}


def begins(engine: Engine) -> datetime:
    """When the months begin, which is some weeks after the store was made."""
    until = parts(engine)["event_before"].until
    assert until is not None
    return until


def write(engine: Engine, *moments: datetime) -> None:
    with db.writing(engine) as session:
        for number, moment in enumerate(moments):
            audit.note(session, moment, "case", number, "opened")


def where(engine: Engine) -> list[str]:
    """The part of each event, in the order in which they were written."""
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT tableoid::regclass::text FROM event ORDER BY id")).scalars())


def subjects(engine: Engine) -> list[int]:
    with db.reading(engine) as session:
        return list(session.exec(select(Event.subject_id).where(Event.subject == "case").order_by(col(Event.id))))


def try_out(engine: Engine, statement: str) -> None:
    with db.writing(engine) as session:
        session.connection().exec_driver_sql(statement)


def test_doctor_says_until_when_there_are_months(store: Engine) -> None:
    """And that a clock was wrong, as long as its events are there; the service's round makes what is missing."""
    first = begins(store)
    core = make_core(store, clock=HandClock(first - DAY))
    retention.keep(core)
    found = doctor._database(core)
    assert found.ok
    assert found.says == f"postgresql 可读可写，审计按月存放，备到 {months.first(first, 2):%Y-%m}"
    write(store, first + 999 * DAY, first)
    assert "有 1 条的时间不在" in doctor._database(core).todo


@pytest.mark.parametrize(
    ("moment", "later", "begins"),
    [
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 0, (2026, 12)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 1, (2027, 1)),
        (datetime.fromisoformat("2027-01-01T07:00+08:00"), 0, (2026, 12)),
        (datetime(2026, 1, 1, tzinfo=UTC), 25, (2028, 2)),
    ],
)
def test_months_are_utcs(moment: datetime, later: int, begins: tuple[int, int]) -> None:
    """Whatever zone a time is told in, over ends of years too."""
    assert months.first(moment, later) == datetime(*begins, 1, tzinfo=UTC)


def test_sqlite_has_no_months(sqlite: Engine) -> None:
    """Nothing is made there, and nothing taken away but rows."""
    assert months.ahead(sqlite, NOW) == []
    with db.writing(sqlite) as session:
        assert months.parts(session.connection()) == []
        assert months.drop(session, NOW) == 0


def test_months_are_made_ahead_and_once(store: Engine) -> None:
    """As time goes on, each is there before it begins; of two that make them at once, one does."""
    first = begins(store)
    assert months.ahead(store, first - 20 * DAY) == [f"event_{months.first(first, n):%Y_%m}" for n in (0, 1, 2)]
    assert months.ahead(store, first - 20 * DAY) == []
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend(months.ahead(store, first + 40 * DAY))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [f"event_{months.first(first, n):%Y_%m}" for n in (3, 4)]
    there = [part for part in parts(store).values() if part.until is not None]
    assert all(one.until == other.start for one, other in pairwise(there))


def test_every_event_finds_its_part(store: Engine) -> None:
    """Old ones, those of a month, and those of a clock that is years ahead; numbers go on through all of them."""
    first = begins(store)
    months.ahead(store, first)
    write(store, NOW, first - timedelta(microseconds=1), first, first + 31 * DAY, first + 9999 * DAY, NOW - 9999 * DAY)
    second = f"event_{months.first(first + 31 * DAY):%Y_%m}"
    assert where(store) == [
        "event_before", "event_before", f"event_{first:%Y_%m}", second, "event_default", "event_before",
    ]  # fmt: skip
    assert subjects(store) == [0, 1, 2, 3, 4, 5]


def test_no_part_lets_an_event_be_changed_or_taken_away(store: Engine) -> None:
    """Aimed at the whole or at a part itself, of whatever age the part."""
    first = begins(store)
    write(store, NOW)
    months.ahead(store, first)
    write(store, first, first + 9999 * DAY)
    for name in ("event", "event_before", f"event_{first:%Y_%m}", "event_default"):
        for statement in ("UPDATE {} SET actor = 'x'", "DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(IntegrityError, match="append-only"):
                try_out(store, statement.format(name))
    assert subjects(store) == [0, 0, 1]


def test_what_came_before_its_month_is_moved_there(store: Engine) -> None:
    """Of a clock that jumped ahead, or of months that were not made: each event once, with its number, kept as ever."""
    first = begins(store)
    second = months.first(first, 1)
    write(store, second + DAY, second - timedelta(microseconds=1), second, months.first(first, 9))
    before = everything(store)
    assert months.ahead(store, first) == [f"event_{months.first(first, n):%Y_%m}" for n in range(4)]
    write(store, second + 2 * DAY)
    one, other = f"event_{first:%Y_%m}", f"event_{second:%Y_%m}"
    assert where(store) == [other, one, other, "event_default", other]
    assert everything(store)[:4] == before
    for name in ("event", one, other):
        with pytest.raises(IntegrityError, match="append-only"):
            try_out(store, f"DELETE FROM {name}")  # noqa: S608 — a name of ours
    with db.reading(store) as session:
        assert session.get(Known, months.RETIRE) is None


def test_a_month_with_too_many_events_astray_waits(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay where they are, so does what comes in that month, and the doctor tells it; other months are made."""
    monkeypatch.setattr(months, "_MOVED", 1)
    first = begins(store)
    wrong = months.first(first, 1)
    write(store, wrong + DAY, wrong + 2 * DAY)
    assert months.ahead(store, first) == [f"event_{months.first(first, n):%Y_%m}" for n in (0, 2, 3)]
    write(store, wrong + 2 * DAY)
    assert where(store) == ["event_default"] * 3
    assert "有 3 条的时间不在" in doctor._database(make_core(store, clock=HandClock(first))).todo


def test_events_that_are_written_while_a_month_is_made_are_not_lost(store: Engine) -> None:
    """Four threads write into the month that is being made, some before it is there and some after."""
    first = begins(store)
    start = threading.Barrier(5)

    def some() -> None:
        start.wait()
        for _ in range(25):
            write(store, first + DAY)

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    start.wait()
    while len(months.ahead(store, first)) == 0 and any(thread.is_alive() for thread in threads):
        pass
    for thread in threads:
        thread.join()
    months.ahead(store, first)
    assert where(store) == [f"event_{first:%Y_%m}"] * 100


def everything(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM event ORDER BY id"))]


def test_a_table_in_use_is_left_for_later(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads for long is not waited for; old events go all the same, one by one."""
    monkeypatch.setattr(months, "_MOMENT", text("SET LOCAL lock_timeout = '50ms'"))
    first = begins(store)
    months.ahead(store, first - DAY)
    write(store, first, first + DAY)
    with store.connect() as reader:
        reader.execute(text("SELECT count(*) FROM event"))
        assert months.ahead(store, first + 99 * DAY) == []
        assert retire(store, months.first(first, 1)) == 2
        assert f"event_{first:%Y_%m}" in parts(store)
    assert subjects(store) == []
    assert len(months.ahead(store, first + 99 * DAY)) == 4
    assert retire(store, months.first(first, 1)) == 0
    assert f"event_{first:%Y_%m}" not in parts(store)


def retire(engine: Engine, before: datetime) -> int:
    with db.writing(engine) as session:
        return audit.retire(session, before, before)


def test_whole_months_go_as_tables_and_the_rest_as_rows(store: Engine) -> None:
    """What is told counts both; what is younger stays."""
    first = begins(store)
    months.ahead(store, first)
    write(store, NOW, first, first + DAY, months.first(first, 1), months.first(first, 1) + 2 * DAY)
    assert retire(store, months.first(first, 1) + DAY) == 4
    assert subjects(store) == [4]
    assert "event_before" not in parts(store)
    assert f"event_{first:%Y_%m}" not in parts(store)
    with db.reading(store) as session:
        told = session.exec(select(Event).where(Event.what == "retired")).one()
    assert told.after["count"] == 4
    write(store, NOW)
    assert where(store)[-1] == "event_default"  # what is older than everything is not refused
    assert retire(store, first) == 1


def test_months_that_are_taken_away_come_back_with_the_transaction(store: Engine) -> None:
    """Retention that is rolled back has taken nothing."""
    first = begins(store)
    months.ahead(store, first)
    write(store, first)
    before = parts(store)

    def fail(session: Session) -> None:
        assert audit.retire(session, months.first(first, 2), NOW) == 1
        raise RuntimeError

    with pytest.raises(RuntimeError), db.writing(store) as session:
        fail(session)
    assert parts(store) == before
    assert subjects(store) == [0]


def test_the_audit_ages_by_whole_months(core: Core) -> None:
    """On either database an event stays until its month is over and old."""
    zone = {"retention": {"events": "60d"}}
    clock = HandClock(datetime(2026, 11, 20, tzinfo=UTC))
    old = make_core(core.engine, make_settings(core.settings.service.var_dir, **zone), clock)
    moments = [datetime(2026, *day, tzinfo=UTC) for day in ((7, 3), (8, 31), (9, 1), (9, 20), (10, 2))]
    write(core.engine, *moments)
    assert retention.run(old)["events"] == 2
    assert subjects(core.engine) == [2, 3, 4]
    clock.move(15 * DAY)
    assert retention.run(old)["events"] == 2
    assert subjects(core.engine) == [4]


def test_the_months_of_a_store_can_be_put_together_again(store: Engine) -> None:
    """Down to the version before and up again every event is there, kept as before, and numbers go on."""
    first = begins(store)
    months.ahead(store, first)
    write(store, NOW, first, first + 9999 * DAY)
    config = db._alembic()
    with store.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0011")
    assert where(store) == ["event"] * 3
    with pytest.raises(IntegrityError, match="append-only"):
        try_out(store, "TRUNCATE event")
    db.migrate(store)
    assert where(store) == ["event_before"] * 3
    assert begins(store) > first + 9999 * DAY  # no event is outside, whatever clock it is from
    write(store, NOW)
    assert subjects(store) == [0, 1, 2, 0]
    with db.reading(store) as session:
        assert len(set(session.exec(select(Event.id)))) == 4
