"""when complaints were written, beside what was thought of them

Revision: 0013, after 0012, 2026-11-23 00:20:00
"""

import sqlalchemy as sa
from alembic import op

from monitor.migrations import beside

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_UNKNOWN = "1970-01-01 00:00:00.000000"  # of rows that are still to be filled in
_ROWS = 20_000  # filled in at a time
_FILL = f"""UPDATE score SET happened_at = f.happened_at FROM feedback f WHERE f.id = score.feedback_id
    AND score.feedback_id BETWEEN {{}} AND {{}} AND score.happened_at = '{_UNKNOWN}+00'"""
# Only verdicts that changed make hours to be counted anew: filling in would have made all of them.
_EDITED = """CREATE OR REPLACE FUNCTION day_count_score_edit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO day_change (hour)
    SELECT DISTINCT to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24') FROM feedback
    WHERE id = ANY (ARRAY({})); RETURN NULL; END $$"""
_CHANGED = """SELECT n.feedback_id FROM new_rows n JOIN old_rows o ON o.feedback_id = n.feedback_id
    WHERE (n.negative, n.categories::text) IS DISTINCT FROM (o.negative, o.categories::text)"""
_TRIGGER = """CREATE OR REPLACE TRIGGER day_count_score_edit AFTER UPDATE ON score
    REFERENCING NEW TABLE AS new_rows {} FOR EACH STATEMENT EXECUTE FUNCTION day_count_score_edit()"""


def upgrade() -> None:
    column = sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False, server_default=_UNKNOWN)
    if op.get_bind().dialect.name == "postgresql":
        column.server_default = sa.DefaultClause(f"{_UNKNOWN}+00")
        op.add_column("score", column, if_not_exists=True)  # as is all here: a process may have been killed
        op.drop_index("score_negative", table_name="score", if_exists=True)
        op.execute(_TRIGGER.format("OLD TABLE AS old_rows"))
        op.execute(_EDITED.format(_CHANGED))
        op.execute("ALTER FUNCTION day_count_score_edit() SET enable_nestloop = off")
        beside.by_ranges("score", "feedback_id", _ROWS, _FILL)
    else:
        op.add_column("score", column)
        op.drop_index("score_negative", table_name="score")
        op.execute("UPDATE score SET happened_at = (SELECT happened_at FROM feedback WHERE id = score.feedback_id)")
        _without_default()
    complains = {f"{dialect}_where": sa.text(f"negative{said}") for dialect, said in (("sqlite", " = 1"), ("postgresql", ""))}
    beside.create_index("score_complaint", "score", ["happened_at", "feedback_id"], **complains)
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("score", "happened_at", server_default=None)


def _without_default() -> None:
    """SQLite makes the whole table anew for that, and forgets its triggers."""
    triggers = op.get_bind().exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'score'")
    kept = [trigger for (trigger,) in triggers]
    with op.batch_alter_table("score") as score:
        score.alter_column("happened_at", server_default=None)
    for trigger in kept:
        op.execute(trigger)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_EDITED.format("SELECT feedback_id FROM new_rows"))
        op.execute("ALTER FUNCTION day_count_score_edit() RESET ALL")
        op.execute(_TRIGGER.format(""))
    op.drop_index("score_complaint", table_name="score")
    op.drop_column("score", "happened_at")
    op.create_index("score_negative", "score", ["negative", "feedback_id"])
