"""The monitor watches itself: the engineer hears of trouble and of its end, a dead man's switch that all is well.

Where nothing can be stored nothing can be told either; then the switch, which hears no more, tells.
"""

import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlmodel import Session

from monitor import db, known
from monitor.checkup import Checkup, Trouble, span
from monitor.config import secret
from monitor.core import Core
from monitor.models import Known
from monitor.notices import Notice

LOOK_EVERY = 30.0
"""Seconds between two looks."""
BEAT_EVERY = 60.0
"""Seconds between two heartbeats."""
_NAME = "upkeep"
_OVER = 10  # looks in a row without it, before trouble is over
_TIMEOUT = 10.0  # seconds for the switch to answer
_log = structlog.get_logger()


class SelfWatch:
    """Tells the engineer what is wrong with the monitor, each trouble once, and again when it lasts.

    Args:
        core: The common ground.
        examine: Looks at the monitor.
        host: Name of this machine, which alone knows that its own trouble is over.
    """

    def __init__(self, core: Core, examine: Callable[[], Checkup], host: str) -> None:
        self._core, self._examine, self._host = core, examine, host
        self._without: dict[str, int] = {}

    def look(self) -> None:
        """Look once."""
        found = self._examine()
        if found.vitals is None:
            _log.error("not_well", says=[one.says for one in found.troubles])
            return
        now = {_key(one): one for one in found.troubles}
        with db.reading(self._core.engine) as session:
            told = session.get(Known, _NAME)
        self._count(now, told.value if told else {})
        if any(self._changes(now, told.value if told else {})):
            with db.writing(self._core.engine) as session:
                self._tell(session, now)

    def _count(self, now: dict[str, Trouble], told: dict[str, Any]) -> None:
        """Looks in a row in which a trouble was not seen."""
        gone = [key for key in told if key not in now and key.partition("@")[2] in ("", self._host)]
        self._without = {key: self._without.get(key, 0) + 1 for key in gone}

    def _changes(self, now: dict[str, Trouble], told: dict[str, Any]) -> Iterator[str]:
        at, again = self._core.clock.now(), self._core.settings.upkeep.again
        yield from (key for key in now if key not in told or at - _time(told[key]["told"]) >= again)
        yield from (key for key in told if self._without.get(key, 0) >= _OVER)

    def _tell(self, session: Session, now: dict[str, Trouble]) -> None:
        at = self._core.clock.now()
        row = known.hold(session, _NAME, at)
        left = dict(row.value)
        notices = []
        for key in self._changes(now, row.value):
            if key in now:
                since = left[key]["since"] if key in left else at.isoformat()
                left[key] = {"since": since, "told": at.isoformat(), "says": now[key].says}
                facts = left[key] | {"todo": now[key].todo, "host": now[key].host, "channels": now[key].channels}
                notices.append(_notice("upkeep.trouble", key, at, facts))
                _log.warning("not_well", code=key, says=now[key].says)
            else:
                gone = left.pop(key)
                lasted = span(at - _time(gone["since"]))
                facts = {**gone, "lasted": lasted, "host": key.partition("@")[2], "channels": ()}
                notices.append(_notice("upkeep.recovered", key, at, facts))
                _log.warning("well_again", code=key, lasted=lasted)
        row.value, row.at = left, at
        session.add(row)
        self._core.notify(session, notices)


def known_troubles(session: Session) -> list[str]:
    """What was found wrong and is not over, in words, the newest last."""
    row = session.get(Known, _NAME)
    told = row.value.values() if row else ()
    return [one["says"] for one in sorted(told, key=lambda one: str(one["since"]))]


def _key(one: Trouble) -> str:
    return f"{one.code}@{one.host}" if one.host else one.code


def _time(told: str) -> datetime:
    return datetime.fromisoformat(told)


def _notice(kind: Any, key: str, at: datetime, facts: dict[str, Any]) -> Notice:
    said = facts | {"channels": list(facts["channels"])}
    return Notice(kind, f"{kind}:{key}:{at:%Y%m%dT%H%M%S}", _NAME, 0, None, said)


class Heartbeat:
    """Asks for the dead man's switch's address while people can be told in time; when it stays silent, it tells.

    Args:
        url: The address; whoever knows it can keep the switch quiet, so that it is a secret.
        examine: Looks at the monitor.
    """

    def __init__(self, url: str, examine: Callable[[], Checkup]) -> None:
        self._url, self._examine = url, examine

    def beat(self) -> bool:
        """Ask once; whether the switch heard it."""
        if unready := self._examine().unready:
            _log.warning("heartbeat_withheld", codes=[one.code for one in unready])
            return False
        try:
            with urllib.request.urlopen(self._url, timeout=_TIMEOUT) as answer:  # noqa: S310 — http(s), see `rounds`
                answer.read(1)
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", type(error).__name__)  # what they say else may show the address
            _log.warning("heartbeat_not_heard", status=getattr(error, "code", 0), error=str(reason))
            return False
        return True


def rounds(core: Core, examine: Callable[[], Checkup], host: str) -> Sequence[tuple[str, Callable[[], Any], float]]:
    """The service's loops by which the monitor watches itself, the heartbeat where the config names one."""
    loops: list[tuple[str, Callable[[], Any], float]] = [
        ("self watch", SelfWatch(core, examine, host).look, LOOK_EVERY)
    ]
    if variable := core.settings.upkeep.heartbeat_env:
        url = secret(variable)
        if urlsplit(url).scheme in ("http", "https"):
            loops.append(("heartbeat", Heartbeat(url, examine).beat, BEAT_EVERY))
        else:
            _log.error("heartbeat_address_missing", variable=variable)
    return loops
