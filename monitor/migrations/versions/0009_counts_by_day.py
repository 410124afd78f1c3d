"""counts by day, and which hours have changed since they were counted

Revision: 0009, after 0008, 2026-11-22 12:30:00
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op


revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

# An hour is 'YYYY-MM-DD HH', UTC. PostgreSQL only adds: were an hour kept once, a transaction that finds it there could
# commit its feedback after the count that takes the hour away.
_COUNTED = 'happened_at', 'shop_id', 'platform', 'product', 'stars', 'kind', 'extra', 'case_id'
_POSTGRESQL_HOUR = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24')"


def _sqlite() -> list[str]:
    mark = 'INSERT INTO day_change (hour) SELECT {hour} WHERE NOT EXISTS (SELECT 1 FROM day_change WHERE hour = {hour})'
    of = 'INSERT INTO day_change (hour) SELECT DISTINCT substr(happened_at, 1, 13) FROM feedback WHERE {where}'
    new, old = (mark.format(hour=f'substr({row}.happened_at, 1, 13)') for row in ('NEW', 'OLD'))
    return [
        f'CREATE TRIGGER day_count_feedback_new AFTER INSERT ON feedback BEGIN {new}; END',
        f'CREATE TRIGGER day_count_feedback_edit AFTER UPDATE OF {", ".join(_COUNTED)} ON feedback BEGIN {old}; {new}; END',
        f'CREATE TRIGGER day_count_feedback_gone AFTER DELETE ON feedback BEGIN {old}; END',
        *(
            f'CREATE TRIGGER day_count_score_{name} AFTER {what} ON score BEGIN {of.format(where=f"id = {row}.feedback_id")}; END'
            for name, what, row in (
                ('new', 'INSERT', 'NEW'),
                ('edit', 'UPDATE OF negative, categories', 'NEW'),
                ('gone', 'DELETE', 'OLD'),
            )
        ),
        "CREATE TRIGGER day_count_case_judged AFTER UPDATE OF state ON \"case\""
        " WHEN (OLD.state = 'false_alarm') <> (NEW.state = 'false_alarm')"
        f' BEGIN {of.format(where="case_id = NEW.id")}; END',
        of.format(where='1'),
    ]


def _postgresql() -> list[str]:
    def trigger(name: str, table: str, event: str, rows: str, source: str) -> list[str]:
        return [
            f'CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO day_change (hour)'
            f' SELECT DISTINCT {_POSTGRESQL_HOUR.format("happened_at")} FROM {source}; RETURN NULL; END $$',
            f'CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows} FOR EACH STATEMENT'
            f' EXECUTE FUNCTION {name}()',
        ]

    news, olds = 'NEW TABLE AS new_rows', 'OLD TABLE AS old_rows'
    told, was = (', '.join(f'{row}.{name}' for name in _COUNTED).replace('extra', 'extra::text') for row in ('n', 'o'))
    edited = f'new_rows n JOIN old_rows o ON o.id = n.id WHERE ({told}) IS DISTINCT FROM ({was})'
    both = f'(SELECT n.happened_at FROM {edited} UNION ALL SELECT o.happened_at FROM {edited}) changed'
    # arrays keep the planner, which knows nothing of these rows, at the indexes of feedback
    judged = 'feedback WHERE id = ANY (ARRAY(SELECT feedback_id FROM {}))'
    turned = (
        'feedback WHERE case_id = ANY (ARRAY(SELECT n.id FROM new_rows n JOIN old_rows o ON o.id = n.id'
        " WHERE (n.state = 'false_alarm') <> (o.state = 'false_alarm')))"
    )
    everything = f'INSERT INTO day_change (hour) SELECT DISTINCT {_POSTGRESQL_HOUR.format("happened_at")} FROM feedback'
    return [
        *trigger('day_count_feedback_new', 'feedback', 'INSERT', news, 'new_rows'),
        *trigger('day_count_feedback_edit', 'feedback', 'UPDATE', f'{news} {olds}', both),
        *trigger('day_count_feedback_gone', 'feedback', 'DELETE', olds, 'old_rows'),
        *trigger('day_count_score_new', 'score', 'INSERT', news, judged.format('new_rows')),
        *trigger('day_count_score_edit', 'score', 'UPDATE', news, judged.format('new_rows')),
        *trigger('day_count_score_gone', 'score', 'DELETE', olds, judged.format('old_rows')),
        *trigger('day_count_case_judged', '"case"', 'UPDATE', f'{news} {olds}', turned),
        everything,
    ]


def upgrade() -> None:
    op.create_table('day_count',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('field', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('shop_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('value', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('n', sa.Integer(), nullable=False),
    sa.Column('negative', sa.Integer(), nullable=False),
    sa.Column('starred', sa.Integer(), nullable=False),
    sa.Column('satisfied', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('day_count_day', 'day_count', ['day', 'field'], unique=False)
    op.create_table('day_change',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('hour', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_day_change_hour'), 'day_change', ['hour'], unique=False)
    for statement in _postgresql() if op.get_bind().dialect.name == 'postgresql' else _sqlite():
        op.execute(statement)


_TRIGGERS = {
    'feedback': ('day_count_feedback_new', 'day_count_feedback_edit', 'day_count_feedback_gone'),
    'score': ('day_count_score_new', 'day_count_score_edit', 'day_count_score_gone'),
    '"case"': ('day_count_case_judged',),
}


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == 'postgresql'
    for table, names in _TRIGGERS.items():
        for name in names:
            op.execute(f'DROP TRIGGER {name}' + (f' ON {table}' if postgresql else ''))
            if postgresql:
                op.execute(f'DROP FUNCTION {name}()')
    op.drop_table('day_change')
    op.drop_table('day_count')
