"""What a channel is, how sending can fail, and where channels are found: a file in ``alerts/channels`` is one.

Exceptions:
    SendError: the provider refused; it certainly does not have the message.
        Gone: what was to be edited or answered is no longer there.
    Uncertain: nobody knows whether the provider has the message.
"""

import difflib
import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alerts import channels
from alerts.content import Card
from monitor import settings as config
from monitor.settings import Settings

MAIL = "mail"
"""The channel every config has: people's own addresses, through ``[smtp]``."""
_LONGEST_WAIT = 6 * 3600.0


class SendError(Exception):
    """The provider refused the message.

    Attributes:
        permanent: Trying again is of no use.
        retry_after: Seconds the provider asks to be left alone; None where it says nothing.
        down: The provider could not be reached at all, so other messages need not be tried now.
    """

    def __init__(
        self, what: str, *, permanent: bool = False, retry_after: float | None = None, down: bool = False
    ) -> None:
        super().__init__(what)
        self.permanent, self.retry_after, self.down = permanent, retry_after, down


class Gone(SendError):
    """The message that was to be edited or answered is no longer there."""


class Uncertain(Exception):
    """The provider may have the message: time-out, reset, unreadable answer."""


class UnknownKindError(LookupError):
    """No channel of this kind; the message names the nearest."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to be given its channel's form.

    Attributes:
        key: Its dedupe key; goes with it wherever the recipient's software can find it.
        target: Where to.
        card: What it says.
        at: When it was written.
        live: ``crisis:12`` on the live card of that crisis; empty on everything else.
        carries: Keys of messages folded into this one.
        thread: The provider's name of the card that this answers; empty for a message of its own.
        eml: A finished mail to be sent in place of the card.
    """

    key: str
    target: str
    card: Card
    at: datetime
    live: str = ""
    carries: tuple[str, ...] = ()
    thread: str = ""
    eml: Path | None = None


class Channel(ABC):
    """One way out of the house; several threads use it at once.

    Attributes:
        live: A sent card can be edited in place.
        clicks: Clicks on buttons come back to us; otherwise buttons are signed links.
        page: How many lines of a list one message holds.
    """

    live = False
    clicks = False
    page = 50

    @abstractmethod
    def __init__(self, channel: config.Channel, settings: Settings) -> None: ...

    @abstractmethod
    def send(self, letter: Letter) -> str:
        """Post a message.

        Returns:
            The provider's name of it; empty where the provider gave none.

        Raises:
            SendError: refused.
            Uncertain: it may have arrived.
        """

    def update(self, ref: str, letter: Letter) -> None:
        """Put the card in the place of an older one, for `live` channels; raises as `send` does, or `Gone`."""
        raise NotImplementedError

    def lookup(self, letter: Letter) -> str | None:
        """Ask the provider for the message: its name, ``""`` if it is surely not there, None if nobody can say."""
        del letter
        return None

    @abstractmethod
    def check(self) -> str | None:
        """What is wrong with the set-up and what to do about it; None when all is well."""


def kinds() -> list[str]:
    """Names of all channels, sorted; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(channels.__path__))


def load(kind: str) -> type[Channel]:
    """The class of a kind of channel.

    Raises:
        UnknownKindError: there is none.
    """
    known = kinds()
    if kind not in known:
        near = difflib.get_close_matches(kind, known, n=1, cutoff=0.0)
        raise UnknownKindError(f"没有 {kind!r} 这种渠道，是不是 {near[0]!r}？可用的有 {'、'.join(known)}")
    module = importlib.import_module(f"{channels.__name__}.{kind}")
    classes = inspect.getmembers(module, inspect.isclass)
    return next(c for _, c in classes if issubclass(c, Channel) and c.__module__ == module.__name__)


def open_all(settings: Settings) -> dict[str, Channel]:
    """Every configured channel by name, and `MAIL` where there is a mail server."""
    named = {channel.name: load(channel.kind)(channel, settings) for channel in settings.channels}
    if settings.smtp is not None:
        named[MAIL] = load("email")(config.Channel(name=MAIL, kind="email"), settings)
    return named


def retry_after(header: str | None) -> float | None:
    """Seconds out of a Retry-After header; None for none, nought, a date or rubbish."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT) if seconds > 0 else None
