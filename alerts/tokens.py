"""An app's access token: asked for when it is first needed, and anew before it ends or once it was refused."""

import time
from collections.abc import Callable

from alerts.channel import SendError, Uncertain

_SPARE = 300.0  # seconds before its end at which a token is not used any more


class Token:
    """One app's token; two threads may both ask for a new one, either answer will do.

    Args:
        ask: Asks the provider; gives the token and for how many seconds it holds.
    """

    def __init__(self, ask: Callable[[], tuple[str, float]]) -> None:
        self._ask, self._held, self._until = ask, "", 0.0

    def __call__(self) -> str:
        """The token.

        Raises:
            SendError: there is none to be had; nothing was posted yet.
        """
        if time.monotonic() >= self._until:
            try:
                held, lasts = self._ask()
            except (Uncertain, ValueError, TypeError, OverflowError) as error:  # rubbish for seconds, too
                raise SendError(f"没有拿到令牌：{error}") from error
            self._held, self._until = held, time.monotonic() + max(0.0, lasts - _SPARE)
        return self._held

    def forget(self) -> None:
        """The provider does not take it any more."""
        self._until = 0.0
