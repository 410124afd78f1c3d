"""health of sources and spread

Revision: 0003, after 0002, 2026-11-22 05:30:12.104512
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('spread',
    sa.Column('feedback_id', sa.Integer(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('likes', sa.Integer(), nullable=True),
    sa.Column('reposts', sa.Integer(), nullable=True),
    sa.Column('comments', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['feedback_id'], ['feedback.id'], ),
    sa.PrimaryKeyConstraint('feedback_id', 'step')
    )
    op.add_column('source', sa.Column('expires', sa.JSON(), nullable=False, server_default='{}'))
    op.add_column('run', sa.Column('unchanged', sa.Integer(), nullable=False, server_default='0'))
    op.add_column('run', sa.Column('fills', sa.JSON(), nullable=False, server_default='{}'))
    op.create_index('run_history', 'run', ['source_id', 'started_at'], unique=False)
    op.drop_index('ix_run_source_id', table_name='run')


def downgrade() -> None:
    op.create_index('ix_run_source_id', 'run', ['source_id'], unique=False)
    op.drop_index('run_history', table_name='run')
    op.drop_column('run', 'fills')
    op.drop_column('run', 'unchanged')
    op.drop_column('source', 'expires')
    op.drop_table('spread')
