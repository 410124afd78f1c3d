"""what the desk needs

Revision: 0008, after 0007, 2026-11-22 12:00:00
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

# what monitor/search.py keeps: numbers alone, no words
_SEARCH = {
    'postgresql': (
        'CREATE TABLE feedback_search (feedback_id integer PRIMARY KEY REFERENCES feedback (id) ON DELETE CASCADE,'
        ' grams integer[] NOT NULL)',
        'CREATE INDEX feedback_search_grams ON feedback_search USING gin (grams)',
    ),
    'sqlite': (
        "CREATE VIRTUAL TABLE feedback_search USING fts5 (grams, content = '', detail = none, columnsize = 0,"
        ' tokenize = ascii)',
    ),
}
# feedback that is here already is indexed by the service while it works: `monitor.search.fill`
_UNFILLED = {
    'postgresql': """INSERT INTO known (name, value, at)
        SELECT 'search.filled', json_build_object('below', max(id) + 1), now() FROM feedback HAVING max(id) > 0""",
    'sqlite': """INSERT INTO known (name, value, at) SELECT 'search.filled', json_object('below', max(id) + 1),
        strftime('%Y-%m-%d %H:%M:%f000', 'now') FROM feedback HAVING max(id) > 0""",
}


def upgrade() -> None:
    op.drop_index('run_history', 'run')
    op.create_index('run_history', 'run', ['source_id', 'started_at', 'status', 'new'])
    op.create_index('case_updated', 'case', ['updated_at', 'id'])
    op.create_index('event_actor', 'event', ['actor', 'id'])
    op.create_index('feedback_mentions', 'feedback', ['happened_at'],
    sqlite_where=sa.text("kind = 'mention'"), postgresql_where=sa.text("kind = 'mention'"))
    for statement in (*_SEARCH[op.get_bind().dialect.name], _UNFILLED[op.get_bind().dialect.name]):
        op.execute(statement)
    op.create_table('override',
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('value', sa.JSON(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('key')
    )
    op.add_column('indicator', sa.Column('above', sa.Float(), nullable=True))
    op.create_table('api_token',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('digest', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=True),
    sa.Column('role', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('scopes', sa.JSON(), nullable=False),
    sa.Column('shops', sa.JSON(), nullable=False),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('created_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('expires_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('last_used_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('revoked_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], ),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('digest'),
    sa.UniqueConstraint('name')
    )
    op.create_table('answer_finding',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('feedback_id', sa.Integer(), nullable=False),
    sa.Column('shop_id', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('mark', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('words', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('why', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('answer', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('found_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('settled_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('settled_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['feedback_id'], ['feedback.id'], ),
    sa.ForeignKeyConstraint(['shop_id'], ['shop.id'], ),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('feedback_id', 'kind', 'mark')
    )
    op.create_index('answer_finding_state', 'answer_finding', ['state', 'found_at'], unique=False)


def downgrade() -> None:
    op.drop_table('answer_finding')
    op.execute('DROP TABLE feedback_search')
    op.drop_index('feedback_mentions', 'feedback')
    op.drop_index('event_actor', 'event')
    op.drop_index('case_updated', 'case')
    op.drop_index('run_history', 'run')
    op.create_index('run_history', 'run', ['source_id', 'started_at'])
    op.execute("DELETE FROM known WHERE name = 'search.filled'")
    op.drop_table('api_token')
    op.drop_column('indicator', 'above')
    op.drop_table('override')
