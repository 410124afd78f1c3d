"""Signed links: one action on one subject for one person, once, for a while; and links that only show.

The signature says who may do what; that a link works once is the action handler's business, by its nonce.
The time comes from the injected clock, so the expiry stands in the token itself.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from alerts.packed import pack, unpack
from monitor.clock import Clock

ACTION_LIFE = timedelta(hours=48)
VIEW_LIFE = timedelta(days=30)
_SIGNER = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
_MAC = 16  # bytes
_UNTIL = 4  # bytes: seconds since 1970
_NOT_OURS = "这个链接不是评哨发出的，或者在转发时被截断、改动了。请回到原来的消息里再点一次。"


class LinkError(Exception):
    """The link cannot be used; the message tells the person why."""


class Expired(LinkError):
    """The link was genuine and is too old."""


class Forged(LinkError):
    """The link was not made here, or was changed."""


@dataclass(frozen=True, slots=True)
class Link:
    """What an action link allows.

    Attributes:
        action: The action's code.
        subject: ``case`` or ``crisis``.
        subject_id: Its id.
        person: Name of the one person it was made for.
        nonce: Makes this link one of its kind.
    """

    action: str
    subject: str
    subject_id: int
    person: str
    nonce: str


@dataclass(frozen=True, slots=True)
class View:
    """What a view link shows."""

    subject: str
    subject_id: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a reader without a login is shown: the feedbacks or deadlines behind one number of a report.

    Attributes:
        wanted: Which, in the words of the desk's own page of them.
        of: That page: ``feedback`` or ``deadlines``.
    """

    wanted: Mapping[str, str]
    of: str = "feedback"


_T = TypeVar("_T", Link, View, Listing)


class Links:
    """Makes and reads signed links.

    Args:
        secret: The service's signing secret.
        public_url: What links begin with.
        clock: The time.
    """

    def __init__(self, secret: bytes, public_url: str, clock: Clock) -> None:
        self._secret, self._base, self._clock = secret, public_url.rstrip("/"), clock

    def make(self, action: str, subject: str, subject_id: int, person: str) -> str:
        """A link on which one person can do one thing once, within `ACTION_LIFE`."""
        link = Link(action, subject, subject_id, person, secrets.token_urlsafe(9))
        return f"{self._base}/a/{self._sign(link, ACTION_LIFE)}"

    def desk(self, subject: str, subject_id: int) -> str:
        """The page of the desk where people who are logged in act on a case or crisis."""
        return f"{self._base}/{'cases' if subject == 'case' else 'crises'}/{subject_id}"

    def view(self, subject: str, subject_id: int) -> str:
        """A link to the page that shows a case or crisis, good for `VIEW_LIFE`."""
        return f"{self._base}/v/{self._sign(View(subject, subject_id), VIEW_LIFE)}"

    def listing(self, wanted: Mapping[str, str], life: timedelta, of: str = "feedback") -> str:
        """A link that opens what is behind a number to whoever has it, for a while; see `Listing`."""
        until = int((self._clock.now() + life).timestamp()).to_bytes(_UNTIL, "big")
        content = until + pack(of, wanted)
        return f"{self._base}/n/{base64_encode(self._mac(content) + content).decode()}"

    def read(self, token: str) -> Link:
        """What an action link's token allows.

        Raises:
            Expired: it is too old.
            Forged: its signature is not ours.
        """
        return self._read(token, Link)

    def read_view(self, token: str) -> View:
        """What a view link's token shows; raises as `read` does."""
        return self._read(token, View)

    def read_listing(self, token: str) -> Listing:
        """What a token behind a number lists; raises as `read` does."""
        if "." in token:  # as they were made before they were packed; these end with their life
            return self._read(token, Listing)
        try:
            signed = base64_decode(token)
            mac, content = signed[:_MAC], signed[_MAC:]
            # any other spelling of the same bytes was not made here either
            if not hmac.compare_digest(mac, self._mac(content)) or base64_encode(signed) != token.encode():
                raise Forged(_NOT_OURS)
            of, wanted = unpack(content[_UNTIL:])
        except (BadData, ValueError):
            raise Forged(_NOT_OURS) from None
        self._still_good(int.from_bytes(content[:_UNTIL], "big"))
        return Listing(wanted, of)

    def _mac(self, content: bytes) -> bytes:
        # a key of its own: what was signed as one kind of token is never read as another
        key = hmac.digest(self._secret, b"pingshao.listing.packed", "sha256")
        return hmac.digest(key, content, "sha256")[:_MAC]

    def _sign(self, content: Link | View, life: timedelta) -> str:
        until = int((self._clock.now() + life).timestamp())
        return str(self._serializer(type(content)).dumps([until, *astuple(content)]))

    def _read(self, token: str, kind: type[_T]) -> _T:
        try:
            until, *fields = self._serializer(kind).loads(token)
        except BadData:
            raise Forged(_NOT_OURS) from None
        self._still_good(until)
        return kind(*fields)

    def _still_good(self, until: int) -> None:
        if self._clock.now() >= datetime.fromtimestamp(until, self._clock.now().tzinfo):
            raise Expired("这个链接已经过期了。请打开最新的提醒消息，用里面的链接。")

    def _serializer(self, kind: type[Link | View | Listing]) -> URLSafeSerializer:
        # The salt keeps one kind of token from being read as the other.
        return URLSafeSerializer(self._secret, salt=f"pingshao.{kind.__name__.lower()}", signer_kwargs=_SIGNER)
