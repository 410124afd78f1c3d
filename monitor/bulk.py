"""Many rows at once, several times faster than the ORM's bulk methods: by SQLAlchemy's Core, or by PostgreSQL's COPY.

COPY into the table itself, or into a temporary one from which a single statement inserts or updates. For few rows the
making of that table costs more than it saves.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row, Table, TableClause, bindparam, column, insert, select, text, update
from sqlalchemy import table as clause
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, SQLModel

from monitor import refusals

_MANY = 50  # rows from which on COPY wins
_INCOMING = "incoming"

Values = Sequence[dict[str, Any]]


def table(model: type[SQLModel]) -> Table:
    """The model's table."""
    found: Table = model.__table__  # type: ignore[attr-defined]
    return found


def insert_rows(session: Session, model: type[SQLModel], rows: Values) -> None:
    """Insert rows; each dict names the same columns, and every one without a default."""
    if _by_copy(session, rows):
        _copy(session, table(model).name, table(model), _columns(table(model), rows), rows)
    elif rows:
        session.execute(insert(table(model)), list(rows))


def insert_numbered(session: Session, model: type[SQLModel], rows: Values) -> list[int]:
    """Insert rows as `insert_rows` does; gives the ids that the database found for them, in the rows' order."""
    if not rows:
        return []
    target = table(model)
    if not _by_copy(session, rows):
        statement = insert(target).returning(target.c.id, sort_by_parameter_order=True)
        return list(session.execute(statement, list(rows)).scalars())
    numbers = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
    ids = list(session.execute(numbers, {"name": f'"{target.name}"', "count": len(rows)}).scalars())
    insert_rows(session, model, [{"id": n, **row} for n, row in zip(ids, rows, strict=True)])
    return ids


def upsert(
    session: Session, model: type[SQLModel], rows: Values, key: Sequence[str], change: Sequence[str] = ()
) -> Sequence[Row[Any]]:
    """Insert rows that are not there yet; of one that is, some columns are written anew.

    Args:
        session: A transaction that writes.
        model: Their table.
        rows: As for `insert_rows`.
        key: The unique columns by which a row is known.
        change: What is written of a row that is known; nothing where there is none.

    Returns:
        Primary key and key of each row that was written.
    """
    if not rows:
        return []
    target = table(model)
    dialect = postgresql if _postgresql(session) else sqlite
    statement = dialect.insert(target)
    if change:
        changed = {name: statement.excluded[name] for name in change}
        statement = statement.on_conflict_do_update(index_elements=key, set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    statement = statement.returning(*dict.fromkeys([*target.primary_key, *(target.c[name] for name in key)]))
    if not _by_copy(session, rows):
        return session.execute(statement, list(rows)).all()
    names = _columns(target, rows)
    with _incoming(session, target, names, rows) as given:
        return session.execute(statement.from_select(names, select(given))).all()


def update_rows(session: Session, model: type[SQLModel], rows: Values, key: str = "id") -> None:
    """Write columns of known rows; each dict names the key and the same columns. Objects are not refreshed."""
    if not rows:
        return
    target, names = table(model), [name for name in rows[0] if name != key]
    if _by_copy(session, rows):
        with _incoming(session, target, [key, *names], rows) as given:
            same = update(target).where(target.c[key] == given.c[key])
            session.execute(same.values({name: given.c[name] for name in names}))
        return
    statement = update(target).where(target.c[key] == bindparam(f"old_{key}"))
    statement = statement.values({name: bindparam(f"new_{name}") for name in names})
    session.execute(
        statement, [{f"old_{key}": row[key]} | {f"new_{name}": row[name] for name in names} for row in rows]
    )


def update_column(session: Session, model: type[SQLModel], name: str, values: dict[int, Any]) -> None:
    """`update_rows` of one column, by row id."""
    update_rows(session, model, [{"id": n, name: value} for n, value in values.items()])


def _postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _by_copy(session: Session, rows: Values) -> bool:
    return len(rows) >= _MANY and _postgresql(session)


def _columns(target: Table, rows: Values) -> list[str]:
    """What the rows name, and what has a default of the model's."""
    return [column.name for column in target.columns if column.name in rows[0] or column.default is not None]


@contextmanager
def _incoming(session: Session, target: Table, names: Sequence[str], rows: Values) -> Iterator[TableClause]:
    """The rows as a table of this transaction's own."""
    session.execute(text(f"CREATE TEMP TABLE {_INCOMING} ({_typed(session, target, names)}) ON COMMIT DROP"))
    _copy(session, _INCOMING, target, names, rows)
    yield clause(_INCOMING, *(column(name, target.c[name].type) for name in names))
    session.execute(text(f"DROP TABLE {_INCOMING}"))


def _copy(session: Session, into: str, target: Table, names: Sequence[str], rows: Values) -> None:
    connection = session.connection()
    dialect: Any = connection.dialect
    defaults = {name: getattr(target.c[name].default, "arg", None) for name in names}
    processors = [target.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    statement = f'COPY "{into}" ({_listed(names)}) FROM STDIN'
    driver: Any = connection.connection.driver_connection
    try:
        with refusals.unworded(), driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                values = (row[name] if name in row else defaults[name] for name in names)
                copy.write_row([done(value) if done else value for done, value in zip(processors, values, strict=True)])
    except dialect.dbapi.Error as error:  # as SQLAlchemy tells those of its own statements
        if dialect.is_disconnect(error, driver, None):
            connection.invalidate(error)
        base = dialect.dbapi.Error
        raise DBAPIError.instance(statement, None, error, base, hide_parameters=True, dialect=dialect) from None


def _typed(session: Session, target: Table, names: Sequence[str]) -> str:
    dialect = session.get_bind().dialect
    return ", ".join(f'"{name}" {target.c[name].type.compile(dialect)}' for name in names)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
