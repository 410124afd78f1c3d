"""clocks that know hours, kinds and people

Revision: 0004, after 0003, 2026-11-22 08:00:00
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

_TEXTS = {
    'case': ('tier',),
    'crisis': ('members', 'facts', 'review'),
    'person': ('dingtalk', 'wecom', 'feishu'),
}
_LISTS = ('shops', 'categories', 'tiers')


def upgrade() -> None:
    for table, names in _TEXTS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.String(), nullable=False, server_default=''))
    op.add_column('crisis', sa.Column('kind', sa.String(), nullable=False, server_default='review'))
    for name in _LISTS:
        op.add_column('person', sa.Column(name, sa.JSON(), nullable=False, server_default='[]'))
    op.add_column('person', sa.Column('most_open', sa.Integer(), nullable=False, server_default='0'))
    op.drop_table('calendar_day')
    op.drop_table('rota')
    op.create_table('swap',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('absent_id', sa.Integer(), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('starts_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('ends_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['absent_id'], ['person.id'], ),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ix_swap_ends_at', 'swap', ['ends_at'], unique=False)
    op.create_table('pace',
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('target', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('next_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('channel', 'target')
    )
    op.create_table('known',
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('value', sa.JSON(), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    _index_outbox('state', 'channel', 'not_before', 'id')


def downgrade() -> None:
    _index_outbox('state', 'not_before')
    for table in ('known', 'pace', 'swap'):
        op.drop_table(table)
    op.create_table('rota',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('shop_id', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('starts_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('ends_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], ),
    sa.ForeignKeyConstraint(['shop_id'], ['shop.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ix_rota_starts_at', 'rota', ['starts_at'], unique=False)
    op.create_table('calendar_day',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('day')
    )
    op.drop_column('person', 'most_open')
    for name in _LISTS:
        op.drop_column('person', name)
    op.drop_column('crisis', 'kind')
    for table, names in _TEXTS.items():
        for name in names:
            op.drop_column(table, name)


def _index_outbox(*columns: str) -> None:
    op.drop_index('outbox_due', table_name='outbox')
    op.create_index('outbox_due', 'outbox', list(columns), unique=False)
