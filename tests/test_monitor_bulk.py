"""Many rows at once: few and many, on either database, leave the same behind."""

import threading
import traceback
from collections.abc import Sequence
from typing import Any

import pytest
from factories import NOW
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlmodel import Session, col, select

from monitor import db
from monitor.bulk import insert_numbered, insert_rows, update_column, update_rows, upsert
from monitor.models import Event, Feedback, Known, Shop, Source, Spread

FEW, MANY = 3, 120
HARD = ("\\N", "\\.", "a\tb\nc\r\\", "\"'{},", "", " 空 格 ", "😀漏水", "\x01", "\\x00", "NULL", "a|b")


def place(session: Session) -> None:
    """What feedback hangs on."""
    session.add(Shop(id="demo", name="示例旗舰店", platform="tmall"))
    session.flush()
    session.add(Source(id=1, name="site", kind="html", shop_id="demo"))
    session.flush()


def feedback(n: int, **values: Any) -> dict[str, Any]:
    """All that has no default of the model's, and some more."""
    row = {"source_id": 1, "shop_id": "demo", "external_id": str(n), "text": HARD[n % len(HARD)], "extra": {"n": [n]}}
    return row | {"happened_at": NOW, "first_seen_at": NOW, "updated_at": NOW, "content_hash": "x", **values}


def stored(engine: Engine, model: Any) -> list[dict[str, Any]]:
    with db.reading(engine) as session:
        return [row.model_dump() for row in session.exec(select(model).order_by(*model.__table__.primary_key))]


@pytest.mark.parametrize("count", [0, 1, FEW, MANY])
def test_what_is_inserted_comes_back_letter_by_letter(engine: Engine, count: int) -> None:
    """Whatever the text, whatever the JSON, however many; what is not named has the model's default."""
    values: Sequence[Any] = ({"ä": None}, {"a": [1, 2.5, "\\N"]}, {}, {"b": {"c": True}})
    rows = [{"name": f"{n}{HARD[n % len(HARD)]}", "value": values[n % 4], "at": NOW} for n in range(count)]
    with db.writing(engine) as session:
        before = len(session.exec(select(Known.name)).all())
        insert_rows(session, Known, rows)
        place(session)
        insert_rows(session, Feedback, [feedback(n, stars=None if n % 2 else 4.5) for n in range(count)])
    found = {row["name"]: row for row in stored(engine, Known)}
    assert len(found) == before + count
    assert [found[row["name"]] for row in rows] == rows
    for n, row in enumerate(stored(engine, Feedback)):
        assert (row["text"], row["extra"], row["happened_at"]) == (HARD[n % len(HARD)], {"n": [n]}, NOW)
        assert (row["kind"], row["version"], row["timely"], row["case_id"]) == ("review", 1, True, None)
        assert row["stars"] == (None if n % 2 else 4.5)


@pytest.mark.parametrize("count", [0, 1, FEW, MANY])
def test_ids_come_in_the_order_of_the_rows(engine: Engine, count: int) -> None:
    """Twice, so that numbers go on; what comes after by itself has the next one."""
    with db.writing(engine) as session:
        place(session)
        ids = [
            number
            for start in (0, count)
            for number in insert_numbered(session, Feedback, [feedback(n) for n in range(start, start + count)])
        ]
        insert_rows(session, Feedback, [feedback(2 * count)])
    rows = {int(row["external_id"]): row["id"] for row in stored(engine, Feedback)}
    assert [rows[n] for n in range(2 * count)] == ids
    assert rows[2 * count] > max([0, *ids])


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_row_that_is_there_is_left_and_not_told(engine: Engine, count: int) -> None:
    """Ids come back for what was written alone, in whatever order; a second time nothing is."""
    key = ("source_id", "external_id")
    with db.writing(engine) as session:
        place(session)
        first = upsert(session, Feedback, [feedback(n) for n in range(count)], key)
        both = upsert(session, Feedback, [feedback(n, text="other") for n in range(count + 2)], key)
        assert upsert(session, Feedback, [feedback(n) for n in range(count)], key) == []
        assert upsert(session, Feedback, [], key) == []
    assert sorted(int(row.external_id) for row in first) == list(range(count))
    assert sorted(int(row.external_id) for row in both) == [count, count + 1]
    rows = stored(engine, Feedback)
    told = {row.external_id: row.id for row in (*first, *both)}
    assert told == {row["external_id"]: row["id"] for row in rows}
    assert [row["text"] for row in rows[:count]] == [HARD[n % len(HARD)] for n in range(count)]


