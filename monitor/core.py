"""What nearly everything needs: settings, store, clock, and the way to tell people; made by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from monitor.clock import Clock
from monitor.notices import Notify
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.judge import Judge


@dataclass(frozen=True)
class Core:
    """The house's common ground, handed to functions as their first argument.

    Attributes:
        settings: The whole config.
        engine: The database.
        clock: The time.
        secret: Signs links and salts author hashes.
        notify: Turns notices into outbox rows within the caller's transaction.
        view: Gives the address of the page that shows a case or a crisis, by subject and id.
    """

    settings: Settings
    engine: Engine
    clock: Clock
    secret: bytes
    notify: Notify
    view: Callable[[str, int], str]

    @cached_property
    def judge(self) -> "Judge":
        """The scorer, loaded on first use."""
        from monitor.judge import Judge

        return Judge(self.settings.scoring.engine, self.settings.scoring.weights)
