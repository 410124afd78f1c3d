"""What the desk says in place of the config file, laid over the file's settings; a running process takes it over.

A key is a dotted path (``policy.detect.burst_count``, ``routes.crisis``), ``rotas`` as a whole, one person
(``people.张三``, nothing in place of one who was taken away) or the reply drafts of one category (``replies.quality``).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import inspect, make_url
from sqlmodel import Session, col, func, select

from monitor import config, db
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Override
from monitor.settings import Settings

PARTS = ("people.", "policy.", "replies.", "rotas", "routes.")
"""What the desk may change; everything else is the file's alone."""

Said = Mapping[str, Any]
"""Key → what the desk says."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Laid:
    """The file's settings with what the desk says over them.

    Attributes:
        settings: What counts.
        left_out: What the desk says that does not fit the file any more: key → why.
    """

    settings: Settings
    left_out: dict[str, str] = field(default_factory=dict)


def rows(session: Session) -> list[Override]:
    """What the desk says in place of the file, by key."""
    return [row for row in session.exec(select(Override).order_by(col(Override.key))) if row.value]


def said(session: Session) -> dict[str, Any]:
    """The same as plain values."""
    return {row.key: row.value["value"] for row in rows(session)}


def lay(file: Settings, says: Said) -> Laid:
    """Lay what the desk says over the file's settings.

    What does not fit (the file lost a channel that a route names) is left out, and the rest counts.
    """
    if not says:
        return Laid(file)
    plain = file.model_dump(mode="json")
    try:
        return Laid(_checked(plain, says))
    except WrongCall:
        return _what_fits(file, plain, says)


def _what_fits(file: Settings, plain: dict[str, Any], says: Said) -> Laid:
    """As much as goes together: what one key lacks another may bring, so all are tried until none fits any more."""
    settings, kept, why = file, dict[str, Any](), dict[str, str]()
    progress = True
    while progress:
        progress = False
        for key in [key for key in says if key not in kept]:
            try:
                settings = _checked(plain, kept | {key: says[key]})
            except WrongCall as error:
                why[key] = str(error)
            else:
                kept[key], progress = says[key], True
                why.pop(key, None)
    return Laid(settings, why)


def _checked(plain: dict[str, Any], says: Said) -> Settings:
    """The settings, checked as the file is.

    Raises:
        WrongCall: they are wrong; the sentence is the file's.
    """
    raw = json.loads(json.dumps(plain))
    for key, value in says.items():
        _put(raw, key, value)
    try:
        settings = Settings(**raw)
    except ValidationError as error:
        raise WrongCall(config.describe(error, Settings)) from None
    for problem in config.problems(settings):
        raise WrongCall(problem)
    return settings


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    if not key.startswith(PARTS):
        raise WrongCall(f"{key}: 只能在配置文件里改")
    if key.startswith("people."):
        _put_person(raw["people"], key.removeprefix("people."), value)
        return
    *tables, last = key.split(".")
    for name in tables:
        raw = raw[name]
    raw[last] = value


def _put_person(people: list[dict[str, Any]], name: str, value: Any) -> None:
    place = next((n for n, person in enumerate(people) if person["name"] == name), len(people))
    people[place : place + 1] = [] if value is None else [{**value, "name": name}]


def stored(file: Settings) -> Laid:
    """What counts by the store that the file names, which is only looked at: the file alone where there is none yet.

    Raises:
        SQLAlchemyError: the store cannot be asked.
    """
    url = make_url(file.service.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return Laid(file)
    engine = db.connect(file.service.database_url)
    try:
        if not inspect(engine).has_table("override"):
            return Laid(file)
        with db.reading(engine) as session:
            return lay(file, said(session))
    finally:
        engine.dispose()


def value_of(settings: Settings, key: str) -> Any:
    """What settings say under a key, in plain values; None where they say nothing."""
    plain: Any = settings.model_dump(mode="json", include={key.partition(".")[0]})
    if key.startswith("people."):
        return next((one for one in plain["people"] if one["name"] == key.removeprefix("people.")), None)
    for name in key.split("."):
        plain = plain.get(name) if isinstance(plain, dict) else None
    return plain


def mark(settings: Settings, keys: Iterable[str]) -> str:
    """A short mark of what settings say under some keys: another one tells that somebody changed it meanwhile."""
    told = json.dumps([[key, value_of(settings, key)] for key in keys], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def refresh(core: Core) -> None:
    """Go by what the desk says now: a look at one small table, and new settings where something changed there.

    Clocks that run keep the policy that was copied at their opening.
    """
    with db.reading(core.engine) as session:
        changes = session.exec(select(func.coalesce(func.sum(Override.version), 0))).one()
        if changes == core.laid:
            return
        laid = lay(core.file, said(session))
    for key, why in laid.left_out.items():
        _log.warning("override_left_out", key=key, why=why)
    core.settings, core.laid = laid.settings, changes
