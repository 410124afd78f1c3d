"""what years and several machines need

Revision: 0012, after 0011, 2026-11-22 17:30:00
"""

from alembic import op
from sqlalchemy import text

from monitor.migrations import beside

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_INDEXES = {"event_subject": "subject, subject_id", "event_actor": "actor, id", "event_at": "at"}
# A month that everything is before: there is time to make the next ones, see monitor/months.py.
_MONTHS_BEGIN = """SELECT to_char(date_trunc('month', greatest(now(), max(at)) AT TIME ZONE 'UTC')
    + interval '2 months', 'YYYY-MM-DD "00:00+00"') FROM event"""
_NOT_EMPTIED = (
    "CREATE TRIGGER event_is_not_emptied BEFORE TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION event_is_kept()"
)
_KEPT = "CREATE TRIGGER event_is_kept BEFORE UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION event_is_kept()"
# Of a statement that changes hundreds of rows at once, old and new ones were compared each with each.
_JOINING = ("day_count_feedback_edit", "day_count_case_judged")


def upgrade() -> None:
    # first what is done beside the work; what comes after it is one transaction with the version's number
    beside.create_index("event_at", "event", ["at"])  # the look for what is old enough to leave the audit trail
    beside.create_index("case_opened", "case", ["opened_at"])  # what reports tell of a span …
    beside.create_index("timer_span", "timer", ["due_at"])
    unmet = text("step = 'deadline' AND met_at IS NULL AND state IN ('armed', 'breached')")  # which cases are late
    whose = ["case_id", "due_at", "state"]
    beside.create_index("timer_unmet", "timer", whose, sqlite_where=unmet, postgresql_where=unmet)
    beside.create_index("feedback_order", "feedback", ["order_ref"], postgresql_where=text("order_ref <> ''"))
    if op.get_bind().dialect.name == "postgresql":
        begin = op.get_bind().exec_driver_sql(_MONTHS_BEGIN).scalar_one()
        beside.check("event_before_span", "event", f"at IS NOT NULL AND at < '{begin}'")
        for statement in _by_months(begin):
            op.execute(statement)
        for name in _JOINING:
            op.execute(f"ALTER FUNCTION {name}() SET enable_nestloop = off")


def _by_months(begin: str) -> list[str]:
    """The table becomes the first part of one that goes by months: no row is moved or looked at."""
    return [
        "DROP TRIGGER event_is_kept ON event",  # comes again from the whole
        "ALTER TABLE event RENAME TO event_before",
        "ALTER INDEX event_pkey RENAME TO event_before_pkey",
        *(f"ALTER INDEX {name} RENAME TO event_before{name.removeprefix('event')}" for name in _INDEXES),
        "CREATE TABLE event (LIKE event_before INCLUDING DEFAULTS) PARTITION BY RANGE (at)",
        "ALTER SEQUENCE event_id_seq OWNED BY event.id",
        *(f"CREATE INDEX {name} ON event ({columns})" for name, columns in _INDEXES.items()),
        _KEPT,
        _NOT_EMPTIED.format("event"),
        f"ALTER TABLE event ATTACH PARTITION event_before FOR VALUES FROM (MINVALUE) TO ('{begin}')",
        "ALTER TABLE event_before DROP CONSTRAINT event_before_span",
        "CREATE TABLE event_default PARTITION OF event (PRIMARY KEY (id)) DEFAULT",
        _NOT_EMPTIED.format("event_default"),
    ]


def downgrade() -> None:
    for name, table in {"feedback_order": "feedback", "timer_span": "timer", "timer_unmet": "timer", "case_opened": "case"}.items():
        op.drop_index(name, table_name=table)
    if op.get_bind().dialect.name != "postgresql":
        op.drop_index("event_at", table_name="event")
        return
    for statement in (
        *(f"ALTER FUNCTION {name}() RESET enable_nestloop" for name in _JOINING),
        "ALTER TABLE event RENAME TO event_months",
        "CREATE TABLE event (LIKE event_months INCLUDING DEFAULTS)",
        "INSERT INTO event SELECT * FROM event_months",
        "ALTER SEQUENCE event_id_seq OWNED BY event.id",
        "DROP TABLE event_months",
        "ALTER TABLE event ADD CONSTRAINT event_pkey PRIMARY KEY (id)",
        *(f"CREATE INDEX {name} ON event ({columns})" for name, columns in _INDEXES.items() if name != "event_at"),
        _KEPT,
        _NOT_EMPTIED.format("event"),
    ):
        op.execute(statement)
