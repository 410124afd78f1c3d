"""What nearly everything needs: settings, store, clock, and the way to tell people; made by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from monitor.clock import Clock
from monitor.notices import Notify
from monitor.settings import Scoring, Settings

if TYPE_CHECKING:
    from monitor.engines import Engine as Scorer
    from monitor.metrics import Meters
    from monitor.quota import Budget


@dataclass(eq=False)
class Core:
    """The house's common ground, handed to functions as their first argument.

    Attributes:
        settings: The whole config, with what the desk changed of it; `monitor.overrides.refresh` alone replaces it.
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
    file: Settings = field(init=False)
    """The config as the file has it."""
    laid: int = field(init=False, default=0)
    """How many changes of the desk ``settings`` knows of."""

    def __post_init__(self) -> None:
        self.file = self.settings

    @cached_property
    def judge(self) -> "Scorer":
        """The scorer, loaded on first use."""
        return self.scorer(self.settings.scoring)

    @cached_property
    def pasts(self) -> dict[Any, tuple[int, dict[int, int]]]:
        """What `monitor.groups` counted already."""
        return {}

    @cached_property
    def meters(self) -> "Meters":
        """What this process counts of its work."""
        from monitor.metrics import Meters

        return Meters()

    def scorer(self, scoring: Scoring) -> "Scorer":
        """A scorer of other settings than the config's, within the same budget."""
        from monitor.engines import make

        return make(scoring, self.budget)

    @property
    def budget(self) -> "Budget":
        """What the endpoint of the scorer may be asked."""
        from monitor.quota import Budget

        return Budget(self.engine, self.clock, self.settings.zone, "llm")
