"""Alembic's entry: runs on the connection that ``monitor.db`` hands over."""

from alembic import context
from sqlmodel import SQLModel

import monitor.models

assert monitor.models  # the import fills the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    transaction_per_migration=True,  # where nobody began one for all of them
    # made by hand, or month by month
    include_name=lambda name, kind, _: kind != "table" or not (name or "").startswith(("feedback_search", "event_")),
)
with context.begin_transaction():
    context.run_migrations()
