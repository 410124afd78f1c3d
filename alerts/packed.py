"""Words of an address in few bytes: mails hold hundreds of links and have their limit.

A known word or value is one byte, a day two more, a number four more; anything else stands as it is. What the bytes
mean is fixed for as long as links live: the lists may only grow at their ends.
"""

import struct
from collections.abc import Iterator, Mapping
from datetime import date, timedelta

_KNOWN = (
    "feedback", "deadlines", "since", "until", "seen", "kind", "bad", "category", "shop", "platform", "product", "sku",
    "warehouse", "courier", "settled", "served", "became", "stars", "cleared", "followup", "word", "textless",
    "unscored", "begin", "end", "first", "over", "within", "result", "stage", "person", "nobody",
    "1", "30", "60", "120", "1440", "review", "mention", "all", "once", "again", "received", "resolved", "answered",
    "waiting", "false_alarm", "given", "good", "on_time", "late", "missed", "met", "overdue", "case.respond",
    "case.solve", "crisis.respond", "crisis.notice", "crisis.follow_up", "crisis.apology", "crisis.statement",
    "aftersales", "authenticity", "damage", "installation", "logistics", "mismatch", "other", "price", "privacy",
    "quality", "safety", "service", "wrong_missing", "tmall", "taobao", "jd", "pdd", "suning", "douyin", "kuaishou",
    "weibo", "xiaohongshu", "bilibili", "zhihu", "tieba", "heimao", "tells",
)  # fmt: skip
_CODES = {word: code for code, word in enumerate(_KNOWN)}
_DAY, _NUMBER, _SHORT, _LONG = range(252, 256)
_LAYOUTS = {
    _DAY: struct.Struct(">H"),
    _NUMBER: struct.Struct(">I"),
    _SHORT: struct.Struct(">B"),
    _LONG: struct.Struct(">H"),
}
_EPOCH = date(1970, 1, 1)


def pack(of: str, wanted: Mapping[str, str]) -> bytes:
    """A list's name and its words; a text has less than 64 KB."""
    return b"".join(map(_packed, [of, *(one for pair in wanted.items() for one in pair)]))


def unpack(packed: bytes) -> tuple[str, dict[str, str]]:
    """The same again.

    Raises:
        ValueError: nothing that `pack` of this or an earlier version gives.
    """
    try:
        of, *words = _unpacked(packed)
        return of, dict(zip(words[::2], words[1::2], strict=True))
    except (struct.error, IndexError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _packed(text: str) -> bytes:
    if text in _CODES:
        return bytes([_CODES[text]])
    for kind, number in ((_DAY, _day(text)), (_NUMBER, _number(text))):
        if number is not None:
            return bytes([kind]) + _LAYOUTS[kind].pack(number)
    said = text.encode()
    kind = _SHORT if len(said) < 1 << 8 else _LONG
    return bytes([kind]) + _LAYOUTS[kind].pack(len(said)) + said


def _day(text: str) -> int | None:
    """Days since 1970 of a day that is written the one way."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    number = (day - _EPOCH).days
    return number if day.isoformat() == text and 0 <= number < 1 << 16 else None


def _number(text: str) -> int | None:
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(1 << 32))
    number = int(text) if plain else -1
    return number if str(number) == text and 0 <= number < 1 << 32 else None


def _unpacked(packed: bytes) -> Iterator[str]:
    at = 0
    while at < len(packed):
        code = packed[at]
        at += 1
        if code not in _LAYOUTS:
            yield _KNOWN[code]
            continue
        (number,) = _LAYOUTS[code].unpack_from(packed, at)
        at += _LAYOUTS[code].size
        if code == _DAY:
            yield (_EPOCH + timedelta(number)).isoformat()
        elif code == _NUMBER:
            yield str(number)
        else:
            yield packed[at : at + number].decode()
            at += number
