"""events are only added, never changed; retention alone removes old ones

Revision: 0005, after 0004, 2026-11-22 08:00:00
"""

from alembic import op


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

# The door for retention is the row "events.retire" of "known": events older than its time may go. `monitor.audit.retire`
# writes it and takes it away again within one transaction, so that nobody else ever sees the door open.
_POSTGRESQL = (
    """
CREATE FUNCTION event_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < (SELECT at FROM known WHERE name = 'events.retire') THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'events are append-only, refused: %', TG_OP USING ERRCODE = 'restrict_violation';
END $$
""",
    'CREATE TRIGGER event_is_kept BEFORE UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION event_is_kept()',
    'CREATE TRIGGER event_is_not_emptied BEFORE TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION event_is_kept()',
)
_SQLITE = (
    """
CREATE TRIGGER event_is_not_changed BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'events are append-only, refused: UPDATE');
END
""",
    """
CREATE TRIGGER event_is_kept BEFORE DELETE ON event
WHEN OLD.at >= COALESCE((SELECT at FROM known WHERE name = 'events.retire'), '')
BEGIN
    SELECT RAISE(ABORT, 'events are append-only, refused: DELETE');
END
""",
)


def upgrade() -> None:
    for statement in _POSTGRESQL if op.get_bind().dialect.name == 'postgresql' else _SQLITE:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('DROP TRIGGER event_is_not_emptied ON event')
        op.execute('DROP TRIGGER event_is_kept ON event')
        op.execute('DROP FUNCTION event_is_kept()')
    else:
        op.execute('DROP TRIGGER event_is_not_changed')
        op.execute('DROP TRIGGER event_is_kept')
