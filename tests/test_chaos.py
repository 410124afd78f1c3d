"""Two real services on one store, killed at random amid bad providers: in short what ``make chaos`` does at length."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import chaos
import pytest
from sqlalchemy import text

from monitor import db

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for logs that stays where the run failed is of no use: its name stands in the message."""
    path = Path(tempfile.mkdtemp(prefix="pingshao-chaos-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """An empty store, not even migrated."""
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'chaos.db'}"
        return
    server: str = request.getfixturevalue("postgres")
    name = folder.name.replace("-", "_")
    _admin(server, f'CREATE DATABASE "{name}"')
    yield server.replace("/postgres?", f"/{name}?")
    _admin(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def test_nothing_is_lost_and_nothing_comes_twice(url: str, folder: Path) -> None:
    """Whatever is killed and whatever providers do: each message once, each clock once, each step in the audit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a server's thread may outlive its test by a breath
        outcome = chaos.run(chaos.Plan(seed=20261122, url=url, folder=folder, reviews=20, kills=6))
    assert not outcome.report.faults, outcome.told()
    assert outcome.acts["killed"] >= 6
    assert outcome.report.figures["messages"] >= 80


def _admin(url: str, statement: str) -> None:
    engine = db.connect(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()
