"""What changed since the last start: the config's keys and the people, each written down once."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlmodel import Session

from monitor import audit, directory, known, overrides
from monitor.settings import Settings

_LOGIN = re.compile(r"://[^/@\s]*@")  # an address may hold a password
_NAMES = ("name", "id")  # by which an entry of a list is known, wherever it stands


def start(session: Session, settings: Settings, at: datetime, actor: str) -> None:
    """Bring what the config names into the store, and leave events of what it changed.

    Processes that start at once do so one after another, so that a change is written down once.

    Args:
        session: The caller's transaction.
        settings: The config file of this start; of people, what the desk says of them counts.
        at: When.
        actor: Who started the process.
    """
    last = known.hold(session, "config", at)
    people(session, overrides.lay(settings, overrides.said(session)).settings, at, actor, "cli")
    told = flat(settings)
    if told == last.value:
        return
    if last.value:
        before, after = (
            {path: value for path, value in one.items() if path not in other or other[path] != value}
            for one, other in ((last.value, told), (told, last.value))
        )
        audit.note(session, at, "config", 0, "changed", actor, "cli", before, after)
    last.value, last.at = told, at
    session.add(last)


def people(session: Session, settings: Settings, at: datetime, actor: str, door: str) -> None:
    """Bring the people that count into the store, and leave events of who joined and who left."""
    for person, what in directory.sync(session, settings):
        assert person.id is not None
        told = {"name": person.name, "role": person.role}
        audit.note(session, at, "person", person.id, what, actor, door, after=told)


def flat(settings: Settings) -> dict[str, Any]:
    """The whole config as dotted paths: ``policy.crisis.respond``, ``sources.site.every``."""
    return dict(_paths("", settings.model_dump(mode="json")))


def _paths(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    entries = _entries(value)
    if not entries:
        yield path, _told(value)
    for name, inner in entries.items():
        yield from _paths(f"{path}.{name}" if path else str(name), inner)


def _entries(value: Any) -> dict[str, Any]:
    """The parts of a table; of a list of tables, its entries by name where each has one."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return {}
    for key in _NAMES:
        if len({str(one.get(key)) for one in value if key in one}) == len(value):
            return {str(one[key]): one for one in value}
    return {}


def _told(value: Any) -> Any:
    if isinstance(value, list):
        return [_told(one) for one in value]
    if isinstance(value, dict):
        return {name: _told(inner) for name, inner in value.items()}
    return _LOGIN.sub("://***@", value) if isinstance(value, str) else value
