"""Deadlines as rows: armed with their case or crisis, met by people, fired by a sweep that costs what is due.

A deadline goes ``armed → met | breached | cancelled``; a breach stays one when it is met late (``met_at`` says when).
Reminders, rungs of the escalation ladder and questions about a row on which nothing happens (stage ``progress``) are
rows of their own and go ``armed → fired | cancelled``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from monitor import hours
from monitor.bulk import insert_rows
from monitor.core import Core
from monitor.models import Case, Crisis, Timer
from monitor.settings import Settings
from monitor.states import CRISIS_OPEN, STAGES
from monitor.sweeping import sweep as sweep  # noqa: PLC0414 — the whole life of a timer is found here
