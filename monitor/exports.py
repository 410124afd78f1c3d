"""Rows for ``pingshao export``: plain dicts with the fields that outside software relies on, streamed."""

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, func, select

from monitor import db, sheets
from monitor.buyers import affected
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Case, Crisis, CrisisFeedback, Event, Feedback, Outbox, Person, Score, Source, Timer

_CHUNK = 500


def export(session: Session, what: str, since: datetime | None, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    """Rows of ``feedback``, ``cases``, ``crises``, ``timers``, ``events`` or ``outbox``, by id.

    Args:
        session: A session nobody else reads from meanwhile.
        what: One of `KINDS`.
        since: Leaves out what was last touched (feedback, cases, crises), is due (timers), happened (events) or was
            queued (outbox) before; None for all.
        zone: Times are written with its offset.

    Raises:
        KeyError: there is no such export.
    """
    statement, moment, shape = _EXPORTS[what]
    if since is not None:
        statement = statement.where(moment >= since)
    with closing(session.execute(statement, execution_options={"yield_per": _CHUNK})) as result:
        for rows in result.partitions(_CHUNK):
            for row in shape(session, rows):
                yield {key: _told(value, zone) for key, value in row.items()}


def to_file(core: Core, what: str, form: str, since: datetime | None, name: str) -> Path:
    """Write an export to a file below ``var_dir``; it is there when it is whole, and replaces one of the same name."""
    folder = core.settings.service.var_dir / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    number, part = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with db.reading(core.engine, long=True) as session, os.fdopen(number, "wb") as out:
            sheets.write(export(session, what, since, core.settings.zone), form, out)
        return Path(part).replace(folder / name)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def buyers(session: Session, crisis_id: int, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    """Rows of the buyers whom a crisis concerns, see `monitor.buyers`.

    Raises:
        WrongCall: there is no such crisis.
    """
    if session.get(Crisis, crisis_id) is None:
        raise WrongCall(f"没有危机 {crisis_id}")
    for row in affected(session, crisis_id):
        yield {key: _told(value, zone) for key, value in row.items()}


def _told(value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, dict):
        return {key: _told(inner, zone) for key, inner in value.items()}
    return value


def _moment(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told else None


def _picked(row: Any, names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names.split()}


def _feedback(_session: Session, rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for feedback, score, source, crisis_id in rows:
        yield {
            "id": feedback.id,
            "shop": feedback.shop_id,
            "source": source,
            **_picked(feedback, "platform kind external_id url title text stars author author_hash product order_ref"),
            **_picked(feedback, "created_at first_seen_at version"),
            **dict.fromkeys(_SCORE.split()),
            **(_picked(score, _SCORE) if score else {}),
            "case_id": feedback.case_id,
            "crisis_id": crisis_id,
            "duplicate_of": feedback.duplicate_of,
            "followup_at": _moment(feedback.extra.get("followup_at")),
        }


def _cases(session: Session, rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
    ids = [case.id for case, _ in rows]
    members = select(Feedback.case_id, Feedback.id).where(col(Feedback.case_id).in_(ids)).order_by(col(Feedback.id))
    yield from _troubles(session, rows, members, Timer.case_id, lambda case: case.categories)


def _crises(session: Session, rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
    ids = [crisis.id for crisis, _ in rows]
    members = (
        select(CrisisFeedback.crisis_id, CrisisFeedback.feedback_id)
        .where(col(CrisisFeedback.crisis_id).in_(ids))
        .order_by(col(CrisisFeedback.feedback_id))
    )
    yield from _troubles(session, rows, members, Timer.crisis_id, lambda crisis: crisis.categories)


def _troubles(
    session: Session, rows: Sequence[Any], members: Any, owner: Any, categories: Callable[[Any], list[str]]
) -> Iterator[dict[str, Any]]:
    feedback_ids: dict[int, list[int]] = defaultdict(list)
    for owner_id, feedback_id in session.execute(members):
        feedback_ids[owner_id].append(feedback_id)
    deadlines: dict[int, dict[str, Any]] = defaultdict(dict)
    ids = [row.id for row, _ in rows]
    timers = select(owner, Timer).where(col(owner).in_(ids), Timer.step == "deadline").order_by(col(Timer.generation))
    for owner_id, timer in session.execute(timers):
        deadlines[owner_id][timer.stage] = _picked(timer, "due_at state met_at")
    for row, assignee in rows:
        yield {
            **_picked(row, "id state severity"),
            "categories": categories(row),
            "opened_at": row.opened_at,
            "assignee": assignee,
            "feedback_ids": feedback_ids[row.id],
            "deadlines": deadlines[row.id],
        }


def _plain(names: str) -> Callable[[Session, Sequence[Any]], Iterator[dict[str, Any]]]:
    return lambda _session, rows: (_picked(row, names) for (row,) in rows)


_SCORE = "negative p_negative categories severity flags evidence model"
_CRISIS_OF = (
    select(func.max(CrisisFeedback.crisis_id)).where(CrisisFeedback.feedback_id == Feedback.id).scalar_subquery()
)
_EXPORTS: dict[str, tuple[Any, Any, Callable[[Session, Sequence[Any]], Iterator[dict[str, Any]]]]] = {
    "feedback": (
        select(Feedback, Score, Source.name, _CRISIS_OF)
        .join(Score, isouter=True)
        .join(Source, col(Source.id) == Feedback.source_id)
        .order_by(col(Feedback.id)),
        Feedback.updated_at,
        _feedback,
    ),
    "cases": (
        select(Case, Person.name).join(Person, isouter=True).order_by(col(Case.id)),
        Case.updated_at,
        _cases,
    ),
    "crises": (
        select(Crisis, Person.name).join(Person, isouter=True).order_by(col(Crisis.id)),
        Crisis.updated_at,
        _crises,
    ),
    "timers": (
        select(Timer).order_by(col(Timer.id)),
        Timer.due_at,
        _plain("id crisis_id case_id stage step generation due_at state fired_at"),
    ),
    "events": (
        select(Event).order_by(col(Event.id)),
        Event.at,
        _plain("id at actor door subject subject_id what before after"),
    ),
    "outbox": (
        select(Outbox).order_by(col(Outbox.id)),
        Outbox.created_at,
        _plain("id dedupe_key channel target kind state attempts created_at sent_at provider_ref last_error"),
    ),
}
KINDS = tuple(_EXPORTS)
"""What can be exported."""
