"""Alembic migrations of the store; ``monitor.db.upgrade`` applies them at start."""
