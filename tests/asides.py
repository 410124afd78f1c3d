"""Databases of a test's own on the real PostgreSQL: without tables, and gone afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from sqlalchemy import Engine, make_url, text

from monitor import db
from monitor.limits import Limits

_numbers = count()


@contextmanager
def fresh_postgresql(server: str, limits: Limits = Limits()) -> Iterator[Engine]:  # noqa: B008 — it is frozen
    """A database with nothing in it."""
    url, name = make_url(server), f"aside_{os.getpid()}_{next(_numbers)}"
    admin = db.connect(server).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = db.connect(url.set(database=name).render_as_string(hide_password=False), limits=limits)
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
