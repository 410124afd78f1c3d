"""What the search index holds of a feedback: the pairs of neighbouring letters, and numbers and ids as a whole.

All of it is bytes, four to an entry. A pair is two UTF-16 units, so any language, emoji and mark is searched alike, and
a letter outside the common plane is a pair by itself. An order number or an id is its CRC. Each database takes the
entries in its own way: SQLite as words of hex digits, PostgreSQL as an array of integers.
"""

import re
import struct
from typing import Any
from zlib import crc32

IN_A_CASE, A_MENTION = b"\0\0\1\0", b"\0\0\2\0"  # as if a NUL stood in the text, which none has
TAIL = 4  # letters of an order number that cards show
SHORTEST_REF = 4

_capitals = re.compile("[A-Z]+")


def small(text: str) -> str:
    """ASCII in small letters: the only letters both databases fold alike."""
    return _capitals.sub(lambda found: found[0].lower(), text)


def pairs(text: str) -> bytes:
    """The pairs of a text in small letters; none where it is a single letter."""
    units = text.encode("utf-16-le", "surrogatepass")
    even, odd = len(units) // 4 * 4, (len(units) - 2) // 4 * 4
    return units[:even] + (units[2 : 2 + odd] if odd > 0 else b"")


def whole(ref: str) -> bytes:
    """An order number or an id, which is found by the whole of it."""
    return crc32(small(ref).encode(errors="surrogatepass")).to_bytes(4)


def of(row: Any) -> bytes:
    """Everything a row of ``feedback`` is found by."""
    refs = {row.order_ref, row.order_ref[-TAIL:], row.external_id} - {""}
    marks = (IN_A_CASE if row.case_id is not None else b"") + (A_MENTION if row.kind == "mention" else b"")
    return pairs(small(f"{row.title}\n{row.text}\n{row.product}")) + b"".join(map(whole, refs)) + marks


def ways(word: str) -> list[bytes]:
    """What a row must hold all of, in one of these, to have a word in small letters; none tell of a single letter."""
    within = pairs(word)
    return [within, whole(word)] if within and is_ref(word) else [within] if within else []


def is_ref(word: str) -> bool:
    """Whether a word may be an order number or an id."""
    return word.isascii() and len(word) >= SHORTEST_REF


def line(entries: bytes) -> str:
    """Entries as SQLite takes them: words of eight hex digits."""
    return entries.hex(" ", 4)


def array(entries: bytes) -> str:
    """Entries as PostgreSQL takes them: an array's literal, which is how Python shows a set."""
    return repr({*struct.unpack(f"<{len(entries) // 4}i", entries)}) if entries else "{}"
