"""What a database says of an error reaches nobody with a buyer's words in it: not logs, rows, pages or messages."""

import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import structlog
from factories import NOW, make_item, make_settings
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import Session, select

from crawler.job import CrawlResult
from monitor import bulk, db, directory, intake, logs, refusals, rows, runs
from monitor.core import Core
from monitor.incoming import Origin
from monitor.models import Feedback, FeedbackVersion, Source
from monitor.pipeline import NotStored, StorePipeline

BUYER, PLAIN, BROKEN = (
    name[::-1] for name in ("花翠", "htrowselkciP-auhuiC", "了碎就到收")
)  # not as a traceback's lines have it
WORDS = f'{BUYER}说："{BROKEN}" {PLAIN}'


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What the log said since it was asked last."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    logs.set_up()
    yield lambda: capsys.readouterr().err
    root.handlers = handlers


def clean(told: str) -> bool:
    return not [words for words in (BUYER, PLAIN, BROKEN) if words in told]


def place(session: Session) -> Origin:
    directory.sync(session, make_settings())
    source = directory.ensure_source(session, "site", "html", "demo")
    assert source.id is not None
    return Origin(source.id, "demo", "tmall", "review", True)


def row(session: Session, n: int = 0, **values: Any) -> dict[str, Any]:
    row = {"source_id": place(session).source_id, "shop_id": "demo", "external_id": f"{PLAIN}{n}", "text": WORDS}
    row |= {
        "happened_at": NOW,
        "first_seen_at": NOW,
        "updated_at": NOW,
        "content_hash": "x",
        "author": BUYER,
        "extra": {},
    }
    return row | values


def nothing_where_something_must_be(session: Session) -> None:
    bulk.insert_rows(session, Feedback, [row(session, reply=None)])


def by_objects(session: Session) -> None:
    session.add_all([Feedback(**row(session)) for _ in range(2)])
    session.flush()


def twice(session: Session) -> None:
    bulk.insert_rows(session, Feedback, [row(session), row(session)])


def many(session: Session) -> None:
    bulk.insert_rows(session, Feedback, [row(session, n, reply=None) for n in range(60)])


def many_twice(session: Session) -> None:
    bulk.insert_rows(session, Feedback, [row(session) for _ in range(60)])


def changed(session: Session) -> None:
    (n,) = bulk.insert_numbered(session, Feedback, [row(session)])
    bulk.update_column(session, Feedback, "source_id", {n: 7_000_000})
    session.commit()


def no_json(session: Session) -> None:
    session.execute(text("SELECT json_extract(:it, '$.a')" if sqlite(session) else "SELECT CAST(:it AS json)"), it())


def no_number(session: Session) -> None:
    statement = "SELECT count(*) FROM feedback_search WHERE feedback_search MATCH :it"
    session.execute(text(statement if sqlite(session) else "SELECT CAST(:it AS integer)"), it())


def no_text(session: Session) -> None:
    session.add(FeedbackVersion(feedback_id=1, version=1, text=WORDS + "\ud800", at=NOW))
    session.flush()


def it() -> dict[str, str]:
    return {"it": WORDS}


def sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


WAYS = (nothing_where_something_must_be, by_objects, twice, many, many_twice, changed, no_json, no_number, no_text)


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_the_store_says_nothing_of_the_rows(
    engine: Engine, said: Callable[[], str], way: Callable[[Session], None]
) -> None:
    """By objects, by statements of few rows or many, at the commit, for values that are none: the rule stays, alone."""
    with pytest.raises((SQLAlchemyError, UnicodeError)) as caught, db.writing(engine) as session:
        way(session)
    error = caught.value
    assert clean("".join(traceback.format_exception(error)))
    assert clean(f"{error} {error!r} {error.args} {getattr(error, 'orig', '')!r} {logs.told(error)}")
    structlog.get_logger().error("round broke", exc_info=error)
    structlog.get_logger().error("refused", error=error, orig=str(getattr(error, "orig", "")))
    logging.getLogger("elsewhere").error("Exception in ASGI application: %s", error, exc_info=error)
    told = said()
    assert len(told.splitlines()) == 3
    assert clean(told)
    if isinstance(error, DBAPIError):
        assert "DETAIL" not in told
        assert type(error.orig).__name__ in told


