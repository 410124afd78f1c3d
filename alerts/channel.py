"""What a channel is, how sending can fail, and where channels are found: a file in ``alerts/channels`` is one.

Exceptions:
    SendError: the provider refused; it certainly does not have the message.
        Gone: what was to be edited or answered is no longer there.
    Uncertain: nobody knows whether the provider has the message.
"""

import difflib
import hashlib
import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from functools import cache
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
        code: The provider's own number for what is wrong; 0 where it gave none.
    """

    def __init__(
        self,
        what: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        down: bool = False,
        code: int = 0,
    ) -> None:
        super().__init__(what)
        self.permanent, self.retry_after, self.down, self.code = permanent, retry_after, down, code


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
        live: ``crisis:12`` on the live card of that crisis, ``crisis.acted:12`` on its history; else empty.
        carries: Keys of messages folded into this one.
        kind: What happened, as notices call it.
        shop: The shop concerned; empty for the house itself or a brand's mention.
        since: When it was first to be sent; as ``at`` where nobody says.
        thread: The provider's name of the card that this answers; empty for a message of its own.
        eml: A finished mail to be sent in place of the card.
    """

    key: str
    target: str
    card: Card
    at: datetime
    live: str = ""
    carries: tuple[str, ...] = ()
    kind: str = ""
    shop: str = ""
    since: datetime | None = None
    thread: str = ""
    eml: Path | None = None

    @property
    def name(self) -> str:
        """A name for the provider, always the same for the same letter: ``crisis-12-`` and 24 digits."""
        digits = hashlib.sha256(f"{self.key}|{self.target}".encode()).hexdigest()[:24]
        return f"{self.live.replace(':', '-')}-{digits}"


class Channel(ABC):
    """One way out of the house; several threads use it at once.

    Attributes:
        live: A sent card can be edited in place.
        clicks: Clicks on buttons come back to us; otherwise buttons are signed links.
        scarce: Edits are few: once they are used up, only what a person did is worth a new card.
        threads: What answers a card stands below it, out of the way: there the card's history is kept, in one message.
        page: How many lines of a list one message holds.
        rate: The provider's published limit for one target, as ``20/1m``; empty where it has none.
        second_try: Calls that it takes to try a message again: more than one where it is asked for first.
    """

    live = False
    clicks = False
    scarce = False
    threads = False
    page = 50
    rate = ""
    second_try = 1

    @abstractmethod
    def __init__(self, channel: config.Channel, settings: Settings) -> None: ...

    @property
    def kind(self) -> str:
        """What the config calls it: the name of its file."""
        return type(self).__module__.rpartition(".")[2]

    @classmethod
    def edits(cls, channel: config.Channel) -> bool:
        """Whether a channel of this config is `live`."""
        del channel
        return cls.live

    @abstractmethod
    def send(self, letter: Letter) -> str:
        """Post a message.

        Returns:
            The provider's name of it; empty where the provider gave none.

        Raises:
            SendError: refused.
            Uncertain: it may have arrived.
        """

    def update(self, ref: str, letter: Letter) -> str | None:
        """Put the card in the place of an older one, for `live` channels; raises as `send` does, or `Gone`.

        Returns:
            The card's new name, where editing changes it.
        """
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


@cache
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
