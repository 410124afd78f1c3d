"""A card as the little Markdown that chat robots know: hostile text made harmless, every limit kept, cuts announced."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from alerts.channel import SendError
from alerts.content import Card, Line, Span

Escape = Callable[[str], str]

_WIDE = str.maketrans({"<": "＜", ">": "＞", "[": "［", "]": "］", "*": "＊", "`": "｀", "\\": "＼"})
_LEADING = {"#": "＃", "-": "－", "+": "＋", "|": "｜"}


class TooLong(SendError):
    """The card does not fit one message, however short its quotes are made; it should have been paged."""


def wide(text: str) -> str:
    """Text without markup, for providers that know no escapes: marks become their full-width likenesses."""
    lines = text.translate(_WIDE).split("\n")
    return "\n".join(_LEADING.get(line[:1], line[:1]) + line[1:] for line in lines)


def markdown(card: Card, escape: Escape = wide, *, title: bool = True, called: str = "") -> str:
    """The card as paragraphs; buttons that open a page become links at the end.

    Args:
        card: What to say.
        escape: Makes text literal.
        title: Whether it begins with the headline.
        called: Who is called on, in the provider's own marks.
    """
    parts = [f"**{escape(card.headline)}**"] if title else []
    parts += [called] if called else []
    parts += [text for line in card.lines if (text := _line(line, escape))]
    return "\n\n".join(parts)


def links(card: Card, escape: Escape = wide) -> str:
    """The buttons that open a page, as one line of links."""
    return "　".join(f"[{escape(button.label)}]({button.url})" for button in card.buttons if button.url)


def fitted(card: Card, size: Callable[[Card], int], limit: int) -> Card:
    """The card, its longest quotes shortened until it is no longer than the limit; what is left out is said.

    Raises:
        TooLong: it is still too long.
    """
    while (over := size(card) - limit) > 0:
        longest = max(_quotes(card), key=lambda n: len(card.lines[n].text), default=-1)
        text = card.lines[longest].text if longest >= 0 else ""
        keep = len(text) - max(over, 30) - 30
        if keep < 40:  # noqa: PLR2004 — a quote shorter than this says nothing
            raise TooLong(f"一条消息放不下：超出 {over} 字节", permanent=True)
        told = Line((Span(f"{text[:keep]}……（还有 {len(text) - keep} 字，见详情）"),), "quote")
        card = replace(card, lines=(*card.lines[:longest], told, *card.lines[longest + 1 :]))
    return card


def pieces(text: str, most: int) -> list[str]:
    """The text in parts of at most so many bytes, divided between its paragraphs where it can be."""
    parts = [""]
    for paragraph in text.split("\n\n"):
        together = f"{parts[-1]}\n\n{paragraph}" if parts[-1] else paragraph
        if len(together.encode()) <= most:
            parts[-1] = together
            continue
        first, *others = _chopped(paragraph, most)
        parts += [first, *(_LEADING.get(other[0], other[0]) + other[1:] for other in others)]
    return [part for part in parts if part]


def _chopped(text: str, most: int) -> list[str]:
    """The text in parts of at most so many bytes, a little less where a leading mark may grow."""
    chopped, size = [""], 0
    for mark in text:
        size += len(mark.encode())
        if size > most - 2 and chopped[-1]:
            chopped.append("")
            size = len(mark.encode())
        chopped[-1] += mark
    return chopped


def _quotes(card: Card) -> Iterator[int]:
    return (n for n, line in enumerate(card.lines) if line.role in ("quote", "text"))


def _line(line: Line, escape: Escape) -> str:
    if line.role == "divider":
        return "---"
    text = "".join(_span(span, escape) for span in line.spans).strip()
    if line.role == "quote":
        return "\n".join(f"> {part}" for part in text.split("\n"))
    return text.replace("\n", "\n\n")


def _span(span: Span, escape: Escape) -> str:
    text = escape(span.text)
    if span.url:
        return f"[{text}]({span.url})"
    return f"**{text}**" if span.bold and text.strip() and "\n" not in text else text