@pytest.mark.parametrize("count", [FEW, MANY])
def test_columns_that_may_change_are_written_over(engine: Engine, count: int) -> None:
    """Those alone; the others stay as they were."""
    with db.writing(engine) as session:
        place(session)
        insert_rows(session, Feedback, [feedback(n, id=n + 1) for n in range(count)])
        for likes in (1, 2):
            points = [{"feedback_id": n + 1, "step": 0, "at": NOW, "likes": likes + n} for n in range(count)]
            points = [point | {"reposts": 10 * likes, "comments": None} for point in points]
            upsert(session, Spread, points, ("feedback_id", "step"), change=("likes",))
    assert [(row["likes"], row["reposts"]) for row in stored(engine, Spread)] == [(2 + n, 10) for n in range(count)]


@pytest.mark.parametrize("count", [0, FEW, MANY])
def test_known_rows_are_updated_by_their_key(engine: Engine, count: int) -> None:
    """Several columns at once or one by id; rows that are not named and rows that are not there stay out of it."""
    with db.writing(engine) as session:
        place(session)
        insert_rows(session, Feedback, [feedback(n, id=n + 1) for n in range(count + 1)])
        news = [{"id": n + 1, "text": f"新\t{n}", "stars": None, "extra": {"was": n}} for n in range(count)]
        update_rows(session, Feedback, news)
        update_column(session, Feedback, "author_hash", {n + 1: f"h{n}" for n in range(count)} | {9999: "nobody"})
    *changed, last = stored(engine, Feedback)
    assert [(row["text"], row["stars"], row["extra"]) for row in changed] == [
        (f"新\t{n}", None, {"was": n}) for n in range(count)
    ]
    assert [row["author_hash"] for row in changed] == [f"h{n}" for n in range(count)]
    assert (last["text"], last["author_hash"]) == (HARD[count % len(HARD)], "")


def insert(engine: Engine, rows: Sequence[dict[str, Any]]) -> None:
    with db.writing(engine) as session:
        place(session)
        insert_rows(session, Feedback, rows)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_what_the_database_refuses_is_sqlalchemys_error(engine: Engine, count: int) -> None:
    """A source that is not there is an IntegrityError, and nothing is stored."""
    with pytest.raises(IntegrityError):
        insert(engine, [feedback(n, source_id=7) for n in range(count)])
    assert stored(engine, Feedback) == []


@pytest.mark.parametrize("wrong", [{"reply": None}, {"text": "a\0b"}])
def test_an_error_says_nothing_of_the_rows(postgres: str, wrong: dict[str, Any]) -> None:
    """PostgreSQL quotes the line it stumbled over; logs must not have it, not even by what led to the error."""
    engine = db.connect(postgres)
    buyer = "明小"[::-1]  # not as the traceback's own lines have it
    with pytest.raises(DBAPIError) as told:
        insert(engine, [feedback(n, author=buyer) | wrong for n in range(MANY)])
    said = "".join(traceback.format_exception(told.value))
    assert "feedback" in said
    assert buyer not in said
    engine.dispose()


def test_a_connection_that_broke_meanwhile_is_replaced(postgres: str) -> None:
    """The batch fails as any statement would, and the next one has a connection that works."""
    engine = db.connect(postgres)
    rows = [{"name": f"broken{n}", "value": {}, "at": NOW} for n in range(MANY)]
    with pytest.raises(OperationalError):
        _insert_without_connection(engine, rows, postgres)
    with db.writing(engine) as session:
        insert_rows(session, Known, rows)
        names = session.exec(select(Known.name).where(col(Known.name).startswith("broken"))).all()
        session.rollback()
    assert len(names) == MANY
    engine.dispose()


def _insert_without_connection(engine: Engine, rows: Sequence[dict[str, Any]], url: str) -> None:
    with db.writing(engine) as session:
        mine = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        other = threading.Thread(target=_end, args=[url, mine])
        other.start()
        other.join()
        insert_rows(session, Known, rows)


def _end(url: str, backend: int) -> None:
    engine = db.connect(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})
    engine.dispose()


def test_the_audit_takes_many_and_keeps_them(engine: Engine) -> None:
    """Events that come in by COPY are numbered, and as safe as others."""
    event = {"at": NOW, "actor": "a", "door": "cli", "subject": "case", "what": "x", "before": {}, "after": {}}
    with db.writing(engine) as session:
        insert_rows(session, Event, [event | {"subject_id": n} for n in range(MANY)])
    rows = stored(engine, Event)
    assert [row["subject_id"] for row in rows] == list(range(MANY))
    assert len({row["id"] for row in rows}) == MANY
    with pytest.raises(IntegrityError, match="append-only"), db.writing(engine) as session:
        session.connection().exec_driver_sql("UPDATE event SET what = 'y'")
