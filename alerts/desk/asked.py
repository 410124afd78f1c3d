"""What every list behind a number of a report is asked by: days, the moment of counting, an address."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from monitor.core import Core

MOST_COUNTED = 10_000
"""More are told as "more than"."""
LATEST_SECOND = 4_102_444_800
"""2100, in seconds since 1970."""
_FIRST, _LATEST = date(1970, 1, 2), date(2100, 1, 1)  # the earliest and latest days that mean anything here

Days = tuple[date, date]
"""The first and the last local day."""
Word = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
"""PostgreSQL takes no NUL."""


class Asked(BaseModel):
    """What is asked of such a list; what is empty, or 0, does not matter.

    Attributes:
        since: First local day.
        until: Last local day.
        seen: The second since 1970 at which they were counted: what happened later had not happened yet, and all stood
            as it did then.
    """

    model_config = ConfigDict(extra="ignore")
    since: date | None = None
    until: date | None = None
    seen: Annotated[int, Field(ge=0, le=LATEST_SECOND)] = 0

    def address(self, page: int) -> str:
        """The query of a page of them."""
        told = {name: value for name, value in self.model_dump(mode="json").items() if value}
        return urlencode(told | ({"page": page} if page > 1 else {}))

    @property
    def days(self) -> Days:
        """From ``since`` to ``until``; where one is empty, from or to the end of all days."""
        first, last = (min(max(day, _FIRST), _LATEST) for day in (self.since or _FIRST, self.until or _LATEST))
        return first, last

    @property
    def counted_at(self) -> datetime | None:
        """``seen`` as a moment."""
        return datetime.fromtimestamp(self.seen, UTC) if self.seen else None


def midnight(core: Core, day: date) -> datetime:
    """When a local day begins."""
    return datetime.combine(day, time(), core.settings.zone)


def ends(core: Core, days: Days) -> tuple[datetime, datetime]:
    """When the first of some local days begins and the last one ends."""
    return midnight(core, days[0]), midnight(core, days[1] + timedelta(1))
