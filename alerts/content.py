"""What a message says, before any channel gives it a form: literal text only, no markup."""

import re
from dataclasses import dataclass
from typing import Literal

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Role = Literal["text", "quote", "small", "divider"]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of literal text.

    Attributes:
        text: Shown as it is, whatever it looks like.
        bold: Stands out.
        url: Where a click on it leads; empty for plain text.
    """

    text: str
    bold: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph."""

    spans: tuple[Span, ...]
    role: Role = "text"

    @property
    def text(self) -> str:
        """The words alone."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True, slots=True)
class Button:
    """Something to click.

    Attributes:
        action: The action's code, or ``view``.
        label: What it says.
        url: A page that opens; empty where the channel brings the click back to us.
        confirm: The question asked first; empty for none.
    """

    action: str
    label: str
    url: str = ""
    confirm: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """Somebody to call on.

    Attributes:
        name: As the house knows them.
        id: As the channel knows them; empty where that is not known.
    """

    name: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A whole message.

    Attributes:
        title: Its first line, a mail's subject.
        lines: Paragraphs.
        buttons: What can be done.
        about: ``crisis:12``: what the buttons act on.
        ping: Who is called on.
        more: What is done now and then: behind one menu, on channels that bring clicks back and have menus.
        maybe_twice: The reader may have had it before.
    """

    title: str
    lines: tuple[Line, ...] = ()
    buttons: tuple[Button, ...] = ()
    about: str = ""
    ping: tuple[Ping, ...] = ()
    more: tuple[Button, ...] = ()
    maybe_twice: bool = False

    @property
    def headline(self) -> str:
        """The title, marked where the message may have come before."""
        return f"【可能重复】{self.title}" if self.maybe_twice else self.title


def clean(text: str) -> str:
    """The text without what breaks a message or reverses it: controls, direction marks, lone surrogates."""
    return _UNSAFE.sub("", text)


def line(*parts: str | Span, role: Role = "text") -> Line:
    """A paragraph from strings and spans."""
    return Line(tuple(Span(clean(part)) if isinstance(part, str) else part for part in parts), role)


def bold(text: str) -> Span:
    """Text that stands out."""
    return Span(clean(text), bold=True)


def link(text: str, url: str) -> Span:
    """Text that leads somewhere; plain text where the address is no web page, or too long for a message."""
    return Span(clean(text), url=url if re.fullmatch(r"https?://[^\s<>|\"]{1,2000}", url) else "")
