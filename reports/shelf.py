"""The reports that were sent, as pages made again from the figures they were sent with."""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable

from monitor import db
from monitor.core import Core
from monitor.improvements import Effect
from monitor.models import Improvement
from monitor.shelf import Entry
from reports import archive, effects
from reports.build import Report, remade, standing_alone

_NAME = re.compile(r"(?P<key>(?:daily|evening|weekly|monthly)-\d{4}-\d\d-\d\d)(?:-(?P<version>[1-9]\d{0,3}))?")
_KEPT = 8  # pages


class ReportShelf:
    """Keeps the pages that were looked at last, for their pictures."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._made: OrderedDict[str, Report] = OrderedDict()
        self._turn = threading.Lock()  # pictures are drawn one at a time

    def listing(self) -> list[Entry]:
        """What was sent, the newest first."""
        with db.reading(self._core.engine) as session:
            rows = archive.listing(session)
        return [
            Entry(archive.name(row.key, row.version).replace(":", "-"), row.title, row.version, row.at) for row in rows
        ]

    def page(self, name: str, pictures: str) -> str | None:
        """A report as HTML with its pictures at that address; None where there is none of that name."""
        report = self._report(name)
        return standing_alone(report, pictures) if report else None

    def picture(self, name: str, file: str) -> bytes | None:
        """One of its PNGs."""
        report = self._report(name)
        return report.images.get(file) if report else None

    def effects(self, rows: Iterable[Improvement]) -> dict[int, Effect]:
        """What came of some improvements up to now, by their ids."""
        return effects.effects(self._core, rows)

    def _report(self, name: str) -> Report | None:
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        with self._turn:
            if name not in self._made:
                with db.reading(self._core.engine) as session:
                    key = match["key"].replace("-", ":", 1)
                    found = archive.version(session, key, int(match["version"] or 1))
                if found is None:
                    return None
                self._made[name] = remade(self._core, key, *found)
            self._made.move_to_end(name)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
            return self._made[name]
