"""A platform's authorization server as a double: tokens that end, and refresh tokens that are good for one exchange."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crawler_factories import NOW
from serving import Told

Shape = Callable[[dict[str, Any]], Any]


def rotated(answer: dict[str, Any]) -> Any:
    return answer


@dataclass
class Grants:
    """Who holds which tokens, and until when.

    Attributes:
        wanted: What an exchange must send besides the refresh token, to the letter.
        shape: Makes the platform's answer of ``access_token``, ``refresh_token`` and their lives.
        refusal: What it answers to a refresh token that is none, or no longer one.
        broken: Answers given instead, whatever was asked; the tokens are exchanged all the same where ``True``.
    """

    access: dict[str, datetime]
    refresh: dict[str, datetime]
    wanted: dict[str, str]
    refusal: Any
    shape: Shape = rotated
    life: timedelta = timedelta(hours=48)
    long_life: timedelta = timedelta(days=180)
    lasting: bool = False
    broken: list[tuple[Told, bool]] = field(default_factory=list)
    exchanges: int = 0

    def holds(self, token: str, clock: datetime) -> bool:
        return token in self.access and clock < self.access[token]

    def answer(self, params: dict[str, str], clock: datetime) -> Any:
        self.exchanges += 1
        given = {name: params.get(name) for name in self.wanted}
        assert given == self.wanted, given
        failing = self.broken.pop(0) if self.broken else None
        if failing and not failing[1]:
            raise failing[0]
        ends = self.refresh.pop(params["refresh_token"], NOW - timedelta(days=999))
        if clock >= ends:
            raise Told(self.refusal)
        number = self.exchanges
        self.access[f"access-{number}-of-shop"] = clock + self.life
        self.refresh[f"refresh-{number}-of-shop"] = ends if self.lasting else clock + self.long_life
        if failing:
            raise failing[0]
        told = {"access_token": f"access-{number}-of-shop", "expires_in": int(self.life.total_seconds())}
        return self.shape(told | {"refresh_token": f"refresh-{number}-of-shop"})
