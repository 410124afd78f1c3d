"""What the desk asks of whoever keeps reports: the two rooms do not know each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from monitor.improvements import Effect
from monitor.models import Improvement


@dataclass(frozen=True, slots=True)
class Entry:
    """A report that was sent.

    Attributes:
        name: What its page is called in addresses.
        title: Its heading.
        version: 2 and more are corrections.
        at: When it was sent.
    """

    name: str
    title: str
    version: int
    at: datetime


class Shelf(Protocol):
    """Where reports are kept."""

    def listing(self) -> Sequence[Entry]:
        """What was sent, the newest first."""

    def page(self, name: str, pictures: str) -> str | None:
        """A report as HTML with its pictures at that address; None where there is none of that name."""

    def picture(self, name: str, file: str) -> bytes | None:
        """One of its PNGs."""

    def effects(self, rows: Iterable[Improvement]) -> Mapping[int, Effect]:
        """What came of some improvements up to now, by their ids."""
