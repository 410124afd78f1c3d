"""What happened in one crawl, as it goes along: pages, reasons, faults. Item counts live in Scrapy's stats."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_LINES = 50  # reasons kept for the result; all of them are in the log
_LINE = 300  # characters of one reason
COUNTS = ("seen", "new", "changed", "duplicates", "skipped")
ERROR_KEY = "pingshao/error"  # a pipeline may set this in the stats

logger = logging.getLogger(__name__)


def stats_key(count: str) -> str:
    """Where the spider and the pipeline count items in ``crawler.stats``."""
    return f"pingshao/{count}"


@dataclass
class Ledger:
    """Attributes are those of ``CrawlResult``; ``errors`` are joined into its one line; ``hide`` takes secrets out."""

    hide: Callable[[str], str] = str
    pages: int = 0
    unchanged: int = 0
    attention: str = ""
    anew: bool = False
    errors: list[str] = field(default_factory=list)
    faults: int = 0
    log: list[str] = field(default_factory=list)
    validators: dict[str, dict[str, Any]] = field(default_factory=dict)
    fills: Counter[str] = field(default_factory=Counter)

    def visited(self, *, unchanged: bool = False) -> None:
        """A page or file was answered."""
        self.pages += 1
        self.unchanged += unchanged

    def note(self, where: str, reason: str) -> None:
        """Something was left out, and why."""
        line = self._line(f"{where}: {reason}")
        logger.info("%s", line)
        if len(self.log) < _LINES:
            self.log.append(line)

    def fail(self, where: str, reason: str) -> None:
        """Something could not be read or stored: the run has failed, though it goes on."""
        self.faults += 1
        self.note(where, reason)
        if len(self.errors) < _LINES:
            self.errors.append(self._line(f"{where}: {reason}"))

    def stop(self, where: str, reason: str, *, known: bool = False) -> None:
        """A person must act; the first reason counts that was not ``known`` before."""
        self.note(where, reason)
        if not self.attention or not (known or self.anew):
            self.attention = self._line(f"{where}: {reason}")
        self.anew = self.anew or not known

    def _line(self, text: str) -> str:
        line = " ".join(self.hide(text).split())
        return line if len(line) <= _LINE else line[: _LINE - 1] + "…"

    def error(self) -> str:
        """One line for people: the first fault, and how many more."""
        first = self.attention or next(iter(self.errors), "")
        more = self.faults - (not self.attention)
        return f"{first}（另有 {more} 处出错）" if first and more > 0 else first
