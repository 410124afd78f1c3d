"""feedback that lost its words, and how many salts count

Revision: 0011, after 0010, 2026-11-22 14:10:00
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op


revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback", sa.Column("cleared", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default=""))
    # whoever stores feedback looks at this row first, so that a new salt never finds some half stored: monitor/salts.py
    at = "now()" if op.get_bind().dialect.name == "postgresql" else "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    op.execute(f"INSERT INTO known (name, value, at) VALUES ('salts', '{{\"count\": 1}}', {at})")


def downgrade() -> None:
    op.execute("DELETE FROM known WHERE name = 'salts'")
    op.drop_column("feedback", "cleared")
