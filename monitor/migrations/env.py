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
    include_name=lambda name, kind, _: kind != "table" or not (name or "").startswith("feedback_search"),  # its own
)
with context.begin_transaction():
    context.run_migrations()
