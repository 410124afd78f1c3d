"""what broke out together

Revision: 0007, after 0006, 2026-11-22 11:00:00
"""

import sqlalchemy as sa
from alembic import op


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('crisis', sa.Column('also', sa.JSON(), nullable=False, server_default='[]'))


def downgrade() -> None:
    op.drop_column('crisis', 'also')
