"""Pairs of tokens that a platform grants: when to ask for new ones, and how long they last."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

EARLY = timedelta(days=15)
"""Before its end, or after half its life, a token is exchanged: sooner than people are told of an end."""

_LONG = 2 * EARLY  # a token that lasts so long has an end worth telling
_REFRESH_LIFE = ("refresh_token_expires_in", "re_expires_in")


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair of tokens.

    Attributes:
        renew_at: When to ask for new ones; None: when they are refused.
        lasts: The last day without a person's help, where it is known.
        renewed: The platform gave them in exchange; else a person has put them into the environment.
    """

    access: str
    refresh: str = ""
    renew_at: datetime | None = None
    lasts: date | None = None
    renewed: bool = False

    def exchanged(self, granted: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> "Tokens":
        """The pair that was granted for this one; an answer without a new refresh token leaves the old."""
        refresh, life = granted.get("refresh_token"), _life(granted.get("expires_in"))
        refresh_life = next((found for name in _REFRESH_LIFE if (found := _life(granted.get(name)))), None)
        told = refresh_life or (life if life and life >= _LONG else None)
        return Tokens(
            str(granted["access_token"]),
            refresh if isinstance(refresh, str) and refresh else self.refresh,
            now + max(life / 2, life - EARLY) if life else None,
            (now + told).astimezone(zone).date() if told else None,
            renewed=True,
        )

    def dumps(self) -> dict[str, str]:
        """As text by name; the inverse of ``loads``."""
        return {
            "access": self.access,
            "refresh": self.refresh,
            "renew_at": self.renew_at.isoformat() if self.renew_at else "",
            "lasts": self.lasts.isoformat() if self.lasts else "",
            "renewed": "yes" if self.renewed else "",
        }

    @classmethod
    def loads(cls, kept: Mapping[str, str]) -> Self:
        """The pair that ``dumps`` wrote."""
        return cls(
            kept["access"],
            kept["refresh"],
            datetime.fromisoformat(kept["renew_at"]) if kept["renew_at"] else None,
            date.fromisoformat(kept["lasts"]) if kept["lasts"] else None,
            kept["renewed"] == "yes",
        )


def _life(seconds: object) -> timedelta | None:
    """How long a token lasts; None where that is not said."""
    digits = str(seconds)
    return timedelta(seconds=int(digits)) if re.fullmatch(r"0*[1-9]\d{0,9}", digits) else None