def test_which_rule_was_broken_stays(engine: Engine) -> None:
    """An engineer still reads the table, the column and the constraint."""
    named = "feedback_source_id_external_id|feedback.source_id, feedback.external_id"
    for way, expected in ((by_objects, named), (many, "reply"), (changed, "(?i)foreign key")):
        with pytest.raises(DBAPIError, match=expected), db.writing(engine) as session:
            way(session)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_connection_that_is_not_ours_is_clean_in_the_log(engine: Engine, said: Callable[[], str]) -> None:
    """The queue's library has connections of its own: what it logs of theirs loses the rows as well."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("CREATE TEMP TABLE one (it text PRIMARY KEY)")
        with pytest.raises(psycopg.errors.UniqueViolation, match="DETAIL") as caught:
            driver.execute("INSERT INTO one VALUES (%s), (%s)", (WORDS, WORDS))
    assert not clean(str(caught.value)), "PostgreSQL says it"
    logging.getLogger("procrastinate.worker").error("job broke", exc_info=caught.value)
    told = said()
    assert "UniqueViolation" in told
    assert clean(told)


def test_a_copy_that_breaks_tells_the_operator_no_row(postgres: str) -> None:
    """Moving and restoring stores say at the terminal why they stopped: not with the line they stopped at."""
    engine = db.connect(postgres)
    names = ("name", "value", "at")
    with pytest.raises(psycopg.Error, match="invalid input syntax") as caught, engine.begin() as store:
        rows.write_postgresql(store, "known", names, [("a", "{}", str(NOW)), (BUYER, WORDS, str(NOW))])
    assert clean(str(caught.value))
    engine.dispose()


def test_other_errors_stay_as_they_are() -> None:
    """Only what a database's driver says is cut."""
    error = ValueError("cannot read '漏水'")
    refusals.take_words(error)
    assert str(error) == "cannot read '漏水'"
    assert logs.told(error) == "ValueError: cannot read '…'"


def broken(core: Core, monkeypatch: pytest.MonkeyPatch) -> Origin:
    """A store that takes no feedback any more, since a rule was added that none keeps."""
    with db.writing(core.engine) as session:
        origin = place(session)
        if sqlite(session):
            refuse = "CREATE TRIGGER none_more BEFORE INSERT ON feedback BEGIN SELECT RAISE(ABORT, 'none_more'); END"
            session.execute(text(refuse))
        else:
            session.execute(text("ALTER TABLE feedback ADD CONSTRAINT none_more CHECK (source_id < 0) NOT VALID"))
    monkeypatch.setattr(StorePipeline, "_count", lambda *_: None)
    return origin


@pytest.mark.parametrize("count", [3, 60])
def test_a_crawl_whose_items_break_the_store_tells_which_rule(
    core: Core, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Log, ledger, the source's row (which the status page shows) and the message to staff name the rule alone."""
    origin = broken(core, monkeypatch)
    pipe = StorePipeline(None)  # type: ignore[arg-type]
    pipe._core, pipe._origin = core, origin
    try:
        for n in range(count):
            pipe.process_item(make_item(str(n), f"{n} {WORDS}", author=BUYER))
        with pytest.raises(NotStored) as refused:
            pipe._flush()
        with pytest.raises(DBAPIError) as caught:
            intake.store(core, origin, [make_item("0", WORDS, author=BUYER)])
    finally:
        with db.writing(core.engine) as session:
            plain = "DROP TRIGGER none_more"
            session.execute(text(plain if sqlite(session) else "ALTER TABLE feedback DROP CONSTRAINT none_more"))
    structlog.get_logger().error("crawl broke", exc_info=refused.value)
    structlog.get_logger().error("crawl broke", exc_info=caught.value)
    started = runs.start(core, "site", "html", "demo", mention=False)
    assert isinstance(started, runs.Started)
    runs.finish(core, started, CrawlResult("failed", error=f"入库出错 {logs.told(refused.value)}"))
    with db.reading(core.engine) as session:
        stored = session.exec(select(Source).where(Source.name == "site")).one().last_error
    for told in (said(), stored, str(core.notify)):
        assert "none_more" in told, told
        assert clean(told)
