"""Loading a PostgreSQL with millions of rows: no trigger fires meanwhile, and indexes are built in the end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

_INDEXES = """
SELECT c.relname, replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') FROM pg_index i JOIN pg_class c
ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid) ORDER BY 1
"""
_HASTY = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_wal_size": "'8GB'"}


@contextmanager
def bare(engine: Engine) -> Iterator[None]:
    """Indexes that no constraint needs are gone until the end; the server, which must be ours, is in a hurry.

    What is interrupted leaves a store that is to be thrown away.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name, value in _HASTY.items():
            connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = {value}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        indexes = dict(iter(connection.exec_driver_sql(_INDEXES)))
        for name in indexes:
            connection.exec_driver_sql(f'DROP INDEX "{name}"')
        yield
        connection.exec_driver_sql("SET maintenance_work_mem = '2GB'")
        for name, how in indexes.items():
            start = time.perf_counter()
            connection.exec_driver_sql(how)
            print(f"  index {name}: {time.perf_counter() - start:.1f} s", flush=True)
        connection.exec_driver_sql("ALTER SYSTEM RESET ALL")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql("CHECKPOINT")
