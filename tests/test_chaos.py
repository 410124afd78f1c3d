"""Two real services on one store, killed at random amid bad providers: in short what ``make chaos`` does at length."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import chaos
import pytest
from chaos_world import Plan
from sqlalchemy import text

from monitor import db

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty store, not even migrated."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'chaos.db'}"
        return
    server: str = request.getfixturevalue("postgres")
    name = "chaos"
    _admin(server, f'CREATE DATABASE "{name}"')
    yield server.replace("/postgres?", f"/{name}?")
    _admin(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def test_nothing_is_lost_and_nothing_comes_twice(url: str, tmp_path: Path) -> None:
    """Whatever is killed and whatever providers do: each message once, each clock once, each step in the audit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a server's thread may outlive its test by a breath
        outcome = chaos.run(Plan(seed=20261122, url=url, folder=tmp_path, reviews=12, kills=6, lease=3.0))
    assert not outcome.report.faults, outcome.told()
    assert outcome.acts["killed"] >= 6
    assert outcome.report.figures["messages"] >= 80


def _admin(url: str, statement: str) -> None:
    engine = db.connect(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()
