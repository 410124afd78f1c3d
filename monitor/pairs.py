"""What the search index holds of a feedback: pairs of neighbouring letters, and whole numbers and ids, as numbers.

A pair is two UTF-16 units in 32 bits, so any language, emoji and mark is searched alike, and one letter outside the
common plane is a pair by itself. The highest bit is lost to PostgreSQL's signed integers; what is thereby confused, the
text itself tells apart again.
"""

import re
import struct
from typing import Any
from zlib import crc32

IN_A_CASE, A_MENTION = 1 << 16, 2 << 16  # as if a NUL stood in the text, which none has
TAIL = 4  # letters of an order number that cards show
SHORTEST_REF = 4
_MASK = 0x7FFFFFFF

_capitals = re.compile("[A-Z]+")


def small(text: str) -> str:
    """ASCII in small letters: the only letters both databases fold alike."""
    return _capitals.sub(lambda found: found[0].lower(), text)


def pairs(text: str) -> set[int]:
    """The pairs of a text in small letters; none where it is a single letter."""
    units = text.encode("utf-16-le", "surrogatepass")
    odd = units[2 : len(units) - len(units[2:]) % 4]
    even = units[: len(units) - len(units) % 4]
    found = {*struct.unpack(f"<{len(even) // 4}I", even), *struct.unpack(f"<{len(odd) // 4}I", odd)}
    return {pair & _MASK for pair in found}


def whole(ref: str) -> int:
    """An order number or an id, which is found by the whole of it."""
    return crc32(small(ref).encode(errors="surrogatepass")) & _MASK


def of(row: Any) -> set[int]:
    """Everything a row of ``feedback`` is found by."""
    found = pairs(small(f"{row.title}\n{row.text}\n{row.product}"))
    found.update(whole(ref) for ref in {row.order_ref, row.order_ref[-TAIL:], row.external_id} if ref)
    if row.case_id is not None:
        found.add(IN_A_CASE)
    if row.kind == "mention":
        found.add(A_MENTION)
    return found


def ways(word: str) -> list[set[int]]:
    """What a row must hold all of, in one of these sets, to have a word in small letters; none tell of one letter."""
    within = pairs(word)
    if not within:
        return []
    return [within, {whole(word)}] if is_ref(word) else [within]


def is_ref(word: str) -> bool:
    """Whether a word may be an order number or an id."""
    return word.isascii() and len(word) >= SHORTEST_REF
